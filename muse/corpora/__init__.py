"""One reader for each corpus, all with the same result."""

from collections.abc import Callable, Sequence
from hashlib import sha256

from muse.config import DataConfig, Task
from muse.corpora.mt_product import read_mt_product
from muse.corpora.mvsa import read_mvsa
from muse.corpora.synthetic import make_corpus
from muse.corpora.tweet import Corpus, Picture, SplitName, Tweet
from muse.corpora.twitter import read_twitter
from muse.errors import UserError

__all__ = ["Corpus", "Picture", "SplitName", "Tweet", "read_corpus"]

READERS: dict[str, tuple[Task, Callable[[DataConfig], Corpus]]] = {
    "twitter2015": ("mner", read_twitter),
    "twitter2017": ("mner", read_twitter),
    "mt_product": ("mner", read_mt_product),
    "mvsa_single": ("msa", read_mvsa),
    "mvsa_multiple": ("msa", read_mvsa),
}


def read_corpus(config: DataConfig, task: Task) -> Corpus:
    """Read or make the corpus that the configuration names.

    Args:
        config: which corpus, where it lies, how many tweets of each split.
        task: what it is for; the synthetic corpus serves both tasks.

    Raises:
        UserError: the corpus is for the other task, cannot be read, or has an empty split.
    """
    if config.name == "synthetic":
        made = make_corpus(
            task, config.synthetic_tweets, config.synthetic_seed, config.synthetic_rule
        )
        return limited(made, config)
    own_task, read = READERS[config.name]
    if task != own_task:
        raise UserError(f"task: '{task}' does not fit corpus '{config.name}', which is {own_task}.")
    return limited(read(config), config)


def limited(corpus: Corpus, config: DataConfig) -> Corpus:
    """Some tweets of each split, none of which may be empty, in the corpus's order."""
    for name, tweets in corpus.splits.items():
        if not tweets:
            raise UserError(
                f"{config.root or config.name}: split '{name}' has no tweets; one is needed."
            )
    if config.limit is None:
        return corpus
    splits = {name: sample(tweets, config.limit) for name, tweets in corpus.splits.items()}
    return Corpus(corpus.task, corpus.labels, splits)


def sample(tweets: Sequence[Tweet], count: int) -> tuple[Tweet, ...]:
    """The tweets whose ids have the smallest hashes: the same ones on every machine.

    Not the first ones: corpora are sorted by class, and the first 400 may all be positive.
    """

    def drawn(index: int) -> bytes:
        return sha256(tweets[index].id.encode()).digest()

    chosen = sorted(range(len(tweets)), key=drawn)[:count]
    return tuple(tweets[index] for index in sorted(chosen))
