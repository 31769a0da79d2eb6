"""What a split's scores are measured by: learning nothing, and one right answer more."""

from collections import Counter

from muse.config import MuseConfig
from muse.tensors import Tensors


def trivial_score(tensors: Tensors, config: MuseConfig, split: str = "valid") -> float:
    """The score on a split of a model that has learnt nothing but what is most frequent.

    That is no entity at all, or the training split's most frequent class for every tweet.
    """
    from muse.metrics import class_scores, span_scores  # noqa: PLC0415 - scikit-learn: a second

    gold = tensors.splits[split].targets
    if config.task == "mner":
        return span_scores(gold, [["O"] * len(tags) for tags in gold])["f1"]
    (frequent, _), *_ = Counter(tensors.splits["train"].targets).most_common(1)
    return class_scores(gold, [frequent] * len(gold))[config.metric.removeprefix("valid_")]


def grain(tensors: Tensors, config: MuseConfig, split: str = "valid") -> float:
    """By how much one right answer more, of a tweet or an entity, moves a split's score."""
    from muse.metrics import count_spans  # noqa: PLC0415

    gold = tensors.splits[split].targets
    return 1 / max(1, count_spans(gold) if config.task == "mner" else len(gold))
