"""Arguments in, exit status out."""

import shutil
from pathlib import Path

import pytest
import yaml

from search.cli import build_parser, main, overrides


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--set", "cross.thetta=1"], "did you mean 'cross.theta'"),
        (["--set", "cross.theta=1.5"], "given 1.5"),
        (["--set", "cross.mu=4"], "mu < eta <= layers"),
        (["--set", "cross.mu"], "give KEY=VALUE"),
        (["--trials", "0"], "budget.trials"),
        (["--resume"], "no study to resume"),
        (["nowhere.yaml"], "nowhere.yaml: cannot be read"),
        (["--set", "data.name=mvsa_single", "--set", "task=msa"], "needs the folder"),
        (["--set", "data.name=mvsa_single"], "'mner' does not fit corpus 'mvsa_single'"),
    ],
)
def test_a_mistake_is_one_line_and_leaves_nothing(
    arguments: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "results"
    assert main([*arguments, "--output", str(output)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert said in error
    assert not output.exists()


def test_an_output_that_cannot_be_made_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MUSE_CACHE", str(tmp_path / "cache"))
    (tmp_path / "file").touch()
    assert main(["--output", str(tmp_path / "file")]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "cannot be written" in error


def test_an_address_where_nothing_answers_is_told_at_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MUSE_CACHE", str(tmp_path / "cache"))
    assert main(["--output", str(tmp_path), "--address", "127.0.0.1:1"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "nothing answers" in error
    assert not (tmp_path / "quickstart").exists()


def test_a_dry_run_prints_the_study_and_its_price_and_leaves_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MUSE_CACHE", str(tmp_path / "cache"))
    output = tmp_path / "results"
    given = ["--dry-run", "--trials", "5", "--set", "cross.theta=0.2", "--output", str(output)]
    assert main([*given, "--set", "data.synthetic_tweets=40"]) == 0
    study, _, price = capsys.readouterr().out.partition("\n\n")
    assert yaml.safe_load(study)["budget"]["trials"] == 5
    assert yaml.safe_load(study)["fixed"] == {"cross.theta": 0.2}
    assert "at most 5 trials" in price
    assert not output.exists()


def test_a_value_is_read_as_yaml() -> None:
    options = build_parser().parse_args(
        ["--set", "loss.alpha=0", "--set", "resources={workers: 2}", "--limit", "7"]
    )
    assert overrides(options) == {"loss.alpha": 0, "resources": {"workers": 2}, "data.limit": 7}


@pytest.mark.parametrize(
    "error",
    [
        OSError(28, "No space left on device", "best.yaml"),
        shutil.Error([("a", "b", "[Errno 28] No space left on device: 'b'")]),
    ],
)
def test_a_full_disk_is_one_line(
    error: OSError, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: object) -> int:
        raise error

    monkeypatch.setattr("search.cli.command", full)
    assert main([]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "make room, then --resume" in said


def test_another_failure_of_the_system_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: object) -> int:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("search.cli.command", broken)
    with pytest.raises(OSError, match="Input/output"):
        main([])
