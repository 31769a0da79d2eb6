"""What was done for speed changes no result and makes no device wait."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from small_muse import small_batch, small_config, small_muse, small_tensors, without_dropout
from torch.utils._python_dispatch import TorchDispatchMode

from benchmarks.straightforward import padded, plain, plain_optimizer, plain_step
from muse.config import MuseConfig
from muse.model import Muse
from muse.optimizer import build_optimizer, build_schedule
from muse.step import Step

LONGEST = 12
"""Sub-words that the straightforward version pads texts to; the longest here has eight."""


def losses_of_the_fast(model: Muse, config: MuseConfig, task: str, steps: int) -> list[float]:
    optimizer = build_optimizer(model, config.train)  # no schedule: the other has none
    step = Step(model, optimizer, config.train.clip, bf16=False)
    return [step(small_batch(task))[0].item() for _ in range(steps)]


@pytest.mark.parametrize("steps", [3, pytest.param(50, marks=pytest.mark.slow)])
@pytest.mark.parametrize("task", ["mner", "msa"])
def test_losses_are_those_of_the_straightforward_version(task: str, steps: int) -> None:
    config = small_config(task, loss={"noise_std": 0.0}, train={"learning_rate": 1e-4})
    model = small_muse(config)
    without_dropout(model)
    slow = plain(model)
    optimizer = plain_optimizer(slow, config.train)
    expected = [
        plain_step(slow, optimizer, padded(small_batch(task), LONGEST), config.train.clip)
        for _ in range(steps)
    ]

    losses = losses_of_the_fast(model, config, task, steps)

    assert losses == pytest.approx(expected, rel=1e-4)
    assert losses[-1] < losses[0]


class Waits(TorchDispatchMode):
    """Collects the operations that need a number from the device before anything can go on."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func.overloadpacket.__name__ in ("_local_scalar_dense", "nonzero", "equal"):
            self.seen.append(str(func))
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("task", ["mner", "msa"])
def test_a_step_waits_for_nothing_on_its_device(task: str) -> None:
    config = small_config(task)
    model, batch = small_muse(config), small_batch(task)
    optimizer = build_optimizer(model, config.train)
    schedule = build_schedule(optimizer, config.train, 10)
    step = Step(model, optimizer, config.train.clip, bf16=False)

    with Waits() as waits:
        figures = step(batch)
        schedule.step()
    with Waits() as control:
        figures[0].item()

    assert waits.seen == []
    assert len(control.seen) == 1


@pytest.mark.slow
def test_benchmarks_run_on_a_bare_gpu_machine() -> None:
    bare = (
        "import sys; sys.path.insert(0, 'benchmarks')\n"
        "for name in 'ray optuna seqeval sklearn tensorboard sqlalchemy'.split():\n"
        "    sys.modules[name] = None\n"
        "import train_step, exchange, data, workers, checkpoints"
    )
    root = Path(__file__).parents[1]

    subprocess.run([sys.executable, "-W", "ignore", "-c", bare], cwd=root, check=True)


def test_pictures_on_the_device_are_the_same_pictures(tmp_path: Path) -> None:
    tensors = small_tensors(small_config(), tmp_path)
    rows = [3, 0, 3]
    expected = tensors.splits["train"].batch(rows)

    held = tensors.resident(torch.device("cpu"))

    seen = held.splits["train"].batch(rows)
    assert torch.equal(seen.image, expected.image)
    assert torch.equal(seen.small_image, expected.small_image)
    assert torch.equal(seen.token_ids, expected.token_ids)
    assert isinstance(held.splits["valid"].pixels, torch.Tensor)
    both = (held.splits["valid"].pixels, held.splits["valid"].small_pixels)
    assert tensors.picture_bytes == held.picture_bytes == sum(array.nbytes for array in both)
