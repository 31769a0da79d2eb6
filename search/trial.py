"""One proposal as Tune sees it: a driver that hands a trial to a pool and passes reports on."""

import os
from typing import Any

import ray
from ray import tune

from search.task import Task

PATIENCE = 3600
"""Seconds that workers may take to leave a trial; those that hang are killed long before."""


def drive(config: dict[str, Any], desk: Any) -> None:
    """Run one trial; a Tune function.

    Args:
        config: `task`, the trial as plain data, and `seen`, the last epoch that is known already.
        desk: handle of the desk actor.
    """
    # Tune loses the next trial if this one's thread, which waits for its workers, takes longer.
    os.environ["TUNE_FUNCTION_THREAD_TIMEOUT_S"] = str(PATIENCE)
    task = Task(**config["task"])
    ray.get(desk.put.remote(task))
    try:
        pass_reports(task, desk, config["seen"])
    finally:
        ray.get(desk.leave.remote(task.trial_id))


def pass_reports(task: Task, desk: Any, seen_epoch: int) -> None:
    """Pass each new epoch's figures to Tune until the trial ends, and why it failed if it did."""
    read, passed = 0, False
    last: dict[str, Any] = {"epoch": seen_epoch, "best": 0.0}
    while True:
        message = ray.get(desk.next.remote(task.trial_id, read))
        read += 1
        if "failed" in message:
            tune.report({**last, **message})
            return
        if "finished" in message:
            if not passed:  # all its epochs were known; Tune wants a result all the same
                tune.report(last)
            return
        new = message["epoch"] > last["epoch"]
        if message["epoch"] >= last["epoch"]:  # a trial taken up again repeats epochs
            last = message
        if new:
            tune.report(message)
            passed = True
