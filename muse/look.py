"""Look into a trained model: what it exchanges, attends to, writes and paints.

Plain data, for whoever draws it. Shapes: B batch, S a tweet's sub-words, P = G x G cells of its
picture's grid, H x H its pixels, h x h those of its small copy.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers.decoders import ByteLevel
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from muse.batch import Batch
from muse.cross_transformer import CrossLayer, CrossTransformer, Exchanged
from muse.device import autocast, wants_bf16
from muse.evaluate import in_full
from muse.exchange import cls_weights
from muse.mistakes import Floats, Subject, truth, words_of
from muse.model import Muse
from muse.pictures import Pixels
from muse.pixelcnn import PixelCNN
from muse.tensors import Split

Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class LayerSight:
    """What one layer of the CrossTransformer did with a tweet."""

    layer: int
    """Counted from 1, as mu and eta are."""

    text_attention: Floats
    """Attention of cls to each sub-word, mean of the heads, (S,)."""

    image_attention: Floats
    """The same for each cell of the picture, (G, G)."""

    text_exchanged: Bools
    """(S,); all False where the layer exchanges nothing."""

    image_exchanged: Bools
    """(G, G)."""


@dataclass(frozen=True)
class TweetSight:
    """One tweet, and what the model makes of it."""

    id: str
    """The corpus's."""

    words: list[str]
    """As the model reads them; for msa the whole text is one."""

    pieces: list[str]
    """Its sub-words, (S,)."""

    picture: Pixels
    """(H, H, 3)."""

    small_picture: Pixels
    """(h, h, 3)."""

    gold: list[str]
    """Tag of each word, or the class."""

    found: list[str]
    layers: list[LayerSight]
    """Empty for a model without a CrossTransformer."""

    caption: str = ""
    """Written from the picture; empty for a model without a captioner."""

    painted: Pixels | None = None
    """Painted from the text, (h, h, 3)."""


def choose(split: Split, count: int) -> list[int]:
    """Tweets spread evenly over a split, those with a picture where there are any."""
    with_picture = np.flatnonzero(split.picture)
    able = with_picture if len(with_picture) else np.arange(len(split))
    places = np.linspace(0, len(able) - 1, min(count, len(able))).round().astype(int)
    return [int(able[place]) for place in places]


@dataclass
class Trace:
    """What is noted while a batch passes the CrossTransformer."""

    exchanged: list[Exchanged] = field(default_factory=list)
    attention: list[tuple[Tensor, Tensor]] = field(default_factory=list)
    """Of each layer: attention of cls over text (B, 1 + S) and picture (B, 1 + P)."""


@contextmanager
def watching(model: Muse) -> Iterator[Trace]:
    """Note what the CrossTransformer does, without changing it."""
    trace = Trace()

    def note(layer: CrossLayer, given: tuple[Any, ...]) -> None:
        text, image = (cls_weights(*layer.project(stream)[:2], stream.mask) for stream in given[:2])
        trace.attention.append((text, image))

    hooks = []
    if isinstance(model.cross, CrossTransformer):
        hooks = [model.cross.register_forward_pre_hook(lambda _, given: (*given, trace.exchanged))]
        hooks += [layer.register_forward_pre_hook(note) for layer in model.cross.layers]
    try:
        yield trace
    finally:
        for hook in hooks:
            hook.remove()


@torch.no_grad()
def look(subject: Subject, indices: Sequence[int], paint_seconds: float = 0.0) -> list[TweetSight]:
    """Show some tweets to a model, and see what it does.

    Args:
        subject: the model, and the split that the tweets are in.
        indices: which tweets.
        paint_seconds: no painting is begun after so long; the other tweets then get none.
    """
    model, split, tokenizer = subject.model, subject.split, subject.tokenizer
    batch = split.batch(indices).to(subject.device)
    bf16 = wants_bf16(model.config, subject.device, model.text_encoder.width)
    with watching(model) as trace, autocast(subject.device, bf16=bf16):
        labels = model.predict(batch)
    captions = write_captions(model, batch, tokenizer)
    painted = paint_some(model, batch, paint_seconds)
    return [
        TweetSight(
            id=split.ids[index],
            words=words_of(split, index, tokenizer),
            pieces=pieces_of(split, index, tokenizer),
            picture=batch.image[row].permute(1, 2, 0).cpu().numpy(),
            small_picture=batch.small_image[row].permute(1, 2, 0).cpu().numpy(),
            gold=truth(split, index),
            found=in_full(labels[row], len(split.targets[index])),
            layers=layers_of(trace, row, int(split.lengths[index])),
            caption=captions[row],
            painted=painted[row] if row < len(painted) else None,
        )
        for row, index in enumerate(indices)
    ]


def pieces_of(split: Split, index: int, tokenizer: PreTrainedTokenizerBase) -> list[str]:
    """The sub-words of a tweet, with [CLS] and [SEP]."""
    ids = split.token_ids[index, : split.lengths[index]].tolist()
    if not isinstance(tokenizer.backend_tokenizer.decoder, ByteLevel):
        return list(tokenizer.convert_ids_to_tokens(ids))
    # Such a vocabulary is of bytes, which nobody can read. Half a letter becomes a question mark.
    return [str(tokenizer.decode([number])) for number in ids]


def layers_of(trace: Trace, row: int, length: int) -> list[LayerSight]:
    """What each layer did with one tweet of a batch."""
    exchanged = {one.layer: one for one in trace.exchanged}
    sights = []
    for layer, (text, image) in enumerate(trace.attention, start=1):
        grid = round((image.shape[1] - 1) ** 0.5)
        picks = exchanged.get(layer)
        text_picks = picks.text[row] if picks else torch.zeros_like(text[row], dtype=torch.bool)
        image_picks = picks.image[row] if picks else torch.zeros_like(image[row], dtype=torch.bool)
        sights.append(
            LayerSight(
                layer,
                text[row, 1 : 1 + length].float().cpu().numpy(),
                image[row, 1:].float().view(grid, grid).cpu().numpy(),
                text_picks[1 : 1 + length].cpu().numpy(),
                image_picks[1:].view(grid, grid).cpu().numpy(),
            )
        )
    return sights


def write_captions(model: Muse, batch: Batch, tokenizer: PreTrainedTokenizerBase) -> list[str]:
    """What the captioner writes about each picture; empty without one."""
    if model.captioner is None:
        return [""] * len(batch)
    view = model.image_embedding(model.image_encoder(batch.image))
    begin, end = int(tokenizer.cls_token_id), int(tokenizer.sep_token_id)
    ids = model.captioner.generate(view, begin, end, model.config.data.text_tokens - 1)
    return [str(tokenizer.decode(row, skip_special_tokens=True)) for row in ids.tolist()]


def paint_some(model: Muse, batch: Batch, seconds: float) -> list[Pixels]:
    """Pictures (h, h, 3) painted from the first texts of a batch.

    All at once if that seems to fit into the time, else one by one while some is left.
    """
    if model.painter is None or seconds <= 0:
        return []
    text, pooled = model.text_encoder(batch.token_ids, batch.is_token)
    condition = model.paint_condition(text, pooled, batch)
    size = batch.small_image.shape[-1]
    ends = time.monotonic() + seconds
    at_once = len(batch) if seconds_at_once(model.painter, condition, size) < seconds else 1
    painted: list[Pixels] = []
    with torch.random.fork_rng():
        torch.manual_seed(model.config.train.seed)
        while len(painted) < len(batch) and time.monotonic() < ends:
            some = condition[len(painted) : len(painted) + at_once]
            painted.extend(model.painter.paint(some, size).permute(0, 2, 3, 1).cpu().numpy())
    return painted


def seconds_at_once(painter: PixelCNN, condition: Tensor, size: int) -> float:
    """How long painting from all texts takes at most: a pass of the network for each pixel."""
    began = time.monotonic()
    float(painter(condition.new_zeros(len(condition), 3, size, size), condition).sum())  # waits
    return (time.monotonic() - began) * size * size
