"""What a model of entities finds in tweets as people write them, and as the corpus has them.

    python benchmarks/written_tweets.py results/twitter2015/best DIR

The corpus's words stand apart from the punctuation around them. Here they are joined as they were
written, nearly, and split again: by the rules of `muse.words`, and at blanks only.
"""

import argparse
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from seqeval.metrics.sequence_labeling import get_entities
from transformers import PreTrainedTokenizerBase

from muse.asked import Asked
from muse.checkpoint import load
from muse.config import DataConfig, MuseConfig
from muse.corpora import Tweet, read_corpus
from muse.labelling import label_all
from muse.model import Muse
from muse.words import word_spans

Loaded = tuple[Muse, PreTrainedTokenizerBase]

BEHIND = set(".,!?:;)…") | {"..."}
"""Written without a blank before them."""


def written(words: Sequence[str]) -> str:
    """Words with the blanks that people leave between them."""
    text, glued, inside = "", True, False
    for word in words:
        closes = word in BEHIND or word == "'" or (word == '"' and inside)
        text += word if glued or closes else f" {word}"
        inside ^= word == '"'
        glued = word in ("(", "'") or (word == '"' and inside)
    return text


def score(model: Loaded, tweets: Sequence[Tweet], asked: Sequence[Asked]) -> float:
    """F1 of entities by their letters and type, blanks left out."""
    right = told = true = 0
    for tweet, answer in zip(tweets, label_all(*model, asked, 32), strict=True):
        spans = get_entities(list(tweet.target))
        gold = [("".join(tweet.words[first : last + 1]), kind) for kind, first, last in spans]
        found = [("".join(e["text"].split()), e["type"]) for e in answer["entities"]]
        right += (Counter(gold) & Counter(found)).total()
        told, true = told + len(found), true + len(gold)
    return 2 * right / max(1, told + true)


def main() -> None:
    """Print how many tweets are split as they were, and the three scores."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("data", type=Path, help="a folder in the form of Twitter-2015")
    parser.add_argument("--tweets", type=int, default=160)
    given = parser.parse_args()
    data = DataConfig(name="twitter2015", root=given.data)
    config = MuseConfig(task="mner", data=data)
    tweets = read_corpus(data, "mner").splits["test"]
    texts = [written(tweet.words) for tweet in tweets]
    again = [[t[begin:end] for begin, end in word_spans(t, config)] for t in texts]
    same = sum(list(t.words) == words for t, words in zip(tweets, again, strict=True))
    print(f"split as they were: {same} of {len(tweets)} tweets")
    some, texts = tweets[: given.tweets], texts[: given.tweets]
    model = load(given.model)
    ways = {
        "as the corpus has them": [Asked("", " ".join(t.words), t.words) for t in some],
        "as people write them": [Asked("", text) for text in texts],
        "the same, split at blanks": [Asked("", t, tuple(t.split())) for t in texts],
    }
    for name, asked in ways.items():
        print(f"{name}: F1 {score(model, some, asked):.3f}", flush=True)


if __name__ == "__main__":
    main()
