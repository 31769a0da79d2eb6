"""`ray up clusters/local.yaml` on three machines without an uplink; for test_own_machines.py."""

import csv
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
import yaml
from machines import Machines

pytestmark = pytest.mark.timeout(600)

ROOT = Path(__file__).parents[2]
FOLDER, PROGRAMS = Path(os.environ["CLUSTER_FOLDER"]), Path(os.environ["CLUSTER_PROGRAMS"])
FILE, SHARED = FOLDER / "local.yaml", FOLDER / "shared"
STUDY = SHARED / "results" / "quickstart"
SEARCH = (
    "cd muse-search && python search/run.py --address auto --yes --output /mnt/shared/results "
    "--ledger sqlite:///~/quickstart.db --trials 4 --epochs 4 --phases search "
    "--set scheduler.name=none"
)
BOOT = f"""mkdir -p mnt/shared; mount --bind {SHARED} mnt/shared
ln -s {PROGRAMS.parent} root/venv
echo 'export PIP_NO_INDEX=1 PIP_NO_BUILD_ISOLATION=0' >> root/.bashrc"""
"""What `setup_commands` ask for is there: pip finds all packages without a network."""


def fill_in() -> None:
    """The shipped file with the values of these machines."""
    content = yaml.safe_load((ROOT / "clusters" / "local.yaml").read_text(encoding="utf-8"))
    content["provider"].update(head_ip="10.79.0.10", worker_ips=["10.79.0.11", "10.79.0.12"])
    content["auth"].update(ssh_user="root", ssh_private_key=str(FOLDER / "key"))
    del content["file_mounts"]["~/data"]  # the quickstart makes its own
    FILE.write_text(yaml.safe_dump(content), encoding="utf-8")


def start(*words: str) -> subprocess.Popen[str]:
    """Start a command as the user would on a laptop."""
    mine = {"HOME": str(FOLDER), "PATH": f"{PROGRAMS}:{os.environ['PATH']}"}
    more = {"RAY_UP_enable_autoscaler_v2": "0", "RAY_AUTH_MODE": "token"}
    return subprocess.Popen(
        words,
        cwd=ROOT,
        env={**os.environ, **mine, **more},
        text=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def run(*words: str) -> str:
    """Run a command that must succeed; what it prints."""
    process = start(*words)
    output = process.communicate(timeout=300)[0]
    assert process.returncode == 0, output
    return output


@pytest.fixture(scope="module")
def machines() -> Iterator[Machines]:
    SHARED.mkdir()
    (FOLDER / ".ssh").mkdir()
    fill_in()
    below = Path(sys.prefix)  # may lie in /tmp, of which the machines see only what they are told
    with Machines(FOLDER, ["head", "one", "two"], [PROGRAMS.parent, below], BOOT) as made:
        run("ray", "get-auth-token", "--generate")
        run("ray", "up", "-y", "--no-config-cache", str(FILE))
        wait_until(lambda: all(runs_ray(made, name) for name in ("one", "two")))  # the head calls
        yield made


def runs_ray(machines: Machines, name: str) -> bool:
    """Whether Ray runs on a machine."""
    return "raylet" in machines[name].run("ps", "-eo", "args")


def wait_until(true: Callable[[], bool], seconds: float = 240) -> None:
    """Wait for something that will be so."""
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until, "it did not come to be"
        time.sleep(0.3)


def epochs() -> int:
    """Epochs in the study's copy of the ledger."""
    try:
        with closing(sqlite3.connect(f"file:{STUDY / 'ledger.db'}?mode=ro", uri=True)) as ledger:
            return int(ledger.execute("select count(*) from reports").fetchone()[0])
    except sqlite3.OperationalError:  # there is none yet
        return 0


def listening(machines: Machines, name: str) -> set[tuple[str, int]]:
    """Addresses and ports at which a machine listens."""
    lines = machines[name].run("ss", "-Hltn").splitlines()
    ends = (line.split()[3].rpartition(":") for line in lines)
    return {(address.strip("[]"), int(port)) for address, _, port in ends}


def test_the_dashboard_listens_on_loopback_alone(machines: Machines) -> None:
    assert {address for address, port in listening(machines, "head") if port == 8265} == {
        "127.0.0.1"
    }


def test_the_token_on_each_machine_is_for_its_owner_alone(machines: Machines) -> None:
    for name in ("head", "one", "two"):
        assert machines[name].run("stat", "-c", "%a", "/root/.ray/auth_token") == "600\n"


def test_without_the_token_nobody_joins(machines: Machines) -> None:
    join = "import ray; ray.init(address='10.79.0.10:6379', logging_level='ERROR')"
    process = machines["one"].start(
        "env", "RAY_AUTH_MODE=disabled", str(PROGRAMS / "python"), "-c", join
    )
    output = process.communicate(timeout=120)[0]
    assert process.returncode != 0
    assert "token" in output.lower()


def test_a_search_goes_on_when_a_machine_is_lost(machines: Machines) -> None:
    search = start("ray", "exec", str(FILE), SEARCH)
    wait_until(lambda: epochs() >= 3 or search.poll() is not None)
    assert search.poll() is None, search.communicate()[0]
    machines["two"].destroy()
    output = search.communicate(timeout=400)[0]
    assert search.returncode == 0, output
    with (STUDY / "trials.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["state"] for row in rows] == ["completed"] * 4, output
    assert {row["node"] for row in rows} <= {"one", "two"}  # the head runs none
    assert (STUDY / "best" / "model.safetensors").exists()


def test_ray_down_leaves_nothing(machines: Machines) -> None:
    run("ray", "down", "-y", str(FILE))
    assert not runs_ray(machines, "head")
    wait_until(lambda: not runs_ray(machines, "one"))  # it finds out that the head is gone
