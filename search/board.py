"""A study in TensorBoard: one run a trial, with its settings as HParams, and the curves."""

from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from torch.utils.tensorboard import SummaryWriter
from torch.utils.tensorboard.summary import hparams

from search.ledger import Entry
from search.space import short

SKIPPED = {"epoch", "best_epoch", "attempts", "elapsed"}
"""Figures of a report that say nothing as a curve."""


class Board:
    """TensorBoard's event files of a study."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.writers: dict[str, SummaryWriter] = {}

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
            group, _, rest = name.partition("_")
            tag = f"{group}/{rest}" if group in ("train", "valid") and rest else name
            self.writer(trial_id).add_scalar(tag, value, int(figures["epoch"]))

    def end(self, entry: Entry) -> None:
        """A trial's settings and its score, in the run it has already (no ghost run)."""
        writer = self.writer(entry.trial_id)
        settings: dict[str, Any] = {short(name): value for name, value in entry.point.items()}
        settings |= {"phase": entry.phase, "seed": entry.seed}
        score = {"best": entry.value if entry.value is not None else float("nan")}
        for summary in hparams(settings, score):
            writer.file_writer.add_summary(summary)
        if entry.value is None:
            writer.add_scalar("best", score["best"], 0)  # without one HParams leaves the trial out
        writer.close()
        del self.writers[entry.trial_id]

    def curve(self, knob: str, figure: Figure, means: list[float]) -> None:
        """A sensitivity curve: as a picture, and its means by number of the value."""
        writer = self.writer("sensitivity")
        # Not under one tag: TensorBoard then shows neither the picture nor the curve.
        writer.add_figure(f"curves/{knob}", figure, global_step=0, close=False)
        for number, mean in enumerate(means):
            writer.add_scalar(f"sensitivity/{knob}", mean, number)
        writer.flush()

    def close(self) -> None:
        """Write what is left."""
        for writer in self.writers.values():
            writer.close()
        self.writers.clear()
