"""An SQLite ledger's copies: one in the study's folder, one beside a damaged file."""

import shutil
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from muse.errors import UserError


def save_copy(file: Path, copy: Path) -> None:
    """Copy a ledger that may be in use; readers see the old copy or the new one.

    Raises:
        UserError: the copy cannot be written.
    """
    new = copy.with_name(f".{copy.name}.new")
    try:
        new.unlink(missing_ok=True)
        with closing(sqlite3.connect(file)) as source, closing(sqlite3.connect(new)) as target:
            source.backup(target)
        new.replace(copy)
    except (OSError, sqlite3.Error) as error:
        raise UserError(
            f"{copy}: cannot be written ({error}); make room, then --resume."
        ) from error


def take_copy(file: Path, copy: Path) -> bool:
    """Bring a ledger back from its copy where it is gone, or knows less than the copy does.

    That is so where a study moved to another machine, and came back.

    Returns:
        Whether it was.
    """
    if not copy.is_file() or copy == file or weight(file) >= weight(copy):
        return False
    file.parent.mkdir(parents=True, exist_ok=True)
    for leftover in (file, *beside(file)):
        leftover.unlink(missing_ok=True)
    shutil.copyfile(copy, file)
    return True


def weight(file: Path) -> int:
    """How much a ledger knows: trials, how often each was begun, reports and ends; -1: none."""
    if not file.is_file():
        return -1
    try:
        with closing(sqlite3.connect(file)) as source:
            begun = "select count(*) + coalesce(sum(attempts), 0) from trials"
            ended = "select count(*) from trials where state != 'running'"
            known = f"({begun}) + ({ended}) + (select count(*) from reports)"
            return int(source.execute(f"select {known}").fetchone()[0])
    except sqlite3.Error:
        return -1


def check(file: Path) -> None:
    """Make sure that a ledger is whole before a study goes on with it.

    Raises:
        UserError: it is damaged; a copy is kept beside it.
    """
    damage = find_damage(file)
    if damage:
        raise UserError(
            f"{file}: the ledger is damaged ({damage}), so the study is not resumed; a copy is "
            f"kept at {set_aside(file).name}, restore the file from a backup."
        )


def find_damage(file: Path) -> str:
    """What is wrong inside an SQLite file; nothing where it is whole."""
    try:
        with closing(sqlite3.connect(file)) as source:
            told = str(source.execute("PRAGMA quick_check(1)").fetchone()[0])
    except sqlite3.Error as error:
        told = str(error)
    return "" if told == "ok" else " ".join(told.split())


def set_aside(file: Path) -> Path:
    """Copy a damaged file and what SQLite keeps beside it; the time is that of its last change."""
    changed = datetime.fromtimestamp(file.stat().st_mtime, UTC).strftime("%Y%m%dT%H%M%S")
    kept = file.with_name(f"{file.name}.corrupt-{changed}")
    shutil.copy2(file, kept)
    for other in beside(file):
        if other.exists():
            shutil.copy2(other, kept.with_name(kept.name + other.name.removeprefix(file.name)))
    return kept


def beside(file: Path) -> list[Path]:
    """What SQLite may keep beside a file."""
    return [file.with_name(file.name + end) for end in ("-wal", "-shm")]
