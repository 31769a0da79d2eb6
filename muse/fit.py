"""Train one model to its end: epoch by epoch, with its checkpoints and reports."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from muse.applied import flat
from muse.checkpoint import export
from muse.config import DataConfig, MuseConfig
from muse.device import Worker
from muse.errors import UserError
from muse.last import LAST, clear_halves, load_last, save_last
from muse.tensors import Tensors
from muse.train import Run, run_epoch, start_run
from muse.writer import Writer

Report = Callable[[dict[str, float]], bool]
"""Takes an epoch's figures; False asks for an end."""


def fit(
    config: MuseConfig,
    tensors: Tensors,
    report: Report,
    folder: Path,
    worker: Worker = Worker(),  # noqa: B008 - frozen
) -> dict[str, float]:
    """Train, validate each epoch and keep the best model in `folder/best`.

    Goes on from `folder/last.pt` where an earlier run was interrupted, and then reports its epochs
    again, for whoever was told of them may be gone. Epochs after it are trained again: the state is
    written while the next epoch is trained, and may have come to nothing.

    Args:
        config: all settings.
        tensors: the prepared corpus.
        report: told of each epoch by the first worker; False ends the run.
        folder: where checkpoints go; on storage that all workers share.
        worker: this process among the others.

    Returns:
        The last epoch's figures.

    Raises:
        DivergedError: a loss is not finite.
        OSError: a checkpoint could not be written.
        UserError: the earlier run had other settings or other data.
    """
    run = start_run(config, tensors, worker)
    take_up(run, folder)
    with Writer() as writer:
        return complete(run, report, folder, writer)


def take_up(run: Run, folder: Path) -> None:
    """Go on from `folder/last.pt` where there is one; clear away what a kill left half written.

    Raises:
        UserError: that is of a run with other settings or other data.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if run.worker.rank == 0:
        clear_halves(folder)
    state = load_last(folder, run.worker.device)
    if state is not None:
        check_same(run, state["about"], folder / LAST)
        run.restore(state)


def about(run: Run) -> dict[str, Any]:
    """What decides how a run goes: its settings by dotted name, and the hash of its data."""
    # Which tweets, and how they are cut, is in the hash; where they lie does not matter.
    hashed = set(DataConfig.model_fields) - {"inputs"}
    settings = run.config.model_dump(mode="json", exclude={"data": hashed})
    return {"data": run.tensors.key} | flat(settings)


def check_same(run: Run, before: dict[str, Any], file: Path) -> None:
    """Whether a state is of the run that goes on from it.

    Raises:
        UserError: the first of its settings that was another.
    """
    for name, now in about(run).items():
        if before.get(name) != now:
            raise UserError(
                f"{file}: of a run whose {name} was {before.get(name)}, not {now}; give another "
                "folder, or remove the file to begin anew."
            )


def complete(
    run: Run, report: Report, folder: Path, writer: Writer, *, keep_best: bool = True
) -> dict[str, float]:
    """Train a run to its end; `fit` says how. All is written when it returns.

    Args:
        run: new, or taken up again.
        report: told of each epoch by the first worker; False ends the run.
        folder: where checkpoints go.
        writer: writes them.
        keep_best: whether the best model is wanted in `folder/best`.

    Raises:
        DivergedError: a loss is not finite.
        OSError: a checkpoint could not be written.
    """
    epochs = run.config.train.epochs
    wanted = all(told(run, report, figures) for figures in run.reports)
    while wanted and run.epoch < epochs:
        run_epoch(run)
        keep(run, folder, writer, best=keep_best)
        wanted = told(run, report, run.report)
    writer.flush()
    if run.worker.rank == 0 and run.epoch >= epochs:
        (folder / LAST).unlink(missing_ok=True)  # else whoever ended the run may take it up again
    return run.report


def keep(run: Run, folder: Path, writer: Writer, *, best: bool = True) -> None:
    """Have the model exported if this epoch is its best, and the state kept to go on from.

    A best model is written always, and before the state that tells of it; a state only where
    storage keeps up: what it would save is one epoch more.

    Args:
        run: after an epoch.
        folder: where checkpoints go.
        writer: writes them while the next epoch is trained.
        best: whether anyone wants the best model.

    Raises:
        OSError: an earlier checkpoint could not be written.
    """
    if run.worker.rank > 0:
        return
    is_best = best and run.report["best_epoch"] == run.epoch
    goes_on = run.epoch < run.config.train.epochs and not writer.busy()
    if not (is_best or goes_on):
        return
    state = writer.copy(run.state() if goes_on else {"model": run.model.state_dict()})

    def write() -> None:
        if is_best:
            export(run.model, run.tensors.tokenizer, folder / "best", state["model"])
        if goes_on:
            save_last(folder, {**state, "about": about(run)})

    writer.write(write)


def told(run: Run, report: Report, figures: dict[str, float]) -> bool:
    """The first worker reports an epoch; all of them learn whether to go on."""
    wanted = report(figures) if run.worker.rank == 0 else True
    if run.worker.world == 1:
        return wanted
    answer = torch.tensor([float(wanted)], device=run.worker.device)
    dist.broadcast(answer, src=0)
    return bool(answer.item())
