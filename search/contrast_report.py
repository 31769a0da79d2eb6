"""A comparison for people: its table as CSV, Markdown and HTML, its picture, and TensorBoard."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch.utils.tensorboard import SummaryWriter

from muse.durable import put_text
from search.contrast import Contrast, Estimate, Variant
from search.contrast_drawing import draw_contrast
from search.costs import PhaseCost
from search.report import environment, picture
from search.table import write_rows
from search.tables import Rows, costs, escaped, markdown, told, went_on
from search.terms import SPLITS, between, chance, listed, metric_name, score
from search.view import settings

FOLDER = "comparison"
"""Picture and tables inside the study's folder, and the run in TensorBoard."""

COLUMNS = (
    "variant",
    "n",
    "failed",
    "test",
    "test_low",
    "test_high",
    "valid",
    "valid_low",
    "valid_high",
    "difference",
    "difference_low",
    "difference_high",
    "p",
    "p_holm",
    "settings",
)
RUN_COLUMNS = ("variant", "seed", "test", "valid")
NOTHING = Estimate(float("nan"))


def write_contrast(
    found: Contrast,
    folder: Path,
    provenance: Mapping[str, Any],
    phases: Sequence[PhaseCost] = (),
    baseline: float | None = None,
) -> None:
    """Write `report.html`, `report.md` and `comparison/`.

    Args:
        found: what to tell.
        folder: the study's.
        provenance: where it comes from.
        phases: what the runs cost.
        baseline: score without any learning.
    """
    (folder / FOLDER).mkdir(parents=True, exist_ok=True)
    write_rows(folder / FOLDER / "summary.csv", [COLUMNS, *map(summary_of(found), found.variants)])
    write_rows(folder / FOLDER / "runs.csv", [RUN_COLUMNS, *runs(found)])
    about = origin(found, provenance)
    alt = " ".join(headline(found))
    shown = picture(draw_contrast(found, baseline), "scores", alt, folder / FOLDER, about)
    content = {
        "study": found.study,
        "metric": metric_name(f"{found.split}_{found.metric}"),
        "headline": [*headline(found), *went_on(provenance)],
        "table": table(found),
        "picture": shown,
        "costs": costs(phases) if phases else [],
        "provenance": about,
    }
    for name in ("report.html", "report.md"):
        text = environment(name).get_template(f"contrast_{name}.j2").render(content)
        put_text(folder / name, text)


def origin(found: Contrast, provenance: Mapping[str, Any]) -> dict[str, str]:
    """Where the figures come from, as names and texts."""
    head = {
        "study": found.study,
        "score": f"{found.split} {found.metric}",
        "reference": found.reference.name,
        "seeds": ", ".join(map(str, found.seeds)),
    }
    return told(head, provenance)


def summary_of(found: Contrast) -> Callable[[Variant], list[object]]:
    """What makes a row of `summary.csv` of a variant."""

    def row(variant: Variant) -> list[object]:
        return [
            variant.name,
            len(found.scores(variant)),
            variant.failed,
            *cells(found.mean(variant, "test")),
            *cells(found.mean(variant, "valid")),
            *cells(variant.difference),
            variant.p,
            variant.p_holm,
            settings(variant.settings),
        ]

    return row


def cells(estimate: Estimate | None) -> list[float | None]:
    """A mean and the ends of its interval."""
    return [estimate.mean, estimate.low, estimate.high] if estimate else [None] * 3


def runs(found: Contrast) -> list[list[object]]:
    """One row a run that has a score."""
    return [
        [variant.name, seed, variant.test.get(seed), value]
        for variant in found.variants
        for seed, value in variant.valid.items()
    ]


def table(found: Contrast) -> Rows:
    """The table for a reader."""
    head = ["variant", "n", "failed", "test", "95 %", "validation", "95 %"]
    rows = [[*head, f"difference ({SPLITS[found.split]})", "95 %", "p (Holm)", "changes"]]
    for variant in found.variants:
        rows.append(
            [
                variant.name + (" (reference)" if variant is found.reference else ""),
                str(len(found.scores(variant))),
                str(variant.failed),
                *shown(found.mean(variant, "test")),
                *shown(found.mean(variant, "valid")),
                *shown(variant.difference, sign=True),
                chance(variant.p_holm),
                settings(variant.settings),
            ]
        )
    return rows


def shown(estimate: Estimate | None, sign: bool = False) -> list[str]:
    """A mean and its interval for a reader."""
    if estimate is None:
        return ["-", "-"]
    return [score(estimate.mean, sign), between(estimate.low, estimate.high, sign)]


def headline(found: Contrast) -> list[str]:
    """What the comparison says, in a few sentences."""
    own = found.mean(found.reference)
    what = f"{SPLITS[found.split]} {metric_name(found.metric)}"
    if own is None:
        return [f"{found.reference.name} has no score yet, so nothing is compared."]
    doubt = f" ({between(own.low, own.high)})" if own.low is not None else ""
    n = len(found.scores(found.reference))
    lines = [f"{found.reference.name}: {what} {own.mean:.4f}{doubt}, {n} of {found.planned} seeds."]
    others = [v for v in found.variants[1:] if v.difference is not None]
    alike = [v.name for v in others if all_alike(found, v)]
    if alike:
        same = f"every run scored {own.mean:.4f}, so this corpus cannot tell them apart"
        lines.append(f"As {found.reference.name}, {same}: {listed(alike)}.")
    others = [v for v in others if v.name not in alike]
    for word, wanted in GROUPS.items():
        names = [f"{v.name} ({signed(v)})" for v in others if wanted(v)]
        if names:
            lines.append(f"{word}: {listed(names)}.")
    missing = [v.name for v in found.variants[1:] if v.difference is None]
    if missing:
        lines.append(f"Without a score to compare: {listed(missing)}.")
    return lines


def all_alike(found: Contrast, variant: Variant) -> bool:
    """Whether several runs of it and of the reference have one and the same score."""
    scores = [*found.scores(variant).values(), *found.scores(found.reference).values()]
    return variant.p is not None and len(set(scores)) == 1


def signed(variant: Variant) -> str:
    """The difference of a variant that has one."""
    return score((variant.difference or NOTHING).mean, sign=True)


def below(variant: Variant) -> bool:
    """Whether it scores less than the reference."""
    return (variant.difference or NOTHING).mean < 0


GROUPS: dict[str, Callable[[Variant], bool]] = {
    "Worse beyond chance (95 %, Holm)": lambda v: v.survives and below(v),
    "Better beyond chance (95 %, Holm)": lambda v: v.survives and not below(v),
    "No difference beyond chance": lambda v: not v.survives and v.p is not None,
    "Cannot be judged, one seed or too few different scores": lambda v: v.p is None,
}
"""How variants are told apart in words."""


def show_contrast(
    writer: SummaryWriter,
    found: Contrast,
    provenance: Mapping[str, Any],
    baseline: float | None = None,
) -> None:
    """Picture and table in TensorBoard."""
    writer.add_figure("comparison/scores", draw_contrast(found, baseline), close=False)
    origins = [["what", "value"], *map(list, origin(found, provenance).items())]
    lines = [f"- {escaped(line)}" for line in headline(found)]
    text = "\n".join([*lines, "", markdown(table(found)), "", markdown(origins)])
    writer.add_text("comparison/table", text)
    writer.flush()
