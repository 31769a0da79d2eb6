"""What a study has read and what it may cost, before any of it is spent."""

import math
import time

import numpy as np
import torch

from muse.config import MuseConfig
from muse.device import Worker, forget
from muse.tensors import Tensors
from muse.train import start_run, train_step
from search.estimate import priced
from search.plan import strongest_pairs, values_of
from search.reading import told_counts
from search.space import Choice
from search.study import Study, lowest


def most_runs(study: Study) -> tuple[int, int]:
    """The most trials of the first phase, and of all that is trained in full after it."""
    if study.compare is not None:
        return study.trials, 0
    asked = study.sensitivity
    curves = 0
    if asked.points:
        values = [values_of(knob, asked.points) for knob in study.space.values()]
        pairs = strongest_pairs(list(study.space), asked.pairs)
        curves = (1 + sum(values) + 4 * len(pairs)) * asked.seeds
    return study.budget.trials, asked.candidates * asked.seeds + curves + 1


def device_of(study: Study) -> torch.device:
    """Where a worker of this machine would train."""
    wanted = study.resources.gpus_per_worker != 0
    return torch.device("cuda" if wanted and torch.cuda.is_available() else "cpu")


DEAREST = ("cross.theta", "cross.dropout", "loss.alpha", "loss.beta")
"""Settings at whose low ends a step may have less to do."""


def dearest(study: Study) -> MuseConfig:
    """Settings of a trial that takes the longest, as far as the usual searched ones decide that."""
    point = lowest(study)
    for name in study.space.keys() & set(DEAREST):
        knob = study.space[name]
        point[name] = max(knob.choices, key=float) if isinstance(knob, Choice) else knob.high
    return study.config(point)


def seconds_a_tweet(study: Study, tensors: Tensors, device: torch.device, steps: int = 2) -> float:
    """Time of training on one tweet, measured over a few steps on a GPU or on a worker's cores."""
    config = dearest(study)
    threads = torch.get_num_threads()
    torch.set_num_threads(max(1, int(study.resources.cpus_per_worker)))
    try:
        run = start_run(config, tensors, Worker(device), keep_features=False)
        size = min(config.train.batch_size, len(tensors.splits["train"]))
        batch = torch.from_numpy(np.arange(size))
        # The first step is slower; on a GPU the second is recorded, and only then replayed.
        for _ in range(1 if device.type == "cpu" else 3):
            train_step(run, batch).tolist()
        began = time.perf_counter()
        for _ in range(steps):
            train_step(run, batch).tolist()  # waits for a GPU
        return (time.perf_counter() - began) / steps / size
    finally:
        torch.set_num_threads(threads)


def tweets_in_all(study: Study, tensors: Tensors) -> float:
    """Tweets that all trials train on if none is stopped; validation counts a third of a step."""
    an_epoch = len(tensors.splits["train"]) + len(tensors.splits["valid"]) / 3  # no backward pass
    return sum(most_runs(study)) * study.budget.epochs * an_epoch


def hours(study: Study, tensors: Tensors) -> float:
    """Hours that all trials take one after the other, if none is stopped."""
    each = seconds_a_tweet(study, tensors, device := device_of(study))
    forget(device)  # a GPU's memory is the trials'
    return each * tweets_in_all(study, tensors) / 3600


def told_cost(study: Study, tensors: Tensors) -> str:
    """What all trials cost one after the other, if none is stopped: work, time and money."""
    device, time_taken = device_of(study), hours(study, tensors)
    # A share of a GPU is slower than the whole one that was measured.
    cores = max(1, study.resources.cpus_per_worker)  # as half a one takes twice as long
    money = priced(time_taken * (cores if device.type == "cpu" else 1), study)
    where = torch.cuda.get_device_name(device) if device.type == "cuda" else f"{cores:g} CPU"
    work = float(f"{tweets_in_all(study, tensors):.2g}")
    return (
        f"the work of training on {work:,.0f} tweets, {spoken(time_taken)} if they ran one after "
        f"the other on one worker of this machine ({where}), none was stopped and starts were free"
        + ("" if money is None else f", {money:.2f} in money")
    )


def preview(study: Study, tensors: Tensors) -> str:
    """What a study has read, and what it may cost at most."""
    trials, curves = most_runs(study)
    told = f"at most {trials} trials for the search and {curves} after it, "
    if study.compare is not None:
        variants = len(study.compare.named)
        told = f"{trials} trials, {variants} variants with {study.compare.seeds} seeds each, "
    told += f"{study.budget.epochs} epochs of {len(tensors.splits['train'])} tweets each:"
    return "\n".join([*told_counts(tensors), told, told_cost(study, tensors)])


def spoken(hours: float) -> str:
    """A time as one says it, rounded up."""
    return (
        f"{math.ceil(10 * hours) / 10:.1f} hours" if hours >= 1 else f"{math.ceil(60 * hours)} min"
    )
