"""How every test computes."""

import torch
from hypothesis import settings  # imported before a search freezes what is: it counts references

# The tensors of the tests are small: threads would wait for one another longer than they help.
torch.set_num_threads(1)

# On a busy machine one example may take a second.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")
