"""Repeated runs at several values of one setting to means, differences and their intervals.

The runs of a setting are a randomised block design: values are the treatments, seeds the blocks
(Montgomery, "Design and Analysis of Experiments", ch. 4). Few seeds are enough because all values
lend each other their spread.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from search.findings import Level, Run
from search.space import Value
from search.spread import CONFIDENCE, Spread, spreads, together


def levels(
    runs: Sequence[Run],
    values: Sequence[Value],
    incumbent: Value,
    floor: float = -np.inf,
    grain: float = 0.0,
) -> tuple[Level, ...]:
    """What the runs at each value say, as far as their spread over all values can tell.

    Args:
        runs: all runs of the setting.
        values: where to look.
        incumbent: the value to compare with, run by run of the same seed.
        floor: mean score below which a value's training has collapsed, and its noise is no
            other value's.
        grain: by how much one right answer more moves a score.
    """
    noise = spreads(runs, floor, grain)
    there = scores_by_seed(runs, incumbent)
    found = []
    for value in values:
        here = scores_by_seed(runs, value)
        failed = [run for run in runs if run.value == value and run.metric is None]
        spread = own_spread(here, floor) or (noise and noise[0])
        alone = mean_of(here, None if is_alone(here, floor) else spread)
        paired = {} if value == incumbent else difference(here, there, noise, floor)
        pairs = tuple(here[seed] - there[seed] for seed in sorted(here.keys() & there.keys()))
        of_seeds = {"seeds": tuple(here), "pairs": pairs, "lost": sum(run.lost for run in failed)}
        told = {**NOTHING, **alone, **paired, **of_seeds}
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


def is_alone(here: dict[int, float], floor: float) -> bool:
    """Whether one score is all there is of a value below a floor, where no other's noise holds."""
    return len(here) == 1 and next(iter(here.values())) < floor


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
    if noise is None or is_alone({seed: here[seed] for seed in shared}, floor):
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
    from statsmodels.stats.multitest import multipletests  # noqa: PLC0415 - a second

    ps = [level.p for group in groups for level in group if level.p is not None]
    verdicts = iter(multipletests(ps, alpha=error, method="holm")[0] if ps else ())
    return [
        [x if x.p is None else replace(x, survives=bool(next(verdicts))) for x in group]
        for group in groups
    ]
