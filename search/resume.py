"""Go on with a study that stands: interrupted, to be extended, or to do phases of again."""

from collections.abc import Callable, Sequence
from pathlib import Path

from muse.errors import UserError
from search.abroad import bring_back
from search.bucket import Checkpoints
from search.changes import changes, check_comparable, history
from search.entry import Word
from search.folder import StudyFolder, check_owner, old_folder, unusable
from search.ledger import Ledger
from search.plan import is_open
from search.reading import read
from search.start import Way, go, phases_of, twin_of
from search.stored import stored, write_about
from search.study import Study


def resume(root: Path, wanted: Callable[[Study], Study], way: Way) -> None:
    """Go on with an interrupted study, run phases of it again, or extend it to more trials.

    Args:
        root: its folder.
        wanted: the stored study with what the user asks for now.
        way: how.

    Raises:
        UserError: there is none, or something that decides its figures changed.
    """
    if twin := twin_of(root, way) or kept_twin(root):
        bring_back(root, twin)
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


def kept_twin(root: Path) -> str:
    """Address of the twin that a folder names: another head may have gone on there meanwhile.

    Raises:
        UserError: the folder cannot be read.
    """
    try:
        return stored(root).storage if (root / "study.yaml").is_file() else ""
    except OSError as error:
        raise UserError(unusable(root, error)) from error


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
    """What was interrupted cannot be trained to its end in another way than it was begun.

    A trial of the search ends so; a run that a later phase needs is trained from its beginning.
    """
    ledger, checkpoints = Ledger(place.ledger), Checkpoints(f"{place.shared}/trials")
    for entry in ledger.entries():
        if entry.phase != "search" and is_open(entry):
            checkpoints.drop(entry.trial_id)
            ledger.forget(entry.trial_id)
        elif entry.state == "running":
            ledger.hear(entry.trial_id, Word(kind="changed"))
            reason = f"interrupted, and then {'; '.join(changed)}"
            ledger.end(entry.trial_id, "failed", 0.0, 0.0, reason)
    ledger.close()
