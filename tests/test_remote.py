"""The line to a cluster's head: what is asked, what comes back, and how it breaks."""

import argparse
import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import ray
import yaml
from ray.job_submission import JobStatus

from muse.errors import UserError
from search import head, line, remote
from search.cli import main
from search.marks import ANSWER, ERROR, LINE
from search.options import build_parser
from search.provenance import code_hash

FILE = Path("cluster.yaml")
NOISE = "2026-11-26 05:02:17 \x1b[33mWARN\x1b[0m something of Ray's\r\n"


def said_by_ray(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    def answer(self: line.Line, *words: str) -> subprocess.Popen[str]:
        code = "import sys; sys.stdout.write(sys.argv[1])"
        return subprocess.Popen(
            [sys.executable, "-c", code, text], stdout=subprocess.PIPE, text=True
        )

    monkeypatch.setattr(line.Line, "ray", answer)


def test_only_marked_lines_are_shown_and_the_answer_ends_them(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    told = f"{LINE}1/3 done\r\n{NOISE}{LINE}2/3 done\r\n"
    said_by_ray(monkeypatch, f'{NOISE}{told}{ANSWER}{{"status": 0}}\r\n{NOISE}')
    assert line.Line(FILE, "~/muse-search").ask("follow", "a") == {"status": 0}
    assert capsys.readouterr().out == "1/3 done\n2/3 done\n"


@pytest.mark.parametrize(
    ("text", "kind", "said"),
    [
        (f"{NOISE}{ERROR}no such study\r\n", UserError, "cluster.yaml: no such study"),
        ("RuntimeError: Head node of cluster (muse) not found!\n", UserError, "ray up cluster.ya"),
        ("python: No module named search.head\n", UserError, "the head lacks this code"),
        (f"{LINE}1/3\nclient_loop: send disconnect\n", ConnectionError, "lost .client_loop: send"),
        ("", ConnectionError, "lost .no answer"),
    ],
)
def test_what_is_no_answer_is_told_in_one_line(
    text: str, kind: type[Exception], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    said_by_ray(monkeypatch, text)
    with pytest.raises(kind, match=said) as told:
        line.Line(FILE, "~/muse-search").ask("follow", "a")
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("checkout", "there"),
    [("~/my code", "cd ~/'my code' &&"), ("/my code", "cd '/my code' &&"), ("~", "cd ~ &&")],
)
def test_a_checkout_with_a_blank_is_entered(
    checkout: str, there: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answer(self: line.Line, *words: str) -> subprocess.Popen[str]:
        said.append(words[2])
        return subprocess.Popen(["echo", f"{ANSWER}{{}}"], stdout=subprocess.PIPE, text=True)

    said: list[str] = []
    monkeypatch.setattr(line.Line, "ray", answer)
    line.Line(FILE, checkout).ask("pack", "a")
    assert said[0].startswith(there)


def test_a_lost_line_says_how_to_take_the_search_up_again(monkeypatch: pytest.MonkeyPatch) -> None:
    said_by_ray(monkeypatch, f"{LINE}1/3\n")
    options = build_parser().parse_args(["--cluster", "cluster.yaml"])
    with pytest.raises(UserError, match=r"lost .*--cluster cluster.yaml --name a --attach$"):
        remote.follow(line.Line(FILE, "~/muse-search"), "a", Path("a"), options)


@pytest.mark.parametrize(
    ("option", "wanted"),
    [
        ("--attach", [("follow", "a"), ("pack", "there")]),
        ("--cost", [("cost", "~/muse-search/results/a")]),
    ],
)
def test_a_search_is_found_again_without_naming_its_bucket(
    option: str, wanted: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    from test_launcher_file import ROOT, shipped

    def ask(self: line.Line, *words: str) -> dict[str, Any]:
        asked.append(words)
        return {"status": 0, "said": "", "folder": "there", "file": ""}

    asked: list[tuple[str, ...]] = []
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(remote, "read_launcher_file", lambda *_, **__: shipped())
    monkeypatch.setattr(line.Line, "ask", ask)
    assert main(["--cluster", "cluster.yaml", "--name", "a", option]) == 0
    assert asked == wanted


def test_every_option_of_the_command_is_one_that_the_head_gets_or_this_side_uses() -> None:
    own = {"help", "cluster", "attach", "shared", "cost", "output", "address", "dry_run", "yes"}
    translated = {"experiment", "data", "set", "warm_start"}
    known = {action.dest for action in build_parser()._actions}
    assert known == own | translated | set(remote.FORWARDED)


def test_the_head_gets_what_was_asked_and_what_follows_from_the_file(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from test_launcher_file import ROOT, shipped

    from search.experiment import read_study

    monkeypatch.chdir(ROOT)
    asked = ["experiments/twitter2015.yaml", "--data", "data", "--storage", "s3://b/m"]
    asked += ["--seed", "0"]
    options = build_parser().parse_args([*asked, "--set", "resources.concurrent=2", "--resume"])
    study = read_study(options.experiment, {})
    words = remote.search_words(options, shipped(), study)
    given = build_parser().parse_args(words)
    assert (given.address, given.yes, given.resume, given.seed) == ("auto", True, True, 0)
    assert given.storage == "s3://b/m"
    assert words[words.index("--output") + 1] == "~/muse-search/results"  # of the head's own home
    assert given.set[-1] == "resources.concurrent=2"  # what comes last counts
    assert "resources.gpus_per_worker=1.0" in given.set
    assert given.data == "~/data"
    assert words[-1] == "~/muse-search/experiments/twitter2015.yaml"
    options.experiment = None  # the study that stands there has resources of its own
    assert build_parser().parse_args(remote.search_words(options, shipped(), study)).set == [
        "resources.concurrent=2"
    ]


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """A folder on the head."""
    folder = tmp_path / "head" / "a"
    for inside in ("trials/a-0000/last", ".ray", "best", "sensitivity"):
        (folder / inside).mkdir(parents=True)
        (folder / inside / "file").write_text(inside)
    (folder / "study.yaml").write_text(yaml.safe_dump({"ledger": {"study": "a-1"}}))
    return folder


class Here(line.Line):
    """A head on this machine."""

    def ask(self, *words: str) -> dict[str, Any]:
        return head.pack(argparse.Namespace(folder=words[1]))

    def fetch(self, there: str, here: Path) -> None:
        shutil.move(there, here)


def test_results_come_here_without_checkpoints_and_replace_older_ones(
    study: Path, tmp_path: Path
) -> None:
    root = tmp_path / "results" / "a"
    (study / "optuna.journal.lock").symlink_to("/proc/1")  # what a kill leaves of Optuna's lock
    for _ in range(2):
        remote.bring_back(Here(FILE, ""), str(study), root)
        assert {file.name for file in root.iterdir()} == {"best", "sensitivity", "study.yaml"}
        assert (root / "best" / "file").read_text() == "best"
        assert [file.name for file in root.parent.iterdir()] == ["a"]


def test_another_study_of_the_same_name_is_not_replaced(study: Path, tmp_path: Path) -> None:
    root = tmp_path / "results" / "a"
    root.mkdir(parents=True)
    (root / "study.yaml").write_text(yaml.safe_dump({"ledger": {"study": "a-2"}}))
    with pytest.raises(UserError, match="another study stands here"):
        remote.bring_back(Here(FILE, ""), str(study), root)
    assert key_and_files(root) == ("a-2", ["study.yaml"])


def test_what_is_no_study_takes_no_folder_and_a_folder_that_is_none_is_not_taken(
    study: Path, tmp_path: Path
) -> None:
    root = tmp_path / "results" / "a"
    root.mkdir(parents=True)
    (root / "notes").touch()
    with pytest.raises(UserError, match="a: holds files that are no study; --attach with another"):
        remote.bring_back(Here(FILE, ""), str(study), root)
    (study / "study.yaml").unlink()
    with pytest.raises(UserError, match=r"cluster\.yaml: .*/head/a holds no study there"):
        remote.bring_back(Here(FILE, ""), str(study), root)
    assert key_and_files(root) == ("", ["notes"])
    assert [file.name for file in root.parent.iterdir()] == ["a"]


def test_results_come_to_where_a_linked_folder_lies(study: Path, tmp_path: Path) -> None:
    disk, link = tmp_path / "disk" / "a", tmp_path / "results" / "a"
    for folder in (disk, link.parent):
        folder.mkdir(parents=True)
    link.symlink_to(disk)
    remote.bring_back(Here(FILE, ""), str(study), link)
    assert link.is_symlink()
    assert (disk / "best" / "file").read_text() == "best"


def key_and_files(root: Path) -> tuple[str, list[str]]:
    return remote.key_of(root), [file.name for file in root.iterdir()]


def test_a_study_that_never_began_brings_nothing(tmp_path: Path) -> None:
    remote.bring_back(Here(FILE, ""), str(tmp_path / "nothing"), tmp_path / "results" / "a")
    assert not (tmp_path / "results").exists()


class Job:
    """What Ray says of a search."""

    def __init__(self, study: str, status: JobStatus, started: int) -> None:
        self.metadata, self.status = {"study": study, "folder": "/there"}, status
        self.submission_id, self.start_time = f"{study}-{started}", started
        self.message, self.driver_exit_code = "it ended", None
        if status == JobStatus.FAILED:
            self.driver_exit_code = 2


class Jobs:
    """Ray's list of jobs, with some in it."""

    known: list[Job]

    def __init__(self, *_: str) -> None:
        """Any address."""

    def list_jobs(self) -> list[Job]:
        return self.known

    def get_job_info(self, identity: str) -> Job:
        return next(job for job in self.known if job.submission_id == identity)

    async def tail_job_logs(self, identity: str) -> Any:
        noise = "05:30:25 INFO job_manager.py:581 -- Runtime env\nRunning entrypoint for job a: b\n"
        for text in (noise, "1/2 ", f"done\n2/2 {identity}", " done"):
            yield text

    def submit_job(self, **given: Any) -> None:
        Jobs.last = given

    last: dict[str, Any]


@pytest.fixture
def jobs(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Jobs]]:
    Jobs.known = [
        Job("a", JobStatus.FAILED, 2),
        Job("a", JobStatus.SUCCEEDED, 1),
        Job("b", JobStatus.RUNNING, 3),
    ]
    monkeypatch.setattr(head, "JobSubmissionClient", Jobs)
    return Jobs


def answer_of(printed: str) -> Any:
    (last,) = [text for text in printed.splitlines() if text.startswith(ANSWER)]
    return json.loads(last.removeprefix(ANSWER))


def test_the_latest_search_is_followed_line_by_line_to_its_status(
    jobs: type[Jobs], capsys: pytest.CaptureFixture[str]
) -> None:
    assert head.main(["follow", "a"]) == 0
    printed = capsys.readouterr().out
    assert f"{LINE}1/2 done\n{LINE}2/2 a-2 done\n" in printed
    assert answer_of(printed)["status"] == 2


def test_a_search_is_a_job_that_remembers_its_study(
    jobs: type[Jobs], capsys: pytest.CaptureFixture[str]
) -> None:
    same = ["--ray", ray.__version__, "--code", code_hash()]
    words = ["--output", "~/results", "--resume"]
    assert head.main(["start", *same, "a", "/there", *words]) == 0
    assert jobs.last["metadata"] == {"study": "a", "folder": "/there"}
    home = str(Path.home())
    assert jobs.last["entrypoint"].endswith(f"search/run.py --output {home}/results --resume")
    assert "other code" not in capsys.readouterr().out


def test_of_two_who_wait_for_machines_one_starts(
    jobs: type[Jobs], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def wait(_: int) -> None:
        jobs.known.append(Job("a", JobStatus.PENDING, 4))

    monkeypatch.setattr(head, "wait_for_machines", wait)
    monkeypatch.setattr(jobs, "last", {})
    assert head.main(["start", "--ray", ray.__version__, "--code", "x", "a", "/there"]) == 2
    assert "a search of the study 'a' runs there" in capsys.readouterr().out
    assert jobs.last == {}


def test_a_pack_that_fails_is_one_line_and_leaves_no_half_file(
    study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def shrunk(*_: Any, **__: Any) -> None:
        raise OSError("unexpected end of data")

    monkeypatch.setattr(head.tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(head.tarfile.TarFile, "add", shrunk)
    with pytest.raises(UserError, match=r"a: cannot be packed \(unexpected end of data\); --att"):
        head.pack(argparse.Namespace(folder=str(study)))
    assert not list(tmp_path.glob("*.tar"))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["start", "--ray", "2.1.0", "--code", "x", "a", "/there"], "this machine has 2.1.0"),
        (["start", "--ray", ray.__version__, "--code", "x", "b", "/there"], "'b' runs there"),
        (["follow", "c"], "no search of a study 'c' was started there; it has a, b."),
        (["cost", "/nowhere"], "no study here, so nothing was spent"),
    ],
)
def test_a_request_that_cannot_be_met_is_one_marked_line(
    words: list[str], said: str, jobs: type[Jobs], capsys: pytest.CaptureFixture[str]
) -> None:
    assert head.main(words) == 2
    lines = [text for text in capsys.readouterr().out.splitlines() if text.startswith(ERROR)]
    assert len(lines) == 1
    assert said in lines[0]


def test_other_code_on_the_head_is_noted(
    jobs: type[Jobs], capsys: pytest.CaptureFixture[str]
) -> None:
    assert head.main(["start", "--ray", ray.__version__, "--code", "x", "a", "/there"]) == 0
    assert f"{LINE}note: the cluster has other code" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--attach"], "--attach: on which cluster? Add --cluster FILE."),
        (["--shared", "/mnt"], "--shared: on which cluster? Add --cluster FILE."),
        (["--cluster", "a.yaml", "--address", "auto"], "--address: goes without --cluster only."),
        (["--cluster", "a.yaml", "--dry-run"], "--dry-run: goes without --cluster only."),
        (["--cluster", "a.yaml"], "a.yaml: cannot be read"),
    ],
)
def test_options_that_do_not_go_together_are_one_line(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert said in error


@pytest.mark.parametrize(("how", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_who_leaves_a_search_on_a_cluster_is_told_that_it_goes_on(
    how: signal.Signals,
    status: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def left(options: argparse.Namespace, *given: Any) -> int:
        return remote.follow(line.Line(FILE, "~/muse-search"), "a", Path("a"), options)

    def interrupted(*_: object) -> None:
        if how == signal.SIGINT:  # a script that starts the tests with `&` has it ignored
            raise KeyboardInterrupt
        signal.raise_signal(how)

    monkeypatch.setattr(line.Line, "ask", interrupted)
    monkeypatch.setattr(remote, "talk", left)
    assert main(["--cluster", "cluster.yaml"]) == status
    told = capsys.readouterr()
    assert "goes on over there: python search/run.py --cluster cluster.yaml --name a" in told.out
    assert told.err == "\ninterrupted\n"
