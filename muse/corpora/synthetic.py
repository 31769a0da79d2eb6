"""Tweets made in memory whose answer is known and needs both text and picture.

Every tweet has a hidden class. The text names a pair of classes that holds it, the picture shows
another pair that holds it, and the two pairs share nothing else: together they decide the class.
Each pair is drawn evenly over the classes it holds, so

* msa, 3 classes: whoever sees one pair is right half the time and no rule does better;
* mner, 4 types: the text shows which words are names, but their pool fits two types equally, so
  at best half the entities get the right type; the picture says nothing about positions.

`BEST_ALONE` is that ceiling for accuracy (msa) and span F1 (mner), as a mean over tweets: on a
split of n tweets luck moves a guesser's score by about 0.5 / sqrt(n), 0.03 for 256. Both together
reach 1. What has to be learnt is plain: which words belong to which pair, and the colour of a
large square.
"""

from itertools import combinations
from typing import cast

import numpy as np
from numpy.typing import NDArray

from muse.config import Task
from muse.corpora.tweet import SENTIMENTS, Corpus, SplitName, Tweet, entity_labels
from muse.corpora.twitter import TYPES

BEST_ALONE = 0.5
"""Highest score that text alone or the picture alone allows."""

PICTURE_SIDE = 64
SQUARE_SIDE = 44

Pair = tuple[str, str]

SENTIMENT_WORDS: dict[Pair, tuple[str, ...]] = {
    ("negative", "neutral"): ("grey", "flat", "cold", "dull"),
    ("negative", "positive"): ("loud", "wild", "fierce", "strong"),
    ("neutral", "positive"): ("mild", "bright", "sunny", "calm"),
}
NAME_STEMS: dict[Pair, str] = dict(
    zip(combinations(TYPES, 2), ("Bar", "Del", "Kim", "Mon", "Sul", "Tev"), strict=True)
)
FIRST_ENDINGS = ("a", "en", "io", "us")
SECOND_ENDINGS = ("by", "ford")
FILLERS = ("the", "this", "and", "we", "saw", "at", "with", "some", "then", "again", "here", "now")
COLOURS = np.array(
    [(230, 30, 30), (30, 200, 30), (40, 40, 230), (225, 215, 30), (30, 210, 215), (215, 30, 215)]
)


def make_corpus(task: Task, tweets: int, seed: int) -> Corpus:
    """Make the synthetic corpus.

    Args:
        task: what the tweets are labelled with.
        tweets: size of the training split; valid and test have half as many each.
        seed: the same numbers give the same tweets.
    """
    half = max(1, tweets // 2)
    sizes: dict[SplitName, int] = {"train": tweets, "valid": half, "test": half}
    splits = {
        name: make_split(task, size, np.random.default_rng([seed, number]))
        for number, (name, size) in enumerate(sizes.items())
    }
    labels = SENTIMENTS if task == "msa" else entity_labels(TYPES)
    return Corpus(task, labels, splits)


def make_split(task: Task, size: int, random: np.random.Generator) -> tuple[Tweet, ...]:
    """Tweets in random order, with every riddle as often as any other, up to one."""
    classes = SENTIMENTS if task == "msa" else TYPES
    every = riddles(classes)
    colours = dict(zip(combinations(classes, 2), COLOURS, strict=False))
    make_text = make_sentiment if task == "msa" else make_entities
    tweets = []
    for number, place in enumerate(random.permutation(size)):
        hidden, text_pair, picture_pair = every[place % len(every)]
        words, target = make_text(hidden, text_pair, random)
        picture = paint(colours[picture_pair], random)
        tweets.append(Tweet(str(number), words, picture, target))
    return tuple(tweets)


def riddles(classes: tuple[str, ...]) -> list[tuple[str, Pair, Pair]]:
    """Every class with every two pairs that have it, and only it, in common."""
    return [
        (hidden, text_pair, picture_pair)
        for hidden in classes
        for text_pair in combinations(classes, 2)
        for picture_pair in combinations(classes, 2)
        if set(text_pair) & set(picture_pair) == {hidden}
    ]


def make_sentiment(
    hidden: str, pair: Pair, random: np.random.Generator
) -> tuple[tuple[str, ...], str]:
    """A text with two words of its pair between others."""
    words = fillers(int(random.integers(5, 9)), random)
    for word in random.choice(SENTIMENT_WORDS[pair], size=2):
        words.insert(int(random.integers(len(words) + 1)), str(word))
    return (" ".join(words),), hidden


def make_entities(
    hidden: str, pair: Pair, random: np.random.Generator
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """A text with one or two names of its pair, never side by side."""
    plain = fillers(int(random.integers(5, 11)), random)
    gaps = set(random.choice(len(plain) + 1, size=int(random.integers(1, 3)), replace=False))
    words: list[str] = []
    tags: list[str] = []
    for gap in range(len(plain) + 1):
        name = make_name(NAME_STEMS[pair], random) if gap in gaps else []
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
