"""`ray up clusters/local.yaml` on three machines without an uplink; for test_stories.py."""

import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from laptop import (
    FOLDER,
    LOOPBACK,
    PROGRAMS,
    RESULTS,
    ROOT,
    bring_up,
    count,
    end,
    interrupt,
    listening,
    pull_plug,
    run,
    runs_ray,
    search,
    start,
    trials,
    unknown_listeners,
    wait_until,
    wait_while,
)
from machines import Machine, Machines

pytestmark = pytest.mark.timeout(600)

FILE, SHARED = FOLDER / "local.yaml", FOLDER / "shared"
WORKERS = ["10.79.0.11", "10.79.0.12"]
STUDY = SHARED / "results" / "quickstart"
OLD = {"RAY_UP_enable_autoscaler_v2": "0"}
TRIALS, EPOCHS = 2, 40  # longer than one worker starts after the other: each takes a trial
SEARCH = (
    *("--trials", str(TRIALS), "--epochs", str(EPOCHS), "--limit", "64", "--phases", "search"),
    *("--set", "scheduler.name=none"),
)
BOOT = f"""mkdir -p mnt/shared; mount --bind {SHARED} mnt/shared
ln -s {PROGRAMS.parent} root/venv
echo 'export PIP_NO_INDEX=1 PIP_NO_BUILD_ISOLATION=0 PIP_NO_DEPS=1' >> root/.bashrc
case $(hostname) in one | two) cat >> root/.bashrc <<'END'
export RAY_OVERRIDE_RESOURCES='{{"CPU": 1}}'
END
esac"""
"""What `setup_commands` ask for is there: pip finds all packages without a network.
Workers say that they have one core: a trial on each."""


def fill_in(head_ip: str) -> None:
    """The shipped file with the values of these machines."""
    content = yaml.safe_load((ROOT / "clusters" / "local.yaml").read_text(encoding="utf-8"))
    content["provider"].update(head_ip=head_ip, worker_ips=WORKERS)
    content["auth"].update(ssh_user="root", ssh_private_key=str(FOLDER / "key"))
    del content["file_mounts"]["~/data"]  # the quickstart makes its own
    FILE.write_text(yaml.safe_dump(content), encoding="utf-8")


def gather(head: Machine) -> None:
    """`ray up`, and wait for both workers: alone, the first one there would do all the trials."""
    fill_in(head.addresses[0])
    bring_up(FILE, **OLD)
    asked = ("ss", "-Htn", "state", "established", "sport", "=", ":6379")
    wait_until(lambda: all(worker in head.run(*asked) for worker in WORKERS), "both workers")


@pytest.fixture(scope="module")
def machines() -> Iterator[Machines]:
    SHARED.mkdir()
    (FOLDER / ".ssh").mkdir()
    below = Path(sys.prefix)  # may lie in /tmp, of which the machines see only what they are told
    with Machines(FOLDER, [PROGRAMS.parent, below], BOOT) as made:
        for number, name in enumerate(("head", "one", "two", "spare")):
            made.boot(name, [f"10.79.0.{10 + number}"])
        run("ray", "get-auth-token", "--generate")
        gather(made["head"])
        yield made


@pytest.fixture(scope="module")
def stranger(machines: Machines) -> subprocess.Popen[str]:
    """Somebody who tries to join the first head without the token, for twenty seconds."""
    join = "import ray; ray.init(address='10.79.0.10:6379', logging_level='ERROR')"
    python = str(PROGRAMS / "python")
    return machines["one"].start("env", "RAY_AUTH_MODE=disabled", python, "-c", join)


def epochs() -> int:
    """On record in the copy of the ledger that all machines see."""
    return count(STUDY / "ledger.db", "reports")


def test_a_search_goes_on_from_another_head_and_without_the_laptop(
    machines: Machines, stranger: subprocess.Popen[str]
) -> None:
    laptop = search(FILE, *SEARCH)
    wait_while(laptop, lambda: epochs() >= 3, "three epochs")
    machines["head"].destroy()
    assert "the connection was lost" in end(laptop, status=2)
    before = epochs()

    gather(machines["spare"])
    laptop = search(FILE, *SEARCH, "--resume")
    wait_while(laptop, lambda: epochs() > before, "an epoch more")
    pull_plug(laptop)
    printed = end(search(FILE, "--attach"))
    rows = trials()
    assert [row["state"] for row in rows] == ["completed"] * TRIALS, printed
    assert {row["node"] for row in rows} == {"one", "two"}  # the head runs none
    assert count(RESULTS / "quickstart" / "ledger.db", "reports") == TRIALS * EPOCHS
    assert f"search: {TRIALS} trials" in printed  # told from the beginning


def test_the_results_are_here_without_checkpoints(machines: Machines) -> None:
    here = {file.name for file in (RESULTS / "quickstart").iterdir()}
    assert (RESULTS / "quickstart" / "best" / "model.safetensors").exists()
    assert {"study.yaml", "ledger.db", "tensorboard"} <= here
    assert not {"trials", ".ray", ".lock", "packed.tar"} & here


def test_what_was_spent_is_told_at_the_named_price(machines: Machines) -> None:
    price = ("--cost", "--set", "resources.price_per_hour=3600")  # 1 a second
    told = end(search(FILE, *price))
    spent = sum(float(row["device_seconds"]) for row in trials())
    money = re.search(r"([\d.]+) in your money", told)
    assert money is not None
    assert float(money[1]) == pytest.approx(spent, abs=0.02)  # the table is rounded


def test_tensorboard_comes_through_ssh_alone(machines: Machines) -> None:
    shown = "tensorboard --logdir /mnt/shared/results --port 6006"
    head = machines["spare"]
    board = start("ray", "exec", "-p", "6006", str(FILE), shown)
    wait_while(board, lambda: 6006 in {port for _, port, _ in listening(head)}, "TensorBoard")
    with urllib.request.urlopen("http://127.0.0.1:6006/data/runs", timeout=60) as answer:
        assert b"quickstart" in answer.read()
    assert all(host.startswith(LOOPBACK) for host, port, _ in listening(head) if port == 6006)
    interrupt(board)
    wait_until(lambda: 6006 not in {port for _, port, _ in listening(head)}, "TensorBoard's end")


def test_the_dashboard_listens_on_loopback_alone(machines: Machines) -> None:
    hosts = {host for host, port, _ in listening(machines["spare"]) if port == 8265}
    assert hosts == {"127.0.0.1"}


def test_nothing_listens_that_the_document_does_not_name(machines: Machines) -> None:
    for name in ("spare", "one"):
        wait_until(lambda name=name: not unknown_listeners(machines[name]), f"silence on {name}")


def test_the_token_on_each_machine_is_for_its_owner_alone(machines: Machines) -> None:
    for name in ("spare", "one"):
        assert machines[name].run("bash", "-c", "stat -c %a ~root/.ray/auth_token") == "600\n"


def test_without_the_token_nobody_joins(stranger: subprocess.Popen[str]) -> None:
    output = stranger.communicate(timeout=120)[0]
    assert stranger.returncode != 0
    assert "token" in output.lower()


def test_ray_down_leaves_nothing(machines: Machines) -> None:
    run("ray", "down", "-y", str(FILE), **OLD)
    assert not runs_ray(machines["spare"])
    wait_until(lambda: not runs_ray(machines["one"]), "a worker that finds the head gone")
    end_of_line = end(search(FILE, "--attach"), status=2)
    assert "error: " in end_of_line
