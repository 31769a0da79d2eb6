"""How every test computes."""

import torch

# The tensors of the tests are small: threads would wait for one another longer than they help.
torch.set_num_threads(1)
