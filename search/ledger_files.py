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


def knows_more(copy: Path, file: Path, study: str) -> bool:
    """Whether a copy of a ledger knows more of a study than the ledger does.

    That is so where the ledger is gone, or the study moved to another machine and came back.
    """
    same = copy.resolve() == file.resolve()
    return not same and copy.is_file() and weight(copy, study) > weight(file, study)


def take_copy(file: Path, copy: Path, study: str) -> bool:
    """Bring a study back from a copy of its ledger that knows more of it than the ledger does.

    Args:
        file: the ledger; other studies in it stay as they are.
        copy: what may know more.
        study: its key.

    Returns:
        Whether it was.

    Raises:
        UserError: the ledger cannot be written.
    """
    if not knows_more(copy, file, study):
        return False
    whole = weight(file, study) >= 0 and not find_damage(file)
    try:
        if whole or holds_others(file, study):  # another study may have begun in it, or be about to
            take_rows(file, copy, study)
        else:
            file.parent.mkdir(parents=True, exist_ok=True)
            for leftover in (file, *beside(file)):
                leftover.unlink(missing_ok=True)
            shutil.copyfile(copy, file)
    except (OSError, sqlite3.Error) as error:
        raise UserError(
            f"{file}: cannot be written ({error}); give --ledger a place that can be."
        ) from error
    return True


def weight(file: Path, study: str) -> int:
    """How much is known of a study: trials, how often each was begun, reports, ends; -1: none."""
    own = "where study = :study"
    begun = f"select count(*) + coalesce(sum(attempts), 0) from trials {own}"
    ended = f"select count(*) from trials {own} and state != 'running'"
    return answer(
        file, f"select ({begun}) + ({ended}) + (select count(*) from reports {own})", study
    )


def holds_others(file: Path, study: str) -> bool:
    """Whether a ledger is that of other studies, too."""
    return answer(file, "select count(*) from trials where study != :study", study) > 0


def answer(file: Path, question: str, study: str) -> int:
    """The number that a ledger answers; -1 where it is none, or none that can be read."""
    if not file.is_file():
        return -1
    try:
        with closing(sqlite3.connect(file)) as source:
            return int(source.execute(question, {"study": study}).fetchone()[0])
    except sqlite3.Error:
        return -1


def take_rows(file: Path, copy: Path, study: str) -> None:
    """Put a study's rows of a copy in the place of those in a ledger."""
    with closing(sqlite3.connect(file)) as target:
        target.execute("attach ? as there", (str(copy),))
        with target:  # both tables, or neither
            for table in ("trials", "reports"):
                target.execute(f"delete from main.{table} where study = ?", (study,))
                rows = f"select * from there.{table} where study = ?"
                target.execute(f"insert into main.{table} {rows}", (study,))


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
