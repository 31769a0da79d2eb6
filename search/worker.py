"""What each Ray Train worker of a pool does: take a trial, train it, take the next."""

import gc
import logging
from pathlib import Path
from typing import Any

import ray
import ray.train
import ray.train.torch
import torch
import torch.distributed as dist

from muse.checkpoint import load
from muse.config import MuseConfig
from muse.device import Worker, autocast, wants_bf16
from muse.evaluate import evaluate
from muse.tensors import Tensors, prepare
from muse.train import fit
from search.desk import Task


def pool_loop(settings: dict[str, Any]) -> None:
    """Train trials from the desk until there are no more.

    Args:
        settings: `desk` (the actor's handle), `pool` (this group's number), `threads` (of torch).
    """
    torch.set_num_threads(settings["threads"])
    context = ray.train.get_context()
    device = ray.train.torch.get_device()
    worker = Worker(device, context.get_world_rank(), context.get_world_size())
    while (task := take_together(settings["desk"], settings["pool"], worker)) is not None:
        do(settings["desk"], task, worker)
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
        result = train(desk, task, worker) if task.work == "train" else score(task, worker)
    except Exception as error:  # whatever it is, it belongs into this trial's row
        logging.exception("%s failed", task.trial_id)
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        ray.get(desk.finish.remote(task.trial_id, reason, {}))
        # Others wait for this worker in a collective call, or its GPU is in no state to go on:
        # Ray Train then starts the group anew.
        if worker.world > 1 or isinstance(error, torch.AcceleratorError):
            raise
    else:
        if worker.rank == 0:
            ray.get(desk.finish.remote(task.trial_id, "", result))


def train(desk: Any, task: Task, worker: Worker) -> dict[str, float]:
    """Train the model that the task describes."""

    def report(figures: dict[str, float]) -> bool:
        wanted: bool = ray.get(desk.report.remote(task.trial_id, figures))
        return wanted

    config = MuseConfig.model_validate(task.config)
    return fit(config, prepared(config), report, Path(task.folder), worker)


def score(task: Task, worker: Worker) -> dict[str, float]:
    """Score a trained model on the test split."""
    config = MuseConfig.model_validate(task.config)
    model, _ = load(Path(task.folder) / "best")
    bf16 = wants_bf16(config, worker.device, model.text_encoder.width)
    with autocast(worker.device, bf16=bf16):
        return evaluate(model.to(worker.device), prepared(config).splits["test"], config, worker)


CORPORA: dict[str, Tensors] = {}
"""The corpora that this process has open: all trials of a study share one."""


def prepared(config: MuseConfig) -> Tensors:
    """The corpus of a trial, opened once a process."""
    key = config.data.model_dump_json() + config.text.model_dump_json()
    if key not in CORPORA:
        CORPORA[key] = prepare(config)
    return CORPORA[key]


def forget(device: torch.device) -> None:
    """Give back a trial's memory before the next one starts."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
