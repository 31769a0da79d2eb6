"""How much each setting matters: one at a time around the best, at full budget, nobody stopped.

The trials of the search itself cannot tell: bad ones were stopped early and the searcher looked
where it was good already.
"""

import csv
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any, cast

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from search.ledger import Entry
from search.searcher import Proposal
from search.space import Knob, Point, Range, Value, short, within
from search.study import Study
from search.view import number

PHASE = "sensitivity"
CENTRE = "best"
"""In trial ids: the runs at the best configuration itself."""


def run_id(best: Entry, what: str, seed: int) -> str:
    """A run's id; it names the best trial, which another may replace when a study is extended."""
    return f"{best.trial_id}-{what}-seed{seed}"


def sweep(study: Study, best: Entry) -> list[Proposal]:
    """The runs that the curves need and that do not exist yet.

    Args:
        study: what was searched.
        best: the configuration to vary.
    """
    seeds = [study.seed + k for k in range(study.sensitivity.seeds)]
    made = [
        Proposal(run_id(best, CENTRE, seed), best.point, seed)
        for seed in seeds
        if seed != best.seed or best.state != "completed"  # that one was trained by the search
    ]
    for name in study.space:
        for step, value in enumerate(values_around(study, best.point, name)):
            point = {**best.point, name: value}
            what = f"{short(name)}-{step}"
            made += [Proposal(run_id(best, what, seed), point, seed) for seed in seeds]
    return made


def values_around(study: Study, point: Point, name: str) -> list[Value]:
    """Legal values of one setting over its range, without the one that the point has."""
    others = {**study.fixed, **{key: value for key, value in point.items() if key != name}}
    knob = within(study.space, name, others)
    return [value for value in knob.values(study.sensitivity.points) if value != point[name]]


@dataclass(frozen=True)
class Run:
    """One run on a curve."""

    value: Value
    seed: int
    metric: float | None
    """Best validation score; None where the run failed."""

    budget: int
    """Epochs."""

    trial_id: str
    phase: str


def curve(entries: Sequence[Entry], best: Entry, name: str) -> list[Run]:
    """All full-budget runs that differ from the best configuration in one setting at most."""
    runs = []
    own = tuple(f"{best.trial_id}-{what}-" for what in (CENTRE, short(name)))
    for e in entries:
        if e.state not in ("completed", "failed"):
            continue
        if e.trial_id != best.trial_id and not e.trial_id.startswith(own):
            continue
        score = e.value if e.state == "completed" else None
        runs.append(Run(e.point[name], e.seed, score, e.epochs, e.trial_id, e.phase))
    return sorted(runs, key=lambda run: (str(type(run.value)), run.value, run.seed))


def means(runs: Sequence[Run]) -> dict[Value, float]:
    """Mean score at each value that has one, in order."""
    scores: dict[Value, list[float]] = defaultdict(list)
    for run in runs:
        if run.metric is not None:
            scores[run.value].append(run.metric)
    return {value: mean(found) for value, found in scores.items()}


def write_curve(runs: Sequence[Run], file: Path) -> None:
    """One row a run."""
    columns = list(Run.__annotations__)
    with file.open("w", newline="", encoding="utf-8") as stream:
        table = csv.writer(stream)
        table.writerow(columns)
        for run in runs:
            row = [getattr(run, column) for column in columns]
            table.writerow(["" if cell is None else cell for cell in row])


SYMBOLS = {"theta": "θ", "mu": "μ", "eta": "η", "alpha": "α", "beta": "β"}  # noqa: RUF001


def title(name: str) -> str:
    """A setting's name for a reader: its symbol in the paper, or words."""
    key = short(name)
    return f"{SYMBOLS[key]} ({key})" if key in SYMBOLS else key.replace("_", " ")


LEAST_SPAN = 0.1
"""Least height of a curve's axis, in units of the score: noise must not look like a cliff."""


def draw(runs: Sequence[Run], knob: Knob, name: str, metric: str, best: Value) -> Figure:
    """A curve: every run as a dot, the mean of each value as a line, the best marked."""
    figure = Figure(figsize=(5, 3.2), layout="constrained")
    axes = figure.add_subplot()
    draw_runs(axes, runs)
    mark: dict[str, Any] = {"color": "0.6", "linewidth": 1, "linestyle": ":"}
    axes.axvline(
        cast("float", best), label=f"best: {number(best)}", **mark
    )  # a name is a place too
    if isinstance(knob, Range) and knob.log:
        axes.set_xscale("log")
    if not isinstance(knob, Range):
        axes.set_xticks(sorted({run.value for run in runs}))
    axes.set_xlabel(title(name))
    axes.set_ylabel(metric.replace("_", " "))
    axes.legend(frameon=False, fontsize="small")
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def draw_runs(axes: Axes, runs: Sequence[Run]) -> None:
    """Dots, their means, and a cross at the foot for a run that failed."""
    found = means(runs)
    scored = [run for run in runs if run.metric is not None]
    dots: list[Any] = [run.metric for run in scored]
    axes.plot([run.value for run in scored], dots, "o", color="0.55", ms=4, label="one run")
    axes.plot(list(found), list(found.values()), "-o", color="#0072b2", ms=5, label="mean")
    low, high = axes.get_ylim()
    short_by = max(0.0, LEAST_SPAN - (high - low)) / 2
    axes.set_ylim(low - short_by, high + short_by)
    failed = [run.value for run in runs if run.metric is None]
    if failed:
        axes.plot(failed, [axes.get_ylim()[0]] * len(failed), "x", color="#d55e00", label="failed")
