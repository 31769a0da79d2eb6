"""Searches as a user runs them: in processes; and what they have put on record so far."""

import csv
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
SMALL = ["--trials", "4", "--epochs", "3", "--phases", "search"]
"""A search that takes well under a minute."""
NOBODY_STOPPED = ["--set", "scheduler.name=none"]


def command(*arguments: str) -> list[str]:
    return [sys.executable, "search/run.py", *arguments]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments), cwd=ROOT, capture_output=True, text=True, timeout=800, check=False
    )


def rows(study: Path) -> list[dict[str, str]]:
    with (study / "trials.csv").open(encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def epochs_on_record(file: Path) -> int:
    """Epochs in a ledger that its owner may be making at this moment."""
    if not file.exists():
        return 0
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as ledger:
        try:
            return int(ledger.execute("select count(*) from reports").fetchone()[0])
        except sqlite3.OperationalError:  # it has no tables yet, or is being written
            return 0


def wait_until(true: Callable[[], bool], process: subprocess.Popen[Any]) -> None:
    """Until something is so, while a search runs."""
    for _ in range(2400):
        assert process.poll() is None, process.communicate()
        if true():
            return
        time.sleep(0.1)
    pytest.fail("it was not so in four minutes")


def wait_for_epochs(study: Path, epochs: int, process: subprocess.Popen[Any]) -> None:
    """Until so many epochs are on record."""
    wait_until(lambda: epochs_on_record(study / "ledger.db") >= epochs, process)
