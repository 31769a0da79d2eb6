"""Which kind of failure an error is, and whether another try may help."""

import errno
from pathlib import Path

import pytest
import torch
from ray.exceptions import ActorDiedError, NodeDiedError, OutOfMemoryError

from muse.applied import MisappliedError
from muse.errors import DivergedError, UserError
from search.faults import WAITS, of_training, of_workers, wait_for_storage

FOLDER = "/results/study/trials/a"


def lost_peer() -> RuntimeError:
    return RuntimeError("[gloo/transport/tcp/pair.cc:547] Connection closed by peer [10.0.0.2]:80")


@pytest.mark.parametrize(
    ("error", "kind", "again"),
    [
        (DivergedError("not finite in epoch 1: loss"), "diverged", False),
        (torch.OutOfMemoryError("CUDA out of memory."), "memory", False),
        (MemoryError(), "memory", False),
        (
            RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"),
            "memory",
            False,
        ),
        (OSError(errno.ENOSPC, "No space left on device"), "disk", False),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), "disk", False),
        (OSError(errno.ESTALE, "Stale file handle"), "disk", True),
        (OSError(errno.EIO, "Input/output error"), "disk", True),
        (FileNotFoundError(errno.ENOENT, "No such file", f"{FOLDER}/last.pt"), "disk", True),
        (FileNotFoundError(errno.ENOENT, "No such file", "/weights.pt"), "error", False),
        (OSError("When writing: AWS Error NETWORK_CONNECTION during PutObject"), "disk", True),
        (OSError("When writing: AWS Error ACCESS_DENIED during PutObject"), "error", False),
        (PermissionError(errno.EACCES, "Permission denied", f"{FOLDER}/x"), "error", False),
        (MisappliedError("cross.mu was asked to be 1, but 2 was built"), "error", False),
        (UserError("cross.heads=7 must divide the width"), "error", False),
        (ValueError("two\nlines"), "error", False),
    ],
)
def test_an_error_in_a_worker_has_a_kind(error: Exception, kind: str, again: bool) -> None:
    fault = of_training(error, FOLDER)
    assert (fault.kind, fault.again) == (kind, again)
    assert "\n" not in fault.reason


def test_the_reason_names_the_error_and_its_first_line() -> None:
    assert of_training(ValueError("two\nlines"), FOLDER).reason == "ValueError: two"
    assert of_training(MemoryError(), FOLDER).reason == "MemoryError"


def test_a_worker_that_loses_another_blames_that_one() -> None:
    fault = of_training(lost_peer(), FOLDER, world=2)
    assert (fault.kind, fault.again) == ("worker lost", True)


def test_a_worker_alone_has_nobody_to_lose() -> None:
    assert of_training(lost_peer(), FOLDER, world=1).kind == "error"


def died(words: str) -> ActorDiedError:
    error = ActorDiedError()
    error.error_msg = words
    return error


@pytest.mark.parametrize(
    ("errors", "kind"),
    [
        ([died("The actor died unexpectedly before finishing this task.")], "worker lost"),
        ([died("The actor died because its node has died. Node Id: ab")], "node lost"),
        ([NodeDiedError("gone")], "node lost"),
        ([OutOfMemoryError("Task was killed due to the node running low on memory.")], "memory"),
        ([lost_peer(), died("it was killed")], "worker lost"),
        ([lost_peer(), died("killed"), died("its node has died")], "node lost"),
        ([ValueError("in a worker")], "error"),
        ([], "worker lost"),
    ],
)
def test_the_end_of_a_worker_group_has_the_kind_of_its_plainest_cause(
    errors: list[Exception], kind: str
) -> None:
    fault = of_workers(errors)
    assert (fault.kind, fault.again) == (kind, True)


def test_what_ray_train_found_in_a_health_check_counts() -> None:
    class WorkerHealthCheckFailedError(Exception):
        health_check_failure = died("its node has died")

    assert of_workers([WorkerHealthCheckFailedError()]).kind == "node lost"


def test_storage_that_is_there_is_not_waited_for(tmp_path: Path) -> None:
    assert wait_for_storage(str(tmp_path / "a"), sleep=pytest.fail)
    assert list((tmp_path / "a").iterdir()) == []


def test_storage_that_comes_back_is_waited_for(tmp_path: Path) -> None:
    root, waits = tmp_path / "mount", []
    root.write_text("a file where a folder should be")

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 3:
            root.unlink()

    assert wait_for_storage(str(root / "a"), sleep)
    assert tuple(waits) == WAITS[:3]


def test_storage_that_stays_away_is_given_up_after_a_minute(tmp_path: Path) -> None:
    root, waits = tmp_path / "mount", []
    root.write_text("a file where a folder should be")
    assert not wait_for_storage(str(root / "a"), waits.append)
    assert sum(waits) == 60
