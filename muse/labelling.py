"""Label tweets with a trained model: entities or sentiment, as plain data.

The model is shown what it was trained on: words as its corpus has them, and one stream only where
`data.inputs` says so.

Shapes: S sub-words, W words, H x H a picture's pixels, h x h those of its small copy.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from muse.asked import EMPTY, Asked
from muse.batch import Batch
from muse.config import MuseConfig
from muse.device import autocast, wants_bf16
from muse.errors import UserError
from muse.model import Muse
from muse.pictures import THREADS, Pixels, blank, refusing_bombs, resize
from muse.tensors import blanked, integers
from muse.tokens import Encoded, encode, pad, special_tokens
from muse.words import Span, entities, joined_spans, word_spans

Shown = tuple[Pixels, Pixels] | str
"""A picture and its small copy, or why it cannot be shown."""

NO_PICTURE = "no picture: a blank one was shown"
ONLY_TEXT = "picture not looked at: the model was trained on texts alone"
ONLY_PICTURE = "text not read: the model was trained on pictures alone"


def looks(config: MuseConfig) -> bool:
    """Whether a model sees pictures."""
    return config.data.inputs != "text" and config.fusion.kind != "text"


def picture_of(asked: Asked, config: MuseConfig) -> Shown:
    """A tweet's picture; the blank one where it has none, or the model sees none."""
    sizes = (config.data.image_size, config.data.small_image_size)
    if asked.image is None or not looks(config):
        return blank(*sizes)
    try:
        if not asked.image.is_file():
            return f"image: no file '{asked.image}'; give a picture, or leave it out."
        return resize(asked.image, *sizes)
    except (UserError, OSError) as error:
        return f"image: {error}"


def mistake(asked: Asked, config: MuseConfig) -> str:
    """What is wrong with a tweet, its picture not looked at yet; nothing usually."""
    wordless = config.task == "mner" and not asked.text.split()
    return asked.error or (EMPTY if wordless else "")


def spans_of(asked: Asked, config: MuseConfig) -> list[Span]:
    """The words of a tweet: those that it was given as, or by the rules of `muse.words`."""
    if asked.words and config.task == "mner":
        return joined_spans(asked.words)
    return word_spans(asked.text, config)


def batch_of(
    rows: Sequence[Encoded],
    shown: Sequence[tuple[Pixels, Pixels]],
    config: MuseConfig,
    tokenizer: PreTrainedTokenizerBase,
) -> Batch:
    """Encoded texts and their pictures as a batch without targets."""
    kept = torch.tensor([[len(row.starts)] for row in rows])
    starts = integers(pad([row.starts for row in rows]))
    texts = {
        "token_ids": pad([row.ids for row in rows]),
        "lengths": np.array([len(row.ids) for row in rows], dtype=np.int32),
        "picture": np.zeros(len(rows), dtype=np.int32),  # blanked by `picture_of`
    }
    texts = blanked(texts, config.task, special_tokens(tokenizer), config.data.inputs)
    ids = integers(texts["token_ids"])
    return Batch(
        token_ids=ids,
        is_token=torch.arange(ids.shape[1]) < integers(texts["lengths"])[:, None],
        image=torch.stack([torch.tensor(large) for large, _ in shown]),
        small_image=torch.stack([torch.tensor(small) for _, small in shown]),
        word_starts=starts,
        is_word=torch.arange(starts.shape[1]) < kept,
        target=torch.zeros_like(starts) if config.task == "mner" else torch.zeros(len(rows)).long(),
    )


@torch.no_grad()
def found_in(
    model: Muse, batch: Batch, asked: Sequence[Asked], spans: Sequence[list[Span]]
) -> list[dict[str, Any]]:
    """What the model finds: for mner `entities`, for msa `sentiment` and `probabilities`."""
    if model.config.task == "mner":
        tagged = model.predict(batch)
        return [
            {"entities": told_entities(one, words, list(tags))}
            for one, words, tags in zip(asked, spans, tagged, strict=True)
        ]
    scores: Tensor = model.task_scores(batch).float()
    return [sentiment(shares, model.labels) for shares in scores.softmax(dim=1).tolist()]


def told_entities(asked: Asked, spans: list[Span], tags: list[str]) -> list[dict[str, Any]]:
    """Entities, and where they are in what was given: `words`, or `characters` of a text.

    The first and the last word; the first character and the one after the last, as Python slices.
    """
    return [
        {"text": one.text, "type": one.type}
        | ({"words": list(one.words)} if asked.words else {"characters": list(one.characters)})
        for one in entities(asked.text, spans, tags)
    ]


def sentiment(shares: list[float], labels: Sequence[str]) -> dict[str, Any]:
    """The likeliest class, and the probability of each."""
    best = max(range(len(shares)), key=shares.__getitem__)
    chances = dict(zip(labels, (round(share, 4) for share in shares), strict=True))
    return {"sentiment": labels[best], "probabilities": chances}


def notes(asked: Asked, row: Encoded, spans: list[Span], config: MuseConfig) -> list[str]:
    """What the model was not shown."""
    told = []
    if not looks(config):
        told += [ONLY_TEXT] if asked.image else []
    elif not asked.image:
        told.append(NO_PICTURE)
    if config.data.inputs == "image":
        told.append(ONLY_PICTURE)
    elif row.cut and config.task == "mner":
        whole = min(len(row.starts), len(spans) - 1)  # of the last only a part where all have begun
        told.append(f"text cut: the first {whole} of {len(spans)} words were read")
    elif row.cut:
        inner = len(row.ids) - 2  # [CLS] and [SEP] are no part of the text
        words = len(asked.text.split())
        told.append(f"text cut: the first {inner} sub-words were read, of {words} words")
    if row.unknown and config.data.inputs != "image":
        told.append(f"words or signs that the model does not know: {row.unknown}")
    return told


def label(
    model: Muse,
    tokenizer: PreTrainedTokenizerBase,
    asked: Sequence[Asked],
    pool: ThreadPoolExecutor,
) -> list[dict[str, Any]]:
    """What the model finds in some tweets at once, or each one's `error`."""
    mistakes = [mistake(one, model.config) for one in asked]
    answers = {place: {"error": what} for place, what in enumerate(mistakes) if what}
    sound = [place for place in range(len(asked)) if place not in answers]
    shown = pool.map(lambda place: picture_of(asked[place], model.config), sound)
    pictures: dict[int, tuple[Pixels, Pixels]] = {}
    for place, what in zip(sound, shown, strict=True):
        if isinstance(what, str):
            answers[place] = {"error": what}
        else:
            pictures[place] = what
    if pictures:
        some = [asked[place] for place in pictures]
        found = label_sound(model, tokenizer, some, list(pictures.values()))
        answers |= dict(zip(pictures, found, strict=True))
    return [answers[place] for place in range(len(asked))]


def label_sound(
    model: Muse,
    tokenizer: PreTrainedTokenizerBase,
    asked: Sequence[Asked],
    pictures: Sequence[tuple[Pixels, Pixels]],
) -> list[dict[str, Any]]:
    """What the model finds in tweets without a mistake."""
    config = model.config
    spans = [spans_of(one, config) for one in asked]
    texts = [
        tuple(one.text[begin:end] for begin, end in some) or ("",)  # a picture alone
        for one, some in zip(asked, spans, strict=True)
    ]
    rows = encode(texts, config.task, tokenizer, config.data.text_tokens)
    batch = batch_of(rows, pictures, config, tokenizer)
    device = next(model.parameters()).device
    with autocast(device, bf16=wants_bf16(config, device, model.text_encoder.width)):  # as scored
        found = found_in(model, batch.to(device), asked, spans)
    told = map(notes, asked, rows, spans, [config] * len(asked))
    return [
        {**what, "notes": some} if some else what for what, some in zip(found, told, strict=True)
    ]


def label_all(
    model: Muse, tokenizer: PreTrainedTokenizerBase, asked: Sequence[Asked], batch_size: int
) -> Iterator[dict[str, Any]]:
    """The same for any number of tweets, batch after batch, in their order."""
    with refusing_bombs(), ThreadPoolExecutor(THREADS) as pool:
        for start in range(0, len(asked), batch_size):
            yield from label(model, tokenizer, asked[start : start + batch_size], pool)
