"""The foot of a curve's picture: how many runs each value has, failures, what is safe."""

from collections.abc import Sequence
from itertools import pairwise
from operator import itemgetter
from typing import Any

from matplotlib.axes import Axes

from search.colours import GREEN, GREY, RED
from search.findings import Curve, Level
from search.scales import place
from search.space import Choice

FOOT = 0.2
"""Share of a picture's height below the scores: number of runs, failures, safe range."""


def rows_of(curves: Sequence[Curve]) -> tuple[str, ...]:
    """What stands below the scores: runs with a score, failures if there are any, safe range."""
    failed = any(level.failed for curve in curves for level in curve.levels)
    return ("n", "failed", "safe") if failed else ("n", "safe")


def foot(axes: Axes, curve: Curve, rows: Sequence[str]) -> None:
    """The rows below the scores."""
    steps = {row: FOOT * (1 - (k + 0.5) / len(rows)) for k, row in enumerate(rows)}
    counts(axes, curve, steps["n"])
    for level in curve.levels:
        if level.failed:
            cross(axes, place(curve.knob, level.value), steps["failed"], level)
    safe_bar(axes, curve, steps["safe"])
    colours = {"n": GREY, "failed": RED, "safe": GREEN}
    own = axes.get_subplotspec()
    for row, height in steps.items() if own is None or own.is_first_col() else ():
        side: dict[str, Any] = {"ha": "right", "va": "center", "size": 8, "color": colours[row]}
        axes.text(-0.015, height, row, transform=axes.transAxes, **side)


def counts(axes: Axes, curve: Curve, height: float) -> None:
    """How many runs have a score, once for neighbours too close to be told apart."""
    last, told = -1.0, -1
    for where, level in sorted(
        ((place(curve.knob, level.value), level) for level in curve.levels), key=itemgetter(0)
    ):
        inside = axes.transAxes.inverted().transform(axes.transData.transform((where, 0)))[0]
        count = len(level.scores)
        if inside - last > 0.04 or count != told:
            small: dict[str, Any] = {"ha": "center", "va": "center", "size": 7, "color": GREY}
            axes.text(where, height, str(count), transform=axes.get_xaxis_transform(), **small)
            last, told = inside, count


def cross(axes: Axes, where: float, height: float, level: Level) -> None:
    """Runs that failed at a value; their number where it is more than one."""
    mark: dict[str, Any] = {"color": RED, "ms": 6, "mew": 1.6, "clip_on": False}
    across = axes.get_xaxis_transform()
    axes.plot([where], [height], "x", transform=across, **mark)
    if level.failed > 1:
        beside: dict[str, Any] = {"textcoords": "offset points", "va": "center", "size": 7}
        axes.annotate(str(level.failed), (where, height), (5, 0), across, color=RED, **beside)


def safe_bar(axes: Axes, curve: Curve, height: float) -> None:
    """The safe values, joined where the axis has something between them.

    Where the verdict is flat a thin line goes on over all that was tried: none is shown worse.
    """
    style: dict[str, Any] = {"color": GREEN, "transform": axes.get_xaxis_transform()}
    if curve.none_worse:
        tried = sorted(place(curve.knob, level.value) for level in curve.levels)
        axes.plot([tried[0], tried[-1]], [height, height], "-", linewidth=1, alpha=0.6, **style)
    places = [place(curve.knob, value) for value in curve.safe]
    axes.plot(places, [height] * len(places), "|", ms=8, mew=2, **style)
    if not isinstance(curve.knob, Choice):
        for one, next_one in pairwise(places):
            axes.plot([one, next_one], [height, height], "-", linewidth=4, alpha=0.6, **style)
