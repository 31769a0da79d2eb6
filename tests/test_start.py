"""A command starts, resumes or refuses: everything but the search itself, which is replaced."""

import os
from pathlib import Path

import pytest
from commands_story import EXPERIMENT, POINT, Commands, made_commands  # noqa: F401
from PIL import Image

from search import resume
from search.cli import main
from search.entry import Word
from search.ledger import Ledger
from search.schema import sqlite_file
from search.stored import stored


def test_the_same_command_resumes(commands: Commands) -> None:
    assert commands.run(str(commands.file), "--resume") == ""
    assert commands.went[1] == commands.went[0]
    assert commands.states() == ["completed", "running"]


def test_without_an_experiment_the_stored_study_rules(commands: Commands) -> None:
    assert commands.run("--resume") == ""
    assert commands.went[1] == commands.went[0]


@pytest.mark.parametrize("named", [True, False])
def test_a_study_is_extended_and_stays_so(commands: Commands, named: bool) -> None:
    experiment = [str(commands.file)] if named else []
    assert commands.run(*experiment, "--resume", "--trials", "9") == ""
    assert commands.run(*experiment, "--resume") == ""
    assert [study.budget.trials for study in commands.went] == [3, 9, 9]
    assert stored(commands.root()).study.budget.trials == 9


@pytest.mark.parametrize(
    ("option", "said"),
    [
        (["--set", "preset=small"], "preset changed (tiny, now small)"),
        (["--seed", "4"], "seed changed (0, now 4)"),
        (["--limit", "9"], "data.limit changed (not given, now 9)"),
        (["--set", "space.cross.theta={low: 0.1, high: 0.5}"], "space.cross.theta changed"),
        (["--set", "fixed.loss.alpha=0.5"], "fixed.loss.alpha changed (not given, now 0.5)"),
    ],
)
def test_an_option_that_changes_the_study_is_named_and_refused(
    commands: Commands, option: list[str], said: str
) -> None:
    for experiment in ([], [str(commands.file)]):
        error = commands.run(*experiment, "--resume", *option)
        assert said in error
        assert "--allow-changed" in error
    assert len(commands.went) == 1
    assert commands.states() == ["completed", "running"]


def test_an_experiment_file_that_changed_is_named_and_refused(commands: Commands) -> None:
    commands.file.write_text(EXPERIMENT.replace("high: 0.5", "high: 0.4"))
    assert "space.cross.theta changed (low 0.0 high 0.5" in commands.run(
        str(commands.file), "--resume"
    )
    assert commands.run("--resume") == ""  # without the file there is nothing to compare


def test_a_change_that_is_allowed_rules_and_ends_what_was_interrupted(commands: Commands) -> None:
    assert commands.run("--resume", "--seed", "5", "--allow-changed") == ""
    assert commands.went[1].seed == 5
    assert commands.states() == ["completed", "failed"]
    ledger = Ledger(commands.root() / "ledger.db")
    entry = ledger.entry("search-0001")
    ledger.close()
    assert entry.kind == "changed"
    assert entry.reason == "interrupted, and then seed changed (0, now 5)"
    (resumed,) = stored(commands.root()).about["resumed"]
    assert resumed["changed"] == ["seed changed (0, now 5)"]


@pytest.mark.parametrize(
    ("trial_id", "phase", "kind"),
    [
        ("confirm-search-0000-seed100", "confirm", ""),  # it was running
        ("confirm-search-0000-seed100", "confirm", "disk"),
        ("final-search-0000", "final", ""),
        ("final-search-0000", "final", "error"),
    ],
)
def test_a_run_of_a_later_phase_begins_anew_after_a_change(
    commands: Commands, trial_id: str, phase: str, kind: str
) -> None:
    ledger = Ledger(commands.root() / "ledger.db")
    ledger.ask(trial_id, phase, 100, POINT, 2)
    ledger.report(trial_id, {"epoch": 1, "value": 0.5, "elapsed": 4.0}, 1.0)
    if kind:
        ledger.hear(trial_id, Word(kind=kind))
        ledger.end(trial_id, "failed", 4.0, 1.0, "no luck")
    left = commands.root() / "trials" / trial_id / "last.pt"
    left.parent.mkdir(parents=True)
    left.touch()  # of the old data, which the workers would refuse
    assert commands.run("--resume", "--limit", "20", "--allow-changed") == ""
    entry = ledger.entry(trial_id)
    ledger.close()
    assert entry.kind != "changed"  # which no phase takes up, nor counts
    assert (entry.epochs, entry.seconds) == (0, 4.0)
    assert not left.exists()


def test_changed_code_is_refused_and_where_allowed_trials_go_on(
    commands: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("search.provenance.code_hash", lambda: "f00")
    assert "the code changed (hash " in commands.run("--resume")
    assert commands.run("--resume", "--allow-changed") == ""
    assert commands.states() == ["completed", "running"]
    assert commands.run("--resume") == ""  # the code is now the one that was allowed


def test_other_searched_settings_and_budgets_are_refused_even_so(commands: Commands) -> None:
    error = commands.run("--resume", "--set", "cross.theta=0.2", "--allow-changed")
    assert "space: another one than this study has (now without cross.theta)" in error
    error = commands.run("--resume", "--epochs", "5", "--allow-changed")
    assert "budget.epochs: another one than this study has (2, now 5)" in error


def test_a_strangers_study_is_refused(commands: Commands, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: mine + 1)
    assert "belongs to another user" in commands.run("--resume")


def test_an_address_of_a_ledger_is_remembered(commands: Commands, tmp_path: Path) -> None:
    local = tmp_path / "local.db"
    assert commands.run(str(commands.file), "--ledger", f"sqlite:///{local}", name="far") == ""
    local.unlink()  # the machine is gone; the folder has a copy
    assert commands.run("--resume", name="far") == ""
    assert sqlite_file(commands.places[-1].ledger.url) == local
    assert commands.states("far") == ["completed", "running"]


def test_a_ledger_can_move_at_a_resume(commands: Commands, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/moved.db"
    assert commands.run("--resume", "--ledger", url) == ""
    assert commands.run("--resume") == ""
    assert sqlite_file(commands.places[-1].ledger.url) == tmp_path / "moved.db"
    ledger = Ledger(tmp_path / "moved.db")
    assert len(ledger.entries()) == 2
    ledger.close()


def test_a_ledger_does_not_move_to_a_server_and_leave_its_trials_behind(
    commands: Commands,
) -> None:
    error = commands.run("--resume", "--ledger", "postgresql+psycopg://me@127.0.0.1:1/db")
    assert "a ledger in sqlite does not move to postgresql" in error


def test_a_ledger_that_lost_its_trials_is_not_begun_anew(commands: Commands) -> None:
    (commands.root() / "trials.csv").touch()
    for file in commands.root().glob("ledger.db*"):
        file.unlink()
    Ledger(commands.root() / "ledger.db").close()
    assert "the ledger is gone" in commands.run("--resume")


def test_a_search_is_not_made_smaller_than_it_is(commands: Commands) -> None:
    assert "1 are asked for, but 2 are on record" in commands.run("--resume", "--trials", "1")
    assert commands.run("--resume", "--trials", "2") == ""


def test_a_resume_does_not_look_for_its_checkpoints_elsewhere(
    commands: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resume, "bring_back", lambda *_: None)
    error = commands.run("--resume", "--storage", "s3://bucket/muse")
    assert "this study is kept in its folder alone; leave --storage as it was" in error


COMPARISON = """
preset: tiny
data: {synthetic_tweets: 24}
budget: {epochs: 2}
compare: {seeds: 3, variants: {no-exchange: {cross.theta: 0}}}
"""


def test_a_dry_run_tells_what_is_read_and_that_no_picture_was_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MUSE_CACHE", str(tmp_path / "cache"))
    for split in ("train", "valid"):
        (tmp_path / f"{split}.txt").write_text(f"IMGID:{split}\nAda\tB-PER\n", encoding="utf-8")
    file = str(Path(__file__).parents[1] / "experiments" / "twitter2015_laptop.yaml")
    given = [file, "--set", "preset=tiny", "--data", str(tmp_path), "--dry-run"]
    assert main(given) == 0
    told = capsys.readouterr().out
    assert "valid: 1 tweets, 1 missing images" in told
    assert "no picture was found, so all are blank" in told
    (tmp_path / "images").mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "images" / "train.jpg")
    assert main(given) == 0
    assert "no picture was found" not in capsys.readouterr().out


def test_a_study_that_stands_already_is_told_before_the_corpus_is_read(commands: Commands) -> None:
    lost = ["--set", "data.name=twitter2015", "--data", str(commands.folder / "nowhere")]
    assert "an interrupted study stands here" in commands.run(str(commands.file), *lost)


def test_a_dry_run_tells_that_a_study_of_its_name_stands_already(
    commands: Commands, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [str(commands.file), "--dry-run", "--output", str(commands.folder / "results")]
    assert main([*given, "--name", "mine"]) == 0
    *_, price, last = capsys.readouterr().out.splitlines()
    assert "one after the other" in price
    assert (
        last
        == f"{commands.root()}: an interrupted study stands here; --resume it or give a --name."
    )


def test_a_comparison_starts_without_a_search_and_previews_its_runs(
    commands: Commands, capsys: pytest.CaptureFixture[str]
) -> None:
    commands.file.write_text(COMPARISON)
    assert main([str(commands.file), "--dry-run"]) == 0
    told = capsys.readouterr().out
    assert "6 trials, 2 variants with 3 seeds each, 2 epochs of 24 tweets each" in told
    assert commands.run(str(commands.file), name="compared") == ""
    assert commands.went[-1].phases == ("compare", "report")


@pytest.mark.parametrize("phase", ["search", "final"])
def test_a_comparison_has_no_phase_of_a_search(commands: Commands, phase: str) -> None:
    commands.file.write_text(COMPARISON)
    told = commands.run(str(commands.file), "--phases", phase, name="compared")
    assert f"compared has no phase '{phase}'; it has compare, report" in told


def test_a_search_cannot_be_resumed_as_a_comparison(commands: Commands) -> None:
    commands.file.write_text(COMPARISON)
    told = commands.run(str(commands.file), "--resume", "--allow-changed")
    assert "start a study under another --name" in told
