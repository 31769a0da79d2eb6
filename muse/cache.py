"""Folders that are made once, whole or not at all, however many processes ask for them."""

import fcntl
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from muse.durable import to_disk
from muse.errors import UserError


def cache_folder() -> Path:
    """Where prepared corpora are kept: MUSE_CACHE, or ~/.cache/muse."""
    return Path(os.environ.get("MUSE_CACHE") or "~/.cache/muse").expanduser()


def build_once(folder: Path, fill: Callable[[Path], None]) -> None:
    """Make a folder unless it is there.

    One process fills a folder beside it and renames that; the others wait and find it done. The
    lock file stays: removing it would let two processes hold two locks of one name. What a killed
    process left behind is swept by the next.

    Args:
        folder: what to make.
        fill: writes everything into the folder it is given.

    Raises:
        UserError: no space left, or the place cannot be written.
    """
    if folder.is_dir():
        return
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with folder.with_name(f"{folder.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not folder.is_dir():
                fill_beside(folder, fill)
    except OSError as error:
        reason = error.strerror or str(error)
        raise UserError(
            f"{folder.parent}: the prepared corpus cannot be kept here ({reason}); "
            "make room, or set MUSE_CACHE to another folder."
        ) from error


def fill_beside(folder: Path, fill: Callable[[Path], None]) -> None:
    """Fill a temporary folder and give it the name; leave nothing if that fails."""
    part = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir()
    try:
        fill(part)
        to_disk(part)
        part.rename(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)
