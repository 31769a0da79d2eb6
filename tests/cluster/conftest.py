"""What both stories need."""

from pathlib import Path

import launcher_venv
import machines
import pytest


@pytest.fixture(autouse=True, scope="session")
def able() -> None:
    """Skip where this host cannot make such machines."""
    if lacking := machines.missing():
        pytest.skip(lacking)


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the programs of an environment with Ray's command line, made once."""
    return launcher_venv.make(tmp_path_factory.mktemp("launcher") / "venv")
