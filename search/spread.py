"""How much scores vary over seeds, and what Student's t makes of that."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import stats

from search.findings import Run
from search.space import Value

CONFIDENCE = 0.95
ROUNDING = 1e-9
"""Scores as near as this are the same."""


@dataclass(frozen=True)
class Spread:
    """A variance with the degrees of freedom that it was estimated with."""

    variance: float
    freedom: float

    @property
    def deviation(self) -> float:
        """Its root, in units of the score."""
        return float(np.sqrt(self.variance))

    def interval(self, centre: float, share: float) -> tuple[float, float]:
        """Student's interval around a mean whose variance is `share` of this one."""
        if self.variance == 0.0:
            return centre, centre
        scale = float(np.sqrt(self.variance * share))
        low, high = stats.t.interval(CONFIDENCE, self.freedom, loc=centre, scale=scale)
        return float(low), float(high)

    def chance(self, difference: float, share: float) -> float:
        """Two-sided probability of a difference as large, were there none."""
        if self.variance == 0.0:
            return float(abs(difference) < ROUNDING)
        scale = float(np.sqrt(self.variance * share))
        return float(2 * stats.t.sf(abs(difference) / scale, self.freedom))


def lively(runs: Sequence[Run], floor: float = -np.inf) -> list[Run]:
    """The scored runs of values whose scores differ and whose mean reaches a floor.

    Where training collapses, all seeds score much the same or one is saved by luck. Such a spread
    says nothing about the other values, and would make their intervals too narrow or too wide.
    Means and variances of normal scores are independent, so choosing by the mean biases nothing.
    """
    scores: dict[Value, list[float]] = {}
    for run in runs:
        if run.metric is not None:
            scores.setdefault(run.value, []).append(run.metric)
    good = {v for v, found in scores.items() if len(set(found)) > 1 and np.mean(found) >= floor}
    return [run for run in runs if run.metric is not None and run.value in good]


def repeats(runs: Sequence[Run]) -> int:
    """Scored runs beside the first at each value: without any, nothing is known of the noise."""
    values = [run.value for run in runs if run.metric is not None]
    return len(values) - len(set(values))


def spreads(
    runs: Sequence[Run], floor: float = -np.inf, grain: float = 0.0
) -> tuple[Spread, Spread] | None:
    """The variance of single scores over seeds, and of scores once the seed's own part is out.

    The first is a sum of two mean squares; its degrees of freedom are Satterthwaite's (1946).

    Args:
        runs: all runs of a setting.
        floor: mean score below which a value's training has collapsed.
        grain: by how much one right answer more moves a score.

    Returns:
        None where every value was scored once only, so that nothing is known of the noise.
    """
    if not repeats(runs):
        return None
    told = lively(runs, floor) or lively(runs)
    if not told:
        hidden = Spread(hidden_by(grain), repeats(runs))
        return hidden, hidden
    within, all_freedom = left_over(told, by_value)
    single = Spread(within / all_freedom, all_freedom)
    rest, freedom = left_over(told, by_value, by_seed)
    if rest == 0:
        # One lively value has nothing to take the seed's part from. And few tweets make few
        # different scores: that all seeds moved them alike is luck, no certainty.
        return single, single
    seeds = all_freedom - freedom
    squares = (within - rest) ** 2 / seeds + rest**2 / freedom
    return replace(single, freedom=within**2 / squares), Spread(rest / freedom, freedom)


def hidden_by(grain: float) -> float:
    """The variance that scores may have which are the same with every seed.

    With few tweets and seeds they are so by luck, and differ by less than one right answer. A
    number that is rounded to a whole one is off by a variance of a twelfth.
    """
    return grain**2 / 12


def left_over(runs: Sequence[Run], *factors: Callable[[Run], Value]) -> tuple[float, float]:
    """Sum of squares of the scores that some factors leave over, and its degrees of freedom.

    That is analysis of variance by least squares, so a run may be missing.
    """
    scores = np.array([run.metric for run in runs], float)
    columns = []
    for factor in factors:
        given = [factor(run) for run in runs]
        columns += [[one == value for value in given] for one in dict.fromkeys(given)]
    design = np.array(columns, float).T
    fit, _, rank, _ = np.linalg.lstsq(design, scores)
    left = scores - design @ fit
    left[np.abs(left) < 1e-12 * np.abs(scores).max(initial=0.0)] = 0.0  # rounding, not noise
    return float((left**2).sum()), float(len(scores) - rank)


def by_value(run: Run) -> Value:
    """What a run is a treatment of."""
    return run.value


def by_seed(run: Run) -> Value:
    """The block that a run belongs to."""
    return run.seed


def together(one: Spread, other: Spread) -> Spread:
    """The variance of a difference of two scores; its freedom is Satterthwaite's (1946)."""
    both = one.variance + other.variance
    squares = one.variance**2 / one.freedom + other.variance**2 / other.freedom
    return Spread(both, both**2 / squares if squares else 1.0)


def noise_floor(runs: Sequence[Run], floor: float = -np.inf, grain: float = 0.0) -> Spread | None:
    """The variance of a score over seeds, pooled over configurations.

    Args:
        runs: of the confirm phase; `value` tells the configurations apart.
        floor: a configuration with a score below it is not stable, and its spread not the noise.
        grain: by how much one right answer more moves a score.

    Returns:
        None with one seed.
    """
    unstable = {run.value for run in runs if run.metric is not None and run.metric < floor}
    scored = [run for run in runs if run.metric is not None]
    stable = [run for run in scored if run.value not in unstable]
    told = stable if repeats(stable) else scored
    if not repeats(told):
        return None
    squares, freedom = left_over(told, by_value)
    return Spread(max(squares / freedom, hidden_by(grain)), freedom)
