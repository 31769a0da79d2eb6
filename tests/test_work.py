"""What the phases share, and how its use ends."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sample_entries import sample_entry

from muse.errors import UserError
from search.entry import State
from search.work import Work


def work_in(folder: Path, broken: str, state: State = "completed") -> Work:
    """At its end, with a keeper that could not put the last of it on record, or could."""
    none: Any = None
    keeper: Any = SimpleNamespace(close=lambda: None, broken=broken)
    place: Any = SimpleNamespace(shared=str(folder))
    (folder / "trials").mkdir()
    ledger: Any = SimpleNamespace(entries=lambda _: [sample_entry("a", state=state)])
    return Work(none, place, none, none, ledger, keeper, None)


def test_what_nobody_needs_goes_at_a_good_end(tmp_path: Path) -> None:
    with work_in(tmp_path, broken=""):
        pass
    assert not (tmp_path / "trials").exists()


def test_a_report_in_the_middle_leaves_what_the_interrupted_runs_go_on_from(tmp_path: Path) -> None:
    with work_in(tmp_path, broken="", state="running"):
        pass
    assert (tmp_path / "trials").exists()


def test_an_end_that_is_not_on_record_is_told_and_leaves_the_checkpoints(tmp_path: Path) -> None:
    with (
        pytest.raises(UserError, match="the bucket is away"),
        work_in(tmp_path, "the bucket is away"),
    ):
        pass
    assert (tmp_path / "trials").exists()


def test_a_mistake_on_the_way_is_told_and_not_what_followed_from_it(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="first"), work_in(tmp_path, "the bucket is away"):
        raise UserError("first")
