"""The curves in TensorBoard, each in words, as a picture and as a margin chart."""

from collections.abc import Mapping
from typing import Any

from torch.utils.tensorboard import SummaryWriter

from search.board import CURVES, Board
from search.comparison import draw_interaction, draw_ranking
from search.drawing import draw_curve, draw_overview
from search.findings import Curve, Findings
from search.space import Whole, short
from search.tables import escaped, markdown, origin, values
from search.terms import title
from search.wording import headline, reading

BAND = (
    "The chart's band is the 95 % interval of the difference to the incumbent, laid on its mean; "
    "the incumbent's own has no width, nor has one that is not known."
)
"""What a margin chart shows, which has no room for words."""


def show_findings(
    board: Board, findings: Findings, provenance: Mapping[str, Any] | None = None
) -> None:
    """The curves, in a run of their own; they take the place of earlier ones.

    Args:
        board: the study's.
        findings: what to show.
        provenance: where it comes from.
    """
    writer = board.afresh(CURVES)
    for curve in findings.curves:
        show(writer, curve, findings)
    charts = {
        f"{title(curve.name)}: {curve.verdict}": ["Margin", margin(curve)]
        for curve in reversed(findings.curves)  # TensorBoard shows the last chart first
    }
    writer.add_custom_scalars({CURVES: charts})
    writer.add_figure("curves/overview", draw_overview(findings), close=False)
    writer.add_figure("curves/ranking", draw_ranking(findings), close=False)
    for pair in findings.interactions:
        name = "-".join(map(short, pair.names))
        writer.add_figure(f"interactions/{name}", draw_interaction(pair, findings), close=False)
    origins = [["what", "value"], *map(list, origin(findings, provenance or {}).items())]
    lines = [*(f"- {escaped(line)}" for line in headline(findings)), "", markdown(origins)]
    writer.add_text("findings", "\n".join(lines))
    writer.flush()


def margin(curve: Curve) -> list[str]:
    """Tags of a curve's mean and of the ends of the interval of its difference."""
    return [f"{short(curve.name)}/{part}" for part in ("mean", "low", "high")]


def step(curve: Curve, place: int) -> int:
    """Where a value stands on TensorBoard's axis, which knows whole numbers only.

    Args:
        curve: the curve.
        place: the value's place among the curve's values, from 0.
    """
    value = curve.levels[place].value
    return int(value) if isinstance(curve.knob, Whole) else place


def show(writer: SummaryWriter, curve: Curve, findings: Findings) -> None:
    """One curve: as a margin chart, as a picture and in words, each under a tag of its own.

    A picture and a scalar under one tag are both hidden by TensorBoard.
    """
    for place, level in enumerate(curve.levels):
        if level.mean is None:
            continue
        mean = curve.means[level.value]
        ends = curve.beside(level) or (mean, mean)
        for name, height in zip(margin(curve), (mean, *ends), strict=True):
            writer.add_scalar(name, height, step(curve, place))
    key = short(curve.name)
    writer.add_figure(f"curves/{key}", draw_curve(curve, findings), close=False)
    head, *rows = values(curve)
    steps = [["step", *head], *([str(step(curve, n)), *row] for n, row in enumerate(rows))]
    told = [f"**{escaped(title(curve.name))}: {curve.verdict}**", reading(curve, findings)]
    words = [*told, *([curve.alarm] if curve.alarm else [])]
    writer.add_text(f"verdict/{key}", "\n\n".join([*words, markdown(steps), BAND]))
