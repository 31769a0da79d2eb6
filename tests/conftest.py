"""How every test computes."""

import hypothesis  # noqa: F401 - before a search freezes what is imported: it counts who refers to it
import torch

# The tensors of the tests are small: threads would wait for one another longer than they help.
torch.set_num_threads(1)
