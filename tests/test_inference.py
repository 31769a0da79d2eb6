"""Means, differences and their intervals, against other people's arithmetic."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from inference_story import runs_at
from scipy import stats
from statsmodels.stats.anova import AnovaRM

from search.findings import Level
from search.inference import holm, levels
from search.space import Value
from search.spread import Spread, noise_floor, spreads


def level_at(value: Value, scores: dict[Value, Sequence[float | None]]) -> Level:
    """What is found at a value; the first one is the incumbent's."""
    found = levels(runs_at(scores), list(scores), next(iter(scores)))
    return next(level for level in found if level.value == value)


TABLE: dict[Value, Sequence[float | None]] = {
    0.1: (0.61, 0.66, 0.58),
    0.2: (0.59, 0.67, 0.55),
    0.3: (0.52, 0.60, 0.53),
}


def test_with_two_values_a_difference_is_the_paired_t_test() -> None:
    here, there = (0.52, 0.60, 0.53), (0.61, 0.66, 0.58)
    expected = stats.ttest_rel(here, there)
    low, high = expected.confidence_interval(0.95)

    level = level_at(0.3, {0.1: there, 0.3: here})

    assert level.difference == pytest.approx(np.mean(np.subtract(here, there)))
    assert level.p == pytest.approx(expected.pvalue)
    assert (level.difference_low, level.difference_high) == pytest.approx((low, high))


def block_error(scores: np.ndarray) -> float:
    """Error mean square of a balanced randomised block design, by the textbook's sums."""
    rest = scores - scores.mean(0) - scores.mean(1, keepdims=True) + scores.mean()
    return float((rest**2).sum() / ((len(scores) - 1) * (len(scores[0]) - 1)))


def test_a_difference_has_the_error_of_a_randomised_block_design() -> None:
    error = block_error(np.array(list(TABLE.values())))
    half = stats.t.ppf(0.975, 4) * np.sqrt(2 * error / 3)

    level = level_at(0.3, TABLE)

    difference = np.mean([0.52 - 0.61, 0.60 - 0.66, 0.53 - 0.58])
    assert level.difference == pytest.approx(difference)
    assert level.difference_low == pytest.approx(difference - half)
    assert level.difference_high == pytest.approx(difference + half)


def test_the_error_agrees_with_statsmodels_repeated_measures() -> None:
    import pandas as pd

    rows = [(v, seed, s) for v, row in TABLE.items() for seed, s in enumerate(row)]
    table = pd.DataFrame(rows, columns=["value", "seed", "score"])
    oracle = AnovaRM(table, "score", "seed", within=["value"]).fit().anova_table
    found = spreads(runs_at(TABLE))
    assert found is not None
    means = [np.mean(row) for row in TABLE.values()]
    f_value = 3 * np.var(means, ddof=1) / found[1].variance
    assert f_value == pytest.approx(float(oracle["F Value"].iloc[0]))
    assert found[1].freedom == float(oracle["Den DF"].iloc[0])


def test_a_mean_has_the_variance_of_single_scores() -> None:
    scores = np.array(list(TABLE.values()))
    between_seeds = 3 * scores.mean(0).var(ddof=1)  # mean square of the seeds
    error = block_error(scores)
    variance = (between_seeds + 2 * error) / 3
    freedom = variance**2 / ((between_seeds / 3) ** 2 / 2 + (2 * error / 3) ** 2 / 4)
    half = stats.t.ppf(0.975, freedom) * np.sqrt(variance / 3)

    level = level_at(0.2, TABLE)

    assert level.mean == pytest.approx(scores[1].mean())
    assert level.low == pytest.approx(scores[1].mean() - half)
    assert level.high == pytest.approx(scores[1].mean() + half)


def test_a_seeds_own_part_cancels_in_a_difference() -> None:
    moved = {v: [s + 0.1 * k for k, s in enumerate(row)] for v, row in TABLE.items()}
    plain, shifted = level_at(0.3, TABLE), level_at(0.3, moved)  # type: ignore[arg-type]
    assert shifted.difference == pytest.approx(plain.difference)
    assert shifted.p == pytest.approx(plain.p)
    assert shifted.low is not None
    assert plain.low is not None
    assert shifted.low < plain.low


def test_the_incumbent_is_not_compared_with_itself() -> None:
    level = level_at(0.1, TABLE)
    assert (level.difference, level.difference_low, level.p) == (None, None, None)


def test_a_failed_run_is_counted_and_only_shared_seeds_are_compared() -> None:
    level = level_at(0.3, {**TABLE, 0.3: (0.52, None, 0.53)})
    assert (level.scores, level.failed) == ((0.52, 0.53), 1)
    assert level.difference == pytest.approx(np.mean([0.52 - 0.61, 0.53 - 0.58]))


def test_unbalanced_runs_have_the_error_of_least_squares() -> None:
    import pandas as pd
    from statsmodels.formula.api import ols

    runs = runs_at({**TABLE, 0.3: (0.52, None, 0.53)})
    told = [run for run in runs if run.metric is not None]
    oracle = ols("metric ~ C(value) + C(seed)", pd.DataFrame(told)).fit()
    found = spreads(runs)
    assert found is not None
    assert found[1].variance == pytest.approx(oracle.mse_resid)
    assert found[1].freedom == oracle.df_resid


def test_a_value_without_seeds_in_common_with_the_incumbent_has_a_mean_alone() -> None:
    level = level_at(0.3, {0.1: (0.6, 0.7, None), 0.2: (0.6, 0.8, None), 0.3: (None, None, 0.5)})
    assert level.mean == 0.5
    assert (level.difference, level.p) == (None, None)


def test_a_value_whose_runs_all_failed_has_no_score() -> None:
    level = level_at(0.3, {**TABLE, 0.3: (None, None, None)})
    assert (level.scores, level.failed, level.mean, level.p) == ((), 3, None, None)


def test_a_failed_value_changes_nothing_at_the_others() -> None:
    with_it = level_at(0.2, {**TABLE, 0.4: (None, None, None)})
    assert with_it == level_at(0.2, TABLE)


def test_one_seed_gives_means_and_differences_but_no_intervals() -> None:
    level = level_at(0.2, {0.1: (0.6,), 0.2: (0.5,)})
    assert (level.mean, level.difference) == (0.5, pytest.approx(-0.1))
    assert (level.low, level.high, level.difference_low, level.p) == (None, None, None, None)


def test_a_run_that_failed_is_no_second_seed() -> None:
    level = level_at(0.2, {0.1: (0.6, None), 0.2: (0.5, None)})
    assert (level.mean, level.low, level.p) == (0.5, None, None)


def test_values_that_collapsed_do_not_narrow_the_intervals_of_the_others() -> None:
    collapsed = level_at(0.3, {**TABLE, 0.8: (0.0, 0.0, 0.0), 0.9: (0.0, 0.0, 0.0)})
    assert collapsed == level_at(0.3, TABLE)


def test_a_difference_to_a_value_that_collapsed_keeps_the_seeds_part() -> None:
    strong = {v: [s + 0.1 * k for k, s in enumerate(row)] for v, row in TABLE.items()}
    found = levels(runs_at({**strong, 0.9: (0.0, 0.0, 0.0)}), [0.1, 0.9], 0.1)  # type: ignore[dict-item]
    mean, gone = found
    assert mean.low is not None
    assert mean.mean is not None
    assert gone.difference_high is not None
    assert gone.difference is not None
    assert gone.difference_high - gone.difference == pytest.approx(mean.mean - mean.low)


def test_scores_that_do_not_vary_at_all_are_equal_for_certain() -> None:
    level = level_at(0.2, {0.1: (0.4, 0.4, 0.4), 0.2: (0.4, 0.4, 0.4)})
    assert (level.difference, level.p) == (0.0, 1.0)
    assert (level.low, level.high) == pytest.approx((0.4, 0.4))


@pytest.mark.parametrize(("right", "beyond"), [(1, False), (4, True)])
def test_scores_that_are_the_same_with_every_seed_are_known_to_one_right_answer(
    right: int, beyond: bool
) -> None:
    """Of 64 tweets; the error of rounding is that of a uniform number (its standard deviation)."""
    other = 0.5 + right / 64
    runs = runs_at({0.1: (0.5, 0.5), 0.2: (other, other), 0.3: (0.5, 0.5)})
    _, level, _ = levels(runs, (0.1, 0.2, 0.3), 0.1, grain=1 / 64)
    error = stats.uniform(0, 1 / 64).std()  # of a mean of two, twice
    expected = 2 * stats.t.sf(right / 64 / error, 3)
    assert level.p == pytest.approx(expected)
    assert (level.p is not None and level.p < 0.01) == beyond
    assert level.low is not None
    assert level.low < other < level.high  # type: ignore[operator]


def test_differences_that_are_equal_by_luck_are_not_certain() -> None:
    """One tweet more with each seed; whether seeds always move values alike is not known."""
    level = level_at(0.2, {0.1: (0.6325, 0.6150), 0.2: (0.6350, 0.6175)})
    assert level.p is not None
    assert level.p > 0.5
    assert level.difference_low is not None
    assert level.difference_low < 0


def test_one_pair_without_noise_is_not_certain() -> None:
    level = level_at(0.2, {0.1: (0.5, 0.5, None), 0.2: (0.52, None, None)})
    assert level.difference == pytest.approx(0.02)
    assert (level.p, level.difference_low) == (None, None)


@pytest.mark.parametrize("spread", [0.05, 0.2])
def test_a_value_below_the_floor_has_the_noise_of_its_own(spread: float) -> None:
    generator = np.random.default_rng(0)
    held = []
    for _ in range(600):
        rows: dict[Value, Sequence[float | None]] = {
            value: list(0.8 + 0.01 * generator.standard_normal(3)) for value in range(5)
        }
        rows[9] = list(0.2 + spread * generator.standard_normal(3))
        found = levels(runs_at(rows), list(rows), 0, floor=0.4)[-1]
        if found.mean is not None and found.mean < 0.4:
            assert found.difference_low is not None
            assert found.difference_high is not None
            held.append(found.difference_low <= -0.6 <= found.difference_high)
    assert np.mean(held) > 0.89


FALLEN = (0.20, 0.22, 0.25)


def below_the_floor(*scores: float | None) -> Level:
    """What is found at a value far below the others of the table."""
    return levels(runs_at({**TABLE, 0.9: scores}), [0.1, 0.9], 0.1, floor=0.4)[-1]


def noise_above_the_floor() -> tuple[Spread, Spread]:
    found = spreads(runs_at(TABLE))
    assert found is not None
    return found


def test_a_mean_below_the_floor_has_students_interval_of_its_own_scores() -> None:
    level = below_the_floor(*FALLEN)
    low, high = stats.t.interval(0.95, 2, np.mean(FALLEN), stats.sem(FALLEN))
    assert (level.low, level.high) == pytest.approx((low, high))


def test_a_difference_to_a_value_below_the_floor_is_welchs() -> None:
    noise, own = noise_above_the_floor()[0], float(np.var(FALLEN, ddof=1))
    both = own + noise.variance
    freedom = both**2 / (own**2 / 2 + noise.variance**2 / noise.freedom)
    half = stats.t.ppf(0.975, freedom) * np.sqrt(both / 3)

    level = below_the_floor(*FALLEN)

    difference = np.mean(FALLEN) - np.mean(TABLE[0.1])  # type: ignore[arg-type]
    assert level.difference == pytest.approx(difference)
    assert level.difference_low == pytest.approx(difference - half)
    assert level.difference_high == pytest.approx(difference + half)


def test_one_score_below_the_floor_has_no_interval_for_no_others_noise_holds_there() -> None:
    level = below_the_floor(0.2, None, None)
    assert level.difference == pytest.approx(0.2 - 0.61)
    assert (level.low, level.difference_low, level.p) == (None, None, None)


def test_the_mean_of_a_value_that_collapsed_is_not_certain() -> None:
    level = below_the_floor(0.1, 0.1, 0.1)
    assert level.high is not None
    assert level.high > 0.11


def test_a_collapse_that_luck_saved_once_does_not_widen_the_intervals_of_the_others() -> None:
    runs = runs_at({**TABLE, 0.9: (0.02, 0.05, 0.7)})
    assert levels(runs, [0.2], 0.1, floor=0.4) == levels(runs_at(TABLE), [0.2], 0.1, floor=0.4)


def test_where_all_lie_below_the_floor_their_noise_is_what_is_known() -> None:
    assert spreads(runs_at(TABLE), floor=0.9) == spreads(runs_at(TABLE))


def test_failures_of_machines_are_counted_apart() -> None:
    *others, last = runs_at({0.1: (0.5, 0.6), 0.2: (None, None)})
    level = levels([*others, replace(last, lost=True)], [0.2], 0.1)[0]
    assert (level.failed, level.lost) == (2, 1)


def test_scores_that_differ_by_rounding_only_do_not_vary() -> None:
    near = 0.4 + 1e-16
    level = level_at(0.2, {0.1: (0.4, near, 0.4), 0.2: (near, 0.4, 0.4)})
    assert level.p == 1.0


def test_an_interval_of_a_mean_stays_between_0_and_1() -> None:
    low = level_at(0.1, {0.1: (0.0, 0.1), 0.2: (0.1, 0.0)})
    high = level_at(0.1, {0.1: (0.9, 1.0), 0.2: (1.0, 0.9)})
    assert (low.low, high.high) == (0.0, 1.0)


def levels_with(ps: Sequence[float | None]) -> list[Level]:
    """Levels of which only p matters."""
    empty = level_at(0.1, {0.1: (None,)})
    return [replace(empty, value=k, p=p) for k, p in enumerate(ps)]


def survivors(groups: Sequence[Sequence[float | None]]) -> list[list[bool]]:
    return [[x.survives for x in group] for group in holm([levels_with(ps) for ps in groups])]


def holm_by_hand(ps: Sequence[float]) -> list[bool]:
    """Holm's step-down: compare the k-th smallest with 0.05 over those that are left."""
    rejected = [False] * len(ps)
    for step, index in enumerate(sorted(range(len(ps)), key=lambda k: ps[k])):
        if ps[index] > 0.05 / (len(ps) - step):
            break
        rejected[index] = True
    return rejected


def test_holm_steps_down_over_all_settings_together() -> None:
    assert survivors([[0.01, None, 0.04], [0.03, 0.005]]) == [[True, False, False], [False, True]]


@pytest.mark.parametrize("seed", range(10))
def test_holm_agrees_with_a_step_down_by_hand(seed: int) -> None:
    ps = np.random.default_rng(seed).beta(0.3, 3, 12).tolist()
    assert survivors([ps[:5], ps[5:]]) == [holm_by_hand(ps)[:5], holm_by_hand(ps)[5:]]


def test_a_difference_that_is_certain_takes_nobody_elses_verdict() -> None:
    assert survivors([[0.0, 0.9], [0.8]]) == [[True, False], [False]]


def test_holm_of_nothing_is_nothing() -> None:
    assert survivors([[], [None]]) == [[], [False]]


def test_the_noise_floor_is_pooled_over_configurations() -> None:
    runs = runs_at({"a": (0.5, 0.6, 0.7), "b": (0.8, 0.8, 0.8), "c": (0.1, None, 0.3)})
    found = noise_floor(runs)
    assert found is not None
    assert found.variance == pytest.approx((2 * 0.01 + 0.0 + 0.02) / 5)
    assert found.freedom == 5


def test_the_noise_floor_of_one_configuration_is_the_variance_of_its_scores() -> None:
    found = noise_floor(runs_at({"a": (0.5, 0.6, 0.8)}))
    assert found is not None
    assert found.variance == pytest.approx(np.var([0.5, 0.6, 0.8], ddof=1))
    assert found.freedom == 2


@pytest.mark.parametrize("score", [0.1, 0.3333333333333333, 0.7])
def test_equal_scores_have_a_noise_floor_of_nothing(score: float) -> None:
    found = noise_floor(runs_at({"a": (score,) * 5, "b": (2 * score,) * 3}))
    assert found is not None
    assert found.variance == 0.0


def test_equal_scores_have_a_noise_floor_of_rounding() -> None:
    told = noise_floor(runs_at({"a": (0.5, 0.5), "b": (0.75, 0.75)}), grain=1 / 64)
    assert told is not None
    assert told.deviation == pytest.approx(stats.uniform(0, 1 / 64).std())
    assert told.freedom == 2


def test_one_seed_has_no_noise_floor() -> None:
    assert noise_floor(runs_at({"a": (0.5,), "b": (0.8,)})) is None
    assert noise_floor(runs_at({"a": (0.5, None), "b": (None, None)})) is None


def test_intervals_widen_with_the_noise() -> None:
    widths = []
    for noise in (1.0, 2.0, 4.0):
        mean = {v: np.mean(np.array(row, float)) for v, row in TABLE.items()}
        wide = {v: [mean[v] + noise * (s - mean[v]) for s in row] for v, row in TABLE.items()}  # type: ignore[operator]
        level = level_at(0.3, wide)  # type: ignore[arg-type]
        assert level.difference_high is not None
        assert level.difference_low is not None
        widths.append(level.difference_high - level.difference_low)
    assert [b / a for a, b in pairwise(widths)] == pytest.approx([2, 2])


def test_an_unstable_candidate_does_not_widen_the_noise_floor() -> None:
    scores: dict[Value, Sequence[float | None]] = {
        "a": (0.80, 0.81, 0.79),
        "b": (0.80, 0.20, 0.79),
        "c": (0.78, 0.79, 0.80),
    }
    found = noise_floor(runs_at(scores), floor=0.4)
    assert found is not None
    assert found.variance == pytest.approx(1e-4)
    wild = noise_floor(runs_at({"b": scores["b"]}), floor=0.4)  # nothing else tells
    assert wild is not None
    assert wild.variance > 0.1
