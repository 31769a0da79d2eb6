"""A prepared corpus, its pictures memory-mapped, and its batches; `muse.prepare` makes it.

Shapes: N tweets, L sub-words of the longest, W words of the longest.
"""

import json
from collections.abc import Mapping, Sequence
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
from muse.config import Task
from muse.errors import UserError
from muse.pictures import PIXELS, SMALL_PIXELS, Pixels
from muse.tokenizer import load_tokenizer
from muse.tokens import Ints

FORMAT = 6
"""Raised when the content of the folder changes; part of the hash."""

IDS, TARGETS = "ids.json", "targets.json"
Inputs = Literal["both", "text", "image"]
ARRAYS = ("token_ids", "lengths", "word_starts", "words_kept", "target", "picture")


@dataclass(frozen=True)
class Split:
    """Tweets of one split as arrays, and batches of them."""

    ids: Sequence[str]
    """The corpus's own name of every tweet."""

    targets: Any
    """Labels of every tweet: a list of all its tags, those of cut words too, or one class."""

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
    """By split: tweets, missing_images, cut_texts and, for mner, cut_words; where there are any,
    unknown_words, empty_texts and in_train_too."""

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
    """Open what `muse.prepare` made.

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
        lists = {
            (name, file): json.loads((folder / name / file).read_text(encoding="utf-8"))
            for name in about["counts"]
            for file in (IDS, TARGETS)
        }
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
            lists[name, IDS],
            lists[name, TARGETS],
            pixels=pixels,
            small_pixels=small,
            **blanked(some, about["task"], about["special"], inputs),
        )
        for name, some in arrays.items()
    }
    return Tensors(folder, tuple(about["labels"]), about["vocabulary"], about["counts"], splits)


def blanked(
    arrays: dict[str, Ints], task: Task, special: Sequence[int], inputs: Inputs
) -> dict[str, Ints]:
    """A split's arrays without the stream that is not to be seen.

    Without text an msa tweet is [CLS][SEP]; an mner tweet keeps its positions, all [MASK].

    Args:
        arrays: `token_ids`, `lengths` and `picture` at least.
        task: of the corpus.
        special: numbers of [CLS], [SEP] and [MASK].
        inputs: what is to be seen.
    """
    if inputs == "text":
        return {**arrays, "picture": np.zeros_like(arrays["picture"])}
    if inputs == "both":
        return arrays
    begin, end, mask = special
    ids, lengths = arrays["token_ids"], arrays["lengths"]
    if task == "msa":
        empty = np.tile(np.array([begin, end], dtype=ids.dtype), (len(ids), 1))
        return {**arrays, "token_ids": empty, "lengths": np.full_like(lengths, 2)}
    place = np.arange(ids.shape[1])
    inner = (place > 0) & (place < lengths[:, None] - 1)  # (N, L)
    return {**arrays, "token_ids": np.where(inner, mask, ids).astype(ids.dtype)}
