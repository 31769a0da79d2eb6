"""Processes that Ray starts on this machine run our code, not another copy that is installed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from search.cluster import first_on_path


def test_what_is_started_meanwhile_takes_our_copy_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for copy in ("ours", "another"):
        (tmp_path / copy / "muse").mkdir(parents=True)
        (tmp_path / copy / "muse" / "__init__.py").touch()
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "another"))
    command = [sys.executable, "-c", "import muse; print(muse.__file__)"]

    with first_on_path([tmp_path / "ours"]):
        started = subprocess.run(
            command, cwd=tmp_path, check=True, capture_output=True, text=True
        ).stdout

    assert Path(started.strip()).parents[1] == tmp_path / "ours"
    assert os.environ["PYTHONPATH"] == str(tmp_path / "another")


def test_a_path_that_was_not_set_is_not_set_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTHONPATH", raising=False)

    with first_on_path([Path("somewhere")]):
        assert os.environ["PYTHONPATH"] == "somewhere"

    assert "PYTHONPATH" not in os.environ
