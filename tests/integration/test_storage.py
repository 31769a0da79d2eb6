"""Studies whose ledger or folder lives elsewhere, and places that fill up or go away."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from postgres_server import LACKING, postgres_server
from s3_server import s3_server
from studies import (
    NOBODY_STOPPED,
    ROOT,
    SMALL,
    command,
    epochs_on_record,
    rows,
    run,
    wait_for_epochs,
    wait_until,
)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def searching(*arguments: str) -> "subprocess.Popen[str]":
    """A search that runs beside the test."""
    return subprocess.Popen(
        command(*arguments),
        cwd=ROOT,
        text=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def ended(study: Path, phase: str = "") -> dict[str, dict[str, str]]:
    """The trials of a phase, or of all, that have come to a good end."""
    if not (study / "trials.csv").exists():
        return {}
    there = [row for row in rows(study) if row["state"] in ("completed", "stopped")]
    return {row["trial_id"]: row for row in there if phase in ("", row["phase"])}


def test_a_study_in_a_bucket_outlives_its_machine_and_an_absence_of_the_bucket(
    tmp_path: Path,
) -> None:
    with s3_server() as bucket:
        lost, new = tmp_path / "lost", tmp_path / "new"
        there = ["--storage", "s3://bucket/studies"]
        with searching("--output", str(lost), *there, *SMALL, *NOBODY_STOPPED) as process:
            wait_for_epochs(lost / "quickstart", 8, process)
            process.kill()
        assert not (lost / "quickstart" / "trials").exists()  # checkpoints went to the bucket
        before = ended(lost / "quickstart")
        known = epochs_on_record(lost / "quickstart" / "ledger.db")
        shutil.rmtree(lost)
        again = ["--resume", "--phases", "search"]
        with searching("--output", str(new), *there, *again) as process:
            wait_for_epochs(new / "quickstart", known + 1, process)  # it trains again
            bucket.go()
            time.sleep(20)
            bucket.come()
            _, errors = process.communicate(timeout=300)
        assert process.returncode == 0, errors
        after = ended(new / "quickstart")
        assert [row["state"] for row in rows(new / "quickstart")] == ["completed"] * 4
        assert before.items() <= after.items()  # none was trained again
        assert (new / "quickstart" / "best" / "model.safetensors").exists()


def test_a_ledger_on_a_full_disk_is_one_line_and_the_study_resumes(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=224k", "tmpfs", str(disk)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("no leave to mount a small disk")
    try:
        ledger = ["--ledger", f"sqlite:///{disk}/ledger.db"]
        many = [*SMALL, "--trials", "12", "--set", "data.synthetic_tweets=48", *NOBODY_STOPPED]
        done = run("--output", str(tmp_path), *many, *ledger)
        assert done.returncode == 2
        assert done.stderr.count("\n") == 1
        assert "the ledger cannot be written" in done.stderr
        before = ended(tmp_path / "quickstart")
        subprocess.run(["mount", "-o", "remount,size=20m", str(disk)], check=True)
        done = run("--output", str(tmp_path), "--resume", "--phases", "search")
        assert done.returncode == 0, done.stderr
        after = {row["trial_id"]: row for row in rows(tmp_path / "quickstart")}
        assert [row["state"] for row in after.values()] == ["completed"] * 12
        assert before.items() <= after.items()  # nothing that had ended was trained again
    finally:
        subprocess.run(["umount", str(disk)], check=True)


FIXED = ("cross.mu=0", "cross.eta=2", "loss.alpha=1e-4", "loss.beta=1e-4")
"""Three curves are enough."""


@pytest.fixture
def ledger() -> Iterator[list[str]]:
    """Options that put the ledger into PostgreSQL; without it, where it is by default."""
    if LACKING:
        yield []
    else:
        with postgres_server() as server:
            yield ["--ledger", server.url]


def test_a_killed_sensitivity_phase_goes_on_where_it_was(ledger: list[str], tmp_path: Path) -> None:
    study, where = tmp_path / "quickstart", ["--output", str(tmp_path)]
    few = ["--trials", "3", "--epochs", "1", "--set", "sensitivity.points=2"]
    few += ["--set", "sensitivity.seeds=1", "--set", "sensitivity.pairs=0"]
    few += ["--set", "resources.together_minutes=0", "--set", "data.synthetic_tweets=48"]
    for setting in FIXED:
        few += ["--set", setting]
    with searching(*where, *ledger, *few) as process:
        wait_until(lambda: len(ended(study, "sensitivity")) >= 4, process)
        process.kill()
    before = ended(study)
    done = run(*where, "--resume")
    assert done.returncode == 0, done.stderr
    after = {row["trial_id"]: row for row in rows(study)}
    assert before.items() <= after.items()  # nothing that had ended was trained again
    assert {row["state"] for row in after.values()} <= {"completed", "stopped"}
    final = next(row for row in after.values() if row["phase"] == "final")
    both = 2 * float(final["seconds"])  # the workers of both concurrent trials, together
    assert float(final["device_seconds"]) == pytest.approx(both, abs=0.01)
    assert (study / "report.html").exists()
