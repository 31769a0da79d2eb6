"""A comparison's table, against intervals computed by scipy and truths that were planted."""

from typing import Any

import numpy as np
import pytest
from sample_entries import sample_entry
from scipy import stats

from search.contrast import Contrast, Variant, against_first, contrast, mean_score
from search.entry import Entry
from search.plan import COMPARE, compared
from search.study import Study

FIXED = {"cross.theta": 0.1}
VARIANTS = {"no-exchange": {"cross.theta": 0.0}, "no-noise": {"loss.noise_std": 0.0}}


def study_of(**fields: Any) -> Study:
    asked = {"seeds": 3, "variants": VARIANTS, **fields}
    budget = {"epochs": 2}
    return Study.model_validate(
        {"preset": "tiny", "seed": 7, "fixed": FIXED, "budget": budget, "compare": asked}
    )


def entries_of(
    study: Study, scores: dict[str, list[float | None]], test: bool = True
) -> list[Entry]:
    """Runs that have ended, with validation scores 0.1 above those of test; None failed."""
    made = []
    for name, runs in compared(study).items():
        for run, score in zip(runs, scores[name], strict=True):
            valid = None if score is None else score + 0.1
            entry = sample_entry(run.trial_id, valid, phase=COMPARE, seed=run.seed, point=run.point)
            if test and score is not None:
                entry.reports[-1]["test_f1"] = score
            made.append(entry)
    return made


SCORES: dict[str, list[float | None]] = {
    "muse": [0.8, 0.7, 0.75],
    "no-exchange": [0.6, 0.55, 0.5],
    "no-noise": [0.79, None, 0.74],
}


def found(test: bool = True, **fields: Any) -> Contrast:
    study = study_of(**fields)
    return contrast(study, entries_of(study, SCORES, test))


def test_each_variant_runs_with_the_same_seeds_under_ids_that_name_both() -> None:
    runs = compared(study_of())
    assert [run.trial_id for run in runs["no-noise"]] == [
        f"compare-no-noise-seed{seed}" for seed in (307, 308, 309)
    ]
    assert {tuple(run.seed for run in each) for each in runs.values()} == {(307, 308, 309)}
    assert runs["muse"][0].point == {}
    assert runs["no-exchange"][0].point == {"cross.theta": 0.0}


def test_test_scores_are_compared_pair_by_pair_as_scipy_does() -> None:
    row = found().variants[1]
    here, there = np.array(SCORES["no-exchange"], float), np.array(SCORES["muse"], float)
    expected = stats.ttest_rel(here, there)
    assert row.difference is not None
    assert row.p == pytest.approx(expected.pvalue)
    assert row.difference.mean == pytest.approx((here - there).mean())
    low, high = expected.confidence_interval(0.95)
    assert (row.difference.low, row.difference.high) == pytest.approx((low, high))


def test_a_mean_has_students_interval_of_its_own_runs() -> None:
    told = mean_score({1: 0.6, 2: 0.55, 3: 0.5})
    expected = stats.ttest_1samp([0.6, 0.55, 0.5], 0).confidence_interval(0.95)
    assert told is not None
    assert (told.low, told.high) == pytest.approx(tuple(expected))


def test_equal_scores_are_known_to_one_right_answer() -> None:
    even: dict[str, list[float | None]] = {name: [0.5] * 3 for name in SCORES}
    study = study_of()
    told = contrast(study, entries_of(study, even), lambda _: 0.01)
    half = stats.t.ppf(0.975, 2) * 0.01 / np.sqrt(12 * 3)
    for split in ("test", "valid"):
        mean = told.mean(told.reference, split)
        assert mean is not None
        assert mean.low is not None
        assert mean.mean - mean.low == pytest.approx(half)


def test_a_mean_stays_where_scores_can_be() -> None:
    told = mean_score({1: 1.0, 2: 0.9})
    assert told is not None
    assert (told.low, told.high) == (pytest.approx(0.3147, abs=1e-3), 1.0)


def test_a_failed_run_is_counted_and_its_seed_left_out_of_the_pairs() -> None:
    row = found().variants[2]
    assert (len(row.test), row.failed) == (2, 1)
    assert row.difference is not None
    assert row.difference.mean == pytest.approx(-0.01)


def test_without_a_test_split_validation_is_compared() -> None:
    told = found(test=False)
    assert told.split == "valid"
    assert told.scores(told.reference)[307] == pytest.approx(0.9)
    assert found().split == "test"


def test_a_variant_all_of_whose_runs_failed_does_not_take_the_test_split_from_the_others() -> None:
    study = study_of()
    entries = entries_of(study, {**SCORES, "no-noise": [None, None, None]})
    assert contrast(study, entries).split == "test"


def test_runs_that_still_train_do_not_count() -> None:
    study = study_of()
    entries = entries_of(study, SCORES)
    half = [sample_entry(e.trial_id, 0.5, phase=COMPARE, state="running") for e in entries]
    assert contrast(study, half).reference.valid == {}


def rows(*scores: list[float]) -> tuple[Variant, ...]:
    made = [
        Variant(str(k), {}, test=dict(enumerate(values)), valid={}, failed=0)
        for k, values in enumerate(scores)
    ]
    return against_first(made, "test")


def test_p_values_are_corrected_as_holm_does() -> None:
    told = rows([0.5, 0.6, 0.7], [0.4, 0.5, 0.61], [0.5, 0.62, 0.7], [0.1, 0.2, 0.31])
    ps = sorted(row.p for row in told[1:] if row.p is not None)
    by_hand = np.maximum.accumulate([min(1.0, p * (3 - k)) for k, p in enumerate(ps)])
    assert sorted(row.p_holm for row in told[1:] if row.p_holm is not None) == pytest.approx(
        by_hand
    )
    assert told[0].p_holm is None


def test_one_seed_gives_a_difference_without_a_judgement() -> None:
    _, row = rows([0.5], [0.4])
    assert row.difference is not None
    assert row.difference.mean == pytest.approx(-0.1)
    assert row.difference.low is row.p is None
    assert not row.survives


def test_scores_that_never_vary_differ_for_sure_or_not_at_all() -> None:
    _, same, other = rows([1.0, 1.0, 1.0], [1.0, 1.0, 1.0], [0.0, 0.0, 0.0])
    assert (same.p, other.p) == (1.0, 0.0)


def test_intervals_hold_and_false_alarms_are_rare_whatever_each_variants_noise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """150 comparisons of five equal variants whose noise differs by a factor of ten."""
    monkeypatch.setattr("gc.collect", lambda: 0)  # statsmodels calls it each time: most of a second
    random = np.random.default_rng(0)
    noise = np.array([0.01, 0.01, 0.03, 0.05, 0.1])
    alarms = held = 0
    for _ in range(150):
        seeds = random.normal(0, 0.02, size=5)
        told = rows(*(list(0.5 + seeds + random.normal(0, n, size=5)) for n in noise))
        alarms += any(row.survives for row in told)
        ends = [row.difference for row in told[1:] if row.difference is not None]
        held += sum(d.low is not None and d.high is not None and d.low <= 0 <= d.high for d in ends)
    assert alarms / 150 < 0.05 + 3 * (0.05 * 0.95 / 150) ** 0.5
    assert abs(held / 600 - 0.95) < 3 * (0.05 * 0.95 / 600) ** 0.5 + 0.01


def test_differences_that_are_equal_by_luck_are_not_tested() -> None:
    """Of 100 tweets one more with each seed: that is no certainty."""
    study = study_of(seeds=2)
    scores: dict[str, list[float | None]] = {
        "muse": [0.80, 0.77],
        "no-exchange": [0.81, 0.78],
        "no-noise": [0.80, 0.77],
    }
    _, luck, same = contrast(study, entries_of(study, scores)).variants
    assert luck.difference is not None
    assert luck.difference.mean == pytest.approx(0.01)
    assert (luck.difference.low, luck.p, luck.p_holm) == (None, None, None)
    assert same.p == 1.0  # the same runs, nothing to doubt


def test_a_run_without_a_pair_tells_that_equal_differences_are_luck() -> None:
    _, row = rows([0.6, 0.6, 0.4], [0.5, 0.5])
    assert row.difference is not None
    assert (row.difference.low, row.p) == (None, None)


def test_scores_that_never_vary_are_told_apart() -> None:
    study = study_of(seeds=2)
    scores: dict[str, list[float | None]] = {
        "muse": [1.0, 1.0],
        "no-exchange": [0.0, 0.0],
        "no-noise": [1.0, 1.0],
    }
    assert contrast(study, entries_of(study, scores)).variants[1].survives


def test_scores_that_never_vary_are_known_to_one_right_answer() -> None:
    """Of 64 tweets; a difference of two rounded numbers is off by a variance of a sixth."""
    study = study_of(seeds=2)
    scores: dict[str, list[float | None]] = {
        "muse": [0.75, 0.75],
        "no-exchange": [48 / 64 + 1 / 64] * 2,
        "no-noise": [16 / 64] * 2,
    }
    _, near, far = contrast(study, entries_of(study, scores), lambda _: 1 / 64).variants
    assert near.p == pytest.approx(2 * stats.t.sf((1 / 64) / (1 / 64 / 12**0.5), 1))
    assert near.difference is not None
    assert near.difference.low is not None
    assert near.difference.low < 0
    assert (near.survives, far.survives) == (False, True)
