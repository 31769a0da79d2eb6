"""Read a study's corpus, and say what was read."""

from muse.errors import UserError
from muse.prepare import prepare
from muse.shares import check_workers
from muse.tensors import Tensors
from search.study import Study


def read(study: Study) -> Tensors:
    """A study's corpus, of which its trials' workers can share out the batches.

    Raises:
        UserError: it cannot be read, there are more workers than tweets, or nothing is searched.
    """
    if study.compare is None and not study.space and study.budget.trials > 1:
        raise UserError(
            f"space: names no setting, so all {study.budget.trials} trials would be one and the "
            "same; name settings with their ranges, or ask for one trial."
        )
    tensors = prepare(study.base)
    check_workers(study.base, len(tensors.splits["train"]), study.resources.workers)
    return tensors


def told_counts(tensors: Tensors) -> list[str]:
    """What was read, a line for each split, and more where nothing can be learnt from it."""
    lines = []
    for split, counts in tensors.counts.items():
        told = (f"{n} {what.replace('_', ' ')}" for what, n in counts.items())
        lines.append(f"{split}: " + ", ".join(told))
        lines += [f"{split}: {oddity}"] if (oddity := hardly_labelled(tensors, split)) else []
    if all(counts["missing_images"] == counts["tweets"] for counts in tensors.counts.values()):
        lines.append("no picture was found, so all are blank: they are <id>.jpg, see data.images")
    return lines


def hardly_labelled(tensors: Tensors, split: str) -> str:
    """What is wrong with a split whose labels are all the same; nothing usually."""
    targets = tensors.splits[split].targets
    labels = {label for one in targets for label in ([one] if isinstance(one, str) else one)}
    if labels == {"O"}:
        return "no word of it is in an entity: nothing can be found, nor scored"
    if len(labels) == 1 and isinstance(targets[0], str):
        return f"all its tweets are {targets[0]}: nothing can be told apart"
    return ""
