"""Start a study: what it needs is checked before anything is made, then its phases are done."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from muse.errors import UserError
from muse.tensors import Tensors
from search.abroad import Abroad, check_free
from search.closing import tell
from search.folder import Places, StudyFolder, new_folder, taken
from search.keeper import Keeper
from search.ledger import Ledger
from search.phases import run_phases
from search.prior import Prior
from search.reading import read, told_counts
from search.schema import read_url
from search.settle import ASK_ABOVE_HOURS
from search.study import Study
from search.view import View
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
    from search.preview import hours  # noqa: PLC0415 - what trains brings the model's code

    longest = hours(study, tensors)
    question = f"One worker of this machine would need up to {longest:.1f} hours. Start?"
    return longest <= ASK_ABOVE_HOURS or agree(question)


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


def settle(ledger: Ledger, epochs: int) -> None:
    """End the trials that had done all their epochs when an interruption came."""
    for entry in ledger.entries():
        if entry.state == "running" and entry.epochs >= epochs:
            ledger.end(entry.trial_id, "completed", 0.0, 0.0, "")
