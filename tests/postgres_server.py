"""A real PostgreSQL server that listens on a socket of its own, where PostgreSQL is installed."""

import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

BINARIES = sorted(Path("/usr/lib/postgresql").glob("*/bin")) + [
    Path(found).parent for found in [shutil.which("initdb")] if found
]


def lacking() -> str:
    """What is not here of PostgreSQL; nothing where all is."""
    if not BINARIES:
        return "PostgreSQL's server (initdb, pg_ctl) is not here"
    return "" if importlib.util.find_spec("psycopg") else "psycopg is not here ([postgres])"


LACKING = lacking()


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


@contextmanager
def postgres_server() -> Iterator[Server]:
    """A server with an empty database."""
    folder = Path(tempfile.mkdtemp(prefix="muse-postgres-"))
    made = Server(folder)
    made.start()
    try:
        yield made
    finally:
        made.stop()
        shutil.rmtree(folder)
