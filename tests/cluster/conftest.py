"""What both stories need, made once."""

from pathlib import Path

import launcher_venv
import pytest


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the programs of an environment with Ray's command line."""
    return launcher_venv.make(tmp_path_factory.mktemp("launcher") / "venv")
