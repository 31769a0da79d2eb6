"""Which trial is the best, and whose model and last state are kept."""

import shutil
from io import StringIO
from pathlib import Path

from keeper_story import STUDY, Tune, made_tune  # noqa: F401
from rich.console import Console

from muse.last import LAST
from search.keeper import Keeper
from search.kept import Kept, best_of
from search.view import View


def test_only_the_search_wants_the_best_model_of_a_trial(tune: Tune) -> None:
    assert tune.start("a").config["task"]["export"] is True
    tune.begin = tune.keeper.start("sensitivity", 1, [], devices=1.0)
    assert tune.start("b").config["task"]["export"] is False


def test_the_best_trial_keeps_no_state_to_go_on_from(tune: Tune) -> None:
    trial = tune.start("a")
    folder = Path(trial.config["task"]["folder"])
    (folder / LAST).touch()
    tune.report(trial, 1, 0.5)
    tune.complete(trial)
    assert [path.name for path in folder.iterdir()] == ["best"]


def test_a_best_model_that_a_killed_process_left_untold_is_told(tune: Tune) -> None:
    trial = tune.start("a")
    folder = Path(trial.config["task"]["folder"])
    (folder / LAST).touch()
    tune.report(trial, 3, 0.5, done=True)  # killed before the trial's end was told
    again = Keeper(STUDY, tune.folder, tune.ledger, tune.keeper.view)
    again.start("search", 5, tune.ledger.entries(), devices=2.0)
    assert tune.entry("a").checkpoint == "trials/a/best"
    assert [path.name for path in folder.iterdir()] == ["best"]
    again.board.close()


def test_the_best_model_is_looked_for_once_and_not_at_every_phase(tune: Tune) -> None:
    tune.train("a", 0.6)
    assert tune.keeper.kept.best is not None
    assert tune.keeper.kept.best.checkpoint == "trials/a/best"


def test_only_the_best_trial_keeps_its_checkpoint(tune: Tune) -> None:
    for name, value in [("a", 0.2), ("b", 0.6), ("c", 0.4)]:
        tune.train(name, value)
    assert tune.checkpoints() == {"b"}


def test_running_trials_keep_their_checkpoints(tune: Tune) -> None:
    tune.start("a")
    tune.train("b", 0.6)
    tune.train("c", 0.7)
    assert tune.checkpoints() == {"a", "c"}


def test_a_completed_trial_is_better_than_a_stopped_one(tune: Tune) -> None:
    tune.train("a", 0.9, epochs=1)
    tune.train("b", 0.1)
    best = best_of(tune.ledger.entries())
    assert best is not None
    assert best.trial_id == "b"
    assert tune.checkpoints() == {"b"}


def test_runs_for_the_curves_do_not_replace_the_best(tune: Tune) -> None:
    tune.train("a", 0.5)
    tune.begin = tune.keeper.start("sensitivity", 1, [], devices=1.0)
    tune.train("b", 0.9)
    assert tune.checkpoints() == {"a"}


def test_runs_of_other_phases_are_no_best_after_an_interruption_either(tune: Tune) -> None:
    tune.train("a", 0.5)
    tune.begin = tune.keeper.start("confirm", 1, [], devices=1.0)
    tune.train("b", 0.9)
    assert Kept(tune.ledger, str(tune.folder)).best == tune.entry("a")


def test_the_last_training_keeps_its_checkpoint_until_it_is_scored(tune: Tune) -> None:
    tune.train("a", 0.5)
    tune.begin = tune.keeper.start("final", 1, [], devices=1.0)
    tune.train("final", 0.4)
    assert tune.checkpoints() == {"a", "final"}


def test_a_best_model_that_was_never_written_is_not_on_record(tune: Tune) -> None:
    trial = tune.start("a")
    shutil.rmtree(trial.config["task"]["folder"])
    tune.report(trial, 3, 0.5)
    tune.complete(trial)
    assert tune.entry("a").checkpoint == ""


def test_without_any_score_there_is_no_best(tune: Tune) -> None:
    tune.fail("a")
    assert best_of(tune.ledger.entries()) is None


def test_a_negative_score_can_be_the_best(tune: Tune) -> None:
    tune.train("a", 0.0)
    assert best_of(tune.ledger.entries()) == tune.entry("a")


def test_the_best_trials_checkpoint_is_on_record(tune: Tune) -> None:
    for name, value in [("a", 0.2), ("b", 0.6), ("c", 0.4)]:
        tune.train(name, value)
    kept = {e.trial_id: e.checkpoint for e in tune.ledger.entries()}
    assert kept == {"a": "", "b": "trials/b/best", "c": ""}


def test_of_equal_trials_the_first_keeps_its_checkpoint(tune: Tune) -> None:
    first, second = tune.start("a"), tune.start("b")
    for trial in (second, first):
        for epoch in (1, 2, 3):
            tune.report(trial, epoch, 0.5)
        tune.complete(trial)
    entries = tune.ledger.entries()
    for known in (entries, entries[::-1]):  # a clock that went back turns their order round
        best = best_of(known)
        assert best is not None
        assert (best.trial_id, tune.checkpoints()) == ("a", {"a"})


def test_after_an_interruption_the_best_of_before_keeps_its_checkpoint(
    tune: Tune, tmp_path: Path
) -> None:
    tune.train("a", 0.6)
    view = View("mine", "valid_f1", Console(file=StringIO()))
    tune.keeper = Keeper(STUDY, tmp_path, tune.ledger, view)
    tune.begin = tune.keeper.start("search", 5, tune.ledger.entries(), devices=1.0)
    tune.train("b", 0.4)
    assert tune.checkpoints() == {"a"}
