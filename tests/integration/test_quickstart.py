"""The README's first command and what stands around it, as a user runs them: in processes."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import yaml
from studies import NOBODY_STOPPED, ROOT, SMALL, command, rows, run, wait_for_epochs

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def test_the_quickstart_varies_all_seven_settings_and_stops_some_trials(quickstart: Path) -> None:
    searched = [row for row in rows(quickstart) if row["phase"] == "search"]
    for name in ("theta", "mu", "eta", "alpha", "beta", "learning_rate", "dropout"):
        assert len({row[name] for row in searched}) > 1, name
    assert all(0 <= int(row["mu"]) < int(row["eta"]) <= 3 for row in searched)
    assert {row["state"] for row in searched} == {"completed", "stopped"}


def test_the_quickstart_finds_a_model_that_uses_both_streams(quickstart: Path) -> None:
    best = yaml.safe_load((quickstart / "best.yaml").read_text(encoding="utf-8"))
    assert best["confirmed"]["mean"] > 0.9
    assert best["final"]["test"]["f1"] > 0.9
    assert best["model"] == best["final"]["trial_id"]


def test_the_quickstart_leaves_curves_events_and_nothing_half_done(quickstart: Path) -> None:
    for name in ("theta", "mu", "eta", "alpha", "beta", "learning_rate", "dropout"):
        assert (quickstart / "sensitivity" / f"{name}.png").stat().st_size > 5000
        header = (quickstart / "sensitivity" / f"{name}.csv").read_text().splitlines()[0]
        assert header == "value,seed,metric,budget,trial_id,phase"
    trials = {row["trial_id"] for row in rows(quickstart)}
    events = {file.parent.name for file in quickstart.glob("tensorboard/*/events.*")}
    assert events == trials | {"sensitivity", "review"}
    assert len(list((quickstart / "review").glob("tweet-*.png"))) == 8
    assert "python -m muse.predict" in (quickstart / "best" / "README.md").read_text()
    html = (quickstart / "report.html").read_text(encoding="utf-8")
    assert "http://" not in html.replace("http://www.w3.org/", "")  # it works offline
    assert (quickstart / "sensitivity" / "summary.csv").read_text().count("\n") == 8
    assert not (quickstart / "trials").exists()
    assert not (quickstart / ".ray").exists()


def test_a_finished_study_is_not_overwritten(quickstart: Path) -> None:
    done = run("--output", str(quickstart.parent))
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "finished study" in done.stderr


def test_the_exported_model_predicts(quickstart: Path) -> None:
    text = ["--text", "the Delio and Delby again"]
    done = subprocess.run(
        [sys.executable, "-m", "muse.predict", str(quickstart / "best"), *text],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "entities" in json.loads(done.stdout)


def other_data_is_refused(study: Path) -> None:
    """A study whose data is another than it was is not resumed, and stays as it is."""
    file = study / "study.yaml"
    before = file.read_text(encoding="utf-8")
    file.write_text(before.replace("synthetic_tweets: 256", "synthetic_tweets: 96"))
    done = run("--output", str(study.parent), "--resume")
    assert done.returncode == 2
    assert "data changed" in done.stderr
    file.write_text(before)


WHOLE = (*SMALL, *NOBODY_STOPPED)
"""Four trials of three epochs each."""


@pytest.fixture
def heard_interrupts() -> Iterator[None]:
    """Ctrl-C reaches what is started meanwhile, also where a script started the tests with `&`."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def interrupted(output: Path, how: signal.Signals, status: int, epochs: int, *more: str) -> None:
    """Begin a study or go on with it, and end it so when it has trained so many epochs in all."""
    with subprocess.Popen(
        command("--output", str(output), *WHOLE, *more),
        cwd=ROOT,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,  # so that the signal does not reach this process
    ) as process:
        wait_for_epochs(output / "quickstart", epochs, process)
        family = psutil.Process(process.pid).children(recursive=True)
        # SIGINT to it alone; SIGTERM to all it started in its group, as `timeout` does.
        (os.kill if how == signal.SIGINT else os.killpg)(process.pid, how)
        process.communicate(timeout=120)
    assert process.returncode == status
    assert psutil.wait_procs(family, timeout=60)[1] == []  # no process stays


@pytest.mark.usefixtures("heard_interrupts")
def test_a_study_that_was_interrupted_resumes_with_its_exact_budget(tmp_path: Path) -> None:
    study = tmp_path / "quickstart"  # test_kills.py kills studies
    interrupted(tmp_path, signal.SIGINT, 130, 2)
    other_data_is_refused(study)
    interrupted(tmp_path, signal.SIGTERM, 143, 7, "--resume")  # of two at once one has then ended
    ended = {row["trial_id"]: row for row in rows(study) if row["state"] == "completed"}
    done = run("--output", str(tmp_path), "--resume", "--phases", "search")
    assert done.returncode == 0, done.stderr
    after = {row["trial_id"]: row for row in rows(study)}
    assert {(row["state"], row["epochs"]) for row in after.values()} == {("completed", "3")}
    assert len(after) == 4
    assert ended
    assert all(after[trial_id] == row for trial_id, row in ended.items())  # not trained again


def workers_of(pid: int) -> list[psutil.Process]:
    """The Ray Train workers of a search that runs in this process."""
    family = psutil.Process(pid).children(recursive=True)
    return [child for child in family if "RayTrainWorker" in " ".join(child.cmdline())]


def test_two_workers_train_each_trial_together_and_one_that_is_killed_costs_no_trial(
    tmp_path: Path,
) -> None:
    study = tmp_path / "quickstart"
    with subprocess.Popen(
        command("--output", str(tmp_path), *SMALL, "--set", "resources.workers=2"),
        cwd=ROOT,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        wait_for_epochs(study, 3, process)
        workers_of(process.pid)[0].kill()
        output, _ = process.communicate(timeout=600)
    assert process.returncode == 0, output
    found = rows(study)
    assert len(found) == 4
    for row in found:  # ASHA may stop a trial, the fault may not
        assert row["state"] == ("completed" if row["epochs"] == "3" else "stopped")
        assert float(row["device_seconds"]) == pytest.approx(2 * float(row["seconds"]), abs=0.01)


def test_every_phase_of_a_finished_study_runs_again_without_training(quickstart: Path) -> None:
    before = rows(quickstart)
    (quickstart / "report.html").unlink()
    done = run("--output", str(quickstart.parent), "--resume")
    assert done.returncode == 0, done.stderr
    assert rows(quickstart) == before
    assert (quickstart / "report.html").exists()
