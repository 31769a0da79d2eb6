"""What phases cost and what stopping saved."""

from typing import Any

from search.costs import PhaseCost, phase_costs
from search.entry import Entry


def entry(phase: str, state: Any, epochs: int, seconds: float) -> Entry:
    reports = tuple({"epoch": n + 1, "value": 0.5} for n in range(epochs))
    return Entry("a", phase, state, 0, {}, seconds, seconds, "", reports)


def test_a_stopped_trial_saves_the_epochs_it_did_not_train() -> None:
    entries = [
        entry("search", "completed", 10, 100.0),
        entry("search", "stopped", 2, 30.0),
        entry("search", "failed", 1, 5.0),
        entry("sensitivity", "completed", 10, 100.0),
    ]
    assert phase_costs(entries, 10) == [
        PhaseCost("search", 3, 1, 1, 13, 135.0, 8, 120.0),
        PhaseCost("sensitivity", 1, 0, 0, 10, 100.0, 0, 0),
    ]


def test_nothing_ran_and_nothing_was_saved() -> None:
    assert phase_costs([], 10) == []
    (row,) = phase_costs([entry("search", "stopped", 0, 1.0)], 10)
    assert (row.saved_epochs, row.saved_seconds) == (0, 0)


def test_a_trial_stopped_later_than_a_budget_that_was_lowered_saved_nothing() -> None:
    (row,) = phase_costs([entry("search", "stopped", 6, 60.0)], 4)
    assert (row.saved_epochs, row.saved_seconds) == (0, 0)
