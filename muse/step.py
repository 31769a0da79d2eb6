"""One step of training; on a GPU it is recorded once for each shape of batch and then replayed.

At the authors' sizes a step is some ten thousand small kernels. Started one by one they keep the
CPU busy for longer than the GPU needs for them; a CUDA graph starts them all at once.
"""

from dataclasses import dataclass, fields

import torch
from torch import Tensor, nn
from torch.optim import AdamW

from muse.batch import Batch, Losses
from muse.chains import compiles
from muse.device import autocast
from muse.model import Muse
from muse.optimizer import learn

Shape = tuple[torch.Size, ...]


class Step:
    """Forward, backward, and the weights moved."""

    multiple = 1
    """Of how many sub-words and words its batches should be."""

    def __init__(self, model: nn.Module, optimizer: AdamW, clip: float, *, bf16: bool) -> None:
        """Train a model.

        Args:
            model: Muse, or what DDP makes of it.
            optimizer: of its parameters.
            clip: largest norm of the gradient.
            bf16: whether matrices are multiplied in bf16.
        """
        self.model, self.optimizer, self.clip, self.bf16 = model, optimizer, clip, bf16

    def __call__(self, batch: Batch, share: float = 1.0) -> Tensor:
        """Take one step.

        Args:
            batch: on the model's device.
            share: how much the losses count, where other workers have other shares of a batch.

        Returns:
            Total, task, caption and image loss, weighed by the share; the gradient's norm, (5,).
        """
        losses = self.backward(batch, share)
        norm = learn(self.model, self.optimizer, self.clip)
        parts = (losses.total.detach(), losses.task, losses.caption, losses.image)
        return torch.stack([*(part.float() * share for part in parts), norm.float()])

    def backward(self, batch: Batch, share: float = 1.0) -> Losses:
        """All gradients; arguments as above."""
        with autocast(batch.image.device, bf16=self.bf16):
            losses: Losses = self.model(batch)
        torch.autograd.backward(losses.total * share)
        return losses


@dataclass(frozen=True)
class Recording:
    """A step for one shape of batch, and the memory that it reads and writes each time."""

    graph: torch.cuda.CUDAGraph
    batch: Batch
    figures: Tensor

    def replay(self, batch: Batch) -> Tensor:
        """Take the step with another batch of the same shape."""
        for field in fields(Batch):
            getattr(self.batch, field.name).copy_(getattr(batch, field.name))
        self.graph.replay()
        return self.figures.clone()  # the next replay writes there again


class RecordedStep:
    """Takes the steps that a `Step` takes, on one GPU, without starting each kernel anew."""

    multiple = 16  # so that few shapes come

    def __init__(self, step: Step, model: Muse, size: int) -> None:
        """Record the steps of a model, and let its parts run side by side in them.

        Args:
            step: as usual.
            model: what it trains.
            size: tweets of a whole batch; a smaller one, an epoch's last, is not worth a recording.
        """
        self.step, self.model, self.size = step, model, size
        # The projection that both decoders may share would be read by two streams at once.
        model.side_by_side = not model.config.parity.shared_projection
        self.fuse = model.config.train.compile and compiles(next(model.parameters()).device)
        self.seen: set[Shape] = set()
        self.recordings: dict[Shape, Recording] = {}
        self.pool = torch.cuda.graph_pool_handle()  # one after another: they share their memory

    def __call__(self, batch: Batch, share: float = 1.0) -> Tensor:
        """Take one step; as `Step`, with the share of the only worker."""
        shape = tuple(getattr(batch, field.name).shape for field in fields(Batch))
        if shape not in self.recordings:
            whole = len(batch) == self.size
            self._fuse(whole)
            if not whole or shape not in self.seen:  # libraries choose their kernels at first
                self.seen.add(shape)
                return self.step(batch, share)
            self.recordings[shape] = self._record(batch)
        return self.recordings[shape].replay(batch)

    def _fuse(self, whole: bool) -> None:
        """Compile for whole batches only: kernels for another size would take as long again."""
        if self.model.painter is not None:
            self.model.painter.fuse(self.fuse and whole)

    def _record(self, batch: Batch) -> Recording:
        """Write a step down without taking it."""
        graph = torch.cuda.CUDAGraph()
        # A worker has other threads, whose work on the GPU is no part of the step.
        with torch.cuda.graph(graph, pool=self.pool, capture_error_mode="thread_local"):
            figures = self.step(batch)
        return Recording(graph, batch, figures)
