"""Connect to Ray, or start it on this machine, so that its processes run our own code."""

import os
import signal
import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import ray
from ray._private import services

import muse
import search
from muse.errors import UserError
from search.faults import first_line

TRIES = 3
"""Ray gives its processes half a minute to start, which a very busy machine may not keep."""


def connect(address: str | None) -> None:
    """Join the cluster at an address, or start Ray on this machine.

    Raises:
        UserError: nothing answers there, or Ray does not start here.
    """
    # Else workers may run an installed copy.
    code = [Path(package.__path__[0]) for package in (muse, search)]
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    if address is None:
        options |= {"include_dashboard": False, "object_store_memory": 200 * 2**20}
    else:
        check_answer(address)
        # Paths, because a Ray Job cannot copy modules.
        options["runtime_env"] = {"py_modules": [str(folder) for folder in code]}
    ending = signal.getsignal(signal.SIGTERM)
    with first_on_path({folder.parent for folder in code}):
        if address is None:
            start_here(options)
        else:
            join(address, options)
    signal.signal(signal.SIGTERM, ending)  # Ray's own leaves no time for an orderly end
    hide_token()


def join(address: str, options: dict[str, Any]) -> None:
    """Join a cluster.

    Raises:
        UserError: nothing answers there.
    """
    try:
        ray.init(address=address, **options)
    except ConnectionError as error:
        raise UserError(
            f"--address {address}: no Ray cluster answers there; start one with 'ray up' or "
            "'ray start --head', or leave --address out to use this machine."
        ) from error


def start_here(options: dict[str, Any], tries: int = TRIES) -> None:
    """Start Ray on this machine.

    Raises:
        UserError: it does not start.
    """
    try:
        with apart():
            ray.init(address="local", **options)
    except Exception as error:  # Ray has no type for it
        ray.shutdown()
        if tries > 1 and "timed out" in str(error):
            start_here(options, tries - 1)
            return
        raise UserError(
            f"Ray does not start on this machine ({first_line(error)}); look into "
            "/tmp/ray/session_latest/logs, or try again when the machine is less busy."
        ) from error


@contextmanager
def apart() -> Iterator[None]:
    """Give each server of Ray that is started meanwhile a process group of its own.

    A search needs them to end in good order, also where its whole group is told to end, as by
    `timeout`, batch systems and containers. Where Ray names its class otherwise some day, they are
    started as Ray likes.
    """
    usual = getattr(services, "ConsolePopen", None)
    if usual is None:
        yield
        return
    services.ConsolePopen = partial(usual, process_group=0)
    try:
        yield
    finally:
        services.ConsolePopen = usual


@contextmanager
def first_on_path(folders: Iterable[Path]) -> Iterator[None]:
    """Let the Python processes of whatever is started meanwhile look in these folders first.

    On one machine that does what Ray's `py_modules` do, which start every process twice as slowly.
    """
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join([*map(str, folders), *([before] if before else [])])
    try:
        yield
    finally:
        os.environ.pop("PYTHONPATH")
        if before is not None:
            os.environ["PYTHONPATH"] = before


def hide_token() -> None:
    """Keep Ray's token from other users of this machine: Ray makes it readable for all."""
    token = Path(os.environ.get("RAY_AUTH_TOKEN_PATH", Path.home() / ".ray" / "auth_token"))
    with suppress(OSError):  # there is none, or it is not ours
        token.chmod(0o600)


def check_answer(address: str) -> None:
    """Ask for a connection first: Ray itself tries for two minutes before it gives up.

    Raises:
        UserError: nothing answers at a HOST:PORT.
    """
    host, colon, port = address.rpartition(":")
    if not (colon and port.isdigit()) or "/" in host:
        return  # auto, or a form that only Ray reads
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
    except OSError as error:
        raise UserError(
            f"--address {address}: nothing answers there ({error}); start a cluster with 'ray up' "
            "or 'ray start --head', or leave --address out to use this machine."
        ) from error
