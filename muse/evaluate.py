"""Score a model on a split: every tweet, without the decoders."""

from typing import Any

import numpy as np
import torch
import torch.distributed as dist

from muse.config import MuseConfig
from muse.device import Worker
from muse.metrics import class_scores, official_f1, span_scores
from muse.model import Muse
from muse.tensors import Split

Found = dict[int, tuple[Any, float]]
"""Index of a tweet: what was found in it, and its task loss."""


@torch.no_grad()
def find(model: Muse, split: Split, batch_size: int, worker: Worker) -> Found:
    """Labels and losses of this worker's share of a split, by length so that little is padding."""
    model.eval()
    order = np.argsort(split.lengths, kind="stable")[worker.rank :: worker.world]
    found: Found = {}
    for start in range(0, len(order), batch_size):
        indices = order[start : start + batch_size]
        batch = split.batch(indices).to(worker.device)
        scores = model.task_scores(batch)
        losses = model.head.loss(scores, batch).tolist()
        labels = model.head.decode(scores, batch)
        found.update(zip(indices.tolist(), zip(labels, losses, strict=True), strict=True))
    return found


def gather(found: Found, worker: Worker) -> Found:
    """What all workers found."""
    if worker.world == 1:
        return found
    shares: list[Found] = [{} for _ in range(worker.world)]
    dist.all_gather_object(shares, found)
    return {index: value for share in shares for index, value in share.items()}


def evaluate(model: Muse, split: Split, config: MuseConfig, worker: Worker) -> dict[str, float]:
    """Score every tweet of a split, on all workers together.

    Returns:
        For mner f1, precision, recall (word-level spans) and f1_official; for msa accuracy and
        weighted_f1; for both loss, nats a tweet.
    """
    found = gather(find(model, split, 2 * config.train.batch_size, worker), worker)
    loss = sum(loss for _, loss in found.values()) / len(found)
    names = model.labels
    if config.task == "msa":
        classes = [names[found[i][0]] for i in range(len(split))]
        return {**class_scores(split.targets, classes), "loss": loss}
    tags = [
        in_full([names[k] for k in found[i][0]], len(gold)) for i, gold in enumerate(split.targets)
    ]
    official = official_f1(split.targets, tags, split.pieces)
    return {**span_scores(split.targets, tags), "f1_official": official, "loss": loss}


def in_full(found: list[str] | str, words: int) -> list[str]:
    """A tag for each word, also those that were cut off: they count as outside; or one class."""
    return [found] if isinstance(found, str) else found + ["O"] * (words - len(found))
