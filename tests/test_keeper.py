"""What Tune tells goes on record, with stand-ins for Tune's trials."""

import csv
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from keeper_story import STUDY, Tune, made_tune  # noqa: F401

from muse.errors import UserError
from muse.fingerprint import fingerprint
from search.scheduler import rungs
from search.searcher import Proposal


def test_a_proposal_is_on_record_before_it_runs(tune: Tune) -> None:
    trial = tune.start("a", theta=0.2)
    assert tune.entry("a").state == "running"
    config = trial.config["task"]["config"]
    assert (config["cross"]["theta"], config["cross"]["dropout"]) == (0.2, 0.3)
    assert trial.config["seen"] == 0


def test_a_trial_carries_the_fingerprint_of_what_is_asked(tune: Tune) -> None:
    task = tune.start("a").config["task"]
    assert task["fingerprint"] == fingerprint(task["config"])
    assert tune.entry("a").asked_hash == task["fingerprint"]


def test_only_runs_of_a_comparison_are_scored_on_the_test_split(tune: Tune) -> None:
    assert tune.start("a").config["task"]["test"] is False
    tune.begin = tune.keeper.start("compare", 1, [], devices=1.0)
    task = tune.start("b").config["task"]
    assert (task["test"], task["export"]) == (True, True)


def test_only_a_trial_of_the_search_knows_when_it_may_be_stopped(tune: Tune) -> None:
    assert tune.start("a").config["task"]["rungs"] == rungs(STUDY) != ()
    tune.begin = tune.keeper.start("sensitivity", 1, [], devices=1.0)
    assert tune.start("b").config["task"]["rungs"] == ()


def test_a_trial_that_goes_on_knows_how_many_epochs_are_on_record(tune: Tune) -> None:
    point = {"cross.theta": 0.1, "cross.mu": 1}
    assert tune.begin(Proposal("a", point, 0, seen=2))["seen"] == 2


def test_the_view_is_told_what_runs_and_what_has_ended(tune: Tune) -> None:
    view = tune.keeper.view
    assert (view.phase, view.total) == ("search", 5)
    tune.start("running")
    tune.train("a", 0.6)
    assert view.running == {"running"}
    assert view.counts["completed"] == 1
    assert view.best == tune.keeper.kept.best


def test_each_epoch_is_drawn_and_sent(tune: Tune, monkeypatch: pytest.MonkeyPatch) -> None:
    trial = tune.start("a")
    drawn: list[tuple[str, int]] = []
    sent: list[int] = []
    board = tune.keeper.board
    monkeypatch.setattr(board, "report", lambda name, told: drawn.append((name, told["epoch"])))
    monkeypatch.setattr(tune.keeper, "send", lambda: sent.append(tune.entry("a").epochs))
    for epoch in (1, 2):
        tune.report(trial, epoch, 0.5)
    assert drawn == [("a", 1), ("a", 2)]
    assert sent == [1, 2]


def test_the_end_of_a_trial_is_sent_before_its_checkpoints_go(
    tune: Tune, monkeypatch: pytest.MonkeyPatch
) -> None:
    tune.train("a", 0.6)
    trial = tune.start("b")
    there: list[set[str]] = []
    monkeypatch.setattr(tune.keeper, "send", lambda: there.append(tune.checkpoints()))
    tune.report(trial, 3, 0.4)
    tune.complete(trial)
    assert there[-1] == {"a", "b"}
    assert tune.checkpoints() == {"a"}


def test_where_a_trial_runs_is_no_figure_of_its_epochs(tune: Tune) -> None:
    trial = tune.start("a")
    tune.report(trial, 1, 0.5, node="host-1", fingerprint="abc")
    assert not {"node", "fingerprint"} & tune.entry("a").reports[0].keys()


def test_what_tune_adds_to_a_report_is_left_out(tune: Tune) -> None:
    trial = tune.start("a")
    tune.report(trial, 1, 0.5, pid=7, training_iteration=1, done=True, iterations_since_restore=1)
    (report,) = tune.entry("a").reports
    assert report.keys() == {"epoch", "value", "best", "valid_f1", "elapsed"}


def test_a_trial_with_all_its_epochs_is_completed(tune: Tune) -> None:
    tune.train("a", 0.6)
    entry = tune.entry("a")
    assert (entry.state, entry.reason, entry.epochs, entry.value) == ("completed", "", 3, 0.6)


@pytest.mark.parametrize(
    ("epoch", "verdict"), [(2, ("stopped", "ASHA after epoch 2")), (3, ("completed", ""))]
)
def test_a_verdict_is_on_record_with_its_report_so_that_a_kill_cannot_part_them(
    tune: Tune, epoch: int, verdict: tuple[str, str]
) -> None:
    tune.report(tune.start("a"), epoch, 0.5, done=True)
    entry = tune.entry("a")
    assert (entry.state, entry.reason) == verdict
    assert entry.ended > 0


def test_seconds_count_once_and_per_device(tune: Tune) -> None:
    tune.train("a", 0.6)
    entry = tune.entry("a")
    assert (entry.seconds, entry.device_seconds) == (30.0, 60.0)


def test_a_trial_costs_what_its_workers_say_that_they_held(tune: Tune) -> None:
    trial = tune.start("a")
    tune.report(trial, 1, 0.5, devices=0.25)
    assert tune.entry("a").device_seconds == 2.5
    tune.report(trial, 1, 0.5, devices=0.25, elapsed=20.0, failed="no memory")
    tune.complete(trial)
    assert (tune.entry("a").seconds, tune.entry("a").device_seconds) == (20.0, 5.0)


def test_what_workers_held_is_the_mean_of_all_attempts(tune: Tune) -> None:
    trial = tune.start("a")
    tune.report(trial, 1, 0.5, devices=0.5)
    tune.report(trial, 2, 0.5, devices=0.75)  # ten more seconds, on a whole device
    assert (tune.entry("a").seconds, tune.entry("a").device_seconds) == (20.0, 15.0)


def test_a_trial_with_fewer_epochs_was_stopped(tune: Tune) -> None:
    tune.train("a", 0.6, epochs=2)
    entry = tune.entry("a")
    assert (entry.state, entry.reason) == ("stopped", "ASHA after epoch 2")


def test_a_trial_that_tells_why_it_failed_has_failed(tune: Tune) -> None:
    trial = tune.start("a")
    tune.report(trial, 1, 0.4)
    tune.report(trial, 1, 0.4, failed="the loss is not finite")
    tune.complete(trial)
    entry = tune.entry("a")
    assert (entry.state, entry.reason, entry.epochs) == ("failed", "the loss is not finite", 1)


def test_a_failure_is_no_epoch(tune: Tune) -> None:
    tune.fail("a")
    assert tune.entry("a").reports == ()


def test_only_numbers_of_a_report_are_kept(tune: Tune) -> None:
    tune.train("a", 0.6, epochs=1)
    assert "hostname" not in tune.entry("a").reports[0]


def test_a_lost_driver_fails_its_trial_with_its_last_words(tune: Tune, tmp_path: Path) -> None:
    trial = tune.start("a")
    trial.error_file = str(tmp_path / "error.txt")
    Path(trial.error_file).write_text("Traceback\n  ...\nActorDiedError: it was killed\n")
    tune.keeper.on_trial_error(0, [], trial)
    entry = tune.entry("a")
    assert (entry.reason, entry.kind) == ("ActorDiedError: it was killed", "worker lost")


@pytest.mark.parametrize("words", [None, "", "\n"])
def test_a_lost_driver_without_words_fails_its_trial(
    tune: Tune, tmp_path: Path, words: str | None
) -> None:
    trial = tune.start("a")
    if words is not None:
        trial.error_file = str(tmp_path / "error.txt")
        Path(trial.error_file).write_text(words)
    tune.keeper.on_trial_error(0, [], trial)
    assert tune.entry("a").reason == "its driver was lost"


def test_the_table_shows_each_trial_with_searched_and_fixed_settings(
    tune: Tune, tmp_path: Path
) -> None:
    tune.train("a", 0.6)
    with (tmp_path / "trials.csv").open(newline="") as stream:
        (row,) = csv.DictReader(stream)
    assert (row["theta"], row["mu"], row["eta"], row["dropout"]) == ("0.1", "1", "4", "0.3")
    assert (row["state"], row["metric"], row["value"]) == ("completed", "valid_f1", "0.6")


def test_the_table_shows_no_fixed_setting_of_a_trial_that_had_another(
    tune: Tune, tmp_path: Path
) -> None:
    tune.train("before", 0.6)
    tune.keeper.study = STUDY.model_copy(update={"fixed": {**STUDY.fixed, "cross.dropout": 0.4}})
    tune.train("after", 0.6)
    with (tmp_path / "trials.csv").open(newline="") as stream:
        before, after = csv.DictReader(stream)
    assert (before["theta"], before["dropout"]) == (after["theta"], "")
    assert after["dropout"] == "0.4"


def test_each_trial_is_a_run_in_tensorboard(tune: Tune, tmp_path: Path) -> None:
    tune.train("a", 0.6)
    tune.fail("b")
    assert {folder.name for folder in (tmp_path / "tensorboard").iterdir()} == {"a", "b"}


def test_what_workers_say_of_a_trial_goes_on_record_and_is_no_figure(tune: Tune) -> None:
    trial = tune.start("a")
    tune.report(trial, 1, 0.4, node="gpu-1", fingerprint="f00", attempts=1)
    tune.report(trial, 1, 0.4, failed="no memory", kind="memory", attempts=1)
    tune.complete(trial)
    entry = tune.entry("a")
    assert (entry.node, entry.built_hash, entry.kind) == ("gpu-1", "f00", "memory")
    assert (entry.attempts, entry.budget) == (2, 3)  # of its workers one group was lost
    assert entry.reports[0].keys() == {"epoch", "value", "best", "valid_f1", "elapsed"}


def test_a_failure_of_no_kind_is_an_error(tune: Tune) -> None:
    tune.fail("a", kind="")
    assert tune.entry("a").kind == "error"


def test_what_cannot_be_put_on_record_ends_the_search_and_changes_nothing_more(
    tune: Tune, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise UserError("ledger.db: the ledger cannot be written")

    running, other = tune.start("a"), tune.start("b")
    tune.report(running, 1, 0.5)
    with monkeypatch.context() as patch:
        patch.setattr(tune.ledger, "report", full)
        tune.report(running, 2, 0.6)
    assert tune.keeper.broken == "ledger.db: the ledger cannot be written"
    assert tune.keeper.given_up
    tune.complete(other)  # Tune ends what is left
    assert {e.state for e in tune.ledger.entries()} == {"running"}
    assert tune.entry("a").epochs == 1


def test_once_something_could_not_be_put_on_record_no_trial_ends(tune: Tune) -> None:
    trial = tune.start("a")
    tune.keeper.broken = "bucket: no answer"
    tune.report(trial, 1, 0.5)
    tune.report(trial, 1, 0.5, failed="no memory")
    tune.complete(trial)
    entry = tune.entry("a")
    assert (entry.state, entry.epochs) == ("running", 0)
    assert tune.checkpoints() == {"a"}


def test_a_bucket_that_is_away_when_a_trial_is_asked_ends_the_search(
    tune: Tune, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: Any) -> None:
        raise OSError("When getting information: AWS Error: no answer")

    monkeypatch.setattr(tune.keeper, "send", away)
    tune.start("a")
    assert "no answer); wait until the bucket answers, then --resume" in tune.keeper.broken
    assert tune.keeper.given_up


def test_a_table_that_cannot_be_written_is_named(
    tune: Tune, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device", "trials.csv.new")

    monkeypatch.setattr("search.keeper.write_csv", full)
    tune.train("a", 0.6)
    assert tune.keeper.broken == (
        "trials.csv.new: cannot be written (No space left on device); make room, then --resume."
    )


def test_a_long_table_is_drawn_now_and_then_and_at_the_end(
    tune: Tune, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[int] = []
    monkeypatch.setattr("search.keeper.SMALL_TABLE", 3)
    monkeypatch.setattr("search.keeper.write_csv", lambda entries, *_: drawn.append(len(entries)))
    for number in range(6):
        tune.train(f"t{number}", 0.1)
    tune.keeper.table()
    assert drawn == [1, 2, 3, 6]


def test_a_search_that_is_left_leaves_a_table_that_is_up_to_date(
    tune: Tune, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("search.keeper.SMALL_TABLE", 1)
    for name in ("a", "b", "c"):
        tune.train(name, 0.1)
    tune.keeper.close()
    assert (tmp_path / "trials.csv").read_text().count("\n") == 4


def test_a_search_without_an_ended_trial_leaves_no_table(tune: Tune, tmp_path: Path) -> None:
    tune.start("a")
    tune.keeper.close()
    assert not (tmp_path / "trials.csv").exists()


def test_ctrl_c_while_an_end_is_told_leaves_that_trial_in_the_table(
    tune: Tune, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(tune.keeper.kept, "clear", interrupted)
    with pytest.raises(KeyboardInterrupt):
        tune.train("a", 0.5)
    tune.keeper.close()

    assert (tmp_path / "trials.csv").read_text().count("completed") == 1


def test_at_the_end_all_of_the_folder_is_sent(tune: Tune) -> None:
    sent: list[bool] = []
    tune.keeper.abroad = SimpleNamespace(send=lambda everything=False: sent.append(everything))
    tune.train("a", 0.6)
    assert not any(sent)
    tune.keeper.close()
    assert sent[-1] is True
