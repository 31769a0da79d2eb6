"""A search of two workers a trial that loses one, as it happens to a user: in processes."""

import subprocess
from pathlib import Path

import psutil
import pytest
from studies import ROOT, SMALL, command, rows, wait_for_epochs

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


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
