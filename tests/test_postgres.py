"""The ledger in a real PostgreSQL server, started for these tests on a socket of its own."""

import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from muse.errors import UserError
from search.folder import Places, new_folder, old_folder, stored
from search.ledger import Address, Ledger, Word
from search.schema import read_url
from search.study import Study

BINARIES = sorted(Path("/usr/lib/postgresql").glob("*/bin")) + [
    Path(found).parent for found in [shutil.which("initdb")] if found
]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not BINARIES, reason="PostgreSQL's server (initdb, pg_ctl) is not here"),
    pytest.mark.skipif(
        importlib.util.find_spec("psycopg") is None, reason="psycopg is not here ([postgres])"
    ),
]
POINT = {"cross.theta": 0.1, "cross.mu": 1}


class Server:
    """A server that listens on a Unix socket in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        # The server refuses to be root, so root lends it the name of nobody.
        self.user: dict[str, Any] = {}
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            os.chown(folder, nobody.pw_uid, nobody.pw_gid)
            self.user = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        self.call("initdb", "-A", "trust", "-U", "postgres", "--no-sync", "-E", "UTF8")

    def call(self, program: str, *words: str) -> None:
        command = [str(BINARIES[-1] / program), "-D", str(self.folder / "data"), *words]
        subprocess.run(
            command,
            cwd=self.folder,
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            **self.user,
        )

    def start(self) -> None:
        options = f"-c listen_addresses='' -c unix_socket_directories={self.folder}"
        self.call("pg_ctl", "-w", "-l", str(self.folder / "log"), "-o", options, "start")

    def stop(self) -> None:
        self.call("pg_ctl", "-w", "-m", "immediate", "stop")

    @property
    def url(self) -> str:
        return f"postgresql+psycopg://postgres@/postgres?host={self.folder}"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    folder = Path(tempfile.mkdtemp(prefix="muse-postgres-"))
    made = Server(folder)
    made.start()
    yield made
    made.stop()
    shutil.rmtree(folder)


def fill(ledger: Ledger) -> None:
    """A trial that was interrupted and ended, and one that runs."""
    ledger.ask("a", "search", 3, POINT, budget=2)
    ledger.hear("a", Word(node="gpu-1", lost=1))
    for value in (0.5, 0.9):  # told twice: the first counts
        ledger.report("a", {"epoch": 1, "value": value, "elapsed": 4.0, "loss": float("nan")}, 2.0)
    ledger.ask("a", "search", 3, POINT, budget=2)
    ledger.report("a", {"epoch": 2, "value": 0.25, "elapsed": 1.0, "loss": 0.5}, 2.0)
    ledger.hear("a", Word(kind="disk"))
    ledger.end("a", "failed", 1.0, 2.0, 'said "no"')
    ledger.ask("b", "sensitivity", 0, POINT)


def test_a_study_reads_from_postgresql_as_it_reads_from_sqlite(
    server: Server, tmp_path: Path
) -> None:
    here, there = Ledger(tmp_path / "ledger.db"), Ledger(Address(read_url(server.url), "mine"))
    fill(here)
    fill(there)

    def known(ledger: Ledger) -> list[dict[str, Any]]:
        times = {"started", "ended"}
        return [{k: v for k, v in vars(e).items() if k not in times} for e in ledger.entries()]

    assert known(there) == known(here)
    assert there.entry("a").seconds == 5.0
    assert [e.trial_id for e in there.entries("sensitivity")] == ["b"]
    here.close()
    there.close()


def test_studies_of_one_database_do_not_see_one_another(server: Server) -> None:
    first = Ledger(Address(read_url(server.url), "first"))
    second = Ledger(Address(read_url(server.url), "second"))
    first.ask("a", "search", 0, POINT)
    second.ask("a", "search", 1, POINT)
    first.report("a", {"epoch": 1, "value": 0.5}, 1.0)
    first.end("a", "stopped", 0.0, 1.0, "")
    assert [(e.state, e.seed, e.epochs) for e in first.entries()] == [("stopped", 0, 1)]
    assert [(e.state, e.seed, e.epochs) for e in second.entries()] == [("running", 1, 0)]
    first.close()
    second.close()


def test_a_folder_whose_ledger_is_in_postgresql_is_resumed_from_there(
    server: Server, tmp_path: Path
) -> None:
    study = Study(name="mine")
    with new_folder(tmp_path / "mine", study, "abc", Places(server.url)) as place:
        ledger = Ledger(place.ledger)
        ledger.ask("a", "search", 0, POINT)
        ledger.close()
    with old_folder(tmp_path / "mine", stored(tmp_path / "mine")) as place:
        ledger = Ledger(place.ledger)
        assert [e.trial_id for e in ledger.entries()] == ["a"]
        ledger.close()
    assert not (tmp_path / "mine" / "ledger.db").exists()


def test_a_server_that_went_away_is_one_line_and_what_was_told_is_kept(server: Server) -> None:
    address = Address(read_url(server.url), "away")
    ledger = Ledger(address)
    ledger.ask("a", "search", 0, POINT)
    server.stop()
    with pytest.raises(UserError, match=r"does not answer \([^\n]*\); once it does, --resume\.$"):
        ledger.ask("b", "search", 0, POINT)
    server.start()
    assert [e.trial_id for e in ledger.entries()] == ["a"]
    ledger.ask("b", "search", 0, POINT)
    ledger.close()
