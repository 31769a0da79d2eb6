"""Two settings varied together."""

from typing import Any

import numpy as np
import pytest
from sample_entries import POINT, sample_entry
from scipy import stats

from search.entry import Entry
from search.interactions import changed, contrast, interaction

PAIR = ("cross.theta", "loss.alpha")
THETA, ALPHA = POINT["cross.theta"], POINT["loss.alpha"]


def cell(theta: float, alpha: float, *scores: float | None) -> list[Entry]:
    """Runs at a pair of values with the seeds 0, 1, 2 and so on."""
    point = {**POINT, "cross.theta": theta, "loss.alpha": alpha}
    return [
        sample_entry(f"{theta}-{alpha}-{k}", score, phase="sensitivity", seed=k, point=point)
        for k, score in enumerate(scores)
    ]


SINGLE = [
    *cell(THETA, ALPHA, 0.60, 0.70, 0.65),
    *cell(0.5, ALPHA, 0.55, 0.64, 0.61),
    *cell(THETA, 0.1, 0.50, 0.58, 0.56),
]
BOTH = (0.30, 0.41, 0.44)


def test_settings_that_depart_from_the_incumbents_are_changed() -> None:
    assert changed(POINT, POINT) == set()
    assert changed({**POINT, "cross.mu": 0, "loss.alpha": 0.1}, POINT) == {"cross.mu", "loss.alpha"}


def test_settings_that_were_not_varied_together_have_no_interaction() -> None:
    assert interaction(SINGLE, POINT, PAIR) is None
    assert interaction([*SINGLE, *cell(0.5, 0.1, None, None)], POINT, PAIR) is None


def test_a_pair_whose_runs_all_failed_was_trained() -> None:
    there = [*SINGLE, *cell(0.5, 0.1, *BOTH), *cell(0.9, 0.1, None, None)]
    found = interaction(there, POINT, PAIR)
    assert found is not None
    assert found.failed == {(0.9, 0.1)}  # with 0.9 alone nothing was
    assert (0.9, 0.1) not in found.means


def test_the_surplus_is_the_contrast_of_four_cells_with_students_interval() -> None:
    found = interaction([*SINGLE, *cell(0.5, 0.1, *BOTH)], POINT, PAIR)
    assert found is not None
    extra = [0.30 - 0.55 - 0.50 + 0.60, 0.41 - 0.64 - 0.58 + 0.70, 0.44 - 0.61 - 0.56 + 0.65]
    half = stats.t.ppf(0.975, 2) * np.std(extra, ddof=1) / np.sqrt(3)
    centre = np.mean(extra)
    assert found.surplus.keys() == {(0.5, 0.1)}
    assert found.surplus[0.5, 0.1] == pytest.approx((centre, centre - half, centre + half))


def test_the_map_holds_the_mean_of_every_pair_that_was_trained() -> None:
    found = interaction([*SINGLE, *cell(0.5, 0.1, *BOTH)], POINT, PAIR)
    assert found is not None
    assert found.values == ((0.1, 0.5), (1e-3, 1e-1))
    assert found.means == {
        (0.1, 1e-3): pytest.approx(0.65),
        (0.5, 1e-3): pytest.approx(0.60),
        (0.1, 1e-1): pytest.approx(1.64 / 3),
        (0.5, 1e-1): pytest.approx(1.15 / 3),
    }


def test_two_changes_that_add_up_have_no_surplus_and_rounding_is_no_noise() -> None:
    seeds = (0.1, 0.2, 0.3)
    cells: list[Any] = [
        dict(enumerate(s + change for s in seeds)) for change in (0.07, 0.03, 0.04, 0)
    ]
    surplus = contrast(*cells)
    assert surplus is not None
    assert surplus == (pytest.approx(0.0, abs=1e-12), None, None)


def test_one_seed_has_a_surplus_without_interval() -> None:
    assert contrast({0: 0.9}, {0: 0.6}, {0: 0.6}, {0: 0.5}) == (pytest.approx(0.2), None, None)


def test_only_seeds_of_all_four_cells_count() -> None:
    assert contrast({0: 0.9, 1: 0.1}, {0: 0.6}, {0: 0.6, 1: 0.3}, {0: 0.5, 1: 0.2}) == (
        pytest.approx(0.2),
        None,
        None,
    )
    assert contrast({0: 0.9}, {1: 0.6}, {0: 0.6}, {0: 0.5}) is None


def test_a_corner_without_its_single_changes_has_a_mean_but_no_surplus() -> None:
    alone = [*SINGLE[:3], *cell(0.5, 0.1, *BOTH)]
    found = interaction(alone, POINT, PAIR)
    assert found is not None
    assert (0.5, 0.1) in found.means
    assert found.surplus == {}


def test_numbers_stand_before_texts_on_an_axis() -> None:
    best = {"text.length": "auto", "loss.alpha": 1}
    both = sample_entry("both", 0.5, point={"text.length": 64, "loss.alpha": 2})
    found = interaction([both], best, ("text.length", "loss.alpha"))
    assert found is not None
    assert found.values == ((64, "auto"), (1, 2))


def test_a_third_change_is_not_part_of_the_map() -> None:
    other = {**POINT, "cross.theta": 0.5, "loss.alpha": 0.1, "cross.mu": 0}
    third = sample_entry("third", 0.9, phase="sensitivity", seed=0, point=other)
    entries = [*SINGLE, *cell(0.5, 0.1, *BOTH)]
    assert interaction([*entries, third], POINT, PAIR) == interaction(entries, POINT, PAIR)
