"""Pictures of the curves: one by one, and all beside one another.

Every picture shows all runs, the mean, its doubt, the noise floor and the failures, so that nobody
has to take a line on trust.
"""

import math
from collections.abc import Sequence
from textwrap import wrap
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.markers import CARETDOWN, CARETUP
from matplotlib.ticker import FixedLocator, MaxNLocator

from search.colours import BLUE, GREY, ORANGE, RED
from search.findings import Curve, Findings
from search.foot import FOOT, foot, rows_of
from search.scales import heights, is_log, place, scale
from search.space import Choice
from search.terms import meaning, metric_name, title
from search.verdict import are_alike
from search.wording import NO_INTERVAL, NO_SCORE, few_seeds

LINE = 95
"""Letters that fit above a picture."""

COLUMNS = 4
"""Curves side by side in the overview."""


def draw_curve(curve: Curve, findings: Findings) -> Figure:
    """One setting: its runs, their means with intervals, and what to compare them with."""
    figure = Figure(figsize=(6.4, 4.6), layout="constrained")
    axes = figure.add_subplot()
    panel(axes, curve, findings, heights([curve], findings), rows_of([curve]))
    axes.set_ylabel(metric_name(findings.metric))
    head(axes, curve, findings)
    legend(figure, [axes], columns=3)
    return figure


def draw_overview(findings: Findings) -> Figure:
    """All curves on one scale of scores, the strongest first."""
    columns = max(1, min(COLUMNS, len(findings.curves)))
    rows = max(1, math.ceil(len(findings.curves) / columns))
    figure = Figure(figsize=(3.0 * columns + 0.6, 2.7 * rows + 0.7), layout="constrained")
    grid = figure.subplots(rows, columns, sharey=True, squeeze=False).flatten()
    span, rows_shown = heights(findings.curves, findings), rows_of(findings.curves)
    for axes, curve in zip(grid, findings.curves, strict=False):
        panel(axes, curve, findings, span, rows_shown)
        edge = ", best at the edge" if curve.alarm else ""
        axes.set_title(f"{title(curve.name)}: {curve.verdict}{edge}", loc="left", fontsize=10)
        axes.set_xlabel(axes.get_xlabel().split("\n")[0])
        if axes in grid[::columns]:
            axes.set_ylabel(metric_name(findings.metric))
    for axes in grid[len(findings.curves) :]:
        axes.set_axis_off()
    legend(figure, list(grid[: len(findings.curves)]), columns=int(1.5 * columns))
    return figure


def head(axes: Axes, curve: Curve, findings: Findings) -> None:
    """Name and verdict, and below them what the picture cannot show."""
    lines = [doubt(curve, findings), *wrap(curve.alarm, LINE)]
    axes.set_title(
        f"{title(curve.name)}: {curve.verdict}", loc="left", weight="bold", pad=8 + 12 * len(lines)
    )
    for row, line in enumerate(reversed(lines)):
        colour = GREY if line is lines[0] else RED
        axes.annotate(
            line, (0, 1), (0, 6 + 12 * row), "axes fraction", "offset points", size=8, color=colour
        )


def doubt(curve: Curve, findings: Findings) -> str:
    """How far the curve can be believed, on one line."""
    if curve.effect is None:
        return NO_SCORE
    if curve.inert:
        return "no value changes anything beside the incumbent's other settings"
    if few_seeds(findings):
        return f"means span {curve.effect:.2g}; {NO_INTERVAL}"
    if are_alike(curve.levels):
        return "every run has the same score: no value can be told from another"
    told = {
        "flat": f"; differences above {curve.excluded_above or 0.0:.2g} are excluded (95 %)",
        "unjudged": "; too few runs or legal values to judge",
    }.get(curve.verdict, "")
    return f"means span {curve.effect:.2g}{told}"


def panel(
    axes: Axes,
    curve: Curve,
    findings: Findings,
    span: tuple[float, float],
    rows: Sequence[str],
) -> None:
    """Fill one pair of axes.

    Args:
        axes: where to draw.
        curve: what to draw.
        findings: what to compare it with.
        span: the scores that the vertical axis has to show.
        rows: what stands at the foot; see `rows_of`.
    """
    low, high = span
    scale(axes, curve)
    axes.set_ylim(low - (high - low) * FOOT / (1 - FOOT), high)
    ticks = MaxNLocator(5).tick_values(low, high)
    axes.yaxis.set_major_locator(FixedLocator([t for t in ticks if low <= t <= high]))
    axes.axhline(low, color="0.85", linewidth=0.8)
    landmarks(axes, curve, findings, span)
    scores(axes, curve, findings)
    intervals(axes, curve, span)
    foot(axes, curve, rows)
    about = f"\n{meaning(curve.name)}" if meaning(curve.name) else ""
    axes.set_xlabel(title(curve.name) + (", log scale" if is_log(curve.knob) else "") + about)
    axes.spines[["top", "right"]].set_visible(False)


def landmarks(axes: Axes, curve: Curve, findings: Findings, span: tuple[float, float]) -> None:
    """Noise floor around the incumbent's mean, the incumbent's value, the trivial baseline."""
    mean, noise = findings.mean, findings.noise
    if noise is not None:
        label = f"incumbent's mean ± noise floor ({noise:.2g})"
        axes.axhspan(mean - noise, mean + noise, color="0.86", linewidth=0, label=label)
    else:
        axes.axhline(mean, color="0.75", linewidth=1, label="incumbent's mean")
    if span[0] <= findings.baseline <= span[1]:
        style: dict[str, Any] = {"color": RED, "linewidth": 1, "linestyle": "--"}
        axes.axhline(
            findings.baseline, **style, label=f"without learning ({findings.baseline:.2g})"
        )
    where = place(curve.knob, curve.incumbent)
    axes.plot([where, where], span, color=ORANGE, linewidth=1, linestyle=":", zorder=1)
    mark: dict[str, Any] = {"marker": "*", "ms": 13, "mec": "black", "mew": 0.6, "ls": ""}
    if curve.own_mean is not None:
        axes.plot([where], [curve.own_mean], color=ORANGE, zorder=5, label="incumbent", **mark)


def scores(axes: Axes, curve: Curve, findings: Findings) -> None:
    """Every run as a dot, those of one seed joined, and the means as a line."""
    if not curve.means:
        axes.text(0.5, 0.35, NO_SCORE, transform=axes.transAxes, ha="center", color=GREY)
        return
    line = "" if isinstance(curve.knob, Choice) else "-"
    places = [place(curve.knob, level.value) for level in curve.levels]
    dots: dict[str, Any] = {"color": "black", "alpha": 0.35, "ms": 4, "mew": 0, "linewidth": 0.6}
    for seed in dict.fromkeys(run.seed for run in curve.runs):
        found = {run.value: run.metric for run in curve.runs if run.seed == seed}
        scored = [gap(found.get(level.value)) for level in curve.levels]
        axes.plot(places, scored, f"o{line}", label="runs of one seed", zorder=3, **dots)
    means = [gap(curve.means.get(level.value)) for level in curve.levels]
    mark: dict[str, Any] = {"marker": "o", "ms": 5, "color": BLUE, "zorder": 4}
    axes.plot(places, means, linestyle=line, label="mean", **mark)
    if few_seeds(findings):
        axes.plot([], [], " ", label=NO_INTERVAL)


def gap(score: float | None) -> float:
    """A height, or a gap in a line."""
    return math.nan if score is None else score


BARS: dict[str, Any] = {"color": BLUE, "clip_on": False, "solid_capstyle": "butt"}


def intervals(axes: Axes, curve: Curve, span: tuple[float, float]) -> None:
    """At each value how it differs from the incumbent, in bold, and how far its mean can be told.

    With few seeds the second says little, for it covers what a seed does to all values alike. A
    mean that is not of the same seeds as the others is not drawn, nor is its interval.
    """
    for level in curve.levels:
        where = place(curve.knob, level.value)
        plain = level.mean is not None and level.mean == curve.means[level.value]
        if plain and level.low is not None and level.high is not None:
            pale: dict[str, Any] = {"linewidth": 0.8, "alpha": 0.35, "label": "95 % interval: mean"}
            interval(axes, where, (level.low, level.high), span, **BARS, **pale)
        if (ends := curve.beside(level)) is not None:
            bold = {"linewidth": 2.2, "alpha": 0.8, "label": "95 % interval: difference"}
            interval(axes, where, ends, span, **BARS, **bold)


def interval(
    axes: Axes, where: float, ends: tuple[float, float], span: tuple[float, float], **bar: Any
) -> None:
    """A bar between two ends; an arrow where it leaves the picture."""
    low, high = ends
    caps = "_" if low >= span[0] else CARETDOWN, "_" if high <= span[1] else CARETUP
    shown = [min(max(end, span[0]), span[1]) for end in ends]
    axes.plot([where, where], shown, **bar)
    for end, cap in zip(shown, caps, strict=True):
        axes.plot([where], [end], marker=cap, ms=6, **{**bar, "label": "_"})


def legend(figure: Figure, panels: Sequence[Axes], columns: int) -> None:
    """One legend below all, each kind of mark once."""
    found: dict[str, Any] = {}
    for axes in panels:
        handles, labels = axes.get_legend_handles_labels()
        found |= dict(zip(labels, handles, strict=True))
    if found:
        place: dict[str, Any] = {"loc": "outside lower center", "frameon": False}
        figure.legend(found.values(), found.keys(), ncols=columns, fontsize=8, **place)
