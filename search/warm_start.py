"""Reading an earlier study, so that a new one begins with what it found out."""

from collections.abc import Sequence
from pathlib import Path

from muse.errors import UserError
from search.changes import differences
from search.entry import Entry
from search.folder import check_owner
from search.prior import Known, Prior
from search.searcher import distributions
from search.space import describe
from search.spent import entries_of
from search.stored import stored
from search.study import Study
from search.view import several

DECISIVE = ("preset ", "data.inputs ", "budget.epochs ", "fixed.")
"""Fields that decide what score a point gets, as `differences` begins."""


def read_priors(folders: Sequence[Path], study: Study) -> list[Prior]:
    """The full-budget trials of earlier studies.

    Raises:
        UserError: a folder holds no study, one of another space, or no such trial.
    """
    different = dict.fromkeys(folder.resolve() for folder in folders)
    return [read_prior(folder, study) for folder in different]


def read_prior(folder: Path, study: Study) -> Prior:
    """The full-budget trials of one earlier study.

    Raises:
        UserError: it holds no study, one of another space, or no such trial.
    """
    if not (folder / "study.yaml").is_file():
        raise UserError(f"--warm-start {folder}: no study stands here; give results/<name>.")
    check_owner(folder)
    earlier = stored(folder)
    check_same(earlier.study, study, folder)
    trials = known_trials(entries_of(folder, earlier.ledger))
    for trial in trials:
        if distributions(study, trial.point) is None:
            raise UserError(
                f"--warm-start {folder}: {trial.trial_id} has {trial.point}, which is not legal "
                "with this study's fixed settings."
            )
    if not trials:
        raise UserError(f"--warm-start {folder}: no trial of its search was trained in full.")
    return Prior(folder=str(folder), trials=trials)


def told(priors: Sequence[Prior], study: Study, data_hash: str) -> list[str]:
    """What is learnt from earlier studies, a line each, and in what their scores came otherwise.

    They are learnt from all the same: where a point is good, it often is so elsewhere.
    """
    lines = []
    for prior in priors:
        earlier = stored(Path(prior.folder))
        apart = [d for d in differences(earlier.study, study) if d.startswith(DECISIVE)]
        if earlier.latest["data_hash"] != data_hash:
            apart.append("its data was other")
        although = f", although {'; '.join(apart)}" if apart else ""
        trials = several(len(prior.trials), "trial")
        lines.append(f"learning from {trials} of {prior.folder}{although}")
    return lines


def known_trials(entries: list[Entry]) -> list[Known]:
    """The trials of a search that nobody stopped."""
    return [
        Known(trial_id=e.trial_id, point=e.point, value=e.value, epochs=e.epochs)
        for e in entries
        if e.phase == "search" and e.state == "completed" and e.value is not None
    ]


def check_same(earlier: Study, study: Study, folder: Path) -> None:
    """A study learns only from one that searched the same space for the same score.

    Raises:
        UserError: the first difference.
    """
    where = f"--warm-start {folder}"
    for field, there, here in (
        ("task", earlier.task, study.task),
        ("metric", earlier.base.metric, study.base.metric),
    ):
        if there != here:
            raise UserError(f"{where}: its {field} is {there}, this study's is {here}.")
    only_one = earlier.space.keys() ^ study.space.keys()
    if only_one:
        name = min(only_one)
        place = "there" if name in earlier.space else "here"
        raise UserError(f"{where}: {name} is searched only {place}; the space must be the same.")
    for name, knob in study.space.items():
        if earlier.space[name] != knob:
            both = f"{describe(earlier.space[name])} there, {describe(knob)} here"
            raise UserError(f"{where}: {name} is {both}; the space must be the same.")
