"""What a user types on a laptop, for the stories: Ray's commands and ours, in a home of its own."""

import csv
import os
import re
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from machines import Machine

ROOT = Path(__file__).parents[2]
FOLDER, PROGRAMS = Path(os.environ["CLUSTER_FOLDER"]), Path(os.environ["CLUSTER_PROGRAMS"])
RESULTS = FOLDER / "results"
LINES = 25
"""Of what a command said that are shown when it fails."""


def start(*words: str, **more: str) -> subprocess.Popen[str]:
    """Start a command as the user would.

    Args:
        words: the command.
        more: of its environment.
    """
    mine = {"HOME": str(FOLDER), "PATH": f"{PROGRAMS}:{os.environ['PATH']}", "NO_COLOR": "1"}
    own = {"TMPDIR": str(FOLDER / "tmp"), "RAY_TMPDIR": str(FOLDER / "tmp")}  # Ray's notes
    (FOLDER / "tmp").mkdir(exist_ok=True)
    return subprocess.Popen(
        words,
        cwd=ROOT,
        env={**os.environ, **mine, **own, "RAY_AUTH_MODE": "token", **more},
        text=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,  # so that Ctrl-C can reach it and what it has started
    )


def interrupt(process: subprocess.Popen[str]) -> None:
    """Press Ctrl-C and wait for the end."""
    os.killpg(process.pid, signal.SIGINT)
    process.communicate(timeout=60)


def search(file: Path, *words: str, **more: str) -> subprocess.Popen[str]:
    """Start our own command for a cluster."""
    here = ["--cluster", str(file), "--output", str(RESULTS)]
    return start("python", "search/run.py", *here, *words, **more)


def end(process: subprocess.Popen[str], status: int = 0, seconds: float = 300) -> str:
    """Wait until a command ends as it should; what it printed."""
    try:
        output = process.communicate(timeout=seconds)[0]
    except subprocess.TimeoutExpired:
        process.kill()
        raise AssertionError(
            f"no end after {seconds:g} s: {tail(process.communicate()[0])}"
        ) from None
    assert process.returncode == status, tail(output)
    return plain(output)


def pull_plug(process: subprocess.Popen[str]) -> None:
    """End a command as a laptop does that loses its power: nobody reads on."""
    process.kill()
    process.wait()
    if process.stdout is not None:
        process.stdout.close()


def plain(text: str) -> str:
    """Without colours."""
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]|\r", "", text)


def tail(text: str) -> str:
    """The end of what a command said."""
    return "\n".join(["it said at last:", *plain(text).splitlines()[-LINES:]])


def run(*words: str, **more: str) -> str:
    """Run a command that must succeed; what it prints."""
    return end(start(*words, **more))


def bring_up(file: Path, **more: str) -> None:
    """`ray up`, again where the machine was too slow for the 30 seconds that Ray gives itself."""
    process = start("ray", "up", "-y", "--no-config-cache", str(file), **more)
    output = process.communicate(timeout=300)[0]
    if process.returncode and "timed out during startup" in output:
        run("ray", "up", "-y", "--no-config-cache", str(file), **more)
    else:
        assert process.returncode == 0, tail(output)


def wait_until(true: Callable[[], object], what: str, seconds: float = 420) -> None:
    """Wait for something that will be so."""
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until, f"not after {seconds:g} s: {what}"
        time.sleep(0.5)


def wait_while(process: subprocess.Popen[str], true: Callable[[], object], what: str) -> None:
    """Wait for something that will be so while a command runs."""
    try:
        wait_until(lambda: true() or process.poll() is not None, what)
        assert process.poll() is None, "it ended"
    except AssertionError as error:
        process.kill()
        raise AssertionError(f"{error}; {tail(process.communicate()[0])}") from None


def ask(ledger: Path, query: str) -> list[tuple[Any, ...]]:
    """What a study's ledger answers; nothing where there is none yet."""
    try:
        with closing(sqlite3.connect(f"file:{ledger}?mode=ro", uri=True)) as rows:
            return rows.execute(query).fetchall()
    except sqlite3.OperationalError:
        return []


def count(ledger: Path, table: str) -> int:
    """Rows of a study's ledger."""
    return sum(number for (number,) in ask(ledger, f"select count(*) from {table}"))


def trials() -> list[dict[str, str]]:
    """The table of trials that came back."""
    with (RESULTS / "quickstart" / "trials.csv").open(encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def runs_ray(machine: Machine) -> bool:
    """Whether Ray runs on a machine."""
    return "raylet" in machine.run("ps", "-eo", "args")


LOOPBACK = ("127.", "::1", "::ffff:127.")
PORTS = {
    22: "sshd",
    6379: "gcs_server",
    10001: "python",  # Ray's client server, on the head
    44217: "python",  # the autoscaler's metrics, on the head
    44227: "python",  # the dashboard's metrics, on the head
    52365: "ray::DashboardA",
}
ANY_PORT = {"raylet", "ray::DashboardA", "ray::RuntimeEnv"}
"""What docs/security.md says listens where others of the network reach it."""


def listening(machine: Machine) -> set[tuple[str, int, str]]:
    """Addresses, ports and programs that listen on a machine."""
    found = set()
    for line in machine.run("ss", "-Hltnp").splitlines():
        fields = line.split()
        address, _, port = fields[3].rpartition(":")
        found.add((address.strip("[]"), int(port), fields[5].split('"')[1]))
    return found


def unknown_listeners(machine: Machine) -> set[tuple[str, int, str]]:
    """What listens beyond loopback and is not in the document."""
    return {
        (address, port, program)
        for address, port, program in listening(machine)
        if not address.startswith(LOOPBACK)
        and PORTS.get(port) != program
        and program not in ANY_PORT
    }
