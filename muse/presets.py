"""Sizes that belong together: tiny and small for a CPU, full as published."""

from typing import Any, Literal

Preset = Literal["tiny", "small", "full"]

PRESETS: dict[Preset, dict[str, dict[str, Any]]] = {
    "tiny": {
        # Every part of the model, but a step of it costs little more than its thousands of calls.
        "data": {"text_tokens": 24, "image_size": 16, "small_image_size": 8},
        "text": {"weights": None, "layers": 1, "width": 64, "heads": 4},
        "image": {"depth": 18, "weights": None, "stages": 1, "grid": 3, "frozen_stages": 0},
        "cross": {"layers": 4, "heads": 4, "feedforward": 64, "eta": 4},
        "captioner": {"width": 64, "embedding": 64, "attention": 64},
        "painter": {"blocks": 1, "resolutions": 1, "filters": 8, "mixtures": 2},
        "train": {"batch_size": 32, "crf_learning_rate": 1e-2, "head_dropout": 0.1},
    },
    "small": {
        # Three stages of a 128-pixel picture are an 8 x 8 grid already, at a quarter of the work.
        "data": {"image_size": 128},
        "text": {"weights": "minilm"},
        "image": {"depth": 18, "weights": None, "stages": 3, "frozen_stages": 0},
        "cross": {"feedforward": 768},
        "captioner": {"width": 128, "embedding": 128, "attention": 128},
        "painter": {"blocks": 1, "filters": 16, "mixtures": 5},
        # A CRF from scratch has moved by a twentieth after three epochs at the published 1e-4.
        "train": {"batch_size": 32, "crf_learning_rate": 1e-3},
    },
    "full": {},  # the defaults of muse/config.py are the authors' sizes
}
