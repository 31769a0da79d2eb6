"""A corpus to tensors on disk, once per content.

A prepared corpus is a folder: `about.json`, the tokeniser, two arrays of pictures that all splits
share, and a folder for each split. Its name is a hash of everything that decides its content.
`muse.tensors` opens it.

Shapes: N tweets, W words of the longest.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from transformers import PreTrainedTokenizerBase

from muse.cache import build_once, cache_folder
from muse.config import DataConfig, MuseConfig
from muse.corpora import Corpus, Tweet, read_corpus
from muse.errors import UserError
from muse.pictures import Gallery, collect, write_pictures
from muse.tensors import FORMAT, IDS, TARGETS, Tensors, open_tensors
from muse.text_source import text_source
from muse.tokenizer import SPECIAL, build_tokenizer, load_tokenizer, save_tokenizer
from muse.tokens import Encoded, Ints, encode, pad, special_tokens

BERTS = [list(SPECIAL.values()), sorted(SPECIAL.values())]
"""The special tokens of BERT, as `special_names` tells them."""


def prepare(config: MuseConfig) -> Tensors:
    """Read a corpus and make its tensors, unless they have been made before.

    Raises:
        UserError: the corpus or the tokeniser cannot be read, too many pictures are missing, or
            the cache has no room.
    """
    corpus = read_corpus(config.data, config.task)
    refuse_missing(corpus, config.data.max_missing_images)
    tokenizer = corpus_tokenizer(config, corpus)
    gallery = collect([tweet.picture for tweet in every_tweet(corpus)])
    key = content_key(config.data, corpus, gallery, tokenizer)
    folder = cache_folder() / key
    build_once(folder, lambda part: write(part, config.data, corpus, gallery, tokenizer))
    return open_tensors(folder, config.data.inputs)


def every_tweet(corpus: Corpus) -> Iterator[Tweet]:
    """All tweets, split after split."""
    for tweets in corpus.splits.values():
        yield from tweets


def missing_images(tweets: Sequence[Tweet]) -> int:
    """How many tweets have no picture."""
    return sum(tweet.picture is None for tweet in tweets)


def refuse_missing(corpus: Corpus, highest: float) -> None:
    """Refuse a corpus of which more than the given share has no picture."""
    tweets = list(every_tweet(corpus))
    # Divided, not multiplied: 116 / 200 is 0.58, and 0.58 * 200 is a little less than 116.
    if not tweets or missing_images(tweets) / len(tweets) <= highest:
        return
    parts = [
        f"{name} {missing_images(some)} of {len(some)}" for name, some in corpus.splits.items()
    ]
    raise UserError(
        f"data.max_missing_images: more than {highest:g} of the tweets have no picture "
        f"({', '.join(parts)}); set data.images to their folder, or raise the bound."
    )


def corpus_tokenizer(config: MuseConfig, corpus: Corpus) -> PreTrainedTokenizerBase:
    """The tokeniser of the pretrained encoder, or one made from the training split."""
    if config.text.weights is not None:
        return load_tokenizer(text_source(config.text.weights))
    texts = [" ".join(tweet.words) for tweet in corpus.splits["train"]]
    return build_tokenizer(texts, config.text.vocabulary)


def content_key(
    config: DataConfig, corpus: Corpus, gallery: Gallery, tokenizer: PreTrainedTokenizerBase
) -> str:
    """Hash of all that decides the tensors: tweets, picture bytes, tokeniser and sizes."""
    sizes = (config.text_tokens, config.image_size, config.small_image_size)
    content = hashlib.sha256(json.dumps([FORMAT, corpus.task, corpus.labels, sizes]).encode())
    content.update(tokenizer.backend_tokenizer.to_str().encode())
    if (special := special_names(tokenizer)) != BERTS:  # else left out: studies have it on record
        content.update(json.dumps(special).encode())
    for name, tweets in corpus.splits.items():
        content.update(json.dumps([name, len(tweets)]).encode())
    for tweet, picture in zip(every_tweet(corpus), gallery.digests, strict=True):
        content.update(json.dumps([tweet.id, tweet.words, tweet.target, picture]).encode())
    return content.hexdigest()[:32]


def special_names(tokenizer: PreTrainedTokenizerBase) -> list[list[str]]:
    """The tokens of each role, and all that are special: the vocabulary does not tell them."""
    roles = [str(getattr(tokenizer, role)) for role in SPECIAL]
    return [roles, sorted(map(str, tokenizer.all_special_tokens))]


def write(
    folder: Path,
    config: DataConfig,
    corpus: Corpus,
    gallery: Gallery,
    tokenizer: PreTrainedTokenizerBase,
) -> None:
    """Write a prepared corpus into an empty folder."""
    save_tokenizer(tokenizer, folder / "tokenizer")
    pictures = gallery.index()
    counts: dict[str, dict[str, int]] = {}
    for name, tweets in corpus.splits.items():
        mine, pictures = pictures[: len(tweets)], pictures[len(tweets) :]
        texts = [tweet.words for tweet in tweets]
        encoded = encode(texts, corpus.task, tokenizer, config.text_tokens)
        arrays = split_arrays(corpus, tweets, encoded, tokenizer.pad_token_id)
        write_split(folder / name, {**arrays, "picture": mine}, tweets)
        counts[name] = split_counts(corpus, tweets, encoded)
    write_pictures(gallery, folder, config.image_size, config.small_image_size)
    about = {
        "format": FORMAT,
        "task": corpus.task,
        "labels": corpus.labels,
        "vocabulary": len(tokenizer),
        "special": special_tokens(tokenizer),
        "counts": counts,
    }
    (folder / "about.json").write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")


def write_split(folder: Path, arrays: dict[str, Ints], tweets: Sequence[Tweet]) -> None:
    """Write one split's arrays, its ids and its targets."""
    folder.mkdir()
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
    lists = {IDS: [tweet.id for tweet in tweets], TARGETS: [tweet.target for tweet in tweets]}
    for file, content in lists.items():
        (folder / file).write_text(json.dumps(content), encoding="utf-8")


def split_arrays(
    corpus: Corpus, tweets: Sequence[Tweet], encoded: Sequence[Encoded], padding: int
) -> dict[str, Ints]:
    """The arrays of a `Split`, but for the pictures."""
    kept = [len(row.starts) for row in encoded]
    return {
        "token_ids": pad([row.ids for row in encoded], padding),
        "lengths": np.array([len(row.ids) for row in encoded], dtype=np.int32),
        "word_starts": pad([row.starts for row in encoded]),
        "words_kept": np.array(kept, dtype=np.int32),
        "target": target_array(corpus, tweets, kept),
    }


def split_counts(
    corpus: Corpus, tweets: Sequence[Tweet], encoded: Sequence[Encoded]
) -> dict[str, int]:
    """What was missing or cut; and what should not be, where it is."""
    words = {}  # for sentiment a text is one word
    if corpus.task == "mner":
        given = sum(len(tweet.words) for tweet in tweets)
        words["cut_words"] = given - sum(len(row.starts) for row in encoded)
    train = corpus.splits["train"]
    # With their words, because made-up tweets are numbered in each split anew.
    learnt = set() if tweets is train else {(tweet.id, tweet.words) for tweet in train}
    odd = {
        "unknown_words": sum(row.unknown for row in encoded),
        "empty_texts": sum(not any(tweet.words) for tweet in tweets),
        "in_train_too": sum((tweet.id, tweet.words) in learnt for tweet in tweets),
    }
    return {
        "tweets": len(tweets),
        "missing_images": missing_images(tweets),
        "cut_texts": sum(row.cut for row in encoded),
        **words,
        **{what: count for what, count in odd.items() if count},
    }


def target_array(corpus: Corpus, tweets: Sequence[Tweet], kept: Sequence[int]) -> Ints:
    """Numbers of the labels: of each kept word (N, W) for mner, of each tweet (N,) for msa."""
    number = {label: place for place, label in enumerate(corpus.labels)}
    if corpus.task == "msa":
        return np.array([number[str(tweet.target)] for tweet in tweets], dtype=np.int32)
    rows = zip(tweets, kept, strict=True)
    return pad([[number[tag] for tag in tweet.target[:count]] for tweet, count in rows])
