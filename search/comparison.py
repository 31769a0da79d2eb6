"""Pictures across settings: which matter most, and how two of them work together."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle

from search.colours import BLUE, GREEN, GREY, ORANGE, RED
from search.drawing import legend
from search.findings import Curve, Findings, Importance, Interaction, Verdict
from search.scales import LEAST_SPAN
from search.space import ETA, MU, Value
from search.terms import metric_name, score, title
from search.view import number

LOOKS: dict[Verdict, tuple[str, str]] = {
    "cliff": (RED, "xxx"),
    "sensitive": (ORANGE, "///"),
    "flat": ("#56b4e9", ""),
    "unjudged": ("0.8", "..."),
}
"""Colour and hatching of each verdict: colour alone does not carry it."""


def draw_ranking(findings: Findings) -> Figure:
    """Settings by effect, and beside it by importance where that is known."""
    known = bool(findings.ped_anova or findings.fanova)
    tall = 1.6 + 0.42 * max(2, len(findings.curves))
    figure = Figure(figsize=(10 if known else 6.4, tall), layout="constrained")
    panels = figure.subplots(1, 2 if known else 1, sharey=True, squeeze=False)[0]
    effects(panels[0], findings)
    if known:
        importances(panels[1], findings)
    for axes in panels:
        axes.spines[["top", "right"]].set_visible(False)
    legend(figure, panels, columns=7)
    return figure


def effects(axes: Axes, findings: Findings) -> None:
    """A bar for each curve, with its verdict in words."""
    axes.set_title("From the curves: runs made for this", loc="left", fontsize=10)
    axes.set_xlabel(f"effect: highest mean minus lowest, {metric_name(findings.metric)}")
    axes.set_yticks(range(len(findings.curves)), [title(c.name) for c in findings.curves])
    axes.set_ylim(len(findings.curves) - 0.4, -0.6)
    longest = max([curve.effect or 0.0 for curve in findings.curves], default=0.0)
    axes.set_xlim(0, 1.35 * max(longest, LEAST_SPAN / 2))
    axes.set_xticks([tick for tick in axes.get_xticks() if tick <= min(1, axes.get_xlim()[1])])
    for row, curve in enumerate(findings.curves):
        bar(axes, row, curve)
    if any(curve.verdict == "flat" for curve in findings.curves):
        label = "flat: differences above are excluded, 95 % (arrow: beyond this axis)"
        axes.plot([], [], "|", color="black", ms=12, mew=2, label=label)


def bar(axes: Axes, row: int, curve: Curve) -> None:
    """One curve's effect and, where it is flat, what it may hide."""
    colour, hatch = LOOKS[curve.verdict]
    effect = curve.effect or 0.0
    axes.barh(row, effect, 0.62, color=colour, hatch=hatch, edgecolor="white", linewidth=0)
    end = axes.get_xlim()[1]
    bound = (curve.excluded_above or 0.0) if curve.verdict == "flat" else 0.0
    if bound > end:
        axes.plot([end], [row], ">", color="black", ms=7, clip_on=False)
    elif bound:
        axes.plot([bound], [row], "|", color="black", ms=15, mew=2)
    told = "no score" if curve.effect is None else f"{curve.effect:.2g}"
    edge = ", best at the edge" if curve.alarm else ""
    where = effect if bound > end else max(effect, bound)
    most = f", at most {bound:.2g}" if bound else ""  # else the effect reads as the mark's
    text = f"{told}{most}  {curve.verdict}{edge}"
    axes.annotate(text, (where, row), (5, 0), textcoords="offset points", va="center", size=8)


def importances(axes: Axes, findings: Findings) -> None:
    """Both shares of each setting with their intervals, and what an equal share would be."""
    axes.set_title("From the search: shares of variance", loc="left", fontsize=10)
    axes.set_xlabel("share, with 95 % bootstrap interval")
    axes.set_xlim(0, 1)
    points(axes, findings, findings.ped_anova, (BLUE, "o", "PED-ANOVA", -0.14))
    points(axes, findings, findings.fanova, (GREEN, "s", "fANOVA", 0.14))
    equal = 1 / max(1, len(findings.ped_anova) or len(findings.fanova))
    axes.axvline(equal, color=GREY, linewidth=1, linestyle=":", label="an equal share")
    for row, curve in enumerate(findings.curves):
        if curve.name in findings.disagree:
            axes.text(0.99, row, "disagrees", ha="right", va="center", size=8, color=RED)


def points(
    axes: Axes,
    findings: Findings,
    shares: dict[str, Importance],
    look: tuple[str, str, str, float],
) -> None:
    """One method's shares; `look` is colour, marker, name and how far below the row's middle."""
    colour, marker, label, shift = look
    for row, curve in enumerate(findings.curves):
        if curve.name in shares:
            found = shares[curve.name]
            axes.plot([found.low, found.high], [row + shift] * 2, "-", color=colour, lw=1.4)
            axes.plot([found.share], [row + shift], marker, color=colour, ms=5, label=label)
            label = "_"  # one line in the legend is enough


def draw_interaction(interaction: Interaction, findings: Findings) -> Figure:
    """Mean score of each pair of values, and what the two changes do beyond their sum."""
    across, upwards = interaction.values
    size = (2.6 + 1.25 * len(across), 1.9 + 0.75 * len(upwards))
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.add_subplot()
    image = heat(axes, interaction)
    for column, one in enumerate(across):
        for row, other in enumerate(upwards):
            cell(axes, image, (column, row), (one, other), interaction)
    frame(axes, interaction, findings)
    axes.set_xticks(range(len(across)), [number(value) for value in across])
    axes.set_yticks(range(len(upwards)), [number(value) for value in upwards])
    axes.set_xlabel(title(interaction.names[0]))
    axes.set_ylabel(title(interaction.names[1]))
    axes.set_title(" and ".join(map(title, interaction.names)), loc="left", weight="bold", pad=20)
    note = "small: beyond the sum of both changes, 95 % interval"
    axes.annotate(note, (0, 1), (0, 6), "axes fraction", "offset points", size=8, color=GREY)
    figure.colorbar(image, ax=axes, label=metric_name(findings.metric))
    return figure


def heat(axes: Axes, interaction: Interaction) -> AxesImage:
    """The colours of all cells; noise alone does not use the whole scale."""
    across, upwards = interaction.values
    cells = [[interaction.means.get((one, other), np.nan) for one in across] for other in upwards]
    found = list(interaction.means.values()) or [0.0, 1.0]
    more = max(0.0, LEAST_SPAN - (max(found) - min(found))) / 2
    scale = Normalize(min(found) - more, max(found) + more)
    return axes.imshow(np.array(cells), cmap="cividis", norm=scale, origin="lower", aspect="auto")


def cell(
    axes: Axes,
    image: AxesImage,
    where: tuple[int, int],
    pair: tuple[Value, Value],
    interaction: Interaction,
) -> None:
    """The numbers of one pair, or why there are none."""
    style: dict[str, Any] = {"ha": "center", "va": "center"}
    mean = interaction.means.get(pair)
    if mean is None:
        corner = (where[0] - 0.5, where[1] - 0.5)
        hatched: dict[str, Any] = {"facecolor": "0.95", "edgecolor": "0.75", "hatch": "///"}
        axes.add_patch(Rectangle(corner, 1, 1, linewidth=0, **hatched))
        box = {"facecolor": "0.95", "edgecolor": "none", "pad": 1.5}
        axes.text(*where, missing(interaction, pair), size=8, color="0.3", bbox=box, **style)
        return
    colour = "white" if mean < sum(image.get_clim()) / 2 else "black"
    surplus = interaction.surplus.get(pair)
    axes.text(where[0], where[1] + (0.16 if surplus else 0), score(mean), color=colour, **style)
    if surplus:
        more, low, high = surplus
        ends = "" if low is None or high is None else f" ({low:+.3f} to {high:+.3f})"
        axes.text(where[0], where[1] - 0.18, f"{more:+.3f}{ends}", size=7, color=colour, **style)


def missing(interaction: Interaction, pair: tuple[Value, Value]) -> str:
    """Why a pair has no score."""
    values = dict(zip(interaction.names, pair, strict=True))
    if MU in values and ETA in values and float(values[MU]) >= float(values[ETA]):
        return "illegal"
    return "all failed" if pair in interaction.failed else "not trained"


def frame(axes: Axes, interaction: Interaction, findings: Findings) -> None:
    """A thick frame around the incumbent's cell."""
    own = [findings.point.get(name) for name in interaction.names]
    if own[0] in interaction.values[0] and own[1] in interaction.values[1]:
        places = [
            values.index(v)
            for values, v in zip(interaction.values, own, strict=True)
            if v is not None
        ]
        corner = (places[0] - 0.47, places[1] - 0.46)
        style: dict[str, Any] = {"fill": False, "edgecolor": ORANGE, "linewidth": 3}
        axes.add_patch(Rectangle(corner, 0.94, 0.92, **style))
        axes.text(places[0], places[1] - 0.3, "incumbent", size=7, ha="center", va="center")
