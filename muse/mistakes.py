"""Where a trained model errs on a split, as plain data.

Shapes: K labels.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerBase

from muse.device import Worker, autocast, wants_bf16
from muse.evaluate import find, in_full
from muse.heads import EntityHead
from muse.model import Muse
from muse.tensors import Split

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Subject:
    """A trained model, and the tweets that it is shown."""

    model: Muse
    """In eval mode, on the device."""

    split: Split
    tokenizer: PreTrainedTokenizerBase
    device: torch.device


@dataclass(frozen=True)
class Mistake:
    """A tweet that the model got wrong."""

    id: str
    """The corpus's."""

    words: list[str]
    gold: list[str]
    found: list[str]
    loss: float
    """Nats."""


@dataclass(frozen=True)
class Mistakes:
    """Where a model errs on a whole split."""

    labels: tuple[str, ...]
    confusion: NDArray[np.int64]
    """Words (mner) or tweets (msa) by their true label (row) and the one found (column), (K, K)."""

    worst: list[Mistake]
    """The wrong ones with the largest loss, the largest first."""

    tweets: int
    wrong: int
    """Tweets with any label wrong."""


def truth(split: Split, index: int) -> list[str]:
    """A tweet's tags, or its class as a list of one."""
    target = split.targets[index]
    return [target] if isinstance(target, str) else list(target)


def words_of(split: Split, index: int, tokenizer: PreTrainedTokenizerBase) -> list[str]:
    """The words of a tweet as its sub-words spell them, or its whole text as one."""
    ids = split.token_ids[index, 1 : split.lengths[index] - 1].tolist()
    if not split.words_kept[index]:
        return [str(tokenizer.decode(ids)).strip()]
    starts = (split.word_starts[index, : split.words_kept[index]] - 1).tolist()
    ends = [*starts[1:], len(ids)]
    return [str(tokenizer.decode(ids[a:b])).strip() for a, b in zip(starts, ends, strict=True)]


def predictions(subject: Subject) -> dict[int, tuple[list[str], float]]:
    """Each tweet's labels by name, as many as the true ones, and its task loss in nats."""
    model, split, device = subject.model, subject.split, subject.device
    with autocast(device, bf16=wants_bf16(model.config, device, model.text_encoder.width)):
        found = find(model, split, 2 * model.config.train.batch_size, Worker(device))
    named = {
        k: model.labels[labels]
        if isinstance(labels, int)
        else [model.labels[number] for number in labels]
        for k, (labels, _) in found.items()
    }
    return {k: (in_full(labels, len(split.targets[k])), found[k][1]) for k, labels in named.items()}


def mistakes(subject: Subject, most: int) -> Mistakes:
    """Score a split, and keep some of what is wrong.

    Args:
        subject: what to look at.
        most: wrong tweets to keep.
    """
    model, split = subject.model, subject.split
    number = {label: place for place, label in enumerate(model.labels)}
    confusion = np.zeros((len(number), len(number)), dtype=np.int64)
    wrong: list[tuple[float, int, list[str], list[str]]] = []
    for index, (found, loss) in sorted(predictions(subject).items()):
        gold = truth(split, index)
        for true, told in zip(gold, found, strict=True):
            confusion[number[true], number[told]] += 1
        if found != gold:
            wrong.append((loss, index, gold, found))
    worst = [
        Mistake(split.ids[index], words_of(split, index, subject.tokenizer), gold, found, loss)
        for loss, index, gold, found in sorted(wrong, key=lambda one: -one[0])[:most]
    ]
    return Mistakes(model.labels, confusion, worst, len(split), len(wrong))


def transitions(model: Muse) -> Floats | None:
    """Scores of the CRF (K + 1, K + 1): from the start or a tag (rows) to a tag or the end."""
    if not isinstance(model.head, EntityHead):
        return None
    crf = model.head.crf
    inner = torch.cat([crf.start_transitions[None], crf.transitions])  # (K + 1, K)
    end = torch.cat([torch.full((1,), torch.nan, device=inner.device), crf.end_transitions])
    scores: Floats = torch.cat([inner, end[:, None]], dim=1).detach().cpu().numpy()
    return scores
