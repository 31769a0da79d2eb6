"""A trained folder, a text and a picture."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from muse.checkpoint import export
from muse.config import MuseConfig
from muse.predict import entities, main
from muse.presets import PRESETS
from muse.tensors import prepare
from muse.train import build_model


@pytest.fixture(params=["mner", "msa"])
def folder(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MUSE_CACHE", str(tmp_path / "cache"))
    data = {**PRESETS["tiny"]["data"], "synthetic_tweets": 16}
    config = MuseConfig.model_validate({**PRESETS["tiny"], "task": request.param, "data": data})
    tensors = prepare(config)
    export(build_model(config, tensors).eval(), tensors.tokenizer, tmp_path / request.param)
    return tmp_path / request.param


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    file = tmp_path / "picture.png"
    Image.fromarray(np.full((40, 60, 3), 200, dtype=np.uint8)).save(file)
    return file


def test_a_text_and_a_picture_give_one_line_of_json(
    folder: Path, picture: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(folder), "--text", "we saw Delio here", "--image", str(picture)]) == 0
    found = json.loads(capsys.readouterr().out)
    if folder.name == "mner":
        assert set(found) == {"entities"}
    else:
        assert found["sentiment"] == max(found["probabilities"], key=found["probabilities"].get)
        assert sum(found["probabilities"].values()) == pytest.approx(1, abs=1e-3)


def test_a_picture_may_be_left_out(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(folder), "--text", "we saw Delio here"]) == 0
    assert json.loads(capsys.readouterr().out)


def test_a_text_longer_than_the_model_reads_is_cut(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(folder), "--text", "here " * 10_000]) == 0
    assert json.loads(capsys.readouterr().out)


def test_an_entity_is_its_words_its_type_and_its_place() -> None:
    words = ["in", "New", "York", "with", "Jo"]
    found = entities(words, ["O", "B-LOC", "I-LOC", "O", "B-PER"])
    assert found == [
        {"text": "New York", "type": "LOC", "words": [1, 2]},
        {"text": "Jo", "type": "PER", "words": [4, 4]},
    ]


@pytest.mark.parametrize(
    ("text", "image", "said"),
    [
        (" ", None, "--text: is empty"),
        ("here", "nowhere.jpg", "no file"),
        ("here", "broken.jpg", "broken.jpg"),
    ],
)
def test_a_mistake_is_one_line(
    folder: Path, text: str, image: str | None, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "broken.jpg").write_bytes(b"\xff\xd8 no picture")
    given = [] if image is None else ["--image", str(folder / image)]
    assert main([str(folder), "--text", text, *given]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert said in error


def test_a_folder_without_a_model_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tmp_path), "--text", "here"]) == 2
    assert "no exported model" in capsys.readouterr().err
