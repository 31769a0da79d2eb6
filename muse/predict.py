"""A trained folder, a text and a picture: its entities or its sentiment.

python -m muse.predict results/quickstart/best --text "..." --image picture.jpg
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import torch
from seqeval.metrics.sequence_labeling import get_entities
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from muse.batch import Batch
from muse.checkpoint import load
from muse.config import MuseConfig
from muse.errors import UserError
from muse.model import Muse
from muse.pictures import blank, resize
from muse.tokens import encode


def one_batch(
    text: str, image: Path | None, config: MuseConfig, tokenizer: PreTrainedTokenizerBase
) -> tuple[Batch, list[str]]:
    """A text and a picture as a batch of one, and the words that it holds.

    For named entities the text is split at blanks, as the corpora were.

    Raises:
        UserError: there is no text, or the picture cannot be read.
    """
    words = text.split()
    if not words:
        raise UserError("--text: is empty; give the tweet's words.")
    if image is not None and not image.is_file():
        raise UserError(f"--image: no file '{image}'; give a picture, or leave --image out.")
    data = config.data
    content = tuple(words) if config.task == "mner" else (" ".join(words),)
    (row,) = encode([content], config.task, tokenizer, data.text_tokens)
    large, small = (
        blank(data.image_size, data.small_image_size)
        if image is None
        else resize(image, data.image_size, data.small_image_size)
    )
    starts = torch.tensor([row.starts], dtype=torch.int64)
    ids = torch.tensor([row.ids])
    batch = Batch(
        token_ids=ids,
        is_token=torch.ones_like(ids, dtype=torch.bool),
        image=torch.tensor(large)[None],
        small_image=torch.tensor(small)[None],
        word_starts=starts,
        is_word=torch.ones_like(starts, dtype=torch.bool),
        target=torch.zeros_like(starts) if config.task == "mner" else torch.zeros(1).long(),
    )
    return batch, words[: len(row.starts)] if config.task == "mner" else words


def entities(words: list[str], tags: list[str]) -> list[dict[str, Any]]:
    """Entities as their text, their type and the words they span, both ends included."""
    return [
        {"text": " ".join(words[start : end + 1]), "type": kind, "words": [start, end]}
        for kind, start, end in get_entities(tags)
    ]


@torch.no_grad()
def predict(
    model: Muse, tokenizer: PreTrainedTokenizerBase, text: str, image: Path | None
) -> dict[str, Any]:
    """What the model finds in a text and a picture; a blank one where there is none.

    Returns:
        For mner `entities`; for msa `sentiment` and the `probabilities` of all classes.
    """
    batch, words = one_batch(text, image, model.config, tokenizer)
    if model.config.task == "mner":
        (tags,) = model.predict(batch)
        return {"entities": entities(words, list(tags))}
    scores: Tensor = model.task_scores(batch)
    shares = scores.softmax(dim=1)[0].tolist()
    best = max(range(len(shares)), key=shares.__getitem__)
    chances = dict(zip(model.labels, (round(share, 4) for share in shares), strict=True))
    return {"sentiment": model.labels[best], "probabilities": chances}


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns its exit status: 0, or 2 for a user's mistake."""
    parser = argparse.ArgumentParser(prog="python -m muse.predict", description=predict.__doc__)
    parser.add_argument("folder", type=Path, help="an exported model, results/<name>/best")
    parser.add_argument("--text", required=True, help="the tweet's words")
    parser.add_argument("--image", type=Path, help="its picture (blank)")
    options = parser.parse_args(arguments)
    try:
        model, tokenizer = load(options.folder)
        found = predict(model, tokenizer, options.text, options.image)
    except UserError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    sys.stdout.write(json.dumps(found, ensure_ascii=False) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
