"""What a command does with a checked study: start it, resume it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from muse.errors import UserError
from muse.evaluate import trivial_score
from muse.tensors import Tensors
from search.abroad import Abroad, bring_back, check_free
from search.best import read_best
from search.board import VIEW
from search.changes import changes, check_comparable, history
from search.entry import Word
from search.folder import Places, StudyFolder, check_owner, new_folder, old_folder, taken
from search.keeper import Keeper
from search.ledger import Ledger
from search.phases import run_phases
from search.preview import hours, read, told_counts
from search.prior import Prior
from search.schema import read_url
from search.settle import ASK_ABOVE_HOURS
from search.stored import stored, write_about
from search.study import Study
from search.view import View, clock, settings, several
from search.warm_start import read_priors, told
from search.work import Work


@dataclass(frozen=True)
class Way:
    """How a study is done, as far as that changes nothing it measures."""

    address: str | None = None
    """A Ray cluster; None is this machine."""

    ledger: str = ""
    """URL of the database that keeps the trials; none: a file in the study's folder, or where
    it was before."""

    storage: str = ""
    """Place in a bucket for checkpoints and the studies' twins; none: all nodes see the folder, or
    where it was before."""

    warm_start: Sequence[Path] = ()
    """Folders of earlier studies to learn from."""

    allow_changed: bool = False
    """Go on although code, data or settings changed."""

    phases: tuple[str, ...] = ()
    """Some of the study's; none stands for all of them."""

    agree: Callable[[str], bool] | None = None
    """Asked before what takes long; None starts it anyway."""


def fresh(study: Study, root: Path, way: Way) -> None:
    """Start a study.

    Args:
        study: what to do.
        root: its folder.
        way: how.

    Raises:
        UserError: a study stands there already, or something it needs cannot be had.
    """
    if why := taken(root):  # before the corpus is read, which may take long
        raise UserError(why)
    priors, tensors = begin(study, root, way)
    if way.agree is not None and not agreed(study, tensors, way.agree):
        raise UserError("not started")
    places = Places(way.ledger, twin_of(root, way))
    with new_folder(root, study, tensors.key, places, priors) as place:
        go(study, place, tensors, way, told(priors, study, tensors.key))


def begin(study: Study, root: Path, way: Way) -> tuple[list[Prior], Tensors]:
    """All that a new study needs, before anything is made: what it learns from, and its corpus.

    Raises:
        UserError: something of it cannot be had.
    """
    first = study.phases[0]
    if first not in phases_of(study, way):
        raise UserError(
            f"--phases {','.join(way.phases)}: a new study begins with the phase {first}; "
            f"add --resume if {root} holds one"
        )
    if way.ledger:
        read_url(way.ledger)
    priors = read_priors(way.warm_start, study)
    if way.storage:
        check_free(twin_of(root, way))
    return priors, read(study)  # last, for it takes the longest


def phases_of(study: Study, way: Way) -> tuple[str, ...]:
    """The phases that are wanted.

    Raises:
        UserError: this study has no such phase.
    """
    for phase in way.phases:
        if phase not in study.phases:
            raise UserError(
                f"--phases {','.join(way.phases)}: {study.name} has no phase '{phase}'; "
                f"it has {', '.join(study.phases)}"
            )
    return way.phases or study.phases


def twin_of(root: Path, way: Way) -> str:
    """Address of a study's twin in a bucket; nothing where it has none."""
    return f"{way.storage.rstrip('/')}/{root.name}" if way.storage else ""


def agreed(study: Study, tensors: Tensors, agree: Callable[[str], bool]) -> bool:
    """Ask where a study may take long."""
    longest = hours(study, tensors)
    question = f"One worker of this machine would need up to {longest:.1f} hours. Start?"
    return longest <= ASK_ABOVE_HOURS or agree(question)


def resume(root: Path, wanted: Callable[[Study], Study], way: Way) -> None:
    """Go on with an interrupted study, run phases of it again, or extend it to more trials.

    Args:
        root: its folder.
        wanted: the stored study with what the user asks for now.
        way: how.

    Raises:
        UserError: there is none, or something that decides its figures changed.
    """
    if way.storage:
        bring_back(root, twin_of(root, way))
    found = stored(root)
    known = {prior.folder for prior in found.priors}
    if not {str(folder.resolve()) for folder in way.warm_start} <= known:
        raise UserError("--warm-start: only when a study begins; study.yaml remembers it.")
    check_owner(root)
    check_storage(found.storage, twin_of(root, way))
    study = wanted(found.study)
    phases_of(study, way)
    check_comparable(found.study, study)
    tensors = read(study)
    changed = changes(found, study, tensors.key)
    if changed.all and not way.allow_changed:
        raise UserError(
            f"{root}: since this study began, {'; '.join(changed.all)}: undo that, start anew "
            "under another --name, or go on all the same with --allow-changed."
        )
    with old_folder(root, found, way.ledger) as place:
        check_budget(place, study)
        if changed.spoils:
            drop_unfinished(place, changed.spoils)
        write_about(root, history(found, study, changed, tensors.key))
        go(study, place, tensors, way, [f"going on although {each}" for each in changed.all])


def check_budget(place: StudyFolder, study: Study) -> None:
    """A search is never made smaller than it is.

    Raises:
        UserError: more trials are on record than are asked for.
    """
    ledger = Ledger(place.ledger)
    known = len(ledger.entries("search"))
    ledger.close()
    if known > study.trials and study.compare is None:
        raise UserError(
            f"budget.trials: {study.trials} are asked for, but {known} are on record; ask for as "
            "many at least."
        )


def check_storage(kept: str, asked: str) -> None:
    """A resume goes on where the study's checkpoints are.

    Raises:
        UserError: another place is asked for.
    """
    if asked not in ("", kept):
        raise UserError(
            f"--storage: {asked} is asked for, but this study is kept "
            f"{f'in {kept}' if kept else 'in its folder alone'}; leave --storage as it was."
        )


def drop_unfinished(place: StudyFolder, changed: Sequence[str]) -> None:
    """Trials that were interrupted cannot be trained to their end in another way than begun."""
    ledger = Ledger(place.ledger)
    for entry in ledger.entries():
        if entry.state == "running":
            ledger.hear(entry.trial_id, Word(kind="changed"))
            reason = f"interrupted, and then {'; '.join(changed)}"
            ledger.end(entry.trial_id, "failed", 0.0, 0.0, reason)
    ledger.close()


def settle(ledger: Ledger, epochs: int) -> None:
    """End the trials that had done all their epochs when an interruption came."""
    for entry in ledger.entries():
        if entry.state == "running" and entry.epochs >= epochs:
            ledger.end(entry.trial_id, "completed", 0.0, 0.0, "")


def go(study: Study, place: StudyFolder, tensors: Tensors, way: Way, notes: Sequence[str]) -> None:
    """Run a study's phases and say what came of it; the notes come first."""
    with View(study.name, study.base.metric) as view:
        for line in [*notes, *told_counts(tensors)]:
            view.say(line)
        ledger = Ledger(place.ledger)
        settle(ledger, study.budget.epochs)
        abroad = Abroad(place.root, place.storage, place.ledger.url) if place.storage else None
        keeper = Keeper(study, place.root, ledger, view, abroad)
        with Work(study, place, tensors, view, ledger, keeper, way.address, way.agree) as work:
            run_phases(work, phases := phases_of(study, way))
            if "report" in phases:
                place.finish()
        tell(work)
        ledger.close()


def tell(work: Work) -> None:
    """The best settings, the files, and what to type next."""
    study, root, view = work.study, work.place.root, work.view
    if study.compare is not None:
        view.say(f"\ntable {root}/comparison/summary.csv, report {root}/report.html")
        view.say(f"tensorboard --logdir {root}/tensorboard")
        return
    about = read_best(root)
    if not about:
        return
    tell_best(work, about)
    spent = sum(entry.device_seconds for entry in work.entries())
    view.say(f"trained for {clock(spent)} of device time in all")
    view.say(f"settings {root}/best.yaml, model {root}/best, trials {root}/trials.csv")
    if (root / "report.html").exists():
        view.say(f"report {root}/report.html, curves {root}/sensitivity/<knob>.png")
    view.say(f"tensorboard --logdir {root}/tensorboard")
    view.say(f"  (curves, pictures, texts: end its page's address with {VIEW})")


def tell_best(work: Work, about: Mapping[str, Any]) -> None:
    """The best settings and how good they are; `about` is `best.yaml`."""
    study, view = work.study, work.view
    value, what = about["value"], "in the search"
    if "confirmed" in about:
        value, seeds = about["confirmed"]["mean"], study.sensitivity.seeds
        what = f"mean of {several(seeds, 'seed')} that confirmed it"
    line = f"[bold]best: {study.base.metric} {value:.4f}[/bold] ({what})"
    view.say(f"\n{line}  {settings(about['settings'])}")
    if value <= (nothing := trivial_score(work.tensors, study.base)):
        more = "more epochs, more tweets or a higher learning rate may help"
        view.say(f"  no better than without any learning ({nothing:.4f}): {more}")
