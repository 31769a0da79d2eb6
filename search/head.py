"""What `--cluster` asks of a cluster's head: start a search as a Ray Job, follow it, pack it up.

`search/remote.py` calls it through `ray exec` and reads the lines that begin with a mark; all other
lines are Ray's.
"""

import argparse
import asyncio
import glob
import json
import os
import re
import shlex
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import ray
from ray.job_submission import JobStatus, JobSubmissionClient

from muse.errors import UserError
from search.marks import ANSWER, ERROR, LINE
from search.provenance import code_hash

DASHBOARD = "http://127.0.0.1:8265"

OF_RAY = re.compile(r" job_manager\.py:\d+ -- |^Running entrypoint for job ")

LEFT_BEHIND = {"trials", ".ray", ".lock"}
"""What of a study nobody asked to see: checkpoints, and Ray's own."""

FIRST_SECONDS, REST_SECONDS = 900.0, 60.0
"""How long the first machine of a cluster that does not grow may take to join, which installs all
that is needed, and then the others; a search takes in those that come still later."""


def build_parser() -> argparse.ArgumentParser:
    """Every request."""
    parser = argparse.ArgumentParser(prog="python -m search.head", description=__doc__)
    add = parser.add_subparsers(dest="request", required=True).add_parser
    start = add("start", help="start a search")
    start.add_argument("name")
    start.add_argument("folder", help="of the study")
    start.add_argument("--ray", required=True, help="version that the caller has")
    start.add_argument("--code", required=True, help="hash of the caller's code")
    start.add_argument("--machines", type=int, default=0, help="that join by themselves")
    start.add_argument("search", nargs=argparse.REMAINDER, help="arguments of search/run.py")
    add("follow", help="print what a search prints, until it ends").add_argument("name")
    add("pack", help="put a study into one file").add_argument("folder")
    cost = add("cost", help="what a study has spent so far")
    cost.add_argument("folder")
    cost.add_argument("--price", type=float)
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Answer one request; returns the exit status."""
    options = build_parser().parse_args(arguments)
    answers: dict[str, Callable[[argparse.Namespace], dict[str, Any]]] = {
        "start": start,
        "follow": follow,
        "pack": pack,
        "cost": cost,
    }
    try:
        print(ANSWER + json.dumps(answers[options.request](options)), flush=True)
    except UserError as error:
        print(f"{ERROR}{error}", flush=True)
        return 2
    return 0


def tell(text: str) -> None:
    """Lines for the user, without those that Ray puts before them."""
    for line in text.splitlines():
        if not OF_RAY.search(line):
            print(LINE + line, flush=True)


def start(options: argparse.Namespace) -> dict[str, Any]:
    """Start a search as a Ray Job, which goes on when the caller leaves."""
    if ray.__version__ != options.ray:
        raise UserError(
            f"the cluster runs Ray {ray.__version__}, this machine has {options.ray}; install the "
            "same here, or change the file's version and 'ray up' again."
        )
    if code_hash() != options.code:
        tell("note: the cluster has other code than this machine; 'ray up --no-restart' brings it")
    client = JobSubmissionClient(DASHBOARD)
    check_idle(client, options.name)
    wait_for_machines(options.machines)
    check_idle(client, options.name)  # another may have waited for the same machines
    words = [sys.executable, "search/run.py", *map(os.path.expanduser, options.search)]
    identity = f"{options.name}-{time.strftime('%Y%m%d-%H%M%S')}"
    client.submit_job(
        submission_id=identity,
        entrypoint=f"cd {shlex.quote(str(Path.cwd()))} && exec {shlex.join(words)}",
        metadata={"study": options.name, "folder": options.folder},
        runtime_env={"env_vars": {"PYTHONUNBUFFERED": "1"}},  # lines arrive as they are printed
    )
    return {"job": identity}


def check_idle(client: JobSubmissionClient, name: str) -> None:
    """Make sure that nobody searches a study already.

    Raises:
        UserError: somebody does.
    """
    if any(not job.status.is_terminal() for job in jobs(client, name)):
        raise UserError(f"a search of the study '{name}' runs there; --attach shows it.")


def wait_for_machines(count: int) -> None:
    """Machines of one's own are few, and all of them join once the head is up.

    Raises:
        UserError: not one has joined.
    """
    if not count:
        return
    ray.init("auto", logging_level="ERROR", log_to_driver=False)
    tell(f"waiting for {count} workers to join")
    began, joined = time.monotonic(), 0
    patience = FIRST_SECONDS
    while joined < count and time.monotonic() - began < patience:
        time.sleep(1)
        joined, before = sum(node["Alive"] for node in ray.nodes()) - 1, joined
        if joined > before == 0:
            patience = time.monotonic() - began + REST_SECONDS
    ray.shutdown()
    if not joined:
        raise UserError("no worker has joined the head; 'ray monitor' shows why.")
    if joined < count:
        tell(f"note: {joined} of {count} workers have joined so far")


def jobs(client: JobSubmissionClient, name: str) -> list[Any]:
    """The searches of a study, the latest last."""
    known = [job for job in client.list_jobs() if (job.metadata or {}).get("study") == name]
    return sorted(known, key=lambda job: job.start_time or 0)


def follow(options: argparse.Namespace) -> dict[str, Any]:
    """Print what the latest search of a study prints, from its beginning to its end."""
    client = JobSubmissionClient(DASHBOARD)
    known = jobs(client, options.name)
    if not known:
        studies = {(job.metadata or {}).get("study") for job in client.list_jobs()} - {None}
        there = f"it has {', '.join(sorted(map(str, studies)))}" if studies else "it has none"
        raise UserError(f"no search of a study '{options.name}' was started there; {there}.")
    identity = str(known[-1].submission_id)
    tell(f"job {identity} on the head, which goes on whatever becomes of this connection")
    asyncio.run(print_log(client, identity))
    while not (info := client.get_job_info(identity)).status.is_terminal():
        time.sleep(0.5)
    return {
        "job": identity,
        "folder": info.metadata["folder"],
        "status": status_of(info),
        "said": " ".join(str(info.message or "").split()),
    }


def status_of(info: Any) -> int:
    """Exit status of a search that has ended."""
    if info.status == JobStatus.SUCCEEDED:
        return 0
    return int(info.driver_exit_code or 1)


async def print_log(client: JobSubmissionClient, identity: str) -> None:
    """Line by line; the last one may be without its end."""
    rest = ""
    with suppress(RuntimeError):  # the server may hang up as the job ends
        async for text in client.tail_job_logs(identity):
            whole, newline, rest = (rest + text).rpartition("\n")
            if newline:
                tell(whole)
    tell(rest)


def pack(options: argparse.Namespace) -> dict[str, Any]:
    """Put a study into one file, without what nobody asked for.

    Raises:
        UserError: something in it cannot be read, or changes meanwhile.
    """
    folder = Path(options.folder).expanduser()
    if not folder.is_dir():
        return {"file": ""}
    begins = f"muse-search-{folder.name}-"
    for earlier in Path(tempfile.gettempdir()).glob(f"{glob.escape(begins)}????????.tar"):
        with suppress(OSError):  # another user's
            earlier.unlink()
    number, file = tempfile.mkstemp(".tar", begins)  # readable by nobody else, by no known name
    try:
        with os.fdopen(number, "wb") as stream, tarfile.open(fileobj=stream, mode="w") as packed:
            for inside in sorted(folder.iterdir()):
                if inside.name not in LEFT_BEHIND:
                    packed.add(inside, inside.name, filter=no_link)
    except BaseException as error:
        Path(file).unlink()
        if isinstance(error, OSError):
            raise UserError(f"{folder}: cannot be packed ({error}); --attach again.") from error
        raise
    return {"file": file}


def no_link(found: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """A study has none of its own; the lock of its journal is one, which a kill leaves behind."""
    return None if found.issym() or found.islnk() else found


def cost(options: argparse.Namespace) -> dict[str, Any]:
    """What a study has spent so far."""
    from search.spent import spent  # noqa: PLC0415 - pandas and torch are not needed above

    tell(spent(Path(options.folder).expanduser(), options.price))
    return {}


if __name__ == "__main__":
    raise SystemExit(main())
