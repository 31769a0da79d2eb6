"""What the workers of the cluster tests do: epochs of a known length, with a known checkpoint."""

import os
import time
from pathlib import Path
from typing import Any

import ray

from muse.device import Worker
from search.task import Task


def count(desk: Any, task: Task, worker: Worker) -> dict[str, float]:
    """Count epochs, from a file on; the value is the point's theta, so ASHA has a truth to find.

    `task.config` gives epochs, seconds (of an epoch), theta, and `hang`: an epoch before which the
    first attempt falls silent, `gate`: a file without which the third epoch does not begin,
    `leaving`: seconds that it takes to end once it was stopped.
    """
    if worker.rank == 0:
        ray.get(desk.began.remote(task.trial_id, {"node": ray.get_runtime_context().get_node_id()}))
    folder = Path(task.folder)
    folder.mkdir(parents=True, exist_ok=True)
    done = folder / "done"
    epoch = int(done.read_text()) if done.exists() else 0
    with (folder / "attempts").open("a") as file:
        file.write(f"{epoch}\n")
    while epoch < task.config["epochs"]:
        fall_silent(task, epoch + 1, folder)
        while epoch == 2 and task.config.get("gate") and not Path(task.config["gate"]).exists():
            time.sleep(0.1)
        time.sleep(task.config["seconds"])
        epoch += 1
        done.write_text(str(epoch))
        if not ray.get(desk.report.remote(task.trial_id, figures(task, epoch))):
            time.sleep(task.config.get("leaving", 0))
            break
    return {}


def figures(task: Task, epoch: int) -> dict[str, Any]:
    value = task.config["theta"] * epoch
    return {"epoch": epoch, "value": value, "best": value, "best_epoch": epoch, "pid": os.getpid()}


def fall_silent(task: Task, epoch: int, folder: Path) -> None:
    """Hang once, before an epoch."""
    mark = folder / "hung"
    if task.config.get("hang") == epoch and not mark.exists():
        mark.touch()
        time.sleep(600)
