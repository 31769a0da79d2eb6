"""What the curves will cost, and what is left out where they cost too much."""

from itertools import pairwise

import pytest
from sample_entries import sample_entry, sample_study

from search.estimate import estimate, smaller
from search.sections import Curves

STUDY = sample_study(budget={"trials": 4, "epochs": 6}, resources={"price_per_hour": 3.0})
ENTRIES = [
    sample_entry("a", epochs=6, seconds=1800.0, device_seconds=3600.0),
    sample_entry("b", epochs=2, state="stopped", seconds=600.0, device_seconds=1200.0),
    sample_entry("c", None, seconds=60.0, device_seconds=600.0),
    sample_entry("d", epochs=6, phase="confirm", seconds=3600.0, device_seconds=1800.0),
]


def test_an_estimate_takes_the_mean_of_full_runs_in_whole_rounds() -> None:
    cost = estimate(STUDY, ENTRIES, runs=5, concurrent=2, devices=4.0)
    assert cost.runs == 5
    assert cost.hours == pytest.approx(3 * 0.75)  # runs of 45 minutes, two at once
    assert cost.device_hours == pytest.approx(5 * 0.75 * 4)
    assert cost.money == pytest.approx(45.0)


def test_without_a_full_run_nothing_can_be_estimated() -> None:
    assert estimate(STUDY, ENTRIES[1:3], 5, 2, 1.0).hours == 0.0


def test_curves_shrink_in_the_stated_order() -> None:
    curves: Curves | None = Curves(points=5, seeds=4, pairs=2)
    steps = []
    while curves is not None:
        steps.append((curves.pairs, curves.seeds, curves.points))
        curves = smaller(curves)
    assert steps == [(2, 4, 5), (0, 4, 5), (0, 3, 5), (0, 2, 5), (0, 2, 4), (0, 2, 3), (0, 1, 3)]


def test_each_step_changes_one_field_and_keeps_the_wish_for_hours() -> None:
    curves: Curves | None = Curves(points=4, seeds=3, pairs=1, max_hours=2.0)
    steps = []
    while curves is not None:
        steps.append(curves.model_dump())
        curves = smaller(curves)
    for before, after in pairwise(steps):
        assert sum(before[name] != after[name] for name in before) == 1
    assert {step["max_hours"] for step in steps} == {2.0}
