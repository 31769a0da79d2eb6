"""The painter's elementwise work between two convolutions, each chain in one kernel on a GPU.

`torch.compile` makes those kernels, some seconds for each shape in a process. Elsewhere the same
chains run as they are written here.

Shapes: B batch, F filters, h x w pixels.
"""

import logging
from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

Padding = tuple[int, int, int, int]
"""Left, right, top, bottom; a negative number cuts off."""

RECOMPILE_LIMIT = 64
"""Shapes that one chain is compiled for; torch gives up after 8, the authors' painter has 18."""


class ConcatElu(torch.autograd.Function):
    """ELU of the features and of their negative; its gradient needs nothing but the result."""

    @staticmethod
    def forward(ctx: Any, features: Tensor) -> Tensor:
        both = functional.elu(torch.cat([features, -features], dim=1), inplace=True)
        ctx.save_for_backward(both)
        return both

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (both,) = ctx.saved_tensors
        inner = torch.ops.aten.elu_backward(grad, 1, 1, 1, True, both)  # True: of the result
        positive, negative = inner.chunk(2, dim=1)
        difference: Tensor = positive - negative
        return difference


def concat_elu(features: Tensor, kept: Tensor | None, padding: Padding) -> Tensor:
    """ELU of the features and of their negative, dropout, and zeros around them.

    Args:
        features: (B, F, h, w).
        kept: what dropout leaves of each channel, (B, 2 F, 1, 1); None is all.
        padding: for the convolution that follows.

    Returns:
        (B, 2 F, h + top + bottom, w + left + right).
    """
    return framed(ConcatElu.apply(features), kept, padding)


def written_out(features: Tensor, kept: Tensor | None, padding: Padding) -> Tensor:
    """`concat_elu` for the compiler, which derives the gradient itself."""
    return framed(functional.elu(torch.cat([features, -features], dim=1)), kept, padding)


def framed(both: Tensor, kept: Tensor | None, padding: Padding) -> Tensor:
    """Dropout, and zeros around what it leaves; arguments as in `concat_elu`."""
    return functional.pad(both if kept is None else both * kept, padding)


def gate(features: Tensor, inner: Tensor, shift: Tensor) -> Tensor:
    """Let a block's result through its gate and add it to the features.

    Args:
        features: (B, F, h, w).
        inner: result and gate, (B, 2 F, h, w).
        shift: what the condition adds to both, (B, 2 F).
    """
    return features + functional.glu(inner + shift[..., None, None], dim=1)


@cache
def compiled(chain: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """A chain as kernels of its own, once a process: all trials use them."""
    torch._dynamo.config.recompile_limit = RECOMPILE_LIMIT
    return torch.compile(chain, dynamic=False, fullgraph=True)


@cache
def compiles(device: torch.device) -> bool:
    """Whether kernels can be made here: that takes Triton and a C compiler."""
    try:
        compiled(gate)(
            *(torch.ones(1, n, 4, 4, device=device) for n in (2, 4)),
            torch.ones(1, 4, device=device),
        )
    except Exception as error:  # whatever the compiler lacks
        reason = str(error).partition("\n")[0]
        logging.warning("no kernels of our own on %s: %s", device, reason)
        return False
    return True
