"""How much each setting matters: from the full-budget runs on record to a study's findings.

The trials of the search itself cannot tell: bad ones were stopped early and the searcher looked
where it was good already.
"""

from collections.abc import Callable, Sequence
from functools import partial
from math import inf
from statistics import mean
from typing import Any

from search.entry import Entry
from search.findings import Curve, Findings, Level, Run
from search.inference import levels
from search.interactions import as_run, changed, in_order, interaction
from search.plan import (
    CONFIRM,
    around,
    candidates,
    confirmed_runs,
    curve_seeds,
    strongest_pairs,
)
from search.space import Point, Value, within
from search.spread import Spread, noise_floor
from search.study import Study
from search.verdict import MOST, judge


def on_curves(study: Study, entries: Sequence[Entry], best: Entry) -> list[Entry]:
    """The ended runs of the curves around an incumbent: the full budget, or a failure.

    A run around a former incumbent may be the same again, which would count its noise twice; a
    seed of the confirmation flatters what it has chosen.
    """
    seeds = curve_seeds(study, study.sensitivity.seeds)
    full = study.budget.epochs
    return [
        e
        for e in around(best, entries)
        if e.seed in seeds and study.holds(e.point)  # as it is now
        if e.state == "failed" or (e.state == "completed" and e.epochs == full)
    ]


def along(entries: Sequence[Entry], best: Point, name: str) -> list[Entry]:
    """Runs that differ from the incumbent in one setting at most."""
    return [e for e in entries if changed(e.point, best) <= {name}]


def runs_of(entries: Sequence[Entry], best: Point, name: str) -> list[Run]:
    """The same as a curve holds them, by value and seed."""
    runs = [as_run(e, e.point[name]) for e in along(entries, best, name)]
    return sorted(runs, key=lambda run: (in_order(run.value), run.seed))


def noise_of(study: Study, entries: Sequence[Entry], floor: float, grain: float) -> Spread | None:
    """How much a score varies with the seed alone, by the confirm phase."""
    names = {
        repr(sorted(e.point.items())): e.trial_id
        for e in candidates(study, [e for e in entries if e.phase == "search"])
    }
    runs = [
        as_run(e, names[repr(sorted(e.point.items()))])
        for e in entries
        if e.phase == CONFIRM and repr(sorted(e.point.items())) in names
    ]
    return noise_floor(runs, floor, grain)


TOLD = ("train_loss", "valid_loss", "value")
"""Figures of an epoch that tell two runs apart. The first is taken before each step: of a single
one it tells nothing."""


def is_inert(entries: Sequence[Entry], best: Point, name: str) -> bool:
    """Whether no value of a setting changes any epoch of any run.

    Scores alone cannot tell, as few tweets give many runs the same one; the losses can.
    """
    figures: dict[int, dict[Value, tuple[Any, ...]]] = {}
    for run in along(entries, best, name):
        trace = tuple(tuple(map(report.get, TOLD)) for report in run.reports)
        if not trace or None in trace[0]:
            return False
        figures.setdefault(run.seed, {})[run.point[name]] = trace
    same = [len(of) > 1 and len(set(of.values())) == 1 for of in figures.values()]
    return bool(same) and all(same)


def raw_curve(
    study: Study,
    entries: Sequence[Entry],
    best: Point,
    name: str,
    read: Callable[..., tuple[Level, ...]],
) -> Curve:
    """A curve before the comparisons are corrected for their number; `read` makes its levels."""
    runs = runs_of(entries, best, name)
    values = list(dict.fromkeys(run.value for run in runs))
    others = {**study.fixed, **{key: value for key, value in best.items() if key != name}}
    return Curve(
        name,
        within(study.space, name, others),
        best[name],
        tuple(runs),
        read(runs, values, best[name]),
        verdict="unjudged",
        effect=None,
        excluded_above=None,
        safe=(),
        inert=is_inert(entries, best, name),
    )


def findings(
    study: Study, entries: Sequence[Entry], best: Entry, baseline: float, grain: float = 0.0
) -> Findings:
    """All that the runs on record tell about the settings, but for the search's importances.

    Args:
        study: what was searched.
        entries: every trial on record.
        best: the incumbent.
        baseline: score without any learning.
        grain: by how much one right answer more moves a score.
    """
    runs = on_curves(study, entries, best)
    own = [e for e in runs if e.point == best.point and e.state == "completed"]
    again = confirmed_runs(study, entries, best.point)
    confirmed = [e for e in again if e.state == "completed"]
    centre = mean([e.value or 0.0 for e in own or confirmed or [best]])
    gain = centre - baseline
    floor = baseline + MOST * gain if gain > 0 else -inf  # below it lies a cliff
    noise = noise_of(study, entries, floor, grain)
    read = partial(levels, floor=floor, grain=grain)
    raw = [raw_curve(study, runs, best.point, name, read) for name in study.space]
    curves = judge(raw, gain, noise, best.point, study)
    pairs = strongest_pairs([curve.name for curve in curves], len(raw) ** 2)
    maps = [interaction(runs, best.point, pair) for pair in pairs]
    return Findings(
        study=study.name,
        metric=study.base.metric,
        trial_id=best.trial_id,
        point=best.point,
        seeds=tuple(sorted({e.seed for e in own})),
        mean=centre,
        noise=None if noise is None else noise.deviation,
        baseline=baseline,
        curves=tuple(curves),
        ped_anova={},
        fanova={},
        disagree=(),
        interactions=tuple(found for found in maps if found is not None),
    )
