"""A command starts, resumes or refuses: everything but the search itself, which is replaced."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image

from search import resume, start
from search.cli import main
from search.entry import Word
from search.ledger import Ledger
from search.schema import sqlite_file
from search.stored import stored
from search.study import Study

EXPERIMENT = """
preset: tiny
data: {synthetic_tweets: 24}
budget: {trials: 3, epochs: 2}
fixed: {cross.layers: 4}
space:
  cross.theta: {low: 0.0, high: 0.5}
  cross.mu: {low: 0, high: 2}
"""
POINT = {"cross.theta": 0.1, "cross.mu": 1}


class Commands:
    """Runs the command; notes what would have been searched."""

    def __init__(self, folder: Path, said: pytest.CaptureFixture[str]) -> None:
        self.folder, self.said = folder, said
        self.file = folder / "mine.yaml"
        self.file.write_text(EXPERIMENT)
        self.went: list[Study] = []
        self.places: list[Any] = []
        self.notes: Sequence[str] = ()

    def go(self, study: Study, place: Any, *given: Any) -> None:
        """Instead of a search: one trial ends, one is interrupted."""
        *_, self.notes = given
        self.went.append(study)
        self.places.append(place)
        ledger = Ledger(place.ledger)
        if not ledger.entries():
            for name in ("search-0000", "search-0001"):
                ledger.ask(name, "search", 0, POINT, study.budget.epochs)
                ledger.report(name, {"epoch": 1, "value": 0.5, "elapsed": 1.0}, 1.0)
            ledger.report("search-0000", {"epoch": 2, "value": 0.7, "elapsed": 2.0}, 1.0)
            ledger.end("search-0000", "completed", 2.0, 1.0, "")
        ledger.close()

    def run(self, *words: str, name: str = "mine") -> str:
        """The command's error; nothing where it went well."""
        given = [*words, "--output", str(self.folder / "results"), "--name", name]
        status = main(given)
        error = self.said.readouterr().err
        assert (status, error.count("\n")) in [(0, 0), (2, 1)]
        return error

    def states(self, name: str = "mine") -> list[str]:
        ledger = Ledger(self.root(name) / "ledger.db")
        found = [e.state for e in ledger.entries()]
        ledger.close()
        return found

    def root(self, name: str = "mine") -> Path:
        return self.folder / "results" / name


@pytest.fixture
def commands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Commands:
    """A study that was begun and interrupted."""
    monkeypatch.setenv("MUSE_CACHE", str(tmp_path / "cache"))
    made = Commands(tmp_path, capsys)
    for module in (start, resume):
        monkeypatch.setattr(module, "go", made.go)
    assert made.run(str(made.file)) == ""
    return made


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


def test_an_earlier_study_lends_its_full_trials_and_a_resume_knows_them(
    commands: Commands,
) -> None:
    earlier = ["--warm-start", str(commands.root())]
    assert commands.run(str(commands.file), *earlier, *earlier, name="next") == ""
    assert commands.notes == [f"learning from 1 trial of {commands.root()}"]
    assert commands.run("--resume", name="next") == ""
    assert commands.run("--resume", *earlier, name="next") == ""  # the same command, too
    for place in commands.places[1:]:
        (prior,) = place.priors
        assert prior.folder == str(commands.root())
        (trial,) = prior.trials  # the one that was trained in full
        assert (trial.trial_id, trial.point, trial.value) == ("search-0000", POINT, 0.7)
    about = yaml.safe_load((commands.root("next") / "study.yaml").read_text())
    assert about["warm_start"][0]["trials"][0]["trial_id"] == "search-0000"


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("budget.epochs=3", "although budget.epochs changed (2, now 3)"),
        ("train.batch_size=7", "although fixed.train.batch_size changed (not given, now 7)"),
        ("data.synthetic_seed=1", "although its data was other"),
    ],
)
def test_in_what_an_earlier_study_was_otherwise_is_said(
    commands: Commands, option: str, said: str
) -> None:
    earlier = ["--warm-start", str(commands.root()), "--set", option]
    assert commands.run(str(commands.file), *earlier, name="next") == ""
    assert commands.notes == [f"learning from 1 trial of {commands.root()}, {said}"]


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("space.cross.theta={low: 0.0, high: 0.4}", "cross.theta is range 0.0..0.5 there, range"),
        ("cross.theta=0.2", "cross.theta is searched only there"),
        ("space.loss.alpha={low: 0.1, high: 0.5}", "loss.alpha is searched only here"),
        ("metric=valid_f1_official", "its metric is valid_f1, this study's is valid_f1_official"),
    ],
)
def test_an_earlier_study_of_another_space_is_refused(
    commands: Commands, option: str, said: str
) -> None:
    earlier = ["--warm-start", str(commands.root())]
    error = commands.run(str(commands.file), *earlier, "--set", option, name="next")
    assert said in error
    assert not commands.root("next").exists()


def test_an_earlier_study_that_was_brought_back_is_read_from_its_folder(
    commands: Commands, tmp_path: Path
) -> None:
    there = tmp_path / "the heads"
    there.mkdir()
    url = f"sqlite:///{there}/far.db"
    assert commands.run(str(commands.file), "--ledger", url, name="far") == ""
    shutil.rmtree(there)  # only the copy in the study's folder came here
    earlier = ["--warm-start", str(commands.root("far"))]
    assert commands.run(str(commands.file), *earlier, name="next") == ""
    assert [prior.trials[0].trial_id for prior in commands.places[-1].priors] == ["search-0000"]
    assert not there.exists()


def test_a_search_is_not_made_smaller_than_it_is(commands: Commands) -> None:
    assert "1 are asked for, but 2 are on record" in commands.run("--resume", "--trials", "1")
    assert commands.run("--resume", "--trials", "2") == ""


def test_a_strangers_study_is_not_learnt_from(
    commands: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: mine + 1)
    earlier = ["--warm-start", str(commands.root())]
    assert "belongs to another user" in commands.run(str(commands.file), *earlier, name="next")


def test_a_resume_does_not_look_for_its_checkpoints_elsewhere(
    commands: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resume, "bring_back", lambda *_: None)
    error = commands.run("--resume", "--storage", "s3://bucket/muse")
    assert "this study is kept in its folder alone; leave --storage as it was" in error


def test_an_earlier_study_that_is_not_there_is_named(commands: Commands, tmp_path: Path) -> None:
    error = commands.run(str(commands.file), "--warm-start", str(tmp_path), name="next")
    assert "no study stands here" in error


def test_a_study_that_began_without_an_earlier_one_does_not_get_it_later(
    commands: Commands,
) -> None:
    error = commands.run("--resume", "--warm-start", str(commands.root()))
    assert "only when a study begins" in error


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
