"""Texts to sub-words of the text encoder's own tokeniser.

Shapes: N tweets, L sub-words of the longest, W words of the longest.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer
from tokenizers.pre_tokenizers import ByteLevel
from transformers import PreTrainedTokenizerBase

from muse.config import Task

Ints = NDArray[np.int32]


@dataclass(frozen=True)
class Encoded:
    """One text as [CLS], sub-words, [SEP]."""

    ids: list[int]
    """The sub-words."""

    starts: list[int]
    """mner: position of each word's first sub-word; shorter than the words if some were cut."""

    cut: bool
    """Whether any sub-word was cut off."""

    unknown: int = 0
    """Words or signs among what was kept that the vocabulary does not have."""


def encode(
    texts: Sequence[tuple[str, ...]], task: Task, tokenizer: PreTrainedTokenizerBase, limit: int
) -> list[Encoded]:
    """Encode texts, cutting what is longer than the limit.

    Args:
        texts: mner: words; msa: the whole text as one element.
        task: decides whether words keep a position each.
        tokenizer: of the text encoder.
        limit: most sub-words, with [CLS] and [SEP].
    """
    backend = tokenizer.backend_tokenizer
    backend.encode_special_tokens = True  # a tweet that says "[SEP]" is text like any other
    if task == "mner":
        part_words(backend)
    if task == "msa":
        whole = backend.encode_batch([text for (text,) in texts], add_special_tokens=False)
        rows = [[encoding.ids] for encoding in whole]
    else:
        words = backend.encode_batch(
            [list(text) for text in texts], is_pretokenized=True, add_special_tokens=False
        )
        rows = [
            by_word(encoding, len(text), tokenizer.unk_token_id)
            for encoding, text in zip(words, texts, strict=True)
        ]
    special = set(tokenizer.all_special_ids)  # some vocabularies hold "</s>" as a word as well
    encoded = [frame(without(special, row, tokenizer), tokenizer, limit) for row in rows]
    return encoded if task == "mner" else [replace(row, starts=[]) for row in encoded]


def part_words(backend: Tokenizer) -> None:
    """Let a byte-level tokeniser see a blank before each word, as in the texts it is made from.

    Given words alone it takes each for the end of the one before.
    """
    if isinstance(backend.pre_tokenizer, ByteLevel):
        first = backend.pre_tokenizer
        first.add_prefix_space = True
        backend.pre_tokenizer = first


def by_word(encoding: Any, words: int, unknown: int) -> list[list[int]]:
    """Sub-words of each word; a word that the tokeniser drops whole becomes [UNK].

    Without it words and tags would no longer stand side by side.
    """
    pieces: list[list[int]] = [[] for _ in range(words)]
    for word, token in zip(encoding.word_ids, encoding.ids, strict=True):
        pieces[word].append(token)
    return [piece or [unknown] for piece in pieces]


def without(
    special: set[int], pieces: list[list[int]], tokenizer: PreTrainedTokenizerBase
) -> list[list[int]]:
    """Sub-words of which none is special: in a tweet "</s>" ends nothing."""
    unknown = int(tokenizer.unk_token_id)
    return [[unknown if token in special else token for token in piece] for piece in pieces]


def frame(pieces: list[list[int]], tokenizer: PreTrainedTokenizerBase, limit: int) -> Encoded:
    """Put [CLS] before and [SEP] after as much as fits."""
    flat = [token for piece in pieces for token in piece]
    first = np.cumsum([1, *map(len, pieces)])[:-1]
    kept = flat[: limit - 2]
    ids = [tokenizer.cls_token_id, *kept, tokenizer.sep_token_id]
    unknown = kept.count(tokenizer.unk_token_id)
    return Encoded(ids, first[first <= len(kept)].tolist(), len(flat) > len(kept), unknown)


def special_tokens(tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """The numbers of [CLS], [SEP] and [MASK]."""
    return [tokenizer.cls_token_id, tokenizer.sep_token_id, tokenizer.mask_token_id]


def pad(rows: Sequence[Sequence[int]], filler: int = 0) -> Ints:
    """Rows of different lengths as one array (N, longest)."""
    lengths = np.array([len(row) for row in rows])
    padded = np.full((len(rows), lengths.max(initial=0)), filler, dtype=np.int32)
    padded[np.arange(padded.shape[1]) < lengths[:, None]] = [token for row in rows for token in row]
    return padded
