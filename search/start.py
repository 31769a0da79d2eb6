"""What a command does with a checked study: preview it, start it, resume it."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from muse.device import Worker
from muse.errors import UserError
from muse.tensors import Tensors, prepare
from muse.train import start_run, train_step
from search.changes import changes, check_comparable, history
from search.folder import (
    StudyFolder,
    check_owner,
    new_folder,
    old_folder,
    stored,
    write_about,
)
from search.launch import run_study
from search.ledger import Entry, Ledger, Word
from search.study import Study
from search.view import View, clock, settings
from search.warm_start import read_priors

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


@dataclass(frozen=True)
class Way:
    """How a study is done, as far as that changes nothing it measures."""

    address: str | None = None
    """A Ray cluster; None is this machine."""

    ledger: str = ""
    """URL of the database that keeps the trials; none: a file in the study's folder, or where
    it was before."""

    warm_start: Sequence[Path] = ()
    """Folders of earlier studies to learn from."""

    allow_changed: bool = False
    """Go on although code, data or settings changed."""

    confirm: Callable[[str], bool] | None = None
    """Asked before a long study; None starts it anyway."""


def fresh(study: Study, root: Path, way: Way) -> Entry:
    """Start a study.

    Args:
        study: what to do.
        root: its folder.
        way: how.

    Raises:
        UserError: a study stands there already, or something it needs cannot be had.
    """
    priors = read_priors(way.warm_start, study)
    tensors = prepare(study.base)
    if way.confirm is not None and not agreed(study, tensors, way.confirm):
        raise UserError("not started")
    with new_folder(root, study, tensors.key, way.ledger, priors) as place:
        return go(study, place, tensors, way.address)


def agreed(study: Study, tensors: Tensors, confirm: Callable[[str], bool]) -> bool:
    """Ask where a study may take long."""
    longest = hours(study, tensors)
    return longest <= ASK_ABOVE_HOURS or confirm(f"This may take {longest:.1f} hours. Start?")


def resume(root: Path, wanted: Callable[[Study], Study], way: Way) -> Entry:
    """Go on with an interrupted study, or extend it to more trials.

    Args:
        root: its folder.
        wanted: the stored study with what the user asks for now.
        way: how.

    Raises:
        UserError: there is none, or something that decides its figures changed.
    """
    if way.warm_start:
        raise UserError("--warm-start: only when a study begins; study.yaml remembers it.")
    found = stored(root)
    check_owner(root)
    study = wanted(found.study)
    check_comparable(found.study, study)
    tensors = prepare(study.base)
    changed = changes(found, study, tensors.key)
    if changed.all and not way.allow_changed:
        raise UserError(
            f"{root}: since this study began, {'; '.join(changed.all)}: undo that, start anew "
            "under another --name, or go on all the same with --allow-changed."
        )
    with old_folder(root, found, way.ledger) as place:
        if changed.spoils:
            drop_unfinished(place, changed.spoils)
        write_about(root, history(found, study, changed, tensors.key))
        return go(study, place, tensors, way.address, changed.all)


def drop_unfinished(place: StudyFolder, changed: Sequence[str]) -> None:
    """Trials that were interrupted cannot be trained to their end in another way than begun."""
    ledger = Ledger(place.ledger)
    for entry in ledger.entries():
        if entry.state == "running":
            ledger.hear(entry.trial_id, Word(kind="changed"))
            reason = f"interrupted, and then {'; '.join(changed)}"
            ledger.end(entry.trial_id, "failed", 0.0, 0.0, reason)
    ledger.close()


def go(
    study: Study,
    place: StudyFolder,
    tensors: Tensors,
    address: str | None,
    changed: Sequence[str] = (),
) -> Entry:
    """Run a study to its end and say what came of it."""
    config = study.base
    with View(study.name, config.metric) as view:
        for change in changed:
            view.say(f"going on although {change}")
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
