"""What gets its name by a rename is on the disk before: a power cut may keep the name alone."""

import os
from pathlib import Path


def to_disk(place: Path) -> None:
    """Wait until a file, or every file in a folder, is on the disk.

    Raises:
        OSError: it could not be written.
    """
    for file in (place, *place.rglob("*")) if place.is_dir() else (place,):
        if file.is_file():
            with file.open("rb") as stream:
                os.fsync(stream.fileno())
