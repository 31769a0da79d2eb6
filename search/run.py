"""Start a search, as in `python search/run.py experiments/twitter2015.yaml`."""

import os
import sys
import threading
from pathlib import Path

if not __package__:  # run as a file: look in the checkout, not in search/ itself
    sys.path[0] = str(Path(__file__).resolve().parents[1])

try:
    from search.cli import main
except KeyboardInterrupt:  # the imports take a second or two, and nothing is begun yet
    sys.stderr.write("\ninterrupted\n")
    raise SystemExit(130) from None


def leave(status: int) -> None:
    """End this process with an exit status.

    A worker group on a lost machine may keep its thread waiting inside Ray for ever. All is
    written by now, but Python's own end pulls the ground from under such a thread, which then
    crashes, and the finished search with it.
    """
    if all(not thread.daemon for thread in threading.enumerate()):
        raise SystemExit(status)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    leave(main())
