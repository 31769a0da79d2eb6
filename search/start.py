"""What a command does with a checked study: preview it, start it, resume it."""

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from muse.device import Worker
from muse.errors import UserError
from muse.tensors import Tensors, prepare
from muse.train import start_run, train_step
from search.folder import StudyFolder, new_folder, old_folder, stored_study
from search.launch import run_study
from search.ledger import Entry, Ledger
from search.study import Study
from search.view import View, clock, settings

ASK_ABOVE_HOURS = 1.0
"""A study that may take longer is started only after a question."""


def most_runs(study: Study) -> tuple[int, int]:
    """The most trials of the search, and of the curves."""
    curves = len(study.space) * study.sensitivity.points + 1
    return study.budget.trials, curves * study.sensitivity.seeds if study.sensitivity.points else 0


def seconds_a_tweet(study: Study, tensors: Tensors, steps: int = 2) -> float:
    """Time of training on one tweet, measured on this machine over a few steps of one core."""
    config = study.base
    threads = torch.get_num_threads()
    torch.set_num_threads(max(1, int(study.resources.cpus_per_worker)))
    try:
        run = start_run(config, tensors, Worker())
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


def preview(study: Study) -> str:
    """What a study may cost at most."""
    tensors = prepare(study.base)
    trials, curves = most_runs(study)
    return (
        f"at most {trials} trials for the search and {curves} for the curves, "
        f"{study.budget.epochs} epochs of {len(tensors.splits['train'])} tweets each:\n"
        f"{hours(study, tensors):.2f} hours if they ran one after the other on one worker of this "
        "machine and none was stopped"
    )


def fresh(
    study: Study, root: Path, address: str | None, confirm: Callable[[str], bool] | None
) -> Entry:
    """Start a study.

    Args:
        study: what to do.
        root: its folder.
        address: a Ray cluster; None is this machine.
        confirm: asked before a long study; None starts it anyway.

    Raises:
        UserError: a study stands there already, or something it needs cannot be had.
    """
    tensors = prepare(study.base)
    if confirm is not None and not agreed(study, tensors, confirm):
        raise UserError("not started")
    with new_folder(root, study, tensors.key) as place:
        return go(study, place, tensors, address)


def agreed(study: Study, tensors: Tensors, confirm: Callable[[str], bool]) -> bool:
    """Ask where a study may take long."""
    longest = hours(study, tensors)
    return longest <= ASK_ABOVE_HOURS or confirm(f"This may take {longest:.1f} hours. Start?")


def resume(root: Path, trials: int | None, address: str | None) -> Entry:
    """Go on with an interrupted study, or extend it to more trials.

    Raises:
        UserError: there is none, or its data changed.
    """
    study, stored_hash = stored_study(root)
    if trials is not None:
        study = Study.model_validate(
            study.model_dump() | {"budget": {**study.budget.model_dump(), "trials": trials}}
        )
    tensors = prepare(study.base)
    with old_folder(root, tensors.key, stored_hash) as place:
        return go(study, place, tensors, address)


def go(study: Study, place: StudyFolder, tensors: Tensors, address: str | None) -> Entry:
    """Run a study to its end and say what came of it."""
    config = study.base
    with View(study.name, config.metric) as view:
        for split, counts in tensors.counts.items():
            told = (f"{n} {what.replace('_', ' ')}" for what, n in counts.items())
            view.say(f"{split}: " + ", ".join(told))
        best = run_study(study, place, tensors, view, address)
        place.finish()
        tell(view, study, place, best)
    return best


def tell(view: View, study: Study, place: StudyFolder, best: Entry) -> None:
    """The best settings, the files, and what to type next."""
    ledger = Ledger(place.ledger)
    spent = sum(entry.device_seconds for entry in ledger.entries())
    ledger.close()
    root = place.root
    view.say(f"\n[bold]best: {study.base.metric} {best.value:.4f}[/bold]  {settings(best.point)}")
    view.say(f"trained for {clock(spent)} of device time in all")
    view.say(f"settings {root}/best.yaml, model {root}/best, trials {root}/trials.csv")
    if study.sensitivity.points:
        view.say(f"curves {root}/sensitivity/<knob>.png")
    view.say(f"tensorboard --logdir {root.parent}")
