"""A study in TensorBoard: one run a trial, with its settings as HParams, and the curves."""

import math
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from torch.utils.tensorboard import SummaryWriter

from search.entry import Entry
from search.hparams import SCORE, experiment, session
from search.space import Space

CURVES = "sensitivity"
"""Run of the curves, beside those of the trials."""

REVIEW = "review"
"""Run of the review of the best model."""

VIEW = f"#custom_scalars&regexInput={REVIEW}|{CURVES}"
"""End of the address that shows what is no trial: beyond 40 runs TensorBoard selects none itself,
and its tabs CUSTOM SCALARS, IMAGES and TEXT stand empty."""

SKIPPED = {"epoch", "best_epoch", "attempts", "elapsed"}
"""Figures of a report that say nothing as a curve."""


TAGS = {
    "train_task": "train/task (nats per tweet)",
    "train_caption": "train/caption (nats per token)",
    "train_image": "train/image (bits per dimension)",
    "valid_loss": "valid/task (nats per tweet)",
    "learning_rate": "optimizer/learning rate",
    "crf_learning_rate": "optimizer/learning rate of the CRF",
    "gradient_norm": "optimizer/gradient norm",
    "samples_per_second": "machine/tweets per second",
    "seconds": "machine/seconds per epoch",
    "memory_gb": "machine/memory (GB)",
    "peak_memory": "machine/share of the GPU's memory",
}
"""Figures with a unit, or a place of their own."""


def tag(name: str) -> str:
    """Where TensorBoard shows a figure of an epoch."""
    group, _, rest = name.partition("_")
    return TAGS.get(name, f"{group}/{rest}" if group in ("train", "valid") and rest else name)


class Board:
    """TensorBoard's event files of a study."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.writers: dict[str, SummaryWriter] = {}
        self.undeclared: Any = None

    def writer(self, run: str) -> SummaryWriter:
        """The event file of a run."""
        if run not in self.writers:
            self.writers[run] = SummaryWriter(str(self.folder / run), flush_secs=5)
        return self.writers[run]

    def report(self, trial_id: str, figures: dict[str, float]) -> None:
        """The figures of an epoch, by name."""
        for name, value in figures.items():
            if name in SKIPPED:
                continue
            self.writer(trial_id).add_scalar(tag(name), value, int(figures["epoch"]))

    def declare(self, space: Space, metric: str) -> None:
        """Tell HParams what is searched and over which domains, in the next trial's run."""
        self.undeclared = experiment(space, metric)

    def end(self, entry: Entry) -> None:
        """A trial's settings and its score, in the run it has already (no ghost run)."""
        writer = self.writer(entry.trial_id)
        records = session(entry) if self.undeclared is None else [self.undeclared, *session(entry)]
        self.undeclared = None
        for summary in records:
            writer.file_writer.add_summary(summary)
        if entry.value is None:
            writer.add_scalar(SCORE, math.nan, 0)  # without one HParams leaves the trial out
        writer.close()
        del self.writers[entry.trial_id]

    def afresh(self, run: str) -> SummaryWriter:
        """The event file of a run, without what stood there before."""
        if run in self.writers:
            self.writers.pop(run).close()
        shutil.rmtree(self.folder / run, ignore_errors=True)
        return self.writer(run)

    def review(self, pictures: Mapping[str, Path], texts: Mapping[str, str]) -> None:
        """What the best model does, in a run of its own, in the place of an earlier one.

        Args:
            pictures: files by name.
            texts: in Markdown, by name.
        """
        writer = self.afresh(REVIEW)
        for name, file in pictures.items():
            with Image.open(file) as picture:
                pixels = np.asarray(picture.convert("RGB"))
            writer.add_image(f"{REVIEW}/{name}", pixels, dataformats="HWC")
        for name, text in texts.items():
            writer.add_text(f"{REVIEW}/{name}", text)
        writer.flush()

    def close(self) -> None:
        """Write what is left."""
        for writer in self.writers.values():
            writer.close()
        self.writers.clear()
