"""What gets its name by a rename is on the disk before: a power cut may keep the name alone."""

import os
from collections.abc import Callable
from pathlib import Path


def atomically(file: Path, write: Callable[[Path], object]) -> None:
    """Write a file so that readers, a kill and a power cut find the old one or the new one.

    Raises:
        OSError: it could not be written; the old one stays.
    """
    new = file.with_name(f".{file.name}.new")
    write(new)
    to_disk(new)
    new.replace(file)


def put_text(file: Path, text: str) -> None:
    """The same for a text in UTF-8."""
    atomically(file, lambda new: new.write_text(text, encoding="utf-8"))


def to_disk(place: Path) -> None:
    """Wait until a file, or every file in a folder, is on the disk.

    Raises:
        OSError: it could not be written.
    """
    for file in (place, *place.rglob("*")) if place.is_dir() else (place,):
        if file.is_file():
            with file.open("rb") as stream:
                os.fsync(stream.fileno())
