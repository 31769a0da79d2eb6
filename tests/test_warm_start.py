"""A study that begins with what earlier ones found out, from the command on."""

import os
import shutil
from pathlib import Path

import pytest
import yaml
from commands_story import POINT, Commands, made_commands  # noqa: F401


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


def test_a_strangers_study_is_not_learnt_from(
    commands: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: mine + 1)
    earlier = ["--warm-start", str(commands.root())]
    assert "belongs to another user" in commands.run(str(commands.file), *earlier, name="next")


def test_an_earlier_study_that_is_not_there_is_named(commands: Commands, tmp_path: Path) -> None:
    error = commands.run(str(commands.file), "--warm-start", str(tmp_path), name="next")
    assert "no study stands here" in error


def test_a_study_that_began_without_an_earlier_one_does_not_get_it_later(
    commands: Commands,
) -> None:
    error = commands.run("--resume", "--warm-start", str(commands.root()))
    assert "only when a study begins" in error
