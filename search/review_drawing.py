"""Pictures of what a model does with a tweet, and of where it errs."""

from collections.abc import Sequence
from textwrap import fill
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize, TwoSlopeNorm
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from muse.corpora.tweet import SENTIMENTS
from muse.look import LayerSight, TweetSight
from muse.words import entities, joined_spans
from search.colours import GREY, ORANGE

PLAIN: dict[str, Any] = {"parse_math": False}
"""A tweet's dollars are no formula."""

LETTERS = 46
"""Of a line of text beside the pictures."""

COLUMN, LEAST_WIDTH = 2.1, 9.0
"""Inches of a layer's pictures, and of the whole figure."""


def draw_tweet(sight: TweetSight) -> Figure:
    """A tweet, the model's answer, and layer by layer what is exchanged and attended to."""
    layers = sight.layers
    width = max(LEAST_WIDTH, COLUMN * len(layers))
    figure = Figure(figsize=(width, 9.4 if layers else 2.8), layout="constrained")
    if not layers:
        head(figure, sight)
        return figure
    parts: Any = figure.subfigures(3, 1, height_ratios=[2.2, 4.0, 2.8])
    top, middle, bottom = parts
    head(top, sight)
    grid = middle.subplots(2, len(layers), squeeze=False)
    highest = max(float(layer.image_attention.max()) for layer in layers)
    for axes, layer in zip(grid[0], layers, strict=True):
        draw_exchanged(axes, sight, layer)
    for axes, layer in zip(grid[1], layers, strict=True):
        shown = draw_attention(axes, layer, highest)
    middle.colorbar(shown, ax=list(grid[1]), pad=0.01)
    grid[1, 0].set_ylabel("attention of cls", fontsize=8)
    draw_text(bottom.subplots(), sight)
    return figure


def head(figure: Any, sight: TweetSight) -> None:
    """The pictures that the model saw and made, and the answer in words."""
    shown = {"picture": sight.picture, "its small copy": sight.small_picture}
    if sight.painted is not None:
        shown["painted from the text"] = sight.painted
    *places, words = figure.subplots(1, len(shown) + 1, width_ratios=[1] * len(shown) + [2.2])
    for axes, (name, pixels) in zip(places, shown.items(), strict=True):
        axes.imshow(pixels)
        axes.set_title(name, fontsize=9)
        bare(axes)
    words.set_axis_off()
    words.text(0, 1, answer(sight), va="top", fontsize=8, transform=words.transAxes, **PLAIN)


def answer(sight: TweetSight) -> str:
    """Text, found and true labels and the caption, in short lines."""
    parts = [
        f"Text: {' '.join(sight.words)}",
        f"Found: {in_words(sight.words, sight.found)}",
        f"True: {in_words(sight.words, sight.gold)}",
    ]
    if sight.caption:
        parts.append(f"Written from the picture: {sight.caption}")
    return "\n".join(fill(part, LETTERS, max_lines=6) for part in parts)


def in_words(words: Sequence[str], labels: Sequence[str]) -> str:
    """A tweet's entities with their types, or its class; words that were cut off are left out."""
    if labels[0] in SENTIMENTS:
        return labels[0]
    found = entities(" ".join(words), joined_spans(words), labels[: len(words)])
    return ", ".join(f"{one.text} ({one.type})" for one in found) or "no entity"


def draw_exchanged(axes: Axes, sight: TweetSight, layer: LayerSight) -> None:
    """The picture with the cells marked that a layer exchanges."""
    side = sight.picture.shape[0] / len(layer.image_exchanged)
    axes.imshow(sight.picture)
    for row, column in zip(*np.nonzero(layer.image_exchanged), strict=True):
        corner = (column * side - 0.5, row * side - 0.5)
        axes.add_patch(
            Rectangle(corner, side, side, fill=False, hatch="///", edgecolor=ORANGE, linewidth=1.5)
        )
    told = exchanged(layer.image_exchanged, "cell")
    axes.set_title(f"layer {layer.layer}\n{told}", fontsize=9)
    bare(axes)


def exchanged(picks: NDArray[np.bool_], what: str) -> str:
    """How many of the tokens of one stream, in words."""
    if not picks.any():
        return f"no {what} exchanged"
    return f"{picks.sum()} of {picks.size} {what}s exchanged"


def draw_attention(axes: Axes, layer: LayerSight, highest: float) -> AxesImage:
    """Attention of cls to each cell, on one scale for all layers."""
    shown = axes.imshow(layer.image_attention, cmap="Blues", vmin=0, vmax=highest)
    for row, column in zip(*np.nonzero(layer.image_exchanged), strict=True):
        corner = (column - 0.5, row - 0.5)
        axes.add_patch(Rectangle(corner, 1, 1, fill=False, edgecolor=ORANGE, linewidth=1.5))
    bare(axes)
    return shown


def draw_text(axes: Axes, sight: TweetSight) -> None:
    """Attention of cls to each sub-word, a row a layer; the exchanged ones are framed."""
    rows = np.stack([layer.text_attention for layer in sight.layers])
    shown = axes.imshow(rows, cmap="Blues", vmin=0, aspect="auto")
    for row, layer in enumerate(sight.layers):
        for column in np.flatnonzero(layer.text_exchanged):
            corner = (column - 0.5, row - 0.5)
            axes.add_patch(
                Rectangle(corner, 1, 1, fill=False, hatch="///", edgecolor=ORANGE, linewidth=1.5)
            )
    names = [f"layer {n.layer}: {exchanged(n.text_exchanged, 'sub-word')}" for n in sight.layers]
    axes.set_yticks(range(len(rows)), names, size=8)
    size = 8 if len(sight.pieces) <= 32 else 6
    axes.set_xticks(range(len(sight.pieces)), sight.pieces, rotation=60, ha="right", size=size)
    for label in axes.get_xticklabels():
        label.set_parse_math(False)
    axes.set_title("Text: attention of cls; hatched in orange: exchanged", loc="left", fontsize=9)
    axes.figure.colorbar(shown, ax=axes, pad=0.01)


def bare(axes: Axes) -> None:
    """No ticks: they would count pixels."""
    axes.set_xticks([])
    axes.set_yticks([])


def draw_confusion(counts: NDArray[np.int64], labels: Sequence[str], what: str) -> Figure:
    """How often each true label was found as which, by share of its row.

    Args:
        counts: true labels (rows) by those found (columns), (K, K).
        labels: names of the K.
        what: what is counted.
    """
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    figure, axes = matrix(shares, labels, labels, Normalize(0, 1), "Blues")
    write(axes, counts, shares > 0.6, "{}")
    axes.set_xlabel("found")
    axes.set_ylabel("true")
    axes.set_title(f"{what} by true and found label; colour: share of the row", fontsize=9)
    return figure


def draw_transitions(scores: NDArray[np.float32], labels: Sequence[str]) -> Figure:
    """The CRF's scores: from the start or a tag to a tag or the end."""
    most = float(np.nanmax(np.abs(scores))) or 1.0
    rows, columns = ["start", *labels], [*labels, "end"]
    figure, axes = matrix(scores, rows, columns, TwoSlopeNorm(0, -most, most), "RdBu")
    write(axes, scores, np.abs(scores) > 0.6 * most, "{:.2f}")
    axes.set_xlabel("to")
    axes.set_ylabel("from")
    axes.set_title("CRF transitions in nats; higher is likelier", fontsize=9)
    return figure


def matrix(
    shown: NDArray[Any], rows: Sequence[str], columns: Sequence[str], scale: Normalize, colours: str
) -> tuple[Figure, Axes]:
    """A heat map with names at its sides."""
    side = 2.2 + 0.5 * len(columns)
    figure = Figure(figsize=(side + 0.6, side), layout="constrained")
    axes = figure.add_subplot()
    axes.imshow(shown, cmap=colours, norm=scale)
    axes.set_xticks(range(len(columns)), columns, rotation=60, ha="right")
    axes.set_yticks(range(len(rows)), rows)
    return figure, axes


def write(axes: Axes, cells: NDArray[Any], dark: NDArray[np.bool_], form: str) -> None:
    """The number in each cell, none where it is zero or unknown."""
    for (row, column), value in np.ndenumerate(cells):
        if value and not np.isnan(value):
            colour = "white" if dark[row, column] else "black"
            axes.text(column, row, form.format(value), ha="center", va="center", size=7, c=colour)
        elif value == 0:
            axes.text(column, row, "0", ha="center", va="center", size=7, c=GREY)
