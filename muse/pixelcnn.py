"""Image from text: conditional PixelCNN++, which paints a small picture pixel by pixel.

"PixelCNN++" (Salimans et al., arXiv 1701.05517), sections 2.3 to 2.5 and its figure 2; the
condition enters as in "Conditional PixelCNN" (van den Oord et al., arXiv 1606.05328).
Two streams of features run side by side: `above` has seen the rows above a pixel, `before`
all pixels before it in reading order. Only `before` makes the parameters.

Shapes: B batch, C condition, F filters, h x w pixels at the resolution in hand, M mixtures.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import weight_norm

from muse.config import PainterConfig
from muse.gated import Causal, GatedBlock, Givens, Preparation
from muse.logistic_mixture import sample, to_pixels

Features = tuple[Tensor, Tensor]
"""`above` and `before`, each (B, F, h, w)."""

SHIFT_DOWN, SHIFT_RIGHT = (0, 0, 1, -1), (1, -1, 0, 0)
"""Padding: left, right, top, bottom; a negative number cuts off."""


def down(channels: int, filters: int, size: tuple[int, int] = (2, 3), **more: Any) -> Causal:
    """A convolution that sees its own row, to both sides, and the rows above it."""
    rows, columns = size
    padding = (columns // 2, columns // 2, rows - 1, 0)
    return Causal(nn.Conv2d(channels, filters, size, **more), padding)


def down_right(channels: int, filters: int, size: tuple[int, int] = (2, 2), **more: Any) -> Causal:
    """A convolution that sees itself, what is left of it, and what is above those."""
    rows, columns = size
    padding = (columns - 1, 0, rows - 1, 0)
    return Causal(nn.Conv2d(channels, filters, size, **more), padding)


def enlarge(filters: int, size: tuple[int, int], cut: tuple[int, int, int, int]) -> nn.Sequential:
    """A transposed convolution to twice the resolution; `cut` restores an even width."""
    # dim=1: a transposed kernel has its output channels second.
    spread = weight_norm(nn.ConvTranspose2d(filters, filters, size, stride=2), dim=1)
    return nn.Sequential(spread, nn.ZeroPad2d(cut))


class Pair(nn.Module):
    """One gated block in each stream; `before` always looks at `above`, never the reverse."""

    def __init__(self, filters: int, shortcut: bool) -> None:
        super().__init__()
        self.above = GatedBlock(down, filters, skip=filters if shortcut else 0)
        self.before = GatedBlock(down_right, filters, skip=2 * filters if shortcut else filters)

    def forward(
        self, features: Features, given: Givens, shortcut: Features | None = None
    ) -> Features:
        """Pass both streams, on the way up with what was kept on the way down."""
        above, before = features
        if shortcut is None:
            above = self.above(above, given[self.above])
            return above, self.before(before, given[self.before], above)
        above = self.above(above, given[self.above], shortcut[0])
        both = torch.cat([above, shortcut[1]], dim=1)
        return above, self.before(before, given[self.before], both)


class Both(nn.Module):
    """The same change of resolution in each stream."""

    def __init__(self, above: nn.Module, before: nn.Module) -> None:
        super().__init__()
        self.above, self.before = above, before

    def forward(self, features: Features) -> Features:
        return self.above(features[0]), self.before(features[1])


class PixelCNN(nn.Module):
    """p(image | condition) = product of p(pixel | pixels before it, condition)."""

    def __init__(self, config: PainterConfig, condition: int) -> None:
        super().__init__()
        filters, blocks, halvings = config.filters, config.blocks, config.resolutions - 1

        def pairs(count: int, shortcut: bool) -> nn.ModuleList:
            return nn.ModuleList(Pair(filters, shortcut) for _ in range(count))

        # Four channels: the colours, and ones that tell the picture from its padding.
        self.above = nn.Sequential(down(4, filters), nn.ZeroPad2d(SHIFT_DOWN))
        self.row_above = nn.Sequential(down(4, filters, (1, 3)), nn.ZeroPad2d(SHIFT_DOWN))
        self.left = nn.Sequential(down_right(4, filters, (2, 1)), nn.ZeroPad2d(SHIFT_RIGHT))
        self.descent = nn.ModuleList(pairs(blocks, shortcut=False) for _ in range(1 + halvings))
        self.shrink = nn.ModuleList(
            Both(down(filters, filters, stride=2), down_right(filters, filters, stride=2))
            for _ in range(halvings)
        )
        # One more after each doubling, for the shortcut from before the halving.
        more = [0] + [1] * halvings
        self.ascent = nn.ModuleList(pairs(blocks + extra, shortcut=True) for extra in more)
        self.grow = nn.ModuleList(
            Both(
                enlarge(filters, (2, 3), cut=(-1, 0, 0, 0)),
                enlarge(filters, (2, 2), cut=(0, 0, 0, 0)),
            )
            for _ in range(halvings)
        )
        self.out = weight_norm(nn.Conv2d(filters, 10 * config.mixtures, 1))
        self.prepare = Preparation(config, condition, len(self.blocks))

    def forward(self, image: Tensor, condition: Tensor) -> Tensor:
        """Compute each pixel's mixture of logistics from the pixels before it.

        Args:
            image: on [-1, 1], sides divisible by 4, (B, 3, h, w).
            condition: (B, C).

        Returns:
            Parameters for `logistic_mixture`, (B, 10 M, h, w), float32.
        """
        return self._read(image, self.prepare(self.blocks, condition))

    @property
    def blocks(self) -> list[GatedBlock]:
        """All of them, in one order."""
        return [module for module in self.modules() if isinstance(module, GatedBlock)]

    def fuse(self, on: bool) -> None:
        """Compile what lies between convolutions, or leave it as it is written."""
        for block in self.blocks:
            block.fuse = on

    def _read(self, image: Tensor, given: Givens) -> Tensor:
        kept = self._go_down(self._start(image), given)
        _, before = self._go_up(kept, given)
        with torch.autocast(image.device.type, enabled=False):  # bf16 means would miss the pixel
            parameters: Tensor = self.out(functional.elu(before.float()))
        return parameters

    def _start(self, image: Tensor) -> Features:
        framed = torch.cat([image, torch.ones_like(image[:, :1])], dim=1)  # (B, 4, h, w)
        if framed.is_cuda:  # all convolutions follow: a pixel's channels side by side
            framed = framed.contiguous(memory_format=torch.channels_last)
        return self.above(framed), self.row_above(framed) + self.left(framed)

    def _go_down(self, features: Features, given: Givens) -> list[Features]:
        """Halve the resolution, once or twice, and keep every state on the way."""
        kept = [features]
        for level, pairs in enumerate(self.descent):
            if level > 0:
                kept.append(self.shrink[level - 1](kept[-1]))
            for pair in pairs.children():
                kept.append(pair(kept[-1], given))
        return kept

    def _go_up(self, kept: list[Features], given: Givens) -> Features:
        """Double the resolution again, with every kept state as a shortcut, last one first."""
        features = kept.pop()
        for level, pairs in enumerate(self.ascent):
            if level > 0:
                features = self.grow[level - 1](features)
            for pair in pairs.children():
                features = pair(features, given, kept.pop())
        return features

    @torch.no_grad()
    def paint(self, condition: Tensor, size: int) -> Tensor:
        """Draw a picture of size x size for each condition (B, C), in evaluation mode: uint8.

        One pass of the network for each pixel, so seconds to minutes for a whole picture.
        """
        image = condition.new_zeros(len(condition), 3, size, size)
        given = self.prepare(self.blocks, condition)
        for row in range(size):
            seen = image[:, :, : row // 4 * 4 + 4]  # a view: rows below do not matter yet
            for column in range(size):
                here = self._read(seen, given)[:, :, row, column, None, None]  # (B, 10 M, 1, 1)
                image[:, :, row, column] = sample(here)[..., 0, 0]
        return to_pixels(image)
