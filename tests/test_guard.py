"""The process that ends what a killed search would leave behind."""

import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from search import guard
from search.connect import hide_token

SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]


@pytest.fixture
def sleeper() -> subprocess.Popen[bytes]:
    with subprocess.Popen(SLEEP) as process:
        yield process
        process.kill()


def stand(*watched: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-I", "-S", guard.__file__, *watched], stdin=subprocess.PIPE
    )


def test_a_process_has_a_parent_and_a_time_of_birth(sleeper: subprocess.Popen[bytes]) -> None:
    parent, birth = guard.parent_and_birth(sleeper.pid)
    assert parent == os.getpid()
    assert int(birth) > 0
    assert guard.children(os.getpid())[sleeper.pid] == birth


def test_a_process_that_is_gone_has_neither() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    assert guard.parent_and_birth(process.pid) == (0, "")


def test_the_guard_ends_what_it_watches_when_its_pipe_closes(
    sleeper: subprocess.Popen[bytes],
) -> None:
    birth = guard.children(os.getpid())[sleeper.pid]
    watching = stand(f"{sleeper.pid}:{birth}")
    assert sleeper.poll() is None
    watching.communicate()
    assert sleeper.wait(timeout=10) == -signal.SIGKILL


def test_the_guard_spares_another_process_with_the_same_number(
    sleeper: subprocess.Popen[bytes],
) -> None:
    stand(f"{sleeper.pid}:1").communicate()
    time.sleep(0.1)
    assert sleeper.poll() is None


DRIVER = """
import subprocess, sys, time
from search import guard
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
guard.agents = lambda: {child.pid: guard.parent_and_birth(child.pid)[1]}
guard.stand_guard()
print(child.pid, flush=True)
time.sleep(60)
"""


def test_the_guard_notices_that_its_search_was_killed() -> None:
    root = Path(__file__).parents[1]
    with subprocess.Popen(
        [sys.executable, "-c", DRIVER], stdout=subprocess.PIPE, cwd=root, text=True
    ) as driver:
        assert driver.stdout is not None
        child = psutil.Process(int(driver.stdout.readline()))
        driver.kill()
    psutil.wait_procs([child], timeout=10)
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE


def test_rays_token_is_for_its_owner_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    token = tmp_path / "token"
    token.write_text("secret")
    token.chmod(0o644)
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(token))
    hide_token()
    assert stat.S_IMODE(token.stat().st_mode) == 0o600
    token.unlink()
    hide_token()  # where there is none, nothing happens
