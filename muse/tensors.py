"""A corpus to memory-mapped tensors, once per content; tensors to batches.

A prepared corpus is a folder: `about.json`, the tokeniser, two arrays of pictures that all splits
share, and a folder for each split. Its name is a hash of everything that decides its content.

Shapes: N tweets, L sub-words of the longest, W words of the longest.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from muse.batch import Batch, moved_to
from muse.cache import build_once, cache_folder
from muse.config import DataConfig, MuseConfig
from muse.corpora import Corpus, Tweet, read_corpus
from muse.errors import UserError
from muse.pictures import PIXELS, SMALL_PIXELS, Gallery, Pixels, collect, write_pictures
from muse.pretrained import build_tokenizer, load_tokenizer, save_tokenizer, text_source
from muse.tokens import Encoded, Ints, encode, pad

FORMAT = 1
"""Raised when the content of the folder changes; part of the hash."""

Inputs = Literal["both", "text", "image"]
ARRAYS = ("token_ids", "lengths", "word_starts", "words_kept", "target", "picture")


def prepare(config: MuseConfig) -> "Tensors":
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
    if missing_images(tweets) <= highest * len(tweets):
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
    for name, tweets in corpus.splits.items():
        content.update(json.dumps([name, len(tweets)]).encode())
    for tweet, picture in zip(every_tweet(corpus), gallery.digests, strict=True):
        content.update(json.dumps([tweet.id, tweet.words, tweet.target, picture]).encode())
    return content.hexdigest()[:32]


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
        "special": [tokenizer.cls_token_id, tokenizer.sep_token_id, tokenizer.mask_token_id],
        "counts": counts,
    }
    (folder / "about.json").write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")


def write_split(folder: Path, arrays: dict[str, Ints], tweets: Sequence[Tweet]) -> None:
    """Write one split's arrays and its targets."""
    folder.mkdir()
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
    targets = json.dumps([tweet.target for tweet in tweets])
    (folder / "targets.json").write_text(targets, encoding="utf-8")


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
    words = sum(len(tweet.words) for tweet in tweets) if corpus.task == "mner" else 0
    train = corpus.splits["train"]
    # With their words, because made-up tweets are numbered in each split anew.
    learnt = set() if tweets is train else {(tweet.id, tweet.words) for tweet in train}
    odd = {
        "empty_texts": sum(not any(tweet.words) for tweet in tweets),
        "in_train_too": sum((tweet.id, tweet.words) in learnt for tweet in tweets),
    }
    return {
        "tweets": len(tweets),
        "missing_images": missing_images(tweets),
        "cut_texts": sum(row.cut for row in encoded),
        "cut_words": words - sum(len(row.starts) for row in encoded),
        **{what: count for what, count in odd.items() if count},
    }


def target_array(corpus: Corpus, tweets: Sequence[Tweet], kept: Sequence[int]) -> Ints:
    """Numbers of the labels: of each kept word (N, W) for mner, of each tweet (N,) for msa."""
    number = {label: place for place, label in enumerate(corpus.labels)}
    if corpus.task == "msa":
        return np.array([number[str(tweet.target)] for tweet in tweets], dtype=np.int32)
    rows = zip(tweets, kept, strict=True)
    return pad([[number[tag] for tag in tweet.target[:count]] for tweet, count in rows])


@dataclass(frozen=True)
class Split:
    """Tweets of one split as arrays, and batches of them."""

    folder: Path
    token_ids: Ints
    """(N, L), already blanked where the text is not to be seen."""

    lengths: Ints
    """Sub-words of each tweet, with [CLS] and [SEP], (N,)."""

    word_starts: Ints
    """(N, W); W is 0 for msa."""

    words_kept: Ints
    """Words of each tweet that were not cut off, (N,); 0 for msa."""

    target: Ints
    """(N, W) for mner, (N,) for msa."""

    picture: Ints
    """Place of each tweet's picture in `pixels`, 0 the blank, (N,)."""

    pixels: Pixels | Tensor
    """Memory-mapped or on a GPU, shared by the splits, (P, 3, H, H), uint8; or what a frozen image
    encoder sees in them (`muse.features`), float16."""

    small_pixels: Pixels | Tensor
    """As `pixels`, (P, 3, h, h)."""

    def __len__(self) -> int:
        return len(self.lengths)

    @cached_property
    def targets(self) -> Any:
        """Labels of every tweet: a list of all its tags, those of cut words too, or one class."""
        return json.loads((self.folder / "targets.json").read_text(encoding="utf-8"))

    @cached_property
    def pieces(self) -> list[list[int]]:
        """Sub-words of each kept word of every tweet, as far as they were not cut off."""
        return [
            np.diff(starts[:kept], append=length - 1).tolist()
            for starts, kept, length in zip(
                self.word_starts, self.words_kept, self.lengths, strict=True
            )
        ]

    def held(self, device: torch.device) -> "Split":
        """The same split with its pictures on a device."""
        both = (self.pixels, self.small_pixels)
        pixels, small = (torch.tensor(np.asarray(array), device=device) for array in both)
        return replace(self, pixels=pixels, small_pixels=small)

    def batch(self, indices: Sequence[int] | NDArray[np.integer[Any]], multiple: int = 1) -> Batch:
        """These tweets as tensors, the pictures where `pixels` are.

        Padded to the longest of them, or, where the split's own longest allows, to the next
        `multiple`, sub-words and words alike.
        """
        rows = np.asarray(indices, dtype=np.int64)
        lengths, kept = self.lengths[rows, None], self.words_kept[rows, None]
        longest = min(rounded_up(lengths.max(), multiple), self.token_ids.shape[1])
        most = min(rounded_up(kept.max(), multiple), self.word_starts.shape[1])
        target = self.target[rows] if self.target.ndim == 1 else self.target[rows, :most]
        return Batch(
            token_ids=integers(self.token_ids[rows, :longest]),
            is_token=torch.from_numpy(np.arange(longest) < lengths),
            image=shown(self.pixels, self.picture[rows]),
            small_image=shown(self.small_pixels, self.picture[rows]),
            word_starts=integers(self.word_starts[rows, :most]),
            is_word=torch.from_numpy(np.arange(most) < kept),
            target=integers(target),
        )


def rounded_up(number: int, multiple: int) -> int:
    """The least multiple that is not below a number."""
    return -(-int(number) // multiple) * multiple


def shown(pixels: Pixels | Tensor, places: Ints) -> Tensor:
    """The pictures at these places."""
    if isinstance(pixels, Tensor):
        return pixels[moved_to(pixels.device, integers(places))]
    return torch.from_numpy(np.asarray(pixels[places]))


def integers(array: Ints) -> Tensor:
    """The array as int64, which embeddings and losses ask for."""
    return torch.from_numpy(array.astype(np.int64))


@dataclass(frozen=True)
class Tensors:
    """A prepared corpus, opened."""

    folder: Path
    labels: tuple[str, ...]
    vocabulary: int
    """Sub-words of the tokeniser."""

    counts: dict[str, dict[str, int]]
    """By split: tweets, missing_images, cut_texts and (mner) cut_words; where there are any,
    empty_texts and in_train_too."""

    splits: Mapping[str, Split]

    @property
    def key(self) -> str:
        """Hash of the content: equal for equal data."""
        return self.folder.name

    @property
    def a_split(self) -> Split:
        """Any of the splits, for the pictures, which all of them share."""
        return next(iter(self.splits.values()))

    @property
    def picture_bytes(self) -> int:
        """Size of all pictures, both copies of each."""
        return self.a_split.pixels.nbytes + self.a_split.small_pixels.nbytes

    def resident(self, device: torch.device) -> "Tensors":
        """The same corpus with all its pictures on a device."""
        held = self.a_split.held(device)
        return self.showing(held.pixels, held.small_pixels)

    def showing(self, pixels: Pixels | Tensor, small_pixels: Pixels | Tensor) -> "Tensors":
        """The same corpus with other arrays of its pictures, or of what stands for them."""
        splits = {
            name: replace(split, pixels=pixels, small_pixels=small_pixels)
            for name, split in self.splits.items()
        }
        return replace(self, splits=splits)

    @cached_property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        """The tokeniser that made the sub-words."""
        return load_tokenizer(str(self.folder / "tokenizer"))


def open_tensors(folder: Path, inputs: Inputs = "both") -> Tensors:
    """Open what `prepare` made.

    Args:
        folder: `Tensors.folder`.
        inputs: what a model is shown; the other stream is blanked.

    Raises:
        UserError: the folder is not there, is damaged, or is of another version.
    """
    try:
        about = json.loads((folder / "about.json").read_text(encoding="utf-8"))
        if about["format"] != FORMAT:
            raise ValueError(f"format {about['format']}, not {FORMAT}")
        pixels = np.load(folder / PIXELS, mmap_mode="r")
        small = np.load(folder / SMALL_PIXELS, mmap_mode="r")
        arrays = {
            name: {array: np.load(folder / name / f"{array}.npy") for array in ARRAYS}
            for name in about["counts"]
        }
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise UserError(
            f"{folder}: no whole prepared corpus ({error}); delete the folder and prepare it again."
        ) from error
    splits = {
        name: Split(
            folder / name, pixels=pixels, small_pixels=small, **blanked(some, about, inputs)
        )
        for name, some in arrays.items()
    }
    return Tensors(folder, tuple(about["labels"]), about["vocabulary"], about["counts"], splits)


def blanked(arrays: dict[str, Ints], about: dict[str, Any], inputs: Inputs) -> dict[str, Ints]:
    """A split's arrays without the stream that is not to be seen.

    Without text an msa tweet is [CLS][SEP]; an mner tweet keeps its positions, all [MASK].
    """
    if inputs == "text":
        return {**arrays, "picture": np.zeros_like(arrays["picture"])}
    if inputs == "both":
        return arrays
    begin, end, mask = about["special"]
    ids, lengths = arrays["token_ids"], arrays["lengths"]
    if about["task"] == "msa":
        empty = np.tile(np.array([begin, end], dtype=ids.dtype), (len(ids), 1))
        return {**arrays, "token_ids": empty, "lengths": np.full_like(lengths, 2)}
    place = np.arange(ids.shape[1])
    inner = (place > 0) & (place < lengths[:, None] - 1)  # (N, L)
    return {**arrays, "token_ids": np.where(inner, mask, ids).astype(ids.dtype)}
