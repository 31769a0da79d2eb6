"""What text and picture of a made-up tweet say, and which class follows from both together.

Under either rule a reader of the text alone is right half the time at best, and so is one who sees
the picture alone. They differ in what it takes to be right always:

* additive: each stream votes for two classes, and the class with two votes is the answer. A sum of
  what text and picture say decides, so a linear layer over both is enough: quick to learn.
* interaction: the picture tells how the text is to be read. Half the tweets show the usual picture
  of their text, the other half any other. No sum of what each stream says is right in more than
  `BEST_SUM` of the tweets: text and picture must meet before a layer that is not linear, which
  MuSE without its exchange (theta 0) and concatenation never let them: their scores are such sums.
"""

from itertools import combinations
from typing import NamedTuple

from muse.config import Rule

BEST_ALONE = 0.5
"""Highest score that text alone or the picture alone allows."""

BEST_SUM = {3: 5 / 6, 4: 19 / 24}
"""Highest score under `interaction` of any f(text) + g(picture), by the number of classes."""


class Riddle(NamedTuple):
    """Numbers of a class, of a pool of words and of a colour that belong together."""

    hidden: int
    text: int
    picture: int


def riddles(rule: Rule, classes: int) -> list[Riddle]:
    """All of them, each as often as it shall occur.

    Args:
        rule: how the class follows.
        classes: 3 or 4.
    """
    return additive(classes) if rule == "additive" else interaction(classes)


def additive(classes: int) -> list[Riddle]:
    """Every class with every two pairs that have it, and only it, in common."""
    pairs = list(combinations(range(classes), 2))
    return [
        Riddle(hidden, text, picture)
        for hidden in range(classes)
        for text, votes in enumerate(pairs)
        for picture, others in enumerate(pairs)
        if set(votes) & set(others) == {hidden}
    ]


READINGS = {
    3: ((0, 1, 2), (1, 2, 0), (2, 0, 1)),
    4: ((0, 1, 2, 3), (1, 0, 3, 2), (2, 3, 0, 1), (3, 2, 1, 0)),
}
"""The class of each text (row) under each picture (column): every class once in each of both."""

USUAL = {3: (0, 1, 2), 4: (0, 2, 3, 1)}
"""The usual picture of each text; no two share one, nor a class."""


def interaction(classes: int) -> list[Riddle]:
    """Every text with every picture, the usual one as often as all others together."""
    return [
        Riddle(hidden, text, picture)
        for text, row in enumerate(READINGS[classes])
        for picture, hidden in enumerate(row)
        for _ in range(classes - 1 if picture == USUAL[classes][text] else 1)
    ]
