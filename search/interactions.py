"""Two settings varied together: whether they do more, or less, than each does alone."""

from collections.abc import Sequence
from itertools import product
from statistics import mean

from scipy import stats

from search.entry import Entry
from search.fault import OF_MACHINES
from search.findings import Interaction, Run
from search.inference import scores_by_seed
from search.space import Point, Value
from search.spread import CONFIDENCE, ROUNDING

Pair = tuple[Value, Value]

Cells = dict[Pair, dict[int, float]]
"""Scores by seed at each pair of values."""


def as_run(entry: Entry, value: Value) -> Run:
    """An entry as a run at a value; a run that failed has no score, whatever it reported."""
    score = entry.value if entry.state == "completed" else None
    lost = score is None and entry.kind in OF_MACHINES
    return Run(value, entry.seed, score, entry.epochs, entry.trial_id, entry.phase, lost)


def in_order(value: Value) -> tuple[bool, Value]:
    """Sorts numbers, whole or not, before texts."""
    return isinstance(value, str), value


def changed(point: Point, best: Point) -> set[str]:
    """Settings in which a point departs from the incumbent's."""
    return {name for name in best if point.get(name) != best[name]}


def interaction(
    entries: Sequence[Entry], best: Point, names: tuple[str, str]
) -> Interaction | None:
    """What two settings do together; None where they were not varied together.

    Args:
        entries: the ended runs of the curves.
        best: the incumbent's settings.
        names: the two settings.
    """
    both = [e for e in entries if changed(e.point, best) == set(names)]
    if not any(e.state == "completed" for e in both):
        return None
    first, second = (axis(both, best, name) for name in names)
    trained: Cells = {}
    for pair in product(first, second):
        point = {**best, names[0]: pair[0], names[1]: pair[1]}
        runs = [as_run(e, 0) for e in entries if e.point == point]
        if runs:
            trained[pair] = scores_by_seed(runs, 0)
    cells = {pair: scores for pair, scores in trained.items() if scores}
    means = {pair: mean(scores.values()) for pair, scores in cells.items()}
    failed = frozenset(trained.keys() - cells.keys())
    return Interaction(names, (first, second), means, surplus(cells, best, names), failed)


def axis(entries: Sequence[Entry], best: Point, name: str) -> tuple[Value, ...]:
    """Values of a setting that were combined with another's, and the incumbent's, in order."""
    values = {best[name], *(e.point[name] for e in entries)}
    return tuple(sorted(values, key=in_order))


def surplus(
    cells: Cells, best: Point, names: tuple[str, str]
) -> dict[Pair, tuple[float, float | None, float | None]]:
    """The surplus at each pair in which both values depart from the incumbent's."""
    first, second = best[names[0]], best[names[1]]
    found = {}
    for pair in cells:
        square = (pair, (pair[0], second), (first, pair[1]), (first, second))
        if pair[0] != first and pair[1] != second and all(corner in cells for corner in square):
            told = contrast(*(cells[corner] for corner in square))
            if told is not None:
                found[pair] = told
    return found


def contrast(
    both: dict[int, float], one: dict[int, float], other: dict[int, float], none: dict[int, float]
) -> tuple[float, float | None, float | None] | None:
    """Score of two changes together minus the sum of each alone, paired by seed.

    The interval is Student's over seeds (`scipy.stats.ttest_1samp`).
    """
    seeds = sorted(both.keys() & one.keys() & other.keys() & none.keys())
    extra = [both[s] - one[s] - other[s] + none[s] for s in seeds]
    if not extra:
        return None
    if max(extra) - min(extra) < ROUNDING:  # one seed, or no noise at all
        return mean(extra), None, None
    low, high = stats.ttest_1samp(extra, 0.0).confidence_interval(CONFIDENCE)
    return mean(extra), float(low), float(high)
