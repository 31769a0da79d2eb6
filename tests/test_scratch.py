"""Folders of one process: whose is swept, whose stays."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest

from search import scratch

HOLD = """
import sys, time
from search.scratch import scratch
with scratch() as folder:
    (folder / "checkpoint").touch()
    print(folder, flush=True)
    time.sleep(60)
"""


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)


def held() -> tuple[subprocess.Popen[str], Path]:
    """A process with a folder that is minutes old."""
    root = str(Path(__file__).parents[1])
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD],
        env={**os.environ, "PYTHONPATH": root},
        text=True,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    folder = Path(process.stdout.readline().strip())
    long_ago = time.time() - 600
    os.utime(folder.parent / scratch.LOCK, (long_ago, long_ago))
    return process, folder


def test_what_a_killed_process_left_is_swept_and_what_is_in_use_stays(tmp_path: Path) -> None:
    (killed, left), (alive, used) = held(), held()
    with killed, alive:
        killed.kill()
        killed.wait()
        (tmp_path / "muse-other").mkdir()
        with scratch.scratch() as mine:
            assert mine.is_dir()
            assert not left.parent.exists()
            assert (used / "checkpoint").exists()
        assert not mine.exists()
        alive.kill()
    assert (tmp_path / "muse-other").exists()


def test_a_fresh_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / f"{scratch.PREFIX}x").mkdir()
    (tmp_path / f"{scratch.PREFIX}x" / scratch.LOCK).touch()  # its maker is about to lock it
    scratch.sweep()
    assert (tmp_path / f"{scratch.PREFIX}x").exists()


def test_what_a_folder_holds_goes_before_its_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a kill in the midst of it leaves what nobody knows to be left."""
    there: list[bool] = []
    remove = scratch.shutil.rmtree

    def watched(folder: Path, *given: Any, **more: Any) -> None:
        there.append((Path(folder).parent / scratch.LOCK).exists())
        remove(folder, *given, **more)

    with scratch.scratch() as folder:
        (folder / "checkpoint").touch()
        monkeypatch.setattr(scratch.shutil, "rmtree", watched)
    assert there[0]
    assert not folder.parent.exists()


def test_an_old_folder_without_a_lock_is_swept_and_a_young_one_is_about_to_lock(
    tmp_path: Path,
) -> None:
    old, young = tmp_path / "muse-scratch-old", tmp_path / "muse-scratch-young"
    for folder in (old, young):
        (folder / "scratch").mkdir(parents=True)
    long_ago = time.time() - 600
    os.utime(old, (long_ago, long_ago))
    scratch.sweep()
    assert (old.exists(), young.exists()) == (False, True)
