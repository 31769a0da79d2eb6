"""The study of the README's first command, which tests of several files look at."""

from pathlib import Path

import pytest
from studies import run


@pytest.fixture(scope="session")
def quickstart(tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("results")
    done = run("--output", str(output))
    assert done.returncode == 0, done.stderr
    assert "best:" in done.stdout
    assert done.stderr == ""
    return output / "quickstart"
