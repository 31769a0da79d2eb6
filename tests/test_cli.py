"""Arguments in, exit status out."""

import io
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from sample_entries import BEST, POINT, SPACE, sample_study

from muse.errors import UserError
from search.cli import Ending, asked_for, confirm, main
from search.options import build_parser, chosen_phases, overrides
from search.plan import sweep


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--set", "cross.thetta=1"], "did you mean 'cross.theta'"),
        (["--set", "cross.theta=1.5"], "given 1.5"),
        (["--set", "cross.mu=4"], "mu < eta <= layers"),
        (["--set", "cross.mu"], "give KEY=VALUE"),
        (["--set", "=3"], "--set =3: give KEY=VALUE"),
        (["--set", "seed=[1"], "--set seed=[1: the value is no YAML (expected ',' or ']'"),
        (["--set", "seed=\x07"], "the value is no YAML (it cannot be read)"),
        (["--trials", "0"], "the command line, budget.trials"),
        (["--set", "cross.dropout=2"], "the command line, cross.dropout"),
        (["--resume"], "no study to resume"),
        (["--resume", "--dry-run"], "leave out --resume"),
        (["--phases", "serach"], "did you mean 'search'"),
        (["--phases", ""], "no phase ''"),
        (["--phases", "confirm,final"], "a new study begins with the phase search"),
        (["--set", "sensitivity.seeds=0"], "sensitivity.seeds"),
        (["--set", "sensitivity.candidates=0"], "sensitivity.candidates"),
        (["--set", "sensitivity.knobs=[cross.theta]"], "unknown key 'knobs'"),
        (["--max-hours", "0"], "sensitivity.max_hours"),
        (["nowhere.yaml"], "nowhere.yaml: cannot be read"),
        (["--set", "data.name=mvsa_single", "--set", "task=msa"], "give --data DIR"),
        (["--dry-run", "--warm-start", "nowhere"], "no study stands here"),
        (["--dry-run", "--ledger", "trials.db"], "no address of a database"),
        (["--ledger", "trials.db"], "no address of a database"),
        (["--dry-run", "--storage", "s3:/bucket"], "give s3://BUCKET/FOLDER"),
        (["--dry-run", "--phases", "confirm"], "a new study begins with the phase search"),
        (
            ["--data", "tweets"],
            "the synthetic corpus is made and reads no folder; name an experiment",
        ),
        (["--set", "data.images=tweets"], "the synthetic corpus is made and reads no folder"),
        (["--data", "~nobody-at-all/tweets"], "~nobody-at-all/tweets: no such user is known here"),
        (["--name", "n" * 300], "at most 100, the first a letter or a digit"),
        (["--name", "my study"], "'my study' names no folder; letters, digits, '.', '_' and '-'"),
        (["--set", "space.cross.theta=0.1"], "cross.theta: 0.1 is no range; {low: 0, high: 1} or"),
        (
            ["--set", "space={}", "--set", "first_points=[]", "--set", "cross.eta=2"],
            "space: names no setting, so all 12 trials would be one",
        ),
        (["--set", "resources.workers=40"], "workers=40, but a batch has at most"),
        (["--dry-run", "--set", "resources.workers=40"], "ask for fewer workers"),
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


def test_an_output_that_is_an_address_is_told_and_makes_no_folder_of_that_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["--output", "s3://bucket/results"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "give a folder, and the address to --storage" in error
    assert not list(tmp_path.iterdir())


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
    assert yaml.safe_load(study)["fixed"] == {"cross.layers": 3, "cross.theta": 0.2}
    assert "at most 5 trials" in price
    assert " min if they ran one after the other" in price
    assert not output.exists()


def test_a_value_is_read_as_yaml() -> None:
    options = build_parser().parse_args(
        ["--set", "loss.alpha=0", "--set", "resources={workers: 2}", "--limit", "7"]
    )
    assert overrides(options) == {"loss.alpha": 0, "resources": {"workers": 2}, "data.limit": 7}


@pytest.mark.parametrize(
    ("error", "help_"),
    [
        (OSError(28, "No space left on device", "best.yaml"), "make room"),
        (shutil.Error([("a", "b", "[Errno 28] No space left on device: 'b'")]), "make room"),
        (PermissionError(13, "Permission denied", "data"), "'data'; get leave for it"),
    ],
)
def test_a_disk_that_is_full_or_forbidden_is_one_line(
    error: OSError,
    help_: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(_: object, ending: Ending) -> int:
        ending.study = tmp_path
        raise error

    monkeypatch.setattr("search.cli.command", full)
    assert main([]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert said.endswith(f"{help_}\n")  # there is nothing yet to be resumed
    (tmp_path / "study.yaml").touch()
    assert main([]) == 2
    assert capsys.readouterr().err.endswith(f"{help_}, then --resume\n")


def test_a_bucket_that_is_away_between_two_phases_is_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> int:
        told = "When listing objects under key 'x': AWS Error NETWORK_CONNECTION during\nListing"
        raise OSError(told)  # pyarrow's has no number

    monkeypatch.setattr("search.cli.command", away)
    assert main([]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert said.endswith("; wait until the bucket answers\n")


def test_another_failure_of_the_system_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> int:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("search.cli.command", broken)
    with pytest.raises(OSError, match="Input/output"):
        main([])


@pytest.mark.parametrize("begun", [False, True])
def test_ctrl_c_promises_a_resume_only_where_a_study_began(
    begun: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(study: object, root: Path, way: object) -> None:
        if begun:
            root.mkdir()
            (root / "study.yaml").touch()
        raise KeyboardInterrupt

    monkeypatch.setattr("search.start.fresh", stopped)
    assert main(["--output", str(tmp_path)]) == 130
    assert ("--resume goes on" in capsys.readouterr().err) == begun


ENDLESS = """
import sys
import search.cli
from search.view import View
def command(options, ending):
    ending.study = options.output
    (options.output / "study.yaml").touch()
    with View("mine", "valid_f1") as view:
        while True:
            view.say("a line")
search.cli.command = command
raise SystemExit(search.cli.main(sys.argv[1:]))
"""


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (["--trails", "4"], "--trails: is no option; did you mean --trials?"),
        (["--trails=4"], "--trails=4: is no option; did you mean --trials?"),
        (["--qqq"], "--qqq: is no option; --help shows every option."),
        (["a.yaml", "b.yaml"], "b.yaml: stands beside a.yaml; give one experiment."),
        (
            ["--trials", "x"],
            "argument --trials: invalid int value: 'x'; --help shows every option.",
        ),
    ],
)
def test_a_mistake_in_an_option_is_one_line(
    given: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(given) == 2
    assert capsys.readouterr().err == f"error: {told}\n"


@pytest.mark.parametrize("buffered", ["", "1"])
def test_a_dry_run_that_nobody_reads_ends_without_a_traceback(buffered: str) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    shown = subprocess.run(
        [sys.executable, "search/run.py", "--dry-run"],
        cwd=Path(__file__).parents[1],
        env={**os.environ, "PYTHONUNBUFFERED": buffered},
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(writing)
    assert (shown.returncode, shown.stderr) == (141, "nobody reads the output any more\n")


def test_who_reads_on_no_more_is_told_how_the_study_goes_on(tmp_path: Path) -> None:
    search = subprocess.Popen(
        [sys.executable, "-c", ENDLESS, "--output", str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert search.stdout is not None
    assert search.stderr is not None
    search.stdout.readline()
    search.stdout.close()
    told = "nobody reads the output any more; the same command with --resume goes on\n"
    assert search.stderr.read() == told
    search.stderr.close()
    assert search.wait() == 141


def test_an_output_without_greek_ends_no_study(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.TextIOWrapper(io.BytesIO(), encoding="latin-1")
    monkeypatch.setattr("sys.stdout", out)
    monkeypatch.setattr("search.cli.command", lambda *_: 0 * out.write("θ Ω"))
    assert main([]) == 0
    out.flush()
    assert out.buffer.getvalue() == b"? ?"  # type: ignore[attr-defined]


@pytest.mark.parametrize(("answer", "agreed"), [("y\n", True), ("\n", False), ("", False)])
def test_no_answer_is_no(answer: str, agreed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(answer))
    assert confirm("Start?") == agreed


def test_a_home_is_written_out_behind_an_equals_sign_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    given = ["~/mine.yaml", "--output=~/out", "--warm-start=~/old", "--cluster=~/c.yaml"]
    options = build_parser().parse_args(given)
    paths = (options.experiment, options.output, *options.warm_start, options.cluster)
    home = Path("/home/ada")
    assert paths == (home / "mine.yaml", home / "out", home / "old", home / "c.yaml")


def test_the_home_of_an_unknown_user_is_told() -> None:
    with pytest.raises(UserError, match="--output: ~nobody-at-all/out: no such user is known here"):
        build_parser().parse_args(["--output=~nobody-at-all/out"])


def test_phases_may_be_named_with_spaces_and_none_stands_for_all() -> None:
    assert chosen_phases("search, confirm") == ("search", "confirm")
    assert chosen_phases("compare") == ("compare",)
    assert chosen_phases(None) == ()


def test_a_bound_of_hours_is_a_field_of_the_study() -> None:
    options = build_parser().parse_args(["--max-hours", "1.5"])
    assert overrides(options) == {"sensitivity.max_hours": 1.5}


def test_a_bound_of_hours_counts_for_a_study_that_is_resumed() -> None:
    before = sample_study()
    after = asked_for(None, {"budget.trials": 9, "sensitivity.max_hours": 1.5}, before)
    assert (after.budget.trials, after.sensitivity.max_hours) == (9, 1.5)
    assert asked_for(None, {}, before) == before


@pytest.mark.parametrize("knob", [{"choices": [2, 4, 8, 16]}, {"low": 1, "high": 9}])
def test_the_price_of_a_dry_run_bounds_what_is_trained(knob: dict[str, Any]) -> None:
    from search.preview import most_runs

    study = sample_study(space={**SPACE, "train.batch_size": knob}, sensitivity={"points": 3})
    best = replace(BEST, point={**POINT, "train.batch_size": 4})
    _, after = most_runs(study)
    assert len(sweep(study, best, 3, 3)) + 9 + 1 <= after


WAITING = """
import sys, threading, time
sys.path.insert(0, sys.argv[1])
from search.run import leave
if sys.argv[2] == "thread":
    threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
print("the end")
import atexit
atexit.register(print, "Python's own end")
leave(3)
"""


@pytest.mark.parametrize(
    ("left", "told"), [("nothing", "the end\nPython's own end\n"), ("thread", "the end\n")]
)
def test_a_thread_that_waits_for_ever_does_not_touch_the_end(left: str, told: str) -> None:
    root = str(Path(__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-c", WAITING, root, left], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (3, told)


def test_ctrl_c_during_the_first_imports_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "yaml.py").write_text("raise KeyboardInterrupt", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, Path(__file__).parents[1] / "search" / "run.py"],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (130, b"\ninterrupted\n")
