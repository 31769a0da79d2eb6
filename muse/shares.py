"""Which tweets each step takes, and how many of them each worker."""

from collections.abc import Iterator

import torch
from torch import Tensor

from muse.config import MuseConfig
from muse.errors import UserError
from muse.tensors import Split


def steps_an_epoch(split: Split, config: MuseConfig, world: int) -> int:
    """Batches of the training split; a last one with fewer tweets than workers is left out."""
    full, rest = divmod(len(split), config.train.batch_size)
    return full + (rest >= world)


def most_workers(config: MuseConfig, tweets: int) -> int:
    """Workers of which each has a tweet of every batch, where the training split has so many."""
    return min(config.train.batch_size, tweets)


def check_workers(config: MuseConfig, tweets: int, workers: int) -> None:
    """Every worker needs a tweet of each batch.

    Raises:
        UserError: some would have none.
    """
    most = most_workers(config, tweets)
    if workers > most:
        raise UserError(
            f"resources.workers={workers}, but a batch has at most {most} tweets (train.batch_size="
            f"{config.train.batch_size}, {tweets} in the training split); ask for fewer workers."
        )


def epoch_order(split: Split, config: MuseConfig, epoch: int, world: int) -> Iterator[Tensor]:
    """Indices of each step's tweets over all workers, shuffled anew each epoch."""
    generator = torch.Generator().manual_seed(config.train.seed * 100_003 + epoch)
    order = torch.randperm(len(split), generator=generator)
    batches = torch.split(order, config.train.batch_size)
    return iter(batches[: steps_an_epoch(split, config, world)])
