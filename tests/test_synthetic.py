from collections import Counter, defaultdict
from collections.abc import Callable, Hashable
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

from muse.config import DataConfig, Rule, Task
from muse.corpora import Tweet, read_corpus
from muse.corpora.riddles import BEST_ALONE
from muse.corpora.synthetic import (
    COLOURS,
    FILLERS,
    NAME_STEMS,
    PICTURE_SIDE,
    SENTIMENT_WORDS,
    make_corpus,
)

EVEN = 240
"""A number of tweets that the riddles of both tasks divide."""

both_rules = pytest.mark.parametrize("rule", ["additive", "interaction"])


def train(task: Task, seed: int = 0, rule: Rule = "additive") -> tuple[Tweet, ...]:
    return make_corpus(task, EVEN, seed, rule).splits["train"]


def words_of(tweet: Tweet) -> list[str]:
    return " ".join(tweet.words).split()


def seen_in_text(tweet: Tweet) -> Hashable:
    """Which pool the words are from: all that a reader of many texts could know."""
    pools = [
        number
        for number, pool in enumerate(SENTIMENT_WORDS)
        if any(word in pool for word in words_of(tweet))
    ]
    stems = [
        number
        for number, stem in enumerate(NAME_STEMS)
        if any(word.startswith(stem) for word in words_of(tweet))
    ]
    return tuple(pools + stems)


def seen_in_picture(tweet: Tweet) -> Hashable:
    """The colour nearest to the middle, which the square always covers."""
    assert isinstance(tweet.picture, np.ndarray)
    small = np.asarray(Image.fromarray(tweet.picture).resize((16, 16)))
    middle = small[6:10, 6:10].mean(axis=(0, 1))
    return int(np.abs(COLOURS - middle).sum(axis=1).argmin())


def hidden(tweet: Tweet) -> str:
    """The class; for mner the one type of all its entities."""
    if isinstance(tweet.target, str):
        return tweet.target
    (kind,) = {tag[2:] for tag in tweet.target if tag != "O"}
    return kind


def best_score(tweets: tuple[Tweet, ...], evidence: Callable[[Tweet], Hashable]) -> float:
    """Share that the best rule gets right which knows only the evidence."""
    groups: dict[Hashable, Counter[str]] = defaultdict(Counter)
    for tweet in tweets:
        groups[evidence(tweet)][hidden(tweet)] += 1
    return sum(max(classes.values()) for classes in groups.values()) / len(tweets)


@both_rules
@pytest.mark.parametrize("task", ["msa", "mner"])
@pytest.mark.parametrize("evidence", [seen_in_text, seen_in_picture])
def test_each_stream_alone_is_right_half_the_time(
    task: Task, evidence: Callable[[Tweet], Hashable], rule: Rule
) -> None:
    assert best_score(train(task, rule=rule), evidence) == BEST_ALONE


@both_rules
@pytest.mark.parametrize("task", ["msa", "mner"])
def test_both_streams_together_decide(task: Task, rule: Rule) -> None:
    tweets = train(task, rule=rule)

    both = best_score(tweets, lambda tweet: (seen_in_text(tweet), seen_in_picture(tweet)))

    assert both == 1.0


@pytest.mark.parametrize("task", ["msa", "mner"])
def test_adding_up_what_each_stream_says_decides_too_so_a_linear_layer_over_both_is_enough(
    task: Task,
) -> None:
    tweets = train(task)
    votes: dict[Hashable, Counter[str]] = defaultdict(Counter)
    for tweet in tweets:
        for seen in (seen_in_text(tweet), ("picture", seen_in_picture(tweet))):
            votes[seen][hidden(tweet)] += 1
    for tweet in tweets:
        both = votes[seen_in_text(tweet)] + votes["picture", seen_in_picture(tweet)]
        (first, most), (_, next_most) = both.most_common(2)
        assert first == hidden(tweet)
        assert most > next_most


@both_rules
@pytest.mark.parametrize("task", ["msa", "mner"])
def test_every_class_is_as_frequent_as_any_other(task: Task, rule: Rule) -> None:
    assert len(set(Counter(map(hidden, train(task, rule=rule))).values())) == 1


def test_the_text_shows_which_words_are_names() -> None:
    for tweet in train("mner"):
        named = [word not in FILLERS for word in tweet.words]

        assert named == [tag != "O" for tag in tweet.target]


def test_names_are_one_or_two_words_and_never_touch() -> None:
    for tweet in train("mner"):
        tags = ["O", *tweet.target, "O"]
        follows = {(a[0], b[0]) for a, b in pairwise(tags)}

        assert follows <= {("O", "O"), ("O", "B"), ("B", "O"), ("B", "I"), ("I", "O")}
        assert sum(tag.startswith("B-") for tag in tags) in {1, 2}


def test_the_same_seed_gives_the_same_tweets() -> None:
    one, two = train("msa"), train("msa")

    assert [tweet.words for tweet in one] == [tweet.words for tweet in two]
    assert all(np.array_equal(a.picture, b.picture) for a, b in zip(one, two, strict=True))


def test_another_seed_and_another_split_give_other_tweets() -> None:
    corpus = make_corpus("mner", EVEN, 0)
    some = [tweet.words for tweet in corpus.splits["train"][:20]]

    assert some != [tweet.words for tweet in train("mner", seed=1)[:20]]
    assert some != [tweet.words for tweet in corpus.splits["valid"][:20]]


@pytest.mark.parametrize("task", ["msa", "mner"])
def test_the_configuration_sets_the_number_of_tweets(task: Task) -> None:
    corpus = read_corpus(DataConfig(synthetic_tweets=9, limit=5), task)

    assert [len(tweets) for tweets in corpus.splits.values()] == [5, 4, 4]
    assert all(
        tweet.target in corpus.labels if task == "msa" else set(tweet.target) <= set(corpus.labels)
        for tweets in corpus.splits.values()
        for tweet in tweets
    )


def test_a_corpus_of_one_tweet_has_no_empty_split() -> None:
    corpus = read_corpus(DataConfig(synthetic_tweets=1), "msa")

    assert [len(tweets) for tweets in corpus.splits.values()] == [1, 1, 1]


def test_a_colour_is_seen_at_many_places_and_never_twice_the_same() -> None:
    """Else a model could learn pictures by heart, and a square's place with its colour."""
    of_one = [tweet.picture for tweet in train("msa") if seen_in_picture(tweet) == 0]
    middles = set()
    for picture in of_one:
        assert isinstance(picture, np.ndarray)
        coloured = np.abs(picture.astype(int) - COLOURS[0]).sum(axis=2) < 150
        middles.add(tuple(np.round(np.argwhere(coloured).mean(axis=0)).astype(int)))
    noise = [np.asarray(picture)[30:34, 30:34].tobytes() for picture in of_one]
    assert len(middles) > len(of_one) / 2
    assert len(set(noise)) == len(of_one)


def test_pictures_are_bytes_of_one_size() -> None:
    pictures = [tweet.picture for tweet in train("msa")]

    assert all(
        isinstance(picture, np.ndarray)
        and picture.dtype == np.uint8
        and picture.shape == (PICTURE_SIDE, PICTURE_SIDE, 3)
        for picture in pictures
    )
