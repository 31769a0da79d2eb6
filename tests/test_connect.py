"""Processes that Ray starts on this machine run our code, not another copy that is installed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from muse.errors import UserError
from search import connect
from search.connect import first_on_path, start_here


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


LATE = "The current node timed out during startup. This could happen because ..."


def starting(monkeypatch: pytest.MonkeyPatch, *ends: str) -> list[str]:
    """Let Ray's starts end so, '' being well; returns what was called."""
    called, left = [], iter(ends)

    def init(**options: object) -> None:
        called.append("init")
        if how := next(left):
            raise Exception(how)

    monkeypatch.setattr(connect.ray, "init", init)
    monkeypatch.setattr(connect.ray, "shutdown", lambda: called.append("shutdown"))
    return called


def test_a_start_that_took_too_long_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    called = starting(monkeypatch, LATE, LATE, "")
    start_here({})
    assert called == ["init", "shutdown"] * 2 + ["init"]


@pytest.mark.parametrize(("ends", "tries"), [((LATE,) * 3, 3), (("no room in /dev/shm",), 1)])
def test_a_start_that_fails_is_one_line(
    monkeypatch: pytest.MonkeyPatch, ends: tuple[str, ...], tries: int
) -> None:
    called = starting(monkeypatch, *ends)
    with pytest.raises(UserError, match="Ray does not start on this machine") as error:
        start_here({})
    assert called.count("init") == tries
    assert ends[0] in str(error.value)
    assert "\n" not in str(error.value)
