"""A run and its epochs: build the model, train on every batch, validate. `muse/fit.py` ends it."""

import math
import time
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR

from muse.config import MuseConfig
from muse.device import Worker, autocast, prefer_channels_last, together, wants_bf16
from muse.encoders import build_text_model
from muse.errors import DivergedError
from muse.evaluate import evaluate
from muse.features import as_shown
from muse.model import Muse
from muse.optimizer import build_optimizer, build_schedule, restore_optimizer
from muse.shares import check_workers, epoch_order, steps_an_epoch
from muse.step import RecordedStep, Step
from muse.tensors import Tensors

CHECK_EVERY = 50
"""Steps between two looks at whether the loss is finite: each look waits for the device."""


def build_model(config: MuseConfig, tensors: Tensors) -> Muse:
    """A new model for a prepared corpus, its random weights drawn from `train.seed`, to be trained.

    What came pretrained drops out as the rest does; what is frozen keeps its batch statistics.
    """
    torch.manual_seed(config.train.seed)
    text_model = build_text_model(config.text, tensors.vocabulary, config.data.text_tokens)
    return Muse(config, text_model, tensors.labels).train()


@dataclass
class Run:
    """What changes while a model is trained."""

    config: MuseConfig
    tensors: Tensors
    worker: Worker
    model: Muse
    wrapped: nn.Module
    optimizer: AdamW
    schedule: LambdaLR
    step: Step | RecordedStep
    bf16: bool
    reports: list[dict[str, float]] = field(default_factory=list)
    """The figures of each epoch that was trained."""

    @property
    def epoch(self) -> int:
        return len(self.reports)

    @property
    def report(self) -> dict[str, float]:
        return self.reports[-1] if self.reports else {}

    def autocast(self) -> AbstractContextManager[object]:
        return autocast(self.worker.device, bf16=self.bf16)

    def state(self) -> dict[str, Any]:
        """Everything that the next epoch depends on."""
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "reports": self.reports,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a `state`, on whatever device that was made."""
        self.model.load_state_dict(state["model"])
        restore_optimizer(self.optimizer, state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        self.reports = list(state["reports"])


def start_run(
    config: MuseConfig, tensors: Tensors, worker: Worker, *, keep_features: bool = True
) -> Run:
    """Build model, optimiser and schedule, the same on every worker.

    Args:
        config: all settings.
        tensors: the prepared corpus.
        worker: this process among the others.
        keep_features: let a wholly frozen image encoder read every picture now, and none again.

    Raises:
        UserError: the cache has no room for the features, or there are too many workers.
    """
    check_workers(config, len(tensors.splits["train"]), worker.world)
    model = build_model(config, tensors).to(worker.device)
    prefer_channels_last(model.image_encoder, worker.device)
    tensors = as_shown(tensors, model.image_encoder, worker.device, keep_features=keep_features)
    wrapped = together(model, worker)
    optimizer = build_optimizer(model, config.train)
    steps = config.train.epochs * steps_an_epoch(tensors.splits["train"], config, worker.world)
    schedule = build_schedule(optimizer, config.train, steps)
    bf16 = wants_bf16(config, worker.device, model.text_encoder.width)
    step = Step(wrapped, optimizer, config.train.clip, bf16=bf16)
    size = config.train.batch_size
    taken = RecordedStep(step, model, size) if records(config, worker) else step
    return Run(config, tensors, worker, model, wrapped, optimizer, schedule, taken, bf16)


def records(config: MuseConfig, worker: Worker) -> bool:
    """Whether steps are recorded; DDP's exchange of gradients would not be in the recording."""
    return config.train.record_steps and worker.device.type == "cuda" and worker.world == 1


def train_step(run: Run, indices: Tensor) -> Tensor:
    """One step on one worker's share of a batch.

    Returns:
        Total, task, caption and image loss, weighed by the share, and the gradient's norm, (5,).
    """
    worker = run.worker
    mine = indices[worker.rank :: worker.world]
    batch = run.tensors.splits["train"].batch(mine.numpy(), run.step.multiple).to(worker.device)
    # Workers average their gradients: a share counts as much as it has tweets.
    figures = run.step(batch, share=len(mine) * worker.world / len(indices))
    run.schedule.step()
    return figures


def mean_over_workers(sums: Tensor, worker: Worker) -> Tensor:
    """Average what every worker has summed up."""
    if worker.world == 1:
        return sums
    total = sums.clone()
    dist.all_reduce(total)
    return total / worker.world


def check_finite(sums: Tensor, epoch: int) -> None:
    """Raise DivergedError, naming the losses, when one of their sums is not finite."""
    if bool(torch.isfinite(sums).all()):
        return
    names = ("loss", "task loss", "caption loss", "image loss", "gradient norm")
    bad = [
        name for name, value in zip(names, sums.tolist(), strict=True) if not abs(value) < torch.inf
    ]
    raise DivergedError(f"not finite in epoch {epoch}: {', '.join(bad)}")


def train_one_epoch(run: Run, epoch: int) -> dict[str, float]:
    """Train on every batch once.

    Returns:
        Means over steps and workers: train_loss, train_task (nats a tweet), train_caption (nats
        a sub-word, and lambda times what was overlooked), train_image (bits a dimension),
        gradient_norm.

    Raises:
        DivergedError: a loss is not finite.
    """
    config, worker = run.config, run.worker
    torch.manual_seed(config.train.seed * 100_003 + epoch * 1009 + worker.rank + 1)
    run.wrapped.train()
    sums, steps = torch.zeros(5, device=worker.device), 0
    for indices in epoch_order(run.tensors.splits["train"], config, epoch, worker.world):
        sums += train_step(run, indices)
        steps += 1
        if steps % CHECK_EVERY == 0:
            check_finite(mean_over_workers(sums, worker), epoch)
    sums = mean_over_workers(sums, worker)
    check_finite(sums, epoch)
    names = ("train_loss", "train_task", "train_caption", "train_image", "gradient_norm")
    return dict(zip(names, (sums / max(1, steps)).tolist(), strict=True))


def share_statistics(run: Run) -> None:
    """Give all workers the batch statistics of the first, whose model is the one that is kept."""
    if run.worker.world > 1:
        for buffer in run.model.buffers():
            dist.broadcast(buffer, src=0)


def rates(config: MuseConfig, rate: float) -> dict[str, float]:
    """The learning rates where that of all but the CRF is `rate`: they rise and fall together."""
    if config.task != "mner":
        return {"learning_rate": rate}
    crf = rate / config.train.learning_rate * config.train.crf_learning_rate
    return {"learning_rate": rate, "crf_learning_rate": crf}


def run_epoch(run: Run) -> None:
    """Train and validate one epoch more, and add its figures to `run.reports`."""
    epoch, began = run.epoch + 1, time.perf_counter()
    rate = float(run.schedule.get_last_lr()[0])
    figures = train_one_epoch(run, epoch)
    trained = time.perf_counter() - began
    share_statistics(run)
    with run.autocast():
        scores = evaluate(run.model, run.tensors.splits["valid"], run.config, run.worker)
    valid = {f"valid_{name}": value for name, value in scores.items()}
    value, before = valid[run.config.metric], run.report
    better = value > before.get("best", -math.inf)
    run.reports.append(
        {
            "epoch": epoch,
            "value": value,
            "best": value if better else before["best"],
            "best_epoch": epoch if better else before["best_epoch"],
            **valid,
            **figures,
            **rates(run.config, rate),
            "samples_per_second": len(run.tensors.splits["train"]) / trained,
            "seconds": time.perf_counter() - began,
        }
    )
