"""A model to predict with, and a picture: what tests of predictions share."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from muse.checkpoint import export
from muse.config import MuseConfig
from muse.prepare import prepare
from muse.presets import PRESETS
from muse.train import build_model


@pytest.fixture(name="folder", params=["mner", "msa"])
def exported_model(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    monkeypatch.setenv("MUSE_CACHE", str(tmp_path / "cache"))
    data = {**PRESETS["tiny"]["data"], "synthetic_tweets": 16}
    config = MuseConfig.model_validate({**PRESETS["tiny"], "task": request.param, "data": data})
    tensors = prepare(config)
    export(build_model(config, tensors).eval(), tensors.tokenizer, tmp_path / request.param)
    return tmp_path / request.param


@pytest.fixture(name="picture")
def saved_picture(tmp_path: Path) -> Path:
    file = tmp_path / "picture.png"
    Image.fromarray(np.full((40, 60, 3), 200, dtype=np.uint8)).save(file)
    return file
