"""Simulated studies whose truth is known: how often intervals hold it, and alarms are false."""

from collections.abc import Sequence

import numpy as np
import pytest
from inference_story import runs_at
from scipy import stats

from search.findings import Level, Run
from search.inference import holm, levels
from search.space import Value

NOISE = 0.02
"""Standard deviation of a simulated score, beside its seed's part."""


def simulate(
    rng: np.random.Generator, truth: Sequence[float], by_seed: float, seeds: int = 3
) -> tuple[Level, ...]:
    """Levels of one made-up setting whose first value is the incumbent's."""
    own = rng.normal(0, by_seed, seeds)
    scores: dict[Value, Sequence[float | None]] = {
        place: [centre + own[k] + rng.normal(0, NOISE) for k in range(seeds)]
        for place, centre in enumerate(truth)
    }
    return levels(runs_at(scores), list(scores), 0)


TRUTH = (0.6, 0.6, 0.58, 0.5, 0.45)


REPEATS = 300


def held(low: float | None, truth: float, high: float | None) -> bool:
    assert low is not None
    assert high is not None
    return low <= truth <= high


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [2, 3, 5])
@pytest.mark.parametrize("by_seed", [0.0, NOISE, 3 * NOISE])
def test_intervals_of_differences_hold_the_truth_in_95_of_100_cases(
    by_seed: float, seeds: int
) -> None:
    rng = np.random.default_rng(1)
    hits = [
        held(level.difference_low, truth - TRUTH[0], level.difference_high)
        for _ in range(REPEATS)
        for level, truth in list(zip(simulate(rng, TRUTH, by_seed, seeds), TRUTH, strict=True))[1:]
    ]
    assert np.mean(hits) == pytest.approx(0.95, abs=0.025)


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [3, 5])
@pytest.mark.parametrize("by_seed", [0.0, NOISE, 3 * NOISE])
def test_intervals_of_means_hold_the_truth_in_90_to_99_of_100_cases(
    by_seed: float, seeds: int
) -> None:
    rng = np.random.default_rng(2)
    hits = [
        held(level.low, truth, level.high)
        for _ in range(REPEATS)
        for level, truth in zip(simulate(rng, TRUTH, by_seed, seeds), TRUTH, strict=True)
    ]
    assert 0.90 <= np.mean(hits) <= 0.99


@pytest.mark.slow
@pytest.mark.parametrize("by_seed", [0.0, 3 * NOISE])
def test_a_false_alarm_over_six_dead_settings_is_rare(
    by_seed: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gc.collect", lambda *_: 0)  # statsmodels calls it, at 30 ms each
    rng = np.random.default_rng(3)
    alarms = 0
    for _ in range(REPEATS):
        judged = holm([simulate(rng, [0.6] * 5, by_seed) for _ in range(6)])
        alarms += any(level.survives for group in judged for level in group)
    assert stats.binomtest(alarms, REPEATS, 0.05, alternative="greater").pvalue > 0.01


@pytest.mark.slow
def test_a_clear_effect_is_found_with_three_seeds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gc.collect", lambda *_: 0)
    rng = np.random.default_rng(4)
    dead = [[0.6] * 5] * 5
    found = 0
    for _ in range(100):
        truths = [[0.6, 0.6, 0.6, 0.6, 0.4], *dead]
        judged = holm([simulate(rng, truth, 3 * NOISE) for truth in truths])
        found += judged[0][-1].survives
    assert found >= 95


@pytest.mark.slow
@pytest.mark.parametrize("deviation", [0.001, 0.2])
def test_another_noise_where_training_collapses_changes_no_other_values_error_rate(
    deviation: float,
) -> None:
    """Two of five values lie on a cliff with a noise of their own, the others do nothing."""
    random, alarms, studies = np.random.default_rng(0), 0, 400
    for _ in range(studies):
        dead = random.normal(0.8, 0.02, (4, 3))
        fallen = random.normal(0.1, deviation, (2, 3))
        table = np.vstack([dead, fallen])
        runs = [
            Run(v, s, float(table[v, s]), 1, "t", "sensitivity") for v in range(6) for s in range(3)
        ]
        found = levels(runs, list(range(6)), 0, floor=0.4)
        first_step = 0.05 / 5  # of Holm's procedure over five comparisons
        alarms += any(level.p is not None and level.p <= first_step for level in found[1:4])
    assert alarms / studies < 0.05 + 3 * (0.05 * 0.95 / studies) ** 0.5
