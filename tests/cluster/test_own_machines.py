"""`ray up` for real, on machines out of namespaces."""

import os
import subprocess
import sys
from pathlib import Path

import launcher_venv
import machines
import pytest

HERE = Path(__file__).parent
LACKING = machines.missing()
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(bool(LACKING), reason=LACKING or "all is there"),
]


def test_the_file_for_own_machines_brings_up_a_cluster_that_searches(tmp_path: Path) -> None:
    folder = tmp_path / "cluster"
    folder.mkdir()
    programs = launcher_venv.make(tmp_path / "venv")
    given = {"CLUSTER_FOLDER": str(folder), "CLUSTER_PROGRAMS": str(programs)}
    story = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider"]
    done = subprocess.run(
        ["unshare", "--net", "--mount", *story, str(HERE / "story_own_machines.py")],
        env={**os.environ, **given},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
