"""Folders of one process on its machine; the next one sweeps those whose process was killed."""

import fcntl
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
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
            yield root / "scratch"


def sweep() -> None:
    """Remove what killed processes left: a worker's may hold a checkpoint of hundreds of MB."""
    for lock in Path(tempfile.gettempdir()).glob(f"{PREFIX}*/{LOCK}"):
        try:
            if time.time() - lock.stat().st_mtime > YOUNG:
                with lock.open() as held:
                    fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(lock.parent, ignore_errors=True)
        except OSError:  # it is in use, gone by now, or another user's
            continue
