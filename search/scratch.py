"""Folders of one process on its machine; the next one sweeps those whose process was killed."""

import fcntl
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PREFIX = "muse-scratch-"
LOCK = ".in-use"

YOUNG = 60.0
"""Seconds: so fresh a folder may not have taken its lock yet."""


@contextmanager
def scratch() -> Iterator[Path]:
    """An empty folder on this machine's own disk, removed at the end."""
    sweep()
    with tempfile.TemporaryDirectory(prefix=PREFIX) as name:
        root = Path(name)
        with (root / LOCK).open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # the system lets go of it however this process ends
            (root / "scratch").mkdir()
            try:
                yield root / "scratch"
            finally:
                clear(root)


def clear(root: Path) -> None:
    """Remove what a folder holds before its lock: a kill in between leaves what can be swept."""
    shutil.rmtree(root / "scratch", ignore_errors=True)


def sweep() -> None:
    """Remove what killed processes left: a worker's may hold a checkpoint of hundreds of MB."""
    for root in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        lock = root / LOCK
        with suppress(OSError):  # it is in use, gone by now, or another user's
            if not lock.exists():  # killed at the very begin or end
                if is_old(root):
                    shutil.rmtree(root)
            elif is_old(lock):
                with lock.open() as held:
                    fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    clear(root)
                    shutil.rmtree(root)


def is_old(file: Path) -> bool:
    """Whether it is older than what a process is about to lock."""
    return time.time() - file.stat().st_mtime > YOUNG
