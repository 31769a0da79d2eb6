"""When failures end a search, and when it goes on."""

import pytest
from keeper_story import Tune, made_tune  # noqa: F401

from search.streak import GIVE_UP_AFTER, PATIENCE


def test_failures_in_a_row_end_the_search(tune: Tune) -> None:
    for number in range(GIVE_UP_AFTER):
        assert not tune.keeper.given_up
        tune.fail(f"t{number}")
    assert tune.keeper.given_up


def test_failures_of_several_kinds_keep_the_search_going(tune: Tune) -> None:
    for number in range(GIVE_UP_AFTER + 1):
        tune.fail(f"t{number}", kind=("memory", "diverged")[number % 2])
    assert not tune.keeper.given_up


def test_the_same_kind_of_failure_counts_whatever_its_words(tune: Tune) -> None:
    tune.fail("other", kind="diverged")
    for number in range(GIVE_UP_AFTER):
        tune.fail(f"t{number}", reason=f"allocation {number} failed", kind="memory")
    assert tune.keeper.given_up
    assert tune.keeper.streak.kind == "memory"
    assert tune.keeper.streak.reasons[-1] == f"allocation {GIVE_UP_AFTER - 1} failed"


def test_a_success_between_failures_keeps_the_search_going(tune: Tune) -> None:
    for number in range(GIVE_UP_AFTER - 1):
        tune.fail(f"t{number}")
    tune.train("a", 0.5, epochs=1)
    tune.fail("z")
    assert not tune.keeper.given_up


@pytest.mark.parametrize("phase", ["confirm", "sensitivity"])
def test_a_value_that_fails_with_every_seed_does_not_end_its_phase(tune: Tune, phase: str) -> None:
    tune.begin = tune.keeper.start(phase, 30, [], devices=1.0)
    for number in range(5 * GIVE_UP_AFTER):
        tune.fail(f"t{number}")
    assert not tune.keeper.given_up


@pytest.mark.parametrize("phase", ["confirm", "sensitivity"])
def test_machines_that_are_lost_in_a_row_end_every_phase(tune: Tune, phase: str) -> None:
    tune.begin = tune.keeper.start(phase, 30, [], devices=1.0)
    for number in range(GIVE_UP_AFTER):
        assert not tune.keeper.given_up
        tune.fail(f"t{number}", reason="no workers are left", kind="worker lost")
    assert tune.keeper.given_up  # else all 30 fail at once, and the study counts as finished


def test_curves_of_which_nothing_works_end(tune: Tune) -> None:
    tune.begin = tune.keeper.start("sensitivity", 99, [], devices=1.0)
    for number in range(PATIENCE):
        tune.keeper.streak.reasons.append(f"t{number}")
    assert tune.keeper.given_up


def test_failures_of_one_phase_are_not_held_against_the_next(tune: Tune) -> None:
    for number in range(GIVE_UP_AFTER - 1):
        tune.fail(f"t{number}")
    tune.begin = tune.keeper.start("search", 5, [], devices=1.0)
    tune.fail("z")
    assert not tune.keeper.given_up


@pytest.mark.parametrize("epochs", [0, 1])
def test_what_still_runs_when_the_search_gives_up_was_interrupted_not_stopped(
    tune: Tune, epochs: int
) -> None:
    running = tune.start("running")
    for epoch in range(epochs):
        tune.report(running, epoch + 1, 0.5)
    for number in range(GIVE_UP_AFTER):
        tune.fail(f"t{number}")

    tune.complete(running)  # Tune ends what is left

    assert tune.entry("running").state == "running"
    assert "running" in tune.checkpoints()
    assert tune.keeper.given_up
