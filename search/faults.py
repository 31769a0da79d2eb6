"""What went wrong with a trial: of which kind, in one line, and whether another try may help."""

import errno
import time
from collections.abc import Callable, Iterable

import torch
import torch.distributed
from ray.exceptions import NodeDiedError, OutOfMemoryError, RayActorError

from muse.errors import DivergedError
from search.bucket import probe
from search.fault import Fault, Kind

FULL = (errno.ENOSPC, errno.EDQUOT)
AWAY = (
    *(errno.ESTALE, errno.EIO, errno.ETIMEDOUT, errno.ENOTCONN, errno.EHOSTDOWN),
    *(errno.EHOSTUNREACH, errno.ENETDOWN, errno.ENETUNREACH, errno.ECONNRESET, errno.EREMOTEIO),
)
"""What shared storage answers while it is away; it may come back."""

AWAY_BUCKET = tuple(
    f"AWS Error {word}" for word in ("NETWORK", "SLOW_DOWN", "SERVICE_UNAVAILABLE", "INTERNAL")
)
"""The same of a bucket, as pyarrow words it."""

WAITS = (1, 2, 4, 8, 15, 30)
"""Seconds between two looks at storage that is away: a minute in all."""


def first_line(error: BaseException) -> str:
    """The error's type and the first line of what it says."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def of_training(error: BaseException, folder: str, world: int = 1) -> Fault:
    """What an error in a worker means.

    Args:
        error: raised while a trial was built or trained.
        folder: the trial's, where its checkpoints go.
        world: workers of the trial, which lose one another.
    """
    reason = first_line(error)
    if isinstance(error, DivergedError):
        return Fault("diverged", str(error))
    if isinstance(error, torch.OutOfMemoryError | MemoryError) or "can't allocate memory" in reason:
        return Fault("memory", reason)
    if isinstance(error, OSError):
        return of_storage(error, folder, reason)
    if world > 1 and is_lost_peer(error):
        return Fault("worker lost", f"a worker lost another one ({reason})", again=True)
    return Fault("error", reason)


def of_storage(error: OSError, folder: str, reason: str) -> Fault:
    """What an error of a file system or bucket means: full, away for a while, or a mistake."""
    if error.errno in FULL:
        return Fault("disk", reason)
    # A file that is missing elsewhere is missing for good.
    vanished = error.errno == errno.ENOENT and folder in str(error.filename)
    if error.errno in AWAY or vanished or any(word in reason for word in AWAY_BUCKET):
        return Fault("disk", f"the storage was away ({reason})", again=True)
    return Fault("error", reason)


def is_lost_peer(error: BaseException) -> bool:
    """Whether a collective call failed because another worker has gone."""
    told = str(error).lower()
    return isinstance(error, torch.distributed.DistError) or (
        isinstance(error, RuntimeError) and ("gloo" in told or "nccl" in told)
    )


def of_workers(errors: Iterable[BaseException]) -> Fault:
    """What ended a worker group, from the errors that Ray Train has for its workers.

    The plainest of them counts: those who waited for a worker that is gone fail as well.
    """
    found = [of_worker(getattr(error, "health_check_failure", error)) for error in errors]
    order: tuple[Kind, ...] = ("node lost", "memory", "worker lost", "error")
    return min(found, key=lambda fault: order.index(fault.kind), default=NOBODY)


NOBODY = Fault("worker lost", "its workers were lost", again=True)


def of_worker(error: BaseException) -> Fault:
    """What ended one worker, as Ray tells it."""
    told = str(error)
    if isinstance(error, OutOfMemoryError) or "low on memory" in told:
        return Fault("memory", "a worker was ended because its machine ran out of memory", True)
    if isinstance(error, NodeDiedError) or "node has died" in told or "node was terminated" in told:
        return Fault("node lost", "the machine of a worker was lost", again=True)
    if isinstance(error, RayActorError):
        return Fault("worker lost", "a worker process died", again=True)
    return Fault("error", first_line(error), again=True)


def wait_for_storage(folder: str, sleep: Callable[[float], None] = time.sleep) -> bool:
    """Wait up to a minute until a folder can be written; False where it still cannot."""
    for seconds in (*WAITS, 0):
        try:
            probe(folder)
        except OSError:
            sleep(seconds)
        else:
            return True
    return False
