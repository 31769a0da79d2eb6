"""Start a search, as in `python search/run.py experiments/twitter2015.yaml`."""

import sys
from pathlib import Path

if not __package__:  # run as a file: look in the checkout, not in search/ itself
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from search.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
