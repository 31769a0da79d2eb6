"""The picture of a comparison: every variant a row, its scores and its difference."""

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from search.colours import BLUE, GREY, ORANGE, RED
from search.contrast import Contrast, Estimate, Variant
from search.drawing import legend
from search.terms import SPLITS, metric_name


def draw_contrast(found: Contrast, baseline: float | None = None) -> Figure:
    """Every variant a row: its scores on the left, its difference to the reference on the right."""
    figure = Figure(figsize=(10, 1.8 + 0.38 * len(found.variants)), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    for row, variant in enumerate(found.variants):
        draw_scores(left, row, variant, found)
        draw_difference(right, row, variant)
    if baseline is not None:
        left.axvline(baseline, color=RED, ls="--", lw=1, label=f"without learning ({baseline:.3g})")
    right.axvline(0, color=ORANGE, ls=":", lw=1, label="the reference")
    left.set_yticks(range(len(found.variants)), [v.name for v in found.variants])
    left.set_ylim(len(found.variants) - 0.4, -0.6)
    what = metric_name(found.metric)
    left.set_xlabel(f"{what}; bars: 95 % interval of the mean")
    right.set_xlabel(f"{SPLITS[found.split]} {what} minus {found.reference.name}'s, same seed")
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="y", color="0.93")
    legend(figure, [left, right], columns=4)
    return figure


def draw_scores(axes: Axes, row: int, variant: Variant, found: Contrast) -> None:
    """Every run as a dot, means with their intervals; validation below test."""
    for split, colour, shift in (("valid", GREY, 0.16), ("test", BLUE, -0.08)):
        scores, estimate = found.scores(variant, split), found.mean(variant, split)
        if estimate is None:
            continue
        height = row + (shift if found.reference.test else 0.0)
        dots: dict[str, Any] = {"color": colour, "alpha": 0.35, "ms": 4, "mew": 0}
        axes.plot(list(scores.values()), [height] * len(scores), "o", **dots)
        bar(axes, height, estimate, colour, label=SPLITS[split])


def draw_difference(axes: Axes, row: int, variant: Variant) -> None:
    """The difference with its interval; filled where it is beyond chance."""
    if variant.difference is None:
        return
    label, inside = LOOKS[variant.survives]
    bar(axes, row, variant.difference, "black", label=label, mfc=inside)


LOOKS = {True: ("beyond chance (Holm)", "black"), False: ("not beyond chance", "white")}
"""Label and filling of a difference."""


def bar(axes: Axes, height: float, estimate: Estimate, colour: str, **mark: Any) -> None:
    """A mean with its interval."""
    if estimate.low is not None and estimate.high is not None:
        axes.plot([estimate.low, estimate.high], [height, height], color=colour, lw=1.4)
    axes.plot([estimate.mean], [height], "D", ms=5, color=colour, **mark)
