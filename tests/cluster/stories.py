"""Runs a story: tests of their own process, in a network namespace without an uplink."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def tell(name: str, folder: Path, programs: Path) -> None:
    """Run a story; where it fails, say at which of its tests, and why, in few lines.

    Args:
        name: of its file.
        folder: an empty one.
        programs: where Ray's command line is.
    """
    mine = folder / "cluster"
    mine.mkdir()
    given = {"CLUSTER_FOLDER": str(mine), "CLUSTER_PROGRAMS": str(programs)}
    options = [
        *("-q", "-x", "--tb=short", "--show-capture=no", "--color=no"),
        *("-p", "no:cacheprovider", "-o", "addopts=", f"--confcutdir={HERE}"),
    ]
    apart = ["unshare", "--net", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child"]
    done = subprocess.run(  # where this one ends, all that runs in it does
        [*apart, sys.executable, "-m", "pytest", *options, HERE / name],
        env={**os.environ, **given},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        pytest.fail(cause(done.stdout + done.stderr), pytrace=False)


def cause(printed: str) -> str:
    """Which test failed and what it said, then the end of what pytest printed."""
    lines = re.sub(r"\x1b\[[0-9;]*m", "", printed).splitlines()
    failed = [line for line in lines if line.startswith(("FAILED", "ERROR"))]
    said = [line.removeprefix("E").strip() for line in lines if line.startswith("E  ")]
    return "\n".join([*failed, *said[:40], "", *lines[-40:]])
