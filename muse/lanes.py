"""Parts of a model that do not need each other, side by side on a GPU.

At the authors' sizes no part's kernels fill a large GPU alone: the captioner, for one, is a
thousand small ones after another. Where a step is recorded, its parts therefore get streams of
their own, and autograd sends each part's gradients back along the same stream.
"""

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor


class Lane:
    """A stream beside the current one; without a GPU, or switched off, just the usual order."""

    def __init__(self, device: torch.device, *, on: bool) -> None:
        self.stream: torch.cuda.Stream | None = None
        if on and device.type == "cuda":
            self.stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    def fork(self, *read: Tensor) -> None:
        """Wait for what the current stream has been given so far, which made the tensors."""
        if self.stream is not None:
            self.stream.wait_stream(torch.cuda.current_stream())
            for tensor in read:
                tensor.record_stream(self.stream)

    def join(self, *made: Tensor) -> None:
        """Let the current stream wait for this one, which made the tensors."""
        if self.stream is not None:
            torch.cuda.current_stream().wait_stream(self.stream)
            for tensor in made:  # else their memory could be given away while it is read
                tensor.record_stream(torch.cuda.current_stream())

    def beside(self) -> AbstractContextManager[None]:
        """Where what is computed goes to this stream."""
        if self.stream is None:
            return nullcontext()
        entered: AbstractContextManager[None] = torch.cuda.stream(self.stream)
        return entered
