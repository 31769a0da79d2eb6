"""A study in TensorBoard: one run a trial, with its settings as HParams, and the curves."""

import math
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from torch.utils.tensorboard import SummaryWriter

from search.comparison import draw_interaction, draw_ranking
from search.drawing import draw_curve, draw_overview
from search.entry import Entry
from search.findings import Curve, Findings
from search.hparams import SCORE, experiment, session
from search.space import Space, Whole, short
from search.tables import escaped, markdown, origin, values
from search.terms import title
from search.wording import headline, reading

CURVES = "sensitivity"
"""Run of the curves, beside those of the trials."""

REVIEW = "review"
"""Run of the review of the best model."""

VIEW = f"#custom_scalars&regexInput={REVIEW}|{CURVES}"
"""End of the address that shows what is no trial: beyond 40 runs TensorBoard selects none itself,
and its tabs CUSTOM SCALARS, IMAGES and TEXT stand empty."""

BAND = (
    "The chart's band is the 95 % interval of the difference to the incumbent, laid on its mean; "
    "the incumbent's own has no width."
)
"""What a margin chart shows, which has no room for words."""

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

    def findings(self, findings: Findings, provenance: Mapping[str, Any] | None = None) -> None:
        """The curves, in a run of their own; they take the place of earlier ones.

        Args:
            findings: what to show.
            provenance: where it comes from.
        """
        if CURVES in self.writers:
            self.writers.pop(CURVES).close()
        shutil.rmtree(self.folder / CURVES, ignore_errors=True)
        writer = self.writer(CURVES)
        for curve in findings.curves:
            show(writer, curve, findings)
        charts = {
            f"{title(curve.name)}: {curve.verdict}": ["Margin", margin(curve)]
            for curve in reversed(findings.curves)  # TensorBoard shows the last chart first
        }
        writer.add_custom_scalars({CURVES: charts})
        writer.add_figure("curves/overview", draw_overview(findings), close=False)
        writer.add_figure("curves/ranking", draw_ranking(findings), close=False)
        for pair in findings.interactions:
            name = "-".join(map(short, pair.names))
            writer.add_figure(f"interactions/{name}", draw_interaction(pair, findings), close=False)
        origins = [["what", "value"], *map(list, origin(findings, provenance or {}).items())]
        lines = [*(f"- {escaped(line)}" for line in headline(findings)), "", markdown(origins)]
        writer.add_text("findings", "\n".join(lines))
        writer.flush()

    def review(self, pictures: Mapping[str, Path], texts: Mapping[str, str]) -> None:
        """What the best model does, in a run of its own, in the place of an earlier one.

        Args:
            pictures: files by name.
            texts: in Markdown, by name.
        """
        if REVIEW in self.writers:
            self.writers.pop(REVIEW).close()
        shutil.rmtree(self.folder / REVIEW, ignore_errors=True)
        writer = self.writer(REVIEW)
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


def margin(curve: Curve) -> list[str]:
    """Tags of a curve's mean and of the ends of the interval of its difference."""
    return [f"{short(curve.name)}/{part}" for part in ("mean", "low", "high")]


def step(curve: Curve, place: int) -> int:
    """Where a value stands on TensorBoard's axis, which knows whole numbers only.

    Args:
        curve: the curve.
        place: the value's place among the curve's values, from 0.
    """
    value = curve.levels[place].value
    return int(value) if isinstance(curve.knob, Whole) else place


def show(writer: SummaryWriter, curve: Curve, findings: Findings) -> None:
    """One curve: as a margin chart, as a picture and in words, each under a tag of its own.

    A picture and a scalar under one tag are both hidden by TensorBoard.
    """
    for place, level in enumerate(curve.levels):
        if level.mean is None:
            continue
        ends = curve.beside(level) or (level.mean, level.mean)
        for name, height in zip(margin(curve), (level.mean, *ends), strict=True):
            writer.add_scalar(name, height, step(curve, place))
    key = short(curve.name)
    writer.add_figure(f"curves/{key}", draw_curve(curve, findings), close=False)
    head, *rows = values(curve)
    steps = [["step", *head], *([str(step(curve, n)), *row] for n, row in enumerate(rows))]
    told = [f"**{escaped(title(curve.name))}: {curve.verdict}**", reading(curve, findings)]
    words = [*told, *([curve.alarm] if curve.alarm else [])]
    writer.add_text(f"verdict/{key}", "\n\n".join([*words, markdown(steps), BAND]))
