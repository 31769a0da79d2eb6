"""A model of a few thousand weights and batches for it, for the tests of several files."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from muse.batch import Batch
from muse.config import MuseConfig
from muse.encoders import build_text_model
from muse.model import Muse
from muse.prepare import prepare
from muse.tensors import Tensors

VOCABULARY, CLS, SEP = 30, 2, 3
TAGS = ("O", "B-PER", "I-PER")
SENTIMENTS = ("negative", "neutral", "positive")
SIZES: dict[str, dict[str, Any]] = {
    "data": {"text_tokens": 16, "image_size": 16, "small_image_size": 4, "synthetic_tweets": 24},
    "text": {"weights": None, "layers": 1, "width": 16, "heads": 2},
    "image": {"depth": 18, "weights": None, "stages": 1, "grid": 2, "frozen_stages": 0},
    "cross": {"layers": 2, "heads": 2, "feedforward": 24, "mu": 0, "eta": 2, "theta": 0.5},
    "captioner": {"width": 12, "embedding": 10, "attention": 8},
    "painter": {"blocks": 1, "filters": 4, "mixtures": 2},
    "loss": {"alpha": 0.1, "beta": 0.1},
    "train": {"batch_size": 8, "epochs": 2, "learning_rate": 1e-3},
}


def small_config(task: str = "mner", **parts: dict[str, Any]) -> MuseConfig:
    """The sizes above, with fields of some parts changed."""
    merged = {name: {**SIZES.get(name, {}), **parts.get(name, {})} for name in {*SIZES, *parts}}
    return MuseConfig.model_validate({"task": task, **merged})


def small_muse(config: MuseConfig) -> Muse:
    """A random model, the same for the same configuration."""
    torch.manual_seed(0)
    text_model = build_text_model(config.text, VOCABULARY)
    return Muse(config, text_model, TAGS if config.task == "mner" else SENTIMENTS)


def small_batch(task: str = "mner", lengths: tuple[int, ...] = (8, 6, 4, 3)) -> Batch:
    """Random tweets of these sub-words, one a word; with lengths above 5 they outrun the grid."""
    torch.manual_seed(1)
    size, longest = len(lengths), max(lengths)
    is_token = torch.arange(longest) < torch.tensor(lengths)[:, None]
    token_ids = torch.randint(5, VOCABULARY, (size, longest)) * is_token
    token_ids[:, 0] = CLS
    token_ids[torch.arange(size), torch.tensor(lengths) - 1] = SEP
    is_word = is_token[:, 2:] if task == "mner" else is_token[:, :0]
    words = torch.arange(1, 1 + is_word.shape[1]).expand_as(is_word)
    tags = torch.randint(len(TAGS), is_word.shape) * is_word
    return Batch(
        token_ids=token_ids,
        is_token=is_token,
        image=torch.randint(256, (size, 3, 16, 16), dtype=torch.uint8),
        small_image=torch.randint(256, (size, 3, 4, 4), dtype=torch.uint8),
        word_starts=words * is_word,
        is_word=is_word,
        target=tags if task == "mner" else torch.arange(size) % len(SENTIMENTS),
    )


def without_dropout(model: nn.Module) -> None:
    """Make a model in training mode compute the same each time, but for its noise."""
    for module in model.modules():
        if isinstance(module, nn.Dropout | nn.Dropout2d):
            module.p = 0.0


def weights(model: nn.Module) -> dict[str, Tensor]:
    """A copy of everything a model holds."""
    return {name: value.clone() for name, value in model.state_dict().items()}


def small_tensors(config: MuseConfig, cache: Path) -> Tensors:
    """The synthetic corpus, prepared below a folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MUSE_CACHE", str(cache))
        return prepare(config)
