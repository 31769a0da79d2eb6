"""What both stories need."""

import fcntl
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
def programs(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """The folder of the programs of an environment with Ray's command line, made once."""
    mine = tmp_path_factory.getbasetemp()
    shared = mine if worker_id == "master" else mine.parent  # by the processes of one pytest
    with (shared / "launcher.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return launcher_venv.made(shared / "launcher")
