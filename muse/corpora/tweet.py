"""What every reader returns: tweets, and splits of them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from muse.config import Task

Picture = Path | NDArray[np.uint8] | None
SplitName = Literal["train", "valid", "test"]

SENTIMENTS = ("negative", "neutral", "positive")


@dataclass(frozen=True)
class Tweet:
    """One text, its picture and what a model should say about them."""

    id: str
    """Name in the corpus; synthetic tweets are numbered."""

    words: tuple[str, ...]
    """mner: the corpus's own tokens; msa: the whole text as one element."""

    picture: Picture
    """A file, pixels (height, width, 3), or None where the corpus has none."""

    target: tuple[str, ...] | str
    """mner: a BIO tag for each word; msa: the class."""


@dataclass(frozen=True)
class Corpus:
    """Tweets in splits, and the labels that can occur."""

    task: Task
    labels: tuple[str, ...]
    """mner: O first, then B- and I- of each type; msa: the three sentiments."""

    splits: dict[SplitName, tuple[Tweet, ...]]
    """train, valid and, where the corpus labels one, test."""


def entity_labels(types: tuple[str, ...]) -> tuple[str, ...]:
    """O, then B- and I- of each type of entity."""
    return ("O", *(f"{prefix}-{kind}" for kind in types for prefix in "BI"))
