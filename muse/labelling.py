"""Label tweets with a trained model: entities or sentiment, as plain data.

Shapes: S sub-words, W words, H x H a picture's pixels, h x h those of its small copy.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch
from seqeval.metrics.sequence_labeling import get_entities
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from muse.asked import Asked
from muse.batch import Batch
from muse.config import DataConfig, MuseConfig
from muse.errors import UserError
from muse.model import Muse
from muse.pictures import THREADS, Pixels, blank, refusing_bombs, resize
from muse.tokens import Encoded, encode, pad

Shown = tuple[Pixels, Pixels] | str
"""A picture and its small copy, or why it cannot be shown."""

NO_PICTURE = "no picture: a blank one was shown"


def entities(words: Sequence[str], tags: list[str]) -> list[dict[str, Any]]:
    """Entities as their text, their type and the words they span, both ends included."""
    return [
        {"text": " ".join(words[start : end + 1]), "type": kind, "words": [start, end]}
        for kind, start, end in get_entities(tags)
    ]


def picture_of(asked: Asked, data: DataConfig) -> Shown:
    """A tweet's picture, the blank one where it has none."""
    if asked.image is None:
        return blank(data.image_size, data.small_image_size)
    try:
        if not asked.image.is_file():
            return f"image: no file '{asked.image}'; give a picture, or leave it out."
        return resize(asked.image, data.image_size, data.small_image_size)
    except (UserError, OSError) as error:
        return f"image: {error}"


def content(asked: Asked, config: MuseConfig) -> tuple[str, ...]:
    """A text as the corpora have it: for named entities split at blanks."""
    words = asked.text.split()
    return tuple(words) if config.task == "mner" else (" ".join(words),)


def batch_of(rows: Sequence[Encoded], shown: Sequence[tuple[Pixels, Pixels]], task: str) -> Batch:
    """Encoded texts and their pictures as a batch without targets."""
    lengths = torch.tensor([[len(row.ids)] for row in rows])
    kept = torch.tensor([[len(row.starts)] for row in rows])
    ids = torch.from_numpy(pad([row.ids for row in rows])).long()
    starts = torch.from_numpy(pad([row.starts for row in rows])).long()
    return Batch(
        token_ids=ids,
        is_token=torch.arange(ids.shape[1]) < lengths,
        image=torch.stack([torch.tensor(large) for large, _ in shown]),
        small_image=torch.stack([torch.tensor(small) for _, small in shown]),
        word_starts=starts,
        is_word=torch.arange(starts.shape[1]) < kept,
        target=torch.zeros_like(starts) if task == "mner" else torch.zeros(len(rows)).long(),
    )


@torch.no_grad()
def found_in(model: Muse, batch: Batch, texts: Sequence[tuple[str, ...]]) -> list[dict[str, Any]]:
    """What the model finds: for mner `entities`, for msa `sentiment` and `probabilities`."""
    if model.config.task == "mner":
        tagged = model.predict(batch)
        return [
            {"entities": entities(words, list(tags))}
            for words, tags in zip(texts, tagged, strict=True)
        ]
    scores: Tensor = model.task_scores(batch)
    return [sentiment(shares, model.labels) for shares in scores.softmax(dim=1).tolist()]


def sentiment(shares: list[float], labels: Sequence[str]) -> dict[str, Any]:
    """The likeliest class, and the probability of each."""
    best = max(range(len(shares)), key=shares.__getitem__)
    chances = dict(zip(labels, (round(share, 4) for share in shares), strict=True))
    return {"sentiment": labels[best], "probabilities": chances}


def notes(asked: Asked, row: Encoded, config: MuseConfig) -> dict[str, list[str]]:
    """What the model was not shown."""
    told = [] if asked.image else [NO_PICTURE]
    if row.cut:
        words = len(asked.text.split())
        read = f"{len(row.starts)} words" if config.task == "mner" else f"{len(row.ids)} sub-words"
        told.append(f"text cut: the first {read} were read, of {words} words")
    return {"notes": told} if told else {}


def label(
    model: Muse,
    tokenizer: PreTrainedTokenizerBase,
    asked: Sequence[Asked],
    pool: ThreadPoolExecutor,
) -> list[dict[str, Any]]:
    """What the model finds in some tweets at once, or each one's `error`."""
    config = model.config
    errors = {place: one.error for place, one in enumerate(asked) if one.error}
    sound = [place for place in range(len(asked)) if place not in errors]
    shown = dict(
        zip(sound, pool.map(lambda k: picture_of(asked[k], config.data), sound), strict=True)
    )
    errors |= {place: reason for place, reason in shown.items() if isinstance(reason, str)}
    pictures = {place: pair for place, pair in shown.items() if not isinstance(pair, str)}
    answers = {place: {"error": reason} for place, reason in errors.items()}
    if pictures:
        texts = [content(asked[place], config) for place in pictures]
        rows = encode(texts, config.task, tokenizer, config.data.text_tokens)
        device = next(model.parameters()).device
        batch = batch_of(rows, list(pictures.values()), config.task).to(device)
        found = found_in(model, batch, texts)
        for place, row, what in zip(pictures, rows, found, strict=True):
            answers[place] = what | notes(asked[place], row, config)
    return [answers[place] for place in range(len(asked))]


def label_all(
    model: Muse, tokenizer: PreTrainedTokenizerBase, asked: Sequence[Asked], batch_size: int
) -> Iterator[dict[str, Any]]:
    """The same for any number of tweets, batch after batch, in their order."""
    with refusing_bombs(), ThreadPoolExecutor(THREADS) as pool:
        for start in range(0, len(asked), batch_size):
            yield from label(model, tokenizer, asked[start : start + batch_size], pool)
