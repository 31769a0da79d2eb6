"""Models with random weights and made-up batches, so that a benchmark needs no corpus."""

from typing import Any

import numpy as np
import torch
from transformers import BertConfig, BertModel

from muse.batch import Batch
from muse.config import MuseConfig
from muse.encoders import build_text_model
from muse.model import Muse
from muse.presets import PRESETS, Preset

TAGS = ("O", *(f"{part}-{kind}" for kind in ("PER", "LOC", "ORG", "MISC") for part in "BI"))
SENTIMENTS = ("negative", "neutral", "positive")
MINILM = {
    "hidden_size": 384,
    "num_hidden_layers": 6,
    "num_attention_heads": 12,
    "intermediate_size": 1536,
}


def made_config(preset: Preset, task: str = "mner", **parts: dict[str, Any]) -> MuseConfig:
    """A preset, with fields of some parts changed."""
    sizes = PRESETS[preset]
    merged = {name: {**sizes.get(name, {}), **parts.get(name, {})} for name in {*sizes, *parts}}
    return MuseConfig.model_validate({"task": task, **merged})


def made_model(preset: Preset, config: MuseConfig) -> Muse:
    """The preset's model with random weights in place of downloaded ones."""
    torch.manual_seed(config.train.seed)
    if config.text.weights is None:
        text_model = build_text_model(config.text, config.text.vocabulary)
    else:
        text_model = BertModel(BertConfig(**(MINILM if preset == "small" else {})))
    labels = TAGS if config.task == "mner" else SENTIMENTS
    return Muse(config, text_model, labels, pretrained=False).train()


def made_batch(config: MuseConfig, vocabulary: int, size: int, seed: int = 0) -> Batch:
    """Random tweets, cut to the longest of them.

    As long as the training tweets of Twitter-2015 under BERT's vocabulary: 42.1 sub-words of at
    most 64 on average, standard deviation 9.5, in 0.38 times as many words; in shorter texts in
    proportion.
    """
    draw, most = np.random.default_rng(seed), config.data.text_tokens
    lengths = (draw.normal(42.1, 9.5, size) * most / 64).round().clip(4, most).astype(np.int64)
    words = (lengths * 0.38).round().clip(1, lengths - 2).astype(np.int64)
    if config.task == "msa":
        words = np.zeros_like(words)
    is_token = np.arange(lengths.max()) < lengths[:, None]
    is_word = np.arange(words.max()) < words[:, None]
    starts = np.sort(draw.integers(1, lengths[:, None] - 1, is_word.shape), axis=1)
    target = draw.integers(len(TAGS), size=is_word.shape) * is_word
    if config.task == "msa":
        target = draw.integers(len(SENTIMENTS), size=size)
    side, small = config.data.image_size, config.data.small_image_size
    arrays = {
        "token_ids": draw.integers(5, vocabulary, is_token.shape) * is_token,
        "is_token": is_token,
        "image": draw.integers(256, size=(size, 3, side, side), dtype=np.uint8),
        "small_image": draw.integers(256, size=(size, 3, small, small), dtype=np.uint8),
        "word_starts": starts * is_word,
        "is_word": is_word,
        "target": target,
    }
    return Batch(**{name: torch.from_numpy(array) for name, array in arrays.items()})
