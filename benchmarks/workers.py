"""How well a step is shared: two workers with half a batch each beside one with half a batch.

    python benchmarks/workers.py --preset tiny

Processes of one thread each that talk over gloo, the model wrapped as in training. An efficiency
of 1 means that working together costs nothing; tests/test_train_workers.py holds that the
result is one worker's.
"""

import argparse
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import torch
import torch.distributed as dist
from machine import describe
from made import made_batch, made_config, made_model
from torch import nn

from muse.device import Worker, together
from muse.optimizer import build_optimizer, build_schedule
from muse.step import Step


def step_times(asked: argparse.Namespace, worker: Worker, share: int) -> list[float]:
    """Seconds of some steps of one worker, whose half of the batch is the same in company."""
    torch.set_num_threads(1)
    config = made_config(asked.preset)
    model = made_model(asked.preset, config)
    vocabulary = model.text_encoder.model.config.vocab_size
    batch = made_batch(config, vocabulary, asked.batch, seed=share)
    wrapped: nn.Module = together(model, worker)
    optimizer = build_optimizer(model, config.train)
    schedule = build_schedule(optimizer, config.train, 1000)
    step = Step(wrapped, optimizer, config.train.clip, bf16=False)
    times = []
    for _ in range(asked.repeats + 2):
        began = time.perf_counter()
        step(batch)
        schedule.step()
        times.append(time.perf_counter() - began)
    return times[2:]


@contextmanager
def group(rank: int, folder: str, world: int) -> Iterator[None]:
    """A process among the others."""
    dist.init_process_group("gloo", f"file://{folder}/meeting", rank=rank, world_size=world)
    yield
    dist.destroy_process_group()


def one(rank: int, folder: str, world: int, asked: argparse.Namespace) -> None:
    """What each process does; a file says how long it took.

    Without company there are as many processes, each for itself: they share the machine alike.
    """
    if world == 1:
        times = step_times(asked, Worker(), rank)
    else:
        with group(rank, folder, world):
            times = step_times(asked, Worker(rank=rank, world=world), rank)
    torch.save(times, Path(folder) / f"{rank}.pt")


def measured(world: int, asked: argparse.Namespace) -> float:
    """Median seconds of a step: two processes together, or each for itself."""
    with tempfile.TemporaryDirectory() as folder:
        torch.multiprocessing.spawn(one, (folder, world, asked), nprocs=2)
        return median(time for rank in range(2) for time in torch.load(Path(folder) / f"{rank}.pt"))


def main() -> None:
    """Print both times and the efficiency."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--preset", choices=("tiny", "small", "full"), default="tiny")
    parser.add_argument("--batch", type=int, default=16, help="of each worker")
    parser.add_argument("--repeats", type=int, default=10)
    asked = parser.parse_args()
    print(f"{asked.preset}, batch {asked.batch} a worker, {describe(torch.device('cpu'))}")
    alone, both = measured(1, asked), measured(2, asked)
    print(f"each for itself {alone * 1e3:.1f} ms, together {both * 1e3:.1f} ms a step")
    print(f"efficiency {alone / both:.2f}")


if __name__ == "__main__":
    main()
