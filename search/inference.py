"""Repeated runs at several values of one setting to means, differences and their intervals.

The runs of a setting are a randomised block design: values are the treatments, seeds the blocks
(Montgomery, "Design and Analysis of Experiments", ch. 4). Few seeds are enough because all values
lend each other their spread.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import stats
from statsmodels.stats.multitest import multipletests

from search.findings import Level, Run
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


def has_runs_twice(runs: Sequence[Run]) -> bool:
    """Whether any value was scored with more than one seed."""
    values = [run.value for run in runs if run.metric is not None]
    return len(values) > len(set(values))


def spreads(runs: Sequence[Run], floor: float = -np.inf) -> tuple[Spread, Spread] | None:
    """The variance of single scores over seeds, and of scores once the seed's own part is out.

    The first is a sum of two mean squares; its degrees of freedom are Satterthwaite's (1946).

    Returns:
        None where every value was scored once only, so that nothing is known of the noise.
    """
    if not has_runs_twice(runs):
        return None
    told = lively(runs, floor) or lively(runs)
    if not told:
        return Spread(0.0, 1.0), Spread(0.0, 1.0)
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


def levels(
    runs: Sequence[Run], values: Sequence[Value], incumbent: Value, floor: float = -np.inf
) -> tuple[Level, ...]:
    """What the runs at each value say, as far as their spread over all values can tell.

    Args:
        runs: all runs of the setting.
        values: where to look.
        incumbent: the value to compare with, run by run of the same seed.
        floor: mean score below which a value's training has collapsed, and its noise is no
            other value's.
    """
    noise = spreads(runs, floor)
    there = scores_by_seed(runs, incumbent)
    found = []
    for value in values:
        here = scores_by_seed(runs, value)
        failed = [run for run in runs if run.value == value and run.metric is None]
        alone = mean_of(here, own_spread(here, floor) or (noise and noise[0]))
        paired = {} if value == incumbent else difference(here, there, noise, floor)
        told = {**NOTHING, **alone, **paired, "lost": sum(run.lost for run in failed)}
        found.append(Level(value, tuple(here.values()), len(failed), **told))
    return tuple(found)


NOTHING: dict[str, Any] = dict.fromkeys(
    ("mean", "low", "high", "difference", "difference_low", "difference_high", "p")
)
"""Fields of a Level of which nothing is known."""


def own_spread(here: dict[int, float], floor: float) -> Spread | None:
    """The variance of a value below a floor that has not collapsed: there no other's holds.

    None where the value has not fallen so far, or cannot tell.
    """
    scores = list(here.values())
    if len(scores) < 2 or has_collapsed(here) or np.mean(scores) >= floor:
        return None
    return Spread(float(np.var(scores, ddof=1)), len(scores) - 1)


def together(one: Spread, other: Spread) -> Spread:
    """The variance of a difference of two scores; its freedom is Satterthwaite's (1946)."""
    both = one.variance + other.variance
    squares = one.variance**2 / one.freedom + other.variance**2 / other.freedom
    return Spread(both, both**2 / squares if squares else 1.0)


def mean_of(here: dict[int, float], spread: Spread | None) -> dict[str, float]:
    """The mean score and its interval, as fields of a Level."""
    if not here:
        return {}
    mean = float(np.mean(list(here.values())))
    if spread is None:
        return {"mean": mean}
    low, high = spread.interval(mean, 1 / len(here))
    return {"mean": mean, "low": max(0.0, low), "high": min(1.0, high)}  # scores lie in between


def scores_by_seed(runs: Sequence[Run], value: Value) -> dict[int, float]:
    """Scores at a value by their seed."""
    return {run.seed: run.metric for run in runs if run.value == value and run.metric is not None}


def difference(
    here: dict[int, float],
    there: dict[int, float],
    noise: tuple[Spread, Spread] | None,
    floor: float = -np.inf,
) -> dict[str, float]:
    """The mean paired difference, its interval and its p, as fields of a Level."""
    shared = sorted(here.keys() & there.keys())
    if not shared:
        return {}
    mean = float(np.mean([here[seed] - there[seed] for seed in shared]))
    if noise is None:
        return {"difference": mean}
    spread, share = noise[1], 2 / len(shared)
    own = own_spread({seed: here[seed] for seed in shared}, floor)
    if own is not None:
        spread, share = together(own, noise[0]), 1 / len(shared)
    elif has_collapsed(here) != has_collapsed(there):
        # One side does not vary: there is no seed's part in it that would cancel the other's.
        spread, share = noise[0], 1 / len(shared)
    elif np.mean([here[seed] for seed in shared]) < floor:
        spread = noise[0]  # whether the seed's part is the same down there is not known
    if spread.variance == 0.0 and len(shared) < 2:
        return {"difference": mean}  # one pair does not tell that nothing varies
    low, high = spread.interval(mean, share)
    return {
        "difference": mean,
        "difference_low": low,
        "difference_high": high,
        "p": spread.chance(mean, share),
    }


def has_collapsed(scores: dict[int, float]) -> bool:
    """Whether several seeds gave one score."""
    return len(scores) > 1 and len(set(scores.values())) == 1


def holm(groups: Sequence[Sequence[Level]], error: float = 1 - CONFIDENCE) -> list[list[Level]]:
    """Mark the differences that survive Holm's correction over all settings' values together.

    The chance that any of the differences marked is none is at most `error` (Holm 1979).

    Args:
        groups: the levels of each setting.
        error: the family-wise error rate.
    """
    ps = [level.p for group in groups for level in group if level.p is not None]
    verdicts = iter(multipletests(ps, alpha=error, method="holm")[0] if ps else ())
    return [
        [x if x.p is None else replace(x, survives=bool(next(verdicts))) for x in group]
        for group in groups
    ]


def noise_floor(runs: Sequence[Run], floor: float = -np.inf) -> Spread | None:
    """The variance of a score over seeds, pooled over configurations.

    Args:
        runs: of the confirm phase; `value` tells the configurations apart.
        floor: a configuration with a score below it is not stable, and its spread not the noise.

    Returns:
        None with one seed.
    """
    unstable = {run.value for run in runs if run.metric is not None and run.metric < floor}
    scored = [run for run in runs if run.metric is not None]
    stable = [run for run in scored if run.value not in unstable]
    told = stable if has_runs_twice(stable) else scored
    if not has_runs_twice(told):
        return None
    squares, freedom = left_over(told, by_value)
    return Spread(squares / freedom, freedom)
