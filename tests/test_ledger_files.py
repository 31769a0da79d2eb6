"""A ledger that cannot be opened or written says so in a line and loses nothing it was told."""

import os
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event

from muse.errors import UserError
from search.ledger import Address, Ledger
from search.ledger_files import find_damage, save_copy, take_copy
from search.schema import ABOUT, read_url, sqlite_url

POINT = {"cross.theta": 0.1, "cross.mu": 1}


def open_ledger(folder: Path) -> Ledger:
    return Ledger(folder / "ledger.db")


@pytest.mark.parametrize(
    "content", [b"no database at all, " * 100, b"SQLite format 3\0" + b"x" * 99]
)
def test_a_corrupt_file_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "ledger.db").write_bytes(content)
    with pytest.raises(UserError, match=r"ledger\.db: the ledger cannot be used \([^\n]*$"):
        open_ledger(tmp_path)


def test_a_file_that_is_damaged_inside_is_named(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path)
    for number in range(100):
        ledger.ask(f"t{number}", "search", 0, POINT)
    ledger.close()
    content = bytearray((tmp_path / "ledger.db").read_bytes())
    content[4096:] = b"\xff" * (
        len(content) - 4096
    )  # the first page, with the tables' names, stays
    (tmp_path / "ledger.db").write_bytes(content)

    with pytest.raises(UserError, match=r"ledger\.db: the ledger cannot be used \([^\n]*$"):
        open_ledger(tmp_path).entries()


def test_a_folder_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none.ledger\.db"):
        open_ledger(tmp_path / "none")


def test_a_ledger_of_another_version_is_named(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path)
    with ledger.transaction() as connection:
        connection.execute(ABOUT.update().values(version=99))
    ledger.close()
    with pytest.raises(UserError, match=r"ledger\.db: a ledger of version 99, [^\n]* version 2;"):
        open_ledger(tmp_path)


def test_the_first_version_which_did_not_say_so_is_named(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as old:
        old.execute("create table trials (trial_id text primary key)")
    with pytest.raises(UserError, match=r"a ledger of version 1, "):
        open_ledger(tmp_path)


@contextmanager
def broken_off_after(written: int) -> Iterator[None]:
    """Every engine breaks off before it writes once more than this."""
    left = iter(range(written))

    def count(*told: Any) -> None:
        if told[2].lstrip().startswith(("CREATE", "INSERT")) and next(left, None) is None:
            raise KeyboardInterrupt

    event.listen(Engine, "before_cursor_execute", count)
    try:
        with pytest.raises(KeyboardInterrupt):
            yield
    finally:
        event.remove(Engine, "before_cursor_execute", count)


@pytest.mark.parametrize("written", range(4))  # three tables and the version
def test_a_kill_while_the_tables_are_made_leaves_a_ledger_that_opens(
    tmp_path: Path, written: int
) -> None:
    with broken_off_after(written):
        open_ledger(tmp_path)
    ledger = open_ledger(tmp_path)
    ledger.ask("t", "search", 0, POINT)
    ledger.close()
    again = open_ledger(tmp_path)
    assert [e.trial_id for e in again.entries()] == ["t"]
    again.close()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("ledger.db", "no address of a database; give sqlite:////folder/ledger.db or"),
        ("nosuch://here/db", "no address of a database"),
        ("mysql://me@here/db", "sqlite"),
        ("sqlite://", "name a file of sqlite"),
        ("postgresql+psycopg://me:secret@here/db", "leave the password out"),
        ("postgresql+psycopg://me@here/db?password=secret", "leave the password out"),
        ("postgresql+psycopg://me@here/db?sslpassword=secret&x=y", "leave the password out"),
    ],
)
def test_an_address_that_will_not_do_is_one_line_without_its_password(text: str, said: str) -> None:
    with pytest.raises(UserError, match=said) as told:
        read_url(text)
    assert "\n" not in str(told.value)
    assert "secret" not in str(told.value)


def ledger_of(file: Path, *trials: str, study: str = "mine") -> Path:
    """A ledger in which a study has begun these trials."""
    ledger = Ledger(Address(sqlite_url(file), study))
    for trial in trials:
        ledger.ask(trial, "search", 0, POINT)
    ledger.close()
    return file


def trials_in(file: Path, study: str = "mine") -> list[str]:
    ledger = Ledger(Address(sqlite_url(file), study))
    found = [entry.trial_id for entry in ledger.entries()]
    ledger.close()
    return found


def test_what_a_kill_left_of_a_copy_does_not_hinder_the_next(tmp_path: Path) -> None:
    file, copy = ledger_of(tmp_path / "far.db", "a"), tmp_path / "ledger.db"
    (tmp_path / ".ledger.db.new").write_bytes(b"half a copy " * 100)
    save_copy(file, copy)
    assert trials_in(copy) == ["a"]


def test_a_copy_that_fails_leaves_the_last_one(tmp_path: Path) -> None:
    file, copy = ledger_of(tmp_path / "far.db", "a"), tmp_path / "ledger.db"
    save_copy(file, copy)
    file.write_bytes(b"no database at all, " * 100)
    with pytest.raises(UserError, match=r"ledger\.db: cannot be written"):
        save_copy(file, copy)
    assert trials_in(copy) == ["a"]


def test_a_copy_that_knows_as_much_as_the_ledger_is_left_alone(tmp_path: Path) -> None:
    file, copy = ledger_of(tmp_path / "far.db", "a"), ledger_of(tmp_path / "ledger.db", "b")
    assert not take_copy(file, copy, "mine")
    assert trials_in(file) == ["a"]


@pytest.mark.parametrize(
    "happens",
    [
        lambda ledger: ledger.ask("a", "search", 0, POINT),
        lambda ledger: ledger.report("a", {"epoch": 1, "value": 0.5}, 1.0),
        lambda ledger: ledger.end("a", "completed", 1.0, 1.0, ""),
    ],
    ids=["begun again", "reported", "ended"],
)
def test_a_copy_after_which_more_happened_knows_more(
    tmp_path: Path, happens: Callable[[Ledger], None]
) -> None:
    file, copy = ledger_of(tmp_path / "far.db", "a"), ledger_of(tmp_path / "ledger.db", "a")
    ledger = Ledger(Address(sqlite_url(copy), "mine"))
    happens(ledger)
    ledger.close()
    assert take_copy(file, copy, "mine")
    assert not take_copy(copy, file, "mine")


def test_what_sqlite_kept_beside_a_ledger_does_not_go_with_the_copy_in_its_place(
    tmp_path: Path,
) -> None:
    file, copy = tmp_path / "far.db", ledger_of(tmp_path / "ledger.db", "a")
    for end in ("-wal", "-shm"):
        file.with_name(file.name + end).write_bytes(b"of a ledger that is gone")
    assert take_copy(file, copy, "mine")
    assert [path.name for path in tmp_path.glob("far*")] == ["far.db"]
    assert trials_in(file) == ["a"]


def test_a_copy_takes_the_place_of_its_own_study_only_and_in_whole(tmp_path: Path) -> None:
    file = ledger_of(tmp_path / "far.db", "old", study="other")
    ledger_of(file, "old")
    copy = ledger_of(tmp_path / "ledger.db", "a", "b")
    ledger = Ledger(Address(sqlite_url(copy), "mine"))
    ledger.report("a", {"epoch": 1, "value": 0.5}, 1.0)
    ledger.close()
    assert take_copy(file, copy, "mine")
    assert (trials_in(file), trials_in(file, "other")) == (["a", "b"], ["old"])
    again = Ledger(Address(sqlite_url(file), "mine"))
    assert again.entry("a").reports == ({"epoch": 1, "value": 0.5},)
    again.close()


def test_a_ledger_that_another_study_has_opened_stays_the_file_that_it_is(tmp_path: Path) -> None:
    other = Ledger(Address(sqlite_url(tmp_path / "far.db"), "other"))
    assert take_copy(tmp_path / "far.db", ledger_of(tmp_path / "ledger.db", "a"), "mine")
    other.ask("b", "search", 0, POINT)
    other.close()
    assert trials_in(tmp_path / "far.db") == ["a"]
    assert trials_in(tmp_path / "far.db", "other") == ["b"]


def test_a_ledger_that_somebody_holds_is_told_as_that(tmp_path: Path) -> None:
    def hurry(connection: Any) -> None:
        connection.exec_driver_sql("PRAGMA busy_timeout = 0")

    ledger = open_ledger(tmp_path)
    event.listen(ledger.engine, "begin", hurry)
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as other:
        other.execute("begin immediate")
        with pytest.raises(UserError, match=r"held by another program \(database is locked\); cl"):
            ledger.ask("a", "search", 0, POINT)
    ledger.ask("a", "search", 0, POINT)
    ledger.close()


@pytest.mark.parametrize("content", [b"no database at all, " * 100, b"SQLite format 3\0" * 9])
def test_a_file_that_is_no_ledger_is_damaged(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "ledger.db").write_bytes(content)
    assert find_damage(tmp_path / "ledger.db") != ""


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A disk of 1 MB."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("no leave to mount a small disk")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_is_one_line_and_loses_nothing_that_was_told(tmp_path: Path) -> None:
    def fill() -> None:
        for number in range(10_000):
            ledger.ask(f"t{number}", "search", number, POINT)
            told.append(number)

    told: list[int] = []
    with small_disk(tmp_path / "disk") as disk:
        ledger = open_ledger(disk)
        (disk / "ballast").write_bytes(b"x" * 500_000)
        with pytest.raises(UserError, match=r"cannot be written \([^\n]*\); make room, then --res"):
            fill()
        assert [e.seed for e in ledger.entries()] == told
        ledger.close()
        assert find_damage(disk / "ledger.db") == ""
        (disk / "ballast").unlink()
        again = open_ledger(disk)
        again.ask("after", "search", 0, POINT)
        assert [e.seed for e in again.entries()] == [*told, 0]
        again.close()
