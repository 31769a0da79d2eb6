"""ASHA goes on after a resume as if there had been none."""

import random
from types import SimpleNamespace
from typing import Any

import pytest
from ray.tune.schedulers import FIFOScheduler, TrialScheduler

from search.entry import Entry
from search.scheduler import Asha, build_scheduler
from search.scheduler import rungs as epochs_of_rungs
from search.study import Study

EPOCHS = 9


def build_study(**scheduler: Any) -> Study:
    return Study.model_validate(
        {"budget": {"epochs": EPOCHS}, "scheduler": {"reduction": 3, **scheduler}}
    )


def tune_trial(trial_id: str, session: int) -> SimpleNamespace:
    """A trial with an id of Tune's own, another one in each session."""
    return SimpleNamespace(
        trial_id=f"{session}-{trial_id}", config={"task": {"trial_id": trial_id}}
    )


def curve(trial_id: str) -> list[float]:
    """What a trial would score in each epoch, if nobody stopped it."""
    dice = random.Random(trial_id)
    level = dice.random()
    return [level + epoch * dice.uniform(0.0, 0.1) for epoch in range(EPOCHS)]


def entry(trial_id: str, values: list[float], state: Any) -> Entry:
    best = [max(values[: n + 1]) for n in range(len(values))]
    reports = tuple(
        {"epoch": n + 1, "value": value, "best": best[n]} for n, value in enumerate(values)
    )
    return Entry(trial_id, "search", state, 0, {}, 0.0, 0.0, "", reports)


def train(asha: Asha, trial_id: str, session: int, start: int = 0, end: int = EPOCHS) -> int:
    """Train from one epoch to another, or until ASHA stops it; returns the epochs trained."""
    trial = tune_trial(trial_id, session)
    if start == 0 or session > 0:
        asha.on_trial_add(None, trial)
    best = max(curve(trial_id)[:start], default=0.0)
    for epoch, value in enumerate(curve(trial_id)[start:end], start=start + 1):
        best = max(best, value)
        result = {"epoch": epoch, "best": best}
        if asha.on_trial_result(None, trial, result) == TrialScheduler.STOP:
            asha.on_trial_complete(None, trial, result)
            return epoch
    return end


def rungs(asha: Asha) -> list[tuple[float, dict[str, float]]]:
    """Of every rung below the full budget: at the last one nothing is decided."""
    return [(epoch, dict(seen)) for epoch, seen in asha._brackets[0]._rungs if epoch < EPOCHS]


@pytest.mark.parametrize(
    ("grace", "reduction"), [(1, 3), (2, 3), (1, 2.5), (4, 2), (9, 3), (20, 3)]
)
def test_a_trial_is_stopped_at_the_epochs_that_are_told_beforehand(
    grace: int, reduction: float
) -> None:
    study = build_study(grace_epochs=grace, reduction=reduction)
    asha = build_scheduler(study, [])
    ends = {train(asha, f"t{n}", 0) for n in range(200)}
    assert ends == {*epochs_of_rungs(study), EPOCHS}


@pytest.mark.parametrize("grace", [1, 2, 7, 25])
@pytest.mark.parametrize("reduction", [1.1, 1.4, 1.6, 2, 3, 4.5])
@pytest.mark.parametrize("epochs", [1, 5, 30, 81])
def test_what_is_told_beforehand_is_what_rays_asha_does(
    grace: int, reduction: float, epochs: int
) -> None:
    study = Study.model_validate(
        {
            "budget": {"epochs": epochs},
            "scheduler": {"reduction": reduction, "grace_epochs": grace},
        }
    )
    asha = build_scheduler(study, [])
    asha.on_trial_add(None, tune_trial("a", 0))
    told = []
    for epoch in range(1, epochs):
        before = sum(len(seen) for _, seen in asha._brackets[0]._rungs)
        asha.on_trial_result(None, tune_trial("a", 0), {"epoch": epoch, "best": 0.5})
        if sum(len(seen) for _, seen in asha._brackets[0]._rungs) > before:
            told.append(epoch)
    assert epochs_of_rungs(study) == tuple(told)


def test_without_a_scheduler_nothing_is_stopped() -> None:
    assert epochs_of_rungs(build_study(name="none")) == ()


def test_replaying_the_ledger_builds_the_same_rungs() -> None:
    before = build_scheduler(build_study(), [])
    epochs = {f"t{n}": train(before, f"t{n}", 0) for n in range(30)}
    assert len(set(epochs.values())) == 3  # some stopped at each of both rungs, some not at all

    entries = [entry(name, curve(name)[:trained], "stopped") for name, trained in epochs.items()]
    after = build_scheduler(build_study(), entries)

    assert rungs(after) == rungs(before)


@pytest.mark.parametrize("cut", [1, 5, 12, 25])
def test_decisions_after_a_resume_are_those_without_an_interruption(cut: int) -> None:
    names = [f"t{n}" for n in range(40)]
    straight = build_scheduler(build_study(), [])
    expected = [train(straight, name, 0) for name in names]

    first = build_scheduler(build_study(), [])
    trained = [train(first, name, 0) for name in names[:cut]]
    entries = [
        entry(name, curve(name)[:epochs], "stopped")
        for name, epochs in zip(names, trained, strict=False)
    ]
    second = build_scheduler(build_study(), entries)

    assert trained + [train(second, name, 1) for name in names[cut:]] == expected


def test_a_trial_that_was_interrupted_midway_ends_where_it_would_have() -> None:
    names = [f"t{n}" for n in range(20)]
    straight = build_scheduler(build_study(), [])
    expected = {name: train(straight, name, 0) for name in names}
    whole = [name for name in names if expected[name] == EPOCHS]
    last = whole[-1]
    earlier = names[: names.index(last)]

    entries = [entry(name, curve(name)[: expected[name]], "stopped") for name in earlier]
    entries.append(entry(last, curve(last)[:2], "running"))  # past the first rung
    second = build_scheduler(build_study(), entries)

    assert train(second, last, 1, start=2) == EPOCHS
    rung_3, rung_1 = rungs(second)
    assert last in rung_3[1]
    assert rung_1[1][last] == curve(last)[0]  # what it had there, not what it has now


def test_the_lower_two_thirds_stop_at_the_first_rung() -> None:
    asha = build_scheduler(build_study(), [])
    actions = []
    for number, value in enumerate([0.9, 0.8, 0.7, 0.95]):
        trial = tune_trial(f"t{number}", 0)
        asha.on_trial_add(None, trial)
        actions.append(asha.on_trial_result(None, trial, {"epoch": 1, "best": value}))
    assert actions == ["CONTINUE", "STOP", "STOP", "CONTINUE"]


def test_nobody_is_stopped_before_the_grace_epochs_are_over() -> None:
    asha = build_scheduler(build_study(grace_epochs=3), [])
    for number in range(10):
        trial = tune_trial(f"t{number}", 0)
        asha.on_trial_add(None, trial)
        for epoch in (1, 2):
            result = {"epoch": epoch, "best": 1.0 - number / 10}
            assert asha.on_trial_result(None, trial, result) == TrialScheduler.CONTINUE


def test_a_trial_ends_at_the_full_budget() -> None:
    asha = build_scheduler(build_study(), [])
    trial = tune_trial("t", 0)
    asha.on_trial_add(None, trial)
    result = {"epoch": EPOCHS, "best": 1.0}
    assert asha.on_trial_result(None, trial, result) == TrialScheduler.STOP


def test_more_grace_than_epochs_is_cut_to_the_epochs() -> None:
    asha = build_scheduler(build_study(grace_epochs=EPOCHS + 5), [])
    assert train(asha, "t", 0) == EPOCHS


def test_a_trial_that_failed_before_its_first_report_changes_no_rung() -> None:
    asha = build_scheduler(build_study(), [entry("t", [], "failed")])
    assert all(not seen for _, seen in rungs(asha))


def test_a_failure_does_not_enter_a_rung_as_a_low_score() -> None:
    asha = build_scheduler(build_study(), [])
    trial = tune_trial("t", 0)
    asha.on_trial_add(None, trial)
    failed = {"epoch": 0, "best": 0.0, "failed": "no memory"}
    asha.on_trial_result(None, trial, failed)
    asha.on_trial_complete(None, trial, failed)
    assert all(not seen for _, seen in rungs(asha))


def test_nobody_stops_trials_where_the_study_wants_none_stopped() -> None:
    scheduler = build_scheduler(build_study(name="none"), [entry("t", [0.1], "completed")])
    assert type(scheduler) is FIFOScheduler
