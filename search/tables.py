"""The curves as tables: CSV files for machines, rows of text for reports and TensorBoard."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from search.costs import PhaseCost
from search.findings import Curve, Findings, Importance, Level, Run
from search.table import write_rows
from search.terms import between, chance, score, title
from search.view import clock, number
from search.wording import excluded, safe_range

Rows = list[list[str]]
"""A table: the head, then its rows."""

RUN_COLUMNS = ("value", "seed", "metric", "budget", "trial_id", "phase")
SUMMARY_COLUMNS = (
    "knob",
    "verdict",
    "effect",
    "excluded_above",
    "best_value",
    "incumbent_value",
    "safe_low",
    "safe_high",
    "ped_anova",
    "ped_anova_low",
    "ped_anova_high",
    "fanova",
    "fanova_low",
    "fanova_high",
    "disagree",
    "alarm",
)


def write_runs(runs: Sequence[Run], file: Path) -> None:
    """One row a run; a failed run has no metric."""
    write_rows(file, [RUN_COLUMNS, *([getattr(r, c) for c in RUN_COLUMNS] for r in runs)])


def write_summary(findings: Findings, file: Path) -> None:
    """One row a setting, the strongest first."""
    write_rows(file, [SUMMARY_COLUMNS, *(summary(curve, findings) for curve in findings.curves)])


def summary(curve: Curve, findings: Findings) -> list[object]:
    """One setting's row in `summary.csv`."""
    best = curve.best
    spans = curve.safe and not isinstance(curve.safe[0], str)  # between names lie others
    safe = [curve.safe[0], curve.safe[-1]] if spans else [None, None]
    return [
        curve.name,
        curve.verdict,
        curve.effect,
        curve.excluded_above,
        best.value if best else None,
        curve.incumbent,
        *safe,
        *bounds(findings.ped_anova.get(curve.name)),
        *bounds(findings.fanova.get(curve.name)),
        "yes" if curve.name in findings.disagree else "no",
        curve.alarm,
    ]


def bounds(found: Importance | None) -> list[float | None]:
    """A share with its interval, three cells."""
    return [found.share, found.low, found.high] if found else [None, None, None]


def ranking(findings: Findings) -> Rows:
    """The settings, the strongest first, for a reader."""
    head = ["setting", "verdict", "effect", "excluded above", "incumbent", "best", "safe"]
    shown = bool(findings.ped_anova or findings.fanova)
    rows = [[*head, *(["PED-ANOVA", "fANOVA", "disagree"] if shown else [])]]
    for curve in findings.curves:
        best = curve.best
        row = [title(curve.name), curve.verdict, score(curve.effect), excluded(curve)]
        row += [number(curve.incumbent), number(best.value) if best else "-"]
        row.append("all tried" if curve.none_worse else safe_range(curve))
        if shown:
            shares = (findings.ped_anova.get(curve.name), findings.fanova.get(curve.name))
            row += [share(found) for found in shares]
            row.append("yes" if curve.name in findings.disagree else "")
        rows.append(row)
    return rows


def share(found: Importance | None) -> str:
    """A share with its interval, for a reader."""
    if found is None:
        return "-"
    return f"{found.share:.0%} ({found.low:.0%} to {found.high:.0%})"


def values(curve: Curve) -> Rows:
    """What is known at each value of a setting, for a reader."""
    head = ["value", "n", "failed", "mean", "95 % interval", "difference", "95 % interval"]
    rows = [[*head, "p", "survives Holm"]]
    for level in curve.levels:
        own = level.value == curve.incumbent
        rows.append(
            [
                number(level.value) + (" (incumbent)" if own else ""),
                str(len(level.scores)),
                str(level.failed) + (f" ({level.lost} lost)" if level.lost else ""),
                score(level.mean),
                between(level.low, level.high),
                "" if own else score(level.difference, sign=True),
                "" if own else between(level.difference_low, level.difference_high, sign=True),
                "" if own else chance(level.p),
                "" if own else survival(level),
            ]
        )
    return rows


def survival(level: Level) -> str:
    """Whether the difference survives Holm's correction; a dash where it was not tested."""
    if level.p is None:
        return "-"
    return "yes" if level.survives else "no"


def costs(phases: Sequence[PhaseCost]) -> Rows:
    """What each phase took, for a reader."""
    head = ["phase", "trials", "stopped early", "failed", "epochs", "device time"]
    rows = [[*head, "epochs saved", "device time saved, about"]]
    for p in phases:
        counts = [p.trials, p.stopped, p.failed, p.epochs]
        saved = [str(p.saved_epochs), clock(p.saved_seconds)]
        rows.append([p.phase, *map(str, counts), clock(p.device_seconds), *saved])
    return rows


def markdown(rows: Rows) -> str:
    """A table in Markdown."""
    lines = ["| " + " | ".join(escaped(cell) for cell in row) + " |" for row in rows]
    return "\n".join([lines[0], "|" + " --- |" * len(rows[0]), *lines[1:]])


def escaped(text: str) -> str:
    """Text that Markdown takes as it is."""
    for sign in ("\\", "|", "*", "_", "`", "<", "[", "#"):
        text = text.replace(sign, "\\" + sign)
    return " ".join(text.split())


def origin(findings: Findings, provenance: Mapping[str, Any]) -> dict[str, str]:
    """Where the findings come from, as names and texts."""
    head = {
        "study": findings.study,
        "metric": findings.metric,
        "incumbent": findings.trial_id,
        "seeds": ", ".join(map(str, findings.seeds)),
    }
    return told(head, provenance)


def told(head: Mapping[str, str], provenance: Mapping[str, Any]) -> dict[str, str]:
    """A provenance as names and texts, behind what is to stand before it."""
    changed = provenance.get("uncommitted_changes")
    rows = dict(head)
    for key, value in provenance.items():
        if key != "uncommitted_changes":
            rows[key.replace("_", " ")] = as_text(value)
    if changed is not None and "revision" in rows:
        rows["revision"] += " with uncommitted changes" if changed else ", nothing uncommitted"
    return rows


def went_on(provenance: Mapping[str, Any]) -> list[str]:
    """What is said of changes that a resume allowed."""
    changed = "; ".join(provenance.get("changed since", []))
    return [f"Runs of before and after a change stand side by side: {changed}."] if changed else []


def as_text(value: Any) -> str:
    """A value of the provenance on one line."""
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {as_text(inner)}" for key, inner in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(as_text, value))
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)
