"""Pictures of the curves: one by one, and all beside one another.

Every picture shows all runs, the mean, its doubt, the noise floor and the failures, so that nobody
has to take a line on trust. Colours are Okabe and Ito's, which all eyes can tell apart.
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from textwrap import wrap
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.markers import CARETDOWN, CARETUP
from matplotlib.ticker import FixedLocator, MaxNLocator

from search.findings import Curve, Findings, Level
from search.scales import heights, is_log, place, scale
from search.space import Choice
from search.verdict import are_alike
from search.wording import NO_SCORE, ONE_SEED, few_seeds, meaning, metric_name, title

BLUE, ORANGE, GREEN, RED, GREY = "#0072b2", "#e69f00", "#009e73", "#d55e00", "0.45"

FOOT = 0.2
"""Share of a picture's height below the scores: number of runs, failures, safe range."""

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
        return f"means span {curve.effect:.2g}; {ONE_SEED}"
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
    own = next((v.mean for v in curve.levels if v.value == curve.incumbent), None)
    where = place(curve.knob, curve.incumbent)
    axes.plot([where, where], span, color=ORANGE, linewidth=1, linestyle=":", zorder=1)
    mark: dict[str, Any] = {"marker": "*", "ms": 13, "mec": "black", "mew": 0.6, "ls": ""}
    if own is not None:
        axes.plot([where], [own], color=ORANGE, zorder=5, label="incumbent", **mark)


def scores(axes: Axes, curve: Curve, findings: Findings) -> None:
    """Every run as a dot, the means as a line, their intervals as bars."""
    scored = [(place(curve.knob, r.value), r.metric) for r in curve.runs if r.metric is not None]
    dots: dict[str, Any] = {"color": "black", "alpha": 0.35, "ms": 4, "mew": 0, "zorder": 3}
    if scored:
        axes.plot(*zip(*scored, strict=True), "o", label="one run", **dots)
    known = [level for level in curve.levels if level.mean is not None]
    if not known:
        axes.text(0.5, 0.35, NO_SCORE, transform=axes.transAxes, ha="center", color=GREY)
        return
    line = "" if isinstance(curve.knob, Choice) else "-"
    places = [place(curve.knob, level.value) for level in curve.levels]
    means = [math.nan if level.mean is None else level.mean for level in curve.levels]
    mark: dict[str, Any] = {"marker": "o", "ms": 5, "color": BLUE, "zorder": 4}
    axes.plot(places, means, linestyle=line, label="mean", **mark)
    if few_seeds(findings):
        axes.plot([], [], " ", label=ONE_SEED)


def intervals(axes: Axes, curve: Curve, span: tuple[float, float]) -> None:
    """A bar at each mean that has a 95 % interval; an arrow where it leaves the picture."""
    bar: dict[str, Any] = {"color": BLUE, "linewidth": 1.2, "alpha": 0.8, "clip_on": False}
    label = "95 % interval of the mean"
    for level in curve.levels:
        if level.low is None or level.high is None:
            continue
        where = place(curve.knob, level.value)
        ends = [max(level.low, span[0]), min(level.high, span[1])]
        axes.plot([where, where], ends, label=label, **bar)
        label = "_"  # one line in the legend is enough
        caps = [
            "_" if level.low >= span[0] else CARETDOWN,
            "_" if level.high <= span[1] else CARETUP,
        ]
        for end, cap in zip(ends, caps, strict=True):
            axes.plot([where], [end], marker=cap, ms=6, **bar)


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
    for level in curve.levels:
        where = place(curve.knob, level.value)
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
    if curve.verdict == "flat":
        tried = [place(curve.knob, level.value) for level in curve.levels]
        axes.plot([tried[0], tried[-1]], [height, height], "-", linewidth=1, alpha=0.6, **style)
    places = [place(curve.knob, value) for value in curve.safe]
    axes.plot(places, [height] * len(places), "|", ms=8, mew=2, **style)
    if not isinstance(curve.knob, Choice):
        for one, next_one in pairwise(places):
            axes.plot([one, next_one], [height, height], "-", linewidth=4, alpha=0.6, **style)


def legend(figure: Figure, panels: Sequence[Axes], columns: int) -> None:
    """One legend below all, each kind of mark once."""
    found: dict[str, Any] = {}
    for axes in panels:
        handles, labels = axes.get_legend_handles_labels()
        found |= dict(zip(labels, handles, strict=True))
    if found:
        place: dict[str, Any] = {"loc": "outside lower center", "frameon": False}
        figure.legend(found.values(), found.keys(), ncols=columns, fontsize=8, **place)
