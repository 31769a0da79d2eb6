"""Tweets made in memory whose answer is known and needs both text and picture.

A tweet's riddle (`muse/corpora/riddles.py`) says which words it has, which colour its picture shows
and what it is labelled. Whoever sees one of the two is right half the time at best:

* msa, 3 classes: the text shows a pool of words, the picture a colour;
* mner, 4 types: the text shows which words are names and a pool that they are from; the picture
  says nothing about positions, so alone it finds no name.

`riddles.BEST_ALONE` is that ceiling for accuracy (msa) and span F1 (mner), as a mean over tweets:
on a split of n tweets luck moves a guesser's score by about 0.5 / sqrt(n), 0.03 for 256. Both
together reach 1. What has to be learnt is plain: which words belong to which pool, and the colour
of a large square.
"""

from typing import cast

import numpy as np
from numpy.typing import NDArray

from muse.config import Rule, Task
from muse.corpora.riddles import riddles
from muse.corpora.tweet import SENTIMENTS, Corpus, SplitName, Tweet, entity_labels
from muse.corpora.twitter import TYPES

PICTURE_SIDE = 64
SQUARE_SIDE = 44

SENTIMENT_WORDS = (
    ("grey", "flat", "cold", "dull"),
    ("loud", "wild", "fierce", "strong"),
    ("mild", "bright", "sunny", "calm"),
)
NAME_STEMS = ("Bar", "Del", "Kim", "Mon", "Sul", "Tev")
FIRST_ENDINGS = ("a", "en", "io", "us")
SECOND_ENDINGS = ("by", "ford")
FILLERS = ("the", "this", "and", "we", "saw", "at", "with", "some", "then", "again", "here", "now")
COLOURS = np.array(
    [(230, 30, 30), (30, 200, 30), (40, 40, 230), (225, 215, 30), (30, 210, 215), (215, 30, 215)]
)


def make_corpus(task: Task, tweets: int, seed: int, rule: Rule = "additive") -> Corpus:
    """Make the synthetic corpus.

    Args:
        task: what the tweets are labelled with.
        tweets: size of the training split; valid and test have half as many each.
        seed: the same numbers give the same tweets.
        rule: how text and picture decide the label together.
    """
    half = max(1, tweets // 2)
    sizes: dict[SplitName, int] = {"train": tweets, "valid": half, "test": half}
    splits = {
        name: make_split(task, rule, size, np.random.default_rng([seed, number]))
        for number, (name, size) in enumerate(sizes.items())
    }
    labels = SENTIMENTS if task == "msa" else entity_labels(TYPES)
    return Corpus(task, labels, splits)


def make_split(task: Task, rule: Rule, size: int, random: np.random.Generator) -> tuple[Tweet, ...]:
    """Tweets in random order, with every riddle as often as any other, up to one."""
    classes = SENTIMENTS if task == "msa" else TYPES
    every = riddles(rule, len(classes))
    make_text = make_sentiment if task == "msa" else make_entities
    tweets = []
    for number, place in enumerate(random.permutation(size)):
        riddle = every[place % len(every)]
        words, target = make_text(classes[riddle.hidden], riddle.text, random)
        picture = paint(COLOURS[riddle.picture], random)
        tweets.append(Tweet(str(number), words, picture, target))
    return tuple(tweets)


def make_sentiment(
    hidden: str, pool: int, random: np.random.Generator
) -> tuple[tuple[str, ...], str]:
    """A text with two words of its pool between others."""
    words = fillers(int(random.integers(5, 9)), random)
    for word in random.choice(SENTIMENT_WORDS[pool], size=2):
        words.insert(int(random.integers(len(words) + 1)), str(word))
    return (" ".join(words),), hidden


def make_entities(
    hidden: str, pool: int, random: np.random.Generator
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """A text with one or two names of its pool, never side by side."""
    plain = fillers(int(random.integers(5, 11)), random)
    gaps = set(random.choice(len(plain) + 1, size=int(random.integers(1, 3)), replace=False))
    words: list[str] = []
    tags: list[str] = []
    for gap in range(len(plain) + 1):
        name = make_name(NAME_STEMS[pool], random) if gap in gaps else []
        words += [*name, *plain[gap : gap + 1]]
        tags += [f"{prefix}-{hidden}" for prefix, _ in zip("BI", name, strict=False)]
        tags += ["O"] * len(plain[gap : gap + 1])
    return tuple(words), tuple(tags)


def make_name(stem: str, random: np.random.Generator) -> list[str]:
    """One word, or two of which the second has an ending of its own."""
    first = stem + str(random.choice(FIRST_ENDINGS))
    second = stem + str(random.choice(SECOND_ENDINGS))
    return [first, second] if random.random() < 0.5 else [first]


def fillers(count: int, random: np.random.Generator) -> list[str]:
    """Words that mean nothing here."""
    return [str(word) for word in random.choice(FILLERS, size=count)]


def paint(colour: NDArray[np.int_], random: np.random.Generator) -> NDArray[np.uint8]:
    """A square of the colour somewhere on noisy grey, (64, 64, 3)."""
    pixels = np.full((PICTURE_SIDE, PICTURE_SIDE, 3), 128.0)
    top, left = random.integers(PICTURE_SIDE - SQUARE_SIDE + 1, size=2)
    pixels[top : top + SQUARE_SIDE, left : left + SQUARE_SIDE] = colour
    pixels += random.normal(0, 20, size=pixels.shape)
    return cast(NDArray[np.uint8], pixels.clip(0, 255).astype(np.uint8))
