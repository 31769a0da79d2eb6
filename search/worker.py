"""What each Ray Train worker of a pool does: take a trial, train it, take the next."""

import gc
import logging
import resource
import socket
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import ray
import ray.train
import ray.train.torch
import torch
import torch.distributed as dist

from muse.applied import verify
from muse.checkpoint import load
from muse.config import MuseConfig
from muse.device import Worker, autocast, forget, wants_bf16
from muse.evaluate import evaluate
from muse.fit import complete, take_up
from muse.prepare import prepare
from muse.tensors import Tensors
from muse.train import start_run
from muse.writer import Writer
from search.bucket import at_hand
from search.faults import of_training, wait_for_storage
from search.task import Task

Work = Callable[[Any, Task, Worker], dict[str, float]]
"""What a task can ask for: takes the desk's handle, the task and this worker."""


def serve(settings: dict[str, Any]) -> None:
    """Train trials from the desk until there are no more.

    Args:
        settings: `desk` (the actor's handle), `pool` (this group's number), `threads` (of torch).
    """
    torch.set_num_threads(settings["threads"])
    desk, pool = settings["desk"], settings["pool"]
    ray.get(desk.join.remote(pool, ray.get_runtime_context().current_actor))
    context = ray.train.get_context()
    device = ray.train.torch.get_device()
    worker = Worker(device, context.get_world_rank(), context.get_world_size())
    gc.freeze()  # what is imported stays: no trial's end need look through it
    while (task := take_together(desk, pool, worker)) is not None:
        do(desk, task, worker)
        forget(device)


def take_together(desk: Any, pool: int, worker: Worker) -> Task | None:
    """The first worker takes a trial and tells the others."""
    task = ray.get(desk.take.remote(pool)) if worker.rank == 0 else None
    if worker.world == 1:
        return task
    box = [task]
    dist.broadcast_object_list(box, src=0)
    return box[0]


def do(desk: Any, task: Task, worker: Worker) -> None:
    """Do what a task asks and tell the desk how it ended."""
    try:
        result = work_of(task)(desk, task, worker)
    except Exception as error:  # whatever it is, it belongs into this trial's row
        logging.exception("%s failed", task.trial_id)
        fault = of_training(error, task.folder, worker.world)
        if fault.kind == "disk" and fault.again:
            wait_for_storage(task.folder)
        ray.get(desk.fail.remote(task.trial_id, fault))
        # Others wait for this worker in a collective call, or its GPU is in no state to go on:
        # the cluster then starts another group.
        if worker.world > 1 or isinstance(error, torch.AcceleratorError):
            raise
    else:
        if worker.rank == 0:
            ray.get(desk.finish.remote(task.trial_id, result))


def work_of(task: Task) -> Work:
    """The function that does what a task asks."""
    own: dict[str, Work] = {"train": train, "score": score}
    if task.work in own:
        return own[task.work]
    module, _, name = task.work.partition(":")
    found: Work = getattr(import_module(module), name)
    return found


def train(desk: Any, task: Task, worker: Worker) -> dict[str, float]:
    """Train the model that the task describes, once it is sure that it is that model."""
    config = MuseConfig.model_validate(task.config)
    run = start_run(config, prepared(config), worker)
    with at_hand(task.folder) as (folder, twin), Writer(twin.push if twin else None) as writer:

        def report(figures: dict[str, float]) -> bool:
            if figures["epoch"] in (*task.rungs, config.train.epochs):
                writer.flush()  # it may end here, and what is not wanted is then cleared away
            seen = figures | memory(worker.device)
            if task.test and figures["epoch"] == config.train.epochs:
                seen |= test_figures(folder / "best", config, worker.device)
            wanted: bool = ray.get(desk.report.remote(task.trial_id, seen))
            return wanted

        take_up(run, folder)
        built = verify(run, task.config, task.fingerprint)
        if worker.rank == 0:
            about = {"node": socket.gethostname(), "fingerprint": built}
            ray.get(desk.began.remote(task.trial_id, about))
        result = complete(run, report, folder, writer, keep_best=task.export)
        if worker.rank == 0 and twin is not None:
            twin.push()  # that there is no state to go on from
        return result


def memory(device: torch.device) -> dict[str, float]:
    """The most GPU memory that this trial has held, also as a share; without a GPU this process's.

    A process keeps memory from one trial to the next, so on a CPU the figure is no trial's own.
    """
    if device.type == "cuda":
        held = torch.cuda.max_memory_reserved(device)
        total = torch.cuda.get_device_properties(device).total_memory
        return {"peak_memory": held / total, "memory_gb": held / 1e9}
    pages = Path("/proc/self/statm")
    if not pages.exists():  # no Linux
        return {}
    resident = int(pages.read_text(encoding="ascii").split()[1])
    return {"memory_gb": resident * resource.getpagesize() / 1e9}


def score(desk: Any, task: Task, worker: Worker) -> dict[str, float]:  # noqa: ARG001 - as Work
    """Score a trained model on the test split."""
    config = MuseConfig.model_validate(task.config)
    with at_hand(task.folder) as (folder, _):
        return on_test(folder / "best", config, worker)


def on_test(folder: Path, config: MuseConfig, worker: Worker) -> dict[str, float]:
    """Scores of an exported model on the test split."""
    model, _ = load(folder)
    bf16 = wants_bf16(config, worker.device, model.text_encoder.width)
    with autocast(worker.device, bf16=bf16):
        return evaluate(model.to(worker.device), prepared(config).splits["test"], config, worker)


def test_figures(folder: Path, config: MuseConfig, device: torch.device) -> dict[str, float]:
    """The same as figures of a report; nothing where the corpus has no test split.

    On one worker alone: the others wait for the answer to its report.
    """
    if "test" not in prepared(config).splits:
        return {}
    scores = on_test(folder, config, Worker(device))
    return {f"test_{name}": value for name, value in scores.items()}


CORPORA: dict[str, Tensors] = {}
"""The corpora that this process has open: all trials of a study share one."""


def prepared(config: MuseConfig) -> Tensors:
    """The corpus of a trial, opened once a process."""
    key = config.data.model_dump_json() + config.text.model_dump_json()
    if key not in CORPORA:
        CORPORA[key] = prepare(config)
    return CORPORA[key]
