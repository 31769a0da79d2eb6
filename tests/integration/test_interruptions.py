"""A search that is interrupted, or that loses a worker, as it happens to a user: in processes."""

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from studies import NOBODY_STOPPED, ROOT, SMALL, command, rows, run, wait_for_epochs

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


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
