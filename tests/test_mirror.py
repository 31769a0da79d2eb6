"""Optuna's journal says what the ledger says: after stops, failures, an interruption, a resume."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import optuna
import pytest
from disk_story import no_file_above
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState
from small_search import SmallSearch

from search.entry import Entry
from search.prior import Known, Prior
from search.space import Point
from search.study import Study

STATES = {
    "completed": TrialState.COMPLETE,
    "stopped": TrialState.PRUNED,
    "failed": TrialState.FAIL,
}
STUDY = Study.model_validate(
    {
        "name": "mirrored",
        "preset": "tiny",
        "space": {
            "cross.theta": {"low": 0.0, "high": 0.5},
            "cross.mu": {"low": 0, "high": 3},
            "cross.eta": {"low": 1, "high": 4},
            "train.precision": {"choices": ["auto", "float32"]},
        },
        "budget": {"trials": 24, "epochs": 5},
        "searcher": {"startup": 30},
        "first_points": [
            {"cross.theta": 0.1, "cross.mu": 1, "cross.eta": 4, "train.precision": "auto"}
        ],
    }
)


def score(point: Point, epoch: int) -> float | None:
    """Rises and falls; some fail at once and some after two epochs."""
    theta = float(point["cross.theta"])
    if (theta < 0.05 and epoch == 1) or (theta > 0.45 and epoch == 3):
        return None
    return theta + 0.1 * epoch - 0.05 * (epoch == 5)


def journal(folder: Path) -> list[FrozenTrial]:
    """The trials as optuna-dashboard reads them."""
    storage = JournalStorage(JournalFileBackend(str(folder / "optuna.journal")))
    (study,) = optuna.get_all_study_summaries(storage)
    assert study.study_name == "mirrored"
    return optuna.load_study(study_name="mirrored", storage=storage).get_trials()


def by_optuna(trials: Sequence[FrozenTrial]) -> dict[str, Any]:
    return {
        t.user_attrs["trial_id"]: (
            t.state,
            t.value,
            t.params,
            t.intermediate_values,
            t.user_attrs["seed"],
            t.user_attrs.get("reason", ""),
        )
        for t in trials
        if "warm_start" not in t.user_attrs
    }


def by_ledger(entries: Sequence[Entry]) -> dict[str, Any]:
    return {
        e.trial_id: (
            STATES[e.state],
            None if e.state == "failed" else e.value,
            e.point,
            {r["epoch"]: r["value"] for r in e.reports},
            e.seed,
            e.reason,
        )
        for e in entries
        if e.state != "running"
    }


def test_while_a_search_runs_its_trials_are_seen_running_with_their_epochs(tmp_path: Path) -> None:
    with SmallSearch(STUDY, tmp_path, score) as search:
        search.run(reports=6)
        running = {e.trial_id: e for e in search.entries if e.state == "running"}
        seen = {t.user_attrs["trial_id"]: t for t in journal(tmp_path) if not t.state.is_finished()}
    assert seen.keys() == running.keys()
    for trial_id, trial in seen.items():
        assert trial.state == TrialState.RUNNING
        assert list(trial.intermediate_values) == [r["epoch"] for r in running[trial_id].reports]


def test_at_the_end_the_two_tables_are_equal(tmp_path: Path) -> None:
    with SmallSearch(STUDY, tmp_path, score) as search:
        search.run()
        entries = search.entries
    assert {e.state for e in entries} == {"completed", "stopped", "failed"}
    assert len(entries) == 24
    assert by_optuna(journal(tmp_path)) == by_ledger(entries)


def test_a_stopped_trial_has_its_last_step(tmp_path: Path) -> None:
    with SmallSearch(STUDY, tmp_path, score) as search:
        search.run()
        epochs = {e.trial_id: e.epochs for e in search.entries if e.state == "stopped"}
    assert epochs
    last = {
        t.user_attrs["trial_id"]: t.last_step
        for t in journal(tmp_path)
        if t.state == TrialState.PRUNED
    }
    assert last == epochs


def test_nothing_is_running_after_an_interruption(tmp_path: Path) -> None:
    with SmallSearch(STUDY, tmp_path, score) as search:
        search.run(reports=15)
        running = {e.trial_id for e in search.entries if e.state == "running"}
    trials = journal(tmp_path)
    marked = {t.user_attrs["trial_id"] for t in trials if t.user_attrs.get("interrupted")}
    assert running
    assert marked == running
    assert all(t.state.is_finished() for t in trials)


class CtrlC(dict[str, TrialState]):
    """Comes when a state is looked up."""

    def __getitem__(self, state: str) -> TrialState:
        raise KeyboardInterrupt


def test_nothing_is_running_when_ctrl_c_comes_while_an_end_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("search.mirror.STATES", CtrlC())
    with pytest.raises(KeyboardInterrupt), SmallSearch(STUDY, tmp_path, score) as search:
        search.run()
    trials = journal(tmp_path)
    assert trials
    assert all(t.state.is_finished() for t in trials)


def test_half_a_line_that_a_full_disk_left_does_not_hide_what_was_told_of_it(
    tmp_path: Path,
) -> None:
    with SmallSearch(STUDY, tmp_path, score) as search:
        search.run(reports=6)
        size = (tmp_path / "optuna.journal").stat().st_size
        name = next(e.trial_id for e in search.entries if e.state == "running")
        with no_file_above(size + 40), pytest.raises(OSError, match="File too large"):
            search.mirror.report(name, {"epoch": 4, "value": 0.5})
    assert (tmp_path / "optuna.journal").stat().st_size > size + 40  # as far as it came


@pytest.mark.parametrize("killed", [False, True])
def test_after_an_interruption_and_a_resume_the_two_tables_are_equal(
    tmp_path: Path, killed: bool
) -> None:
    first = SmallSearch(STUDY, tmp_path, score)
    first.run(reports=22)
    if killed:
        assert any(t.state == TrialState.RUNNING for t in journal(tmp_path))
        first.close()
    else:
        first.__exit__()

    with SmallSearch(STUDY, tmp_path, score) as second:
        at_once = journal(tmp_path)
        assert by_optuna(at_once) == by_ledger(second.entries)  # what was interrupted is absent
        second.run()
        entries = second.entries

    assert len(entries) == 24  # the budget is exact
    trials = journal(tmp_path)
    assert by_optuna(trials) == by_ledger(entries)
    assert len(trials) == 24  # none twice, none left over
    assert sum(e.point == STUDY.first_points[0] for e in entries) == 1


def test_the_searcher_and_the_journal_know_the_same(tmp_path: Path) -> None:
    with SmallSearch(STUDY, tmp_path, score) as search:
        search.run()
        inside = search.searcher.optuna.get_trials()
    outside = journal(tmp_path)

    def known(trials: Sequence[FrozenTrial]) -> list[Any]:
        found = [(t.params, t.state, t.intermediate_values, t.distributions) for t in trials]
        return sorted(found, key=str)

    assert known(inside) == known(outside)


def test_trials_of_earlier_studies_are_marked_and_not_counted(tmp_path: Path) -> None:
    point = {"cross.theta": 0.2, "cross.mu": 0, "cross.eta": 2, "train.precision": "auto"}
    known = Known(trial_id="search-0007", point=point, value=0.9, epochs=5)
    prior = Prior(folder="/results/earlier", trials=[known])
    for reports in (10, 10**9):  # and a resume repeats it
        with SmallSearch(STUDY, tmp_path, score, [prior]) as search:
            search.run(reports)
            entries, inside = search.entries, search.searcher.optuna.get_trials()
    assert len(entries) == 24
    for trials in (journal(tmp_path), inside):
        assert len(trials) == 25
        (told,) = [t for t in trials if "warm_start" in t.user_attrs]
        assert (told.state, told.value, told.params) == (TrialState.COMPLETE, 0.9, point)
        assert told.user_attrs == {"warm_start": "/results/earlier", "trial_id": "search-0007"}


def test_a_trial_outside_a_narrowed_space_stays_in_the_ledger_only(tmp_path: Path) -> None:
    with SmallSearch(STUDY, tmp_path, score) as search:
        search.run()
    space = {**STUDY.model_dump()["space"], "cross.theta": {"low": 0.2, "high": 0.5}}
    fields = {"space": space, "budget": {"trials": 30, "epochs": 5}, "first_points": []}
    narrow = Study.model_validate({**STUDY.model_dump(), **fields})
    with SmallSearch(narrow, tmp_path, score) as search:
        search.run()
        entries = search.entries
    assert len(entries) == 30
    inside = {e.trial_id for e in entries if float(e.point["cross.theta"]) >= 0.2}
    assert {t.user_attrs["trial_id"] for t in journal(tmp_path)} == inside
    assert len(inside) < 30
