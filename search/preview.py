"""What a study has read and what it may cost, before any of it is spent."""

import math
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from muse.device import Worker
from muse.prepare import prepare
from muse.tensors import Tensors
from muse.train import start_run, train_step
from search.plan import strongest_pairs, values_of
from search.study import Study
from search.warm_start import read_priors


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


def seconds_a_tweet(study: Study, tensors: Tensors, steps: int = 2) -> float:
    """Time of training on one tweet, measured on this machine over a few steps of one core."""
    config = study.base
    threads = torch.get_num_threads()
    torch.set_num_threads(max(1, int(study.resources.cpus_per_worker)))
    try:
        run = start_run(config, tensors, Worker(), keep_features=False)
        size = min(config.train.batch_size, len(tensors.splits["train"]))
        batch = torch.from_numpy(np.arange(size))
        train_step(run, batch)  # the first step is slower
        began = time.perf_counter()
        for _ in range(steps):
            train_step(run, batch)
        return (time.perf_counter() - began) / steps / size
    finally:
        torch.set_num_threads(threads)


def hours(study: Study, tensors: Tensors) -> float:
    """Hours that all trials take one after the other, if none is stopped."""
    tweets = len(tensors.splits["train"]) + len(tensors.splits["valid"]) / 3  # no backward pass
    passes = sum(most_runs(study)) * study.budget.epochs
    return seconds_a_tweet(study, tensors) * tweets * passes / 3600


def preview(study: Study, warm_start: Sequence[Path] = ()) -> str:
    """What a study has read, and what it may cost at most.

    Raises:
        UserError: something it needs cannot be had.
    """
    read_priors(warm_start, study)  # before the corpus, which takes longer
    tensors = prepare(study.base)
    trials, curves = most_runs(study)
    told = f"at most {trials} trials for the search and {curves} after it, "
    if study.compare is not None:
        variants = len(study.compare.named)
        told = f"{trials} trials, {variants} variants with {study.compare.seeds} seeds each, "
    lines, tweets = told_counts(tensors), len(tensors.splits["train"])
    return "\n".join(lines) + (
        f"\n{told}{study.budget.epochs} epochs of {tweets} tweets each:\n"
        f"{spoken(hours(study, tensors))} if they ran one after the other on one worker of this "
        "machine and none was stopped"
    )


def spoken(hours: float) -> str:
    """A time as one says it, rounded up."""
    return f"{hours:.1f} hours" if hours >= 1 else f"{math.ceil(60 * hours)} min"


def told_counts(tensors: Tensors) -> list[str]:
    """What was read, a line for each split, and one where no picture was found at all."""
    lines = []
    for split, counts in tensors.counts.items():
        told = (f"{n} {what.replace('_', ' ')}" for what, n in counts.items())
        lines.append(f"{split}: " + ", ".join(told))
    if all(counts["missing_images"] == counts["tweets"] for counts in tensors.counts.values()):
        lines.append("no picture was found, so all are blank: they are <id>.jpg, see data.images")
    return lines
