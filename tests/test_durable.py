"""Files that are whole whatever happens while they are written."""

import os
from pathlib import Path

import pytest

from muse.durable import atomically, put_text, to_disk


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("old")

    def fail(new: Path) -> None:
        new.write_text("half")
        raise OSError

    with pytest.raises(OSError):  # noqa: PT011
        atomically(file, fail)
    assert file.read_text() == "old"


def test_a_text_is_on_the_disk_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A power cut may keep a rename and lose what was not on the disk."""
    file, fsync, synced = tmp_path / "a.yaml", os.fsync, []

    def watched(number: int) -> None:
        synced.append((os.fstat(number).st_size, file.exists()))
        fsync(number)

    monkeypatch.setattr(os, "fsync", watched)
    put_text(file, "incumbent: ä")  # of 13 bytes

    assert synced == [(13, False)]
    assert file.read_text(encoding="utf-8") == "incumbent: ä"
    assert [each.name for each in tmp_path.iterdir()] == ["a.yaml"]


def test_every_file_of_a_place_is_brought_to_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "deep").mkdir()
    files = [tmp_path / "a", tmp_path / "deep" / "b"]
    for file in files:
        file.write_text("x")
    brought: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda number: brought.append(os.fstat(number).st_ino))

    to_disk(tmp_path)
    assert sorted(brought) == sorted(file.stat().st_ino for file in files)

    brought.clear()
    to_disk(files[1])
    assert brought == [files[1].stat().st_ino]
