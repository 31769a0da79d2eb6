"""A run's last state, to go on from after an interruption, and what a kill left half written."""

import shutil
from pathlib import Path
from typing import Any
from uuid import uuid4
from zipfile import is_zipfile

import torch

from muse.durable import to_disk

LAST = "last.pt"
LAST_FORMAT = 5


def save_last(folder: Path, state: dict[str, Any]) -> None:
    """Keep what a run needs to go on after an interruption; a kill leaves the one before.

    Raises:
        OSError: no space left, or the file cannot be written.
    """
    new = folder / f".{LAST}-{uuid4().hex}"
    try:
        with new.open("wb") as stream:
            torch.save({**state, "format": LAST_FORMAT}, stream)
        to_disk(new)
        new.rename(folder / LAST)
    except RuntimeError as error:  # how torch's compiled part reports a full disk
        if isinstance(error.__context__, OSError):
            raise error.__context__ from error
        raise
    finally:
        new.unlink(missing_ok=True)


def clear_halves(folder: Path) -> None:
    """Remove what a kill left half written; only while nobody else writes there.

    A best model that was about to be replaced is put back: the last state may tell of it.
    """
    for old in folder.glob(".best-old-*"):
        if not (folder / "best").exists():
            old.rename(folder / "best")
    for half in folder.glob(".*-*"):
        if half.name.startswith(f".{LAST}-"):
            half.unlink(missing_ok=True)
        elif half.name.startswith(".best-"):
            shutil.rmtree(half, ignore_errors=True)


def load_last(folder: Path, device: torch.device) -> dict[str, Any] | None:
    """The state to go on from, or None where a run starts anew.

    One of another version is none, and so is one that a power cut left half on the disk.
    """
    file = folder / LAST
    if not (file.exists() and is_zipfile(file)):
        return None
    state: dict[str, Any] = torch.load(file, map_location=device, weights_only=True)
    return state if state.pop("format", None) == LAST_FORMAT else None
