"""What a command does with a checked study: preview it, start it, resume it."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from muse.device import Worker
from muse.errors import UserError
from muse.tensors import Tensors, prepare
from muse.train import start_run, train_step
from search.best import read_best
from search.cost import phase_costs
from search.folder import StudyFolder, new_folder, old_folder, stored_study
from search.keeper import Keeper
from search.ledger import Ledger
from search.phases import run_phases
from search.plan import strongest_pairs, values_of
from search.settle import ASK_ABOVE_HOURS
from search.study import PHASES, Study
from search.view import View, clock, settings
from search.work import Work


def most_runs(study: Study) -> tuple[int, int]:
    """The most trials of the search, and of all that is trained in full after it."""
    asked = study.sensitivity
    curves = 0
    if asked.points:
        values = [values_of(knob, asked.points) for knob in study.space.values()]
        pairs = strongest_pairs(list(study.space), asked.pairs)
        curves = (1 + sum(values) + 4 * len(pairs)) * asked.seeds
    return study.budget.trials, asked.candidates * asked.seeds + curves + 1


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
        f"at most {trials} trials for the search and {curves} after it, "
        f"{study.budget.epochs} epochs of {len(tensors.splits['train'])} tweets each:\n"
        f"{hours(study, tensors):.2f} hours if they ran one after the other on one worker of this "
        "machine and none was stopped"
    )


@dataclass(frozen=True)
class How:
    """How a study is run, whatever it is about."""

    address: str | None = None
    """A Ray cluster; None is this machine."""

    phases: tuple[str, ...] = PHASES
    agree: Callable[[str], bool] | None = None
    """Asked before what takes long; None starts it anyway."""


def fresh(study: Study, root: Path, how: How) -> None:
    """Start a study in its folder `root`.

    Raises:
        UserError: a study stands there already, or something it needs cannot be had.
    """
    if "search" not in how.phases:
        raise UserError(
            f"--phases {','.join(how.phases)}: a new study begins with the phase search; "
            f"add --resume if {root} holds one"
        )
    tensors = prepare(study.base)
    if how.agree is not None and not agreed(study, tensors, how.agree):
        raise UserError("not started")
    with new_folder(root, study, tensors.key) as place:
        go(study, place, tensors, how)


def agreed(study: Study, tensors: Tensors, agree: Callable[[str], bool]) -> bool:
    """Ask where a study may take long."""
    longest = hours(study, tensors)
    return longest <= ASK_ABOVE_HOURS or agree(f"This may take {longest:.1f} hours. Start?")


def resume(root: Path, trials: int | None, max_hours: float | None, how: How) -> None:
    """Go on with an interrupted study, run phases of it again, or extend it.

    Args:
        root: its folder.
        trials: of the search; None is as many as before.
        max_hours: that its curves may take; None is as many as before.
        how: how it is run.

    Raises:
        UserError: there is none, or its data changed.
    """
    study, stored_hash = stored_study(root)
    study = extended(study, trials, max_hours)
    tensors = prepare(study.base)
    with old_folder(root, tensors.key, stored_hash) as place:
        go(study, place, tensors, how)


def extended(study: Study, trials: int | None, max_hours: float | None) -> Study:
    """A study that may spend more, or less."""
    fields = study.model_dump()
    if trials is not None:
        fields["budget"]["trials"] = trials
    if max_hours is not None:
        fields["sensitivity"]["max_hours"] = max_hours
    return Study.model_validate(fields)


def settle(ledger: Ledger, epochs: int) -> None:
    """End the trials that had done all their epochs when an interruption came."""
    for entry in ledger.entries():
        if entry.state == "running" and entry.epochs >= epochs:
            ledger.end(entry.trial_id, "completed", 0.0, 0.0, "")


def go(study: Study, place: StudyFolder, tensors: Tensors, how: How) -> None:
    """Run a study's phases and say what came of it."""
    with View(study.name, study.base.metric) as view:
        for split, counts in tensors.counts.items():
            told = (f"{n} {what.replace('_', ' ')}" for what, n in counts.items())
            view.say(f"{split}: " + ", ".join(told))
        ledger = Ledger(place.ledger)
        settle(ledger, study.budget.epochs)
        keeper = Keeper(study, place.root, ledger, view)
        with Work(study, place, tensors, view, ledger, keeper, how.address, how.agree) as work:
            run_phases(work, how.phases)
        if "report" in how.phases:
            place.finish()
        tell(work)
        ledger.close()


def tell(work: Work) -> None:
    """The best settings, the files, and what to type next."""
    study, root, view = work.study, work.place.root, work.view
    about = read_best(root)
    if not about:
        return
    value, what = about["value"], "in the search"
    if "confirmed" in about:
        value, what = about["confirmed"]["mean"], f"mean of {study.sensitivity.seeds} more seeds"
    line = f"[bold]best: {study.base.metric} {value:.4f}[/bold] ({what})"
    view.say(f"\n{line}  {settings(about['settings'])}")
    spent = sum(cost.device_hours for cost in phase_costs(study, work.entries()))
    view.say(f"trained for {clock(spent * 3600)} of device time in all")
    view.say(f"settings {root}/best.yaml, model {root}/best, trials {root}/trials.csv")
    if (root / "report.html").exists():
        view.say(f"report {root}/report.html, curves {root}/sensitivity/<knob>.png")
    view.say(f"tensorboard --logdir {root.parent}")
