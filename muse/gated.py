"""The painter's gated blocks, and what is made for all of them at once.

Kernels from their lengths and directions, the condition's share and dropout's choice need no
features. Made block by block they are nearly half of a painter's operations, each of them tiny.

Shapes: B batch, C condition, F filters, h x w pixels at the resolution in hand.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import weight_norm

from muse.chains import Padding, compiled, concat_elu, gate, written_out
from muse.config import PainterConfig

NONE: Padding = (0, 0, 0, 0)


class Causal(nn.Module):
    """A convolution over what its padding lets it see."""

    def __init__(self, convolution: nn.Conv2d, padding: Padding) -> None:
        super().__init__()
        self.padding = padding
        self.convolution = weight_norm(convolution)

    def forward(self, features: Tensor) -> Tensor:
        seen: Tensor = self.convolution(functional.pad(features, self.padding))
        return seen


@dataclass(frozen=True)
class Kernel:
    """A convolution's weights, ready to be used."""

    weight: Tensor
    bias: Tensor | None = None

    def __call__(self, features: Tensor) -> Tensor:
        """Convolve what is padded already."""
        return functional.conv2d(features, self.weight, self.bias)


@dataclass(frozen=True)
class Given:
    """What a block is given besides features."""

    kernels: dict[nn.Conv2d, Kernel]
    """Of all blocks' convolutions."""

    shift: Tensor
    """What the condition adds to result and gate, (B, 2 F)."""

    kept: Tensor | None
    """What dropout leaves of each channel, (B, 2 F, 1, 1); None is all."""


class GatedBlock(nn.Module):
    """A residual block that lets each channel through by a gate which knows the condition."""

    def __init__(self, make: Callable[..., Causal], filters: int, skip: int = 0) -> None:
        """Build one block.

        Args:
            make: `down` or `down_right`.
            filters: F.
            skip: filters of a second input, from a shortcut or the other stream; 0 is none.
        """
        super().__init__()
        self.fuse = False  # whether what lies between convolutions is compiled
        self.enter = make(2 * filters, filters)
        self.leave = make(2 * filters, 2 * filters, bias=False)  # the condition brings it
        self.skip = weight_norm(nn.Conv2d(2 * skip, filters, 1)) if skip else None

    def forward(self, features: Tensor, given: Given, skip: Tensor | None = None) -> Tensor:
        """Map (B, F, h, w) to the same shape, with (B, skip, h, w) if it has such an input."""
        elu, through = (compiled(written_out), compiled(gate)) if self.fuse else (concat_elu, gate)
        kernels = given.kernels
        inner = kernels[self.enter.convolution](elu(features, None, self.enter.padding))
        if self.skip is not None and skip is not None:
            inner = inner + kernels[self.skip](elu(skip, None, NONE))
        inner = kernels[self.leave.convolution](elu(inner, given.kept, self.leave.padding))
        return through(features, inner, given.shift)


Givens = dict[GatedBlock, Given]
"""What each block of a painter is given."""


class Preparation(nn.Module):
    """Makes what the blocks of a painter are given, in one go."""

    def __init__(self, config: PainterConfig, condition: int, blocks: int) -> None:
        """For so many blocks that know a condition of width C."""
        super().__init__()
        self.dropout = nn.Dropout(config.dropout)
        self.condition = nn.Linear(condition, blocks * 2 * config.filters)
        nn.init.normal_(self.condition.weight, std=0.05)

    def forward(self, blocks: Sequence[GatedBlock], condition: Tensor) -> Givens:
        """What each block is given where the condition is (B, C)."""
        shifts = self.condition(condition)  # (B, blocks * 2 F)
        kept: Sequence[Tensor | None] = [None] * len(blocks)
        if self.training and self.dropout.p > 0:
            chosen = self.dropout(torch.ones_like(shifts))
            kept = chosen[..., None, None].chunk(len(blocks), dim=1)
        modules = [module for block in blocks for module in block.modules()]
        kernels = normalised([module for module in modules if isinstance(module, nn.Conv2d)])
        parts = zip(blocks, shifts.chunk(len(blocks), dim=1), kept, strict=True)
        return {block: Given(kernels, shift, choice) for block, shift, choice in parts}


def normalised(convolutions: Sequence[nn.Conv2d]) -> dict[nn.Conv2d, Kernel]:
    """Kernels of weight-normalised convolutions, all of one shape at once."""
    alike: dict[tuple[Any, ...], list[nn.Conv2d]] = {}
    for each in convolutions:
        shape = (each.out_channels, each.in_channels, each.kernel_size, each.bias is None)
        alike.setdefault(shape, []).append(each)
    made: dict[nn.Conv2d, Kernel] = {}
    for some in alike.values():
        made |= zip(some, of_one_shape(some), strict=True)
    return made


def of_one_shape(convolutions: Sequence[nn.Conv2d]) -> list[Kernel]:
    """Kernels g v / |v|, with bias or without.

    Source: Salimans and Kingma, "Weight Normalization", arXiv 1602.07868, equation 2.
    """
    lengths, directions = (
        torch.cat([each.get_parameter(f"parametrizations.weight.{name}") for each in convolutions])
        for name in ("original0", "original1")
    )
    weights = as_computed(torch._weight_norm(directions, lengths, 0))
    if weights.is_cuda:
        weights = weights.contiguous(memory_format=torch.channels_last)
    some = [each.bias for each in convolutions if each.bias is not None]
    number = len(convolutions)
    biases = as_computed(torch.cat(some)).chunk(number) if some else [None] * number
    return [Kernel(*pair) for pair in zip(weights.chunk(number), biases, strict=True)]


def as_computed(weights: Tensor) -> Tensor:
    """In the type in which convolutions will read them."""
    device = weights.device.type
    on = torch.is_autocast_enabled(device)
    return weights.to(torch.get_autocast_dtype(device)) if on else weights
