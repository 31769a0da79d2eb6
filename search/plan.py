"""Which full-budget runs a study needs after its search, by phase.

Seeds are paired: within a phase every configuration is trained with the same ones. The search, the
confirmation and the curves each have seeds of their own, because what was chosen for its score
with a seed looks better with that seed than it is (see docs/decisions/0004).
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import combinations, product
from statistics import mean

from muse.config import Frozen
from muse.errors import UserError
from search.entry import Entry
from search.fault import PASSING
from search.searcher import Proposal
from search.sections import MOST_SEEDS, Curves
from search.space import Choice, Knob, Point, Range, Value, short, within
from search.study import Study

CONFIRM, SENSITIVITY, COMPARE, FINAL = "confirm", "sensitivity", "compare", "final"
MOST_WHOLE = 11
"""Whole numbers or choices that are all tried; where there are more, as many as of a range."""


def confirm_seeds(study: Study) -> list[int]:
    """Seeds of the runs that choose the incumbent."""
    return [study.seed + MOST_SEEDS + k for k in range(study.sensitivity.seeds)]


def curve_seeds(study: Study, seeds: int) -> list[int]:
    """Seeds of the runs on the curves."""
    return [study.seed + 2 * MOST_SEEDS + k for k in range(seeds)]


def compared(study: Study) -> dict[str, list[Proposal]]:
    """The runs of each variant of a comparison, the reference first; all with the same seeds.

    The settings may come from a search with this seed, so the seeds are others than its phases'.
    """
    asked = study.compare
    if asked is None:
        return {}
    seeds = [study.seed + 3 * MOST_SEEDS + k for k in range(asked.seeds)]
    return {
        name: [Proposal(f"{COMPARE}-{name}-seed{seed}", point, seed) for seed in seeds]
        for name, point in asked.named.items()
    }


def number_text(value: Value) -> str:
    """A value in a trial id, which names a folder too and stands in an address.

    Two values have two texts: what neither may hold becomes its number in hexadecimal.
    """
    text = f"{value:.12g}" if isinstance(value, float) else str(value)
    return re.sub(r"[^\w.+-]", lambda found: f"~{ord(found[0]):x}~", text, flags=re.ASCII)


def candidates(study: Study, search: Sequence[Entry]) -> list[Entry]:
    """The best different configurations of the search, the best first.

    Those that were trained in full; stopped ones only where no trial was.
    """
    for state in ("completed", "stopped"):
        able = [e for e in search if e.state == state and e.value is not None]
        able = [e for e in able if study.holds(e.point)]  # a range may be narrower than it was
        ranked = sorted(able, key=lambda e: -(e.value or 0.0))
        different = {repr(sorted(e.point.items())): e for e in reversed(ranked)}
        if different:
            best = [e for e in ranked if e in different.values()]
            return best[: study.sensitivity.candidates]
    return []


def confirmation(study: Study, search: Sequence[Entry]) -> list[Proposal]:
    """Every candidate with every seed."""
    return [
        Proposal(f"{CONFIRM}-{entry.trial_id}-seed{seed}", entry.point, seed)
        for entry in candidates(study, search)
        for seed in confirm_seeds(study)
    ]


def confirmed_runs(study: Study, entries: Sequence[Entry], point: Point) -> list[Entry]:
    """The runs that confirm a configuration, with the seeds that choose between them."""
    seeds = confirm_seeds(study)
    return [e for e in entries if e.phase == CONFIRM and e.point == point and e.seed in seeds]


def incumbent(study: Study, entries: Sequence[Entry]) -> Entry:
    """The candidate with the best mean score, as the search's trial that found it.

    Raises:
        UserError: the confirmation is not finished, or every candidate failed in it.
    """
    ends = {e.trial_id: e for e in entries if e.phase == CONFIRM}
    able: list[tuple[float, Entry]] = []
    for candidate in candidates(study, [e for e in entries if e.phase == "search"]):
        ids = [f"{CONFIRM}-{candidate.trial_id}-seed{seed}" for seed in confirm_seeds(study)]
        runs = [ends[i] for i in ids if i in ends and not is_open(ends[i])]
        if len(runs) < len(ids):  # one that lost its machine says nothing against its candidate
            raise UserError(
                "the best trials are not confirmed yet; run the phase confirm first, with --resume "
                "where a run was interrupted or lost its machine"
            )
        scores = [run.value for run in runs if run.state == "completed" and run.value is not None]
        if len(scores) == len(runs):
            able.append((mean(scores), candidate))
    if not able:
        raise UserError(
            "every candidate failed when it was trained again; see the reasons in trials.csv"
        )
    return max(able, key=lambda pair: pair[0])[1]


def values_around(study: Study, point: Point, name: str, points: int) -> list[Value]:
    """Legal values of one setting over its range, without the one that the point has.

    Of mu those below eta, of eta those above mu.
    """
    others = {**study.fixed, **{key: value for key, value in point.items() if key != name}}
    knob = within(study.space, name, others)
    values = dict.fromkeys(knob.values(values_of(knob, points)))
    return [v for v in values if v != point[name] and study.allows({**point, name: v})]


FEWEST_POINTS = 3
"""With fewer values than these, whole numbers are thinned too."""


def values_of(knob: Knob, points: int) -> int:
    """How many values of a setting are tried: whole numbers and choices all where they are few."""
    if isinstance(knob, Range) or points < FEWEST_POINTS:
        return points
    there = len(knob.choices) if isinstance(knob, Choice) else knob.high - knob.low + 1
    return there if there <= MOST_WHOLE else points


def sweep(study: Study, best: Entry, points: int, seeds: int) -> list[Proposal]:
    """The runs of all curves: the incumbent, and each setting over its range beside it."""
    around = [
        (name, v) for name in study.space for v in values_around(study, best.point, name, points)
    ]
    changes: list[Point] = [{}, *({name: value} for name, value in around)]
    return [run for change in changes for run in runs_with(study, best, change, seeds)]


def runs_with(study: Study, best: Entry, change: Point, seeds: int) -> list[Proposal]:
    """The incumbent with some settings changed, once with each seed.

    The id names what is changed and to what, so that the same run has the same id always.
    """
    changes = [(name, change[name]) for name in study.space if name in change]
    what = "".join(f"-{short(name)}-{number_text(value)}" for name, value in changes)
    return [
        Proposal(f"{best.trial_id}{what or '-itself'}-seed{seed}", {**best.point, **change}, seed)
        for seed in curve_seeds(study, seeds)
    ]


def corners(
    study: Study, best: Entry, pair: tuple[str, str], points: int, seeds: int
) -> list[Proposal]:
    """Runs in which two settings sit at the ends of their curves together, where that is legal."""
    ends = [ends_of(values_around(study, best.point, name, points)) for name in pair]
    found = []
    for first, second in product(*ends):
        change = {pair[0]: first, pair[1]: second}
        if study.allows({**best.point, **change}):
            found += runs_with(study, best, change, seeds)
    return found


def ends_of(values: Sequence[Value]) -> list[Value]:
    """The first and the last."""
    return list(dict.fromkeys([values[0], values[-1]])) if values else []


def strongest_pairs(ranked: Sequence[str], count: int) -> list[tuple[str, str]]:
    """Pairs of settings by their ranks, the sum of which is least first."""
    pairs = combinations(range(len(ranked)), 2)
    best = sorted(pairs, key=lambda pair: (sum(pair), pair))[:count]
    return [(ranked[a], ranked[b]) for a, b in best]


def missing(wanted: Iterable[Proposal], entries: Sequence[Entry]) -> list[Proposal]:
    """Those that have not ended, or only for their machine's sake; what is on record stays."""
    known = {entry.trial_id: entry for entry in entries}
    return [
        replace(run, seen=known[run.trial_id].epochs if run.trial_id in known else 0)
        for run in wanted
        if run.trial_id not in known or is_open(known[run.trial_id])
    ]


def is_open(entry: Entry) -> bool:
    """Whether a run is to be trained (again): it was interrupted, or its machine failed it.

    The final training is tried again whatever it failed of: nothing comes in its place.
    """
    again = entry.kind in PASSING or entry.phase == FINAL
    return entry.state == "running" or (entry.state == "failed" and again)


class Plan(Frozen):
    """The curves that a study draws, settled before their first run; kept as `plan.yaml`."""

    incumbent: str
    """Trial id of the configuration that the curves are around."""

    curves: Curves
    """What is trained."""

    asked: Curves
    """What the study asked for; where that changes, the plan is settled anew."""


def run_count(study: Study, best: Entry, curves: Curves, entries: Sequence[Entry] = ()) -> int:
    """Runs that curves need at most, but for those that are on record already."""
    pairs = len(strongest_pairs(list(study.space), curves.pairs))
    alone = sweep(study, best, curves.points, curves.seeds)
    own = {run.trial_id for run in alone}
    of_pairs = [e for e in around(best, entries) if e.trial_id not in own and not is_open(e)]
    return len(missing(alone, entries)) + max(0, 4 * pairs * curves.seeds - len(of_pairs))


def around(best: Entry, entries: Sequence[Entry]) -> list[Entry]:
    """The runs of curves and pairs around an incumbent."""
    mine = [e for e in entries if e.phase == SENSITIVITY]
    return [e for e in mine if e.trial_id.startswith(f"{best.trial_id}-")]
