"""A trained folder, a text and a picture."""

import json
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from predict_story import exported_model, saved_picture  # noqa: F401

from muse.asked import Asked
from muse.checkpoint import FORMAT
from muse.config import DataConfig, FusionConfig, LossConfig, MuseConfig, Task
from muse.corpora import read_corpus
from muse.labelling import (
    NO_PICTURE,
    ONLY_PICTURE,
    ONLY_TEXT,
    label_all,
    notes,
    picture_of,
    spans_of,
)
from muse.predict import build_parser, main
from muse.prepare import prepare
from muse.presets import PRESETS
from muse.tokens import Encoded
from muse.train import build_model
from muse.words import entities, joined_spans


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


def test_a_picture_may_be_left_out_which_is_told(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(folder), "--text", "we saw Delio here"]) == 0
    assert json.loads(capsys.readouterr().out)["notes"][0] == NO_PICTURE


def test_a_sentiment_may_be_that_of_a_picture_alone(
    folder: Path, picture: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status = main([str(folder), "--text", "", "--image", str(picture)])
    told = capsys.readouterr()
    if folder.name == "mner":
        assert (status, told.err) == (2, "error: --text: is empty; give the tweet's words.\n")
    else:
        assert status == 0
        assert "sentiment" in json.loads(told.out)


def test_words_that_the_model_does_not_know_are_counted(
    folder: Path, picture: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(folder), "--text", "the zyx the \U0001f600", "--image", str(picture)]) == 0
    (note,) = json.loads(capsys.readouterr().out)["notes"]
    assert note == "words or signs that the model does not know: 2"


def test_a_text_longer_than_the_model_reads_is_cut_which_is_told(
    folder: Path, picture: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(folder), "--text", "here " * 10_000, "--image", str(picture)]) == 0
    (note,) = json.loads(capsys.readouterr().out)["notes"]
    if folder.name == "mner":
        assert note == "text cut: the first 22 of 10000 words were read"
    else:
        assert note == "text cut: the first 22 sub-words were read, of 10000 words"


def test_a_last_word_that_is_cut_in_its_middle_was_not_read() -> None:
    half = Encoded(ids=[2, 5, 6, 3], starts=[1, 2], cut=True)
    spans = [(0, 2), (3, 9)]
    asked = Asked("1", "we overlook", image=Path("a.jpg"))
    (note,) = notes(asked, half, spans, MuseConfig(task="mner"))
    assert note == "text cut: the first 1 of 2 words were read"


def test_entities_are_found_whatever_stands_around_them(
    folder: Path, picture: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Places are those of characters in a text, those of words in a list."""
    if folder.name != "mner":
        return
    tagged: Any = lambda _, batch: [["O", "O", "B-PER", "O", "O"]] * len(batch)  # noqa: E731
    monkeypatch.setattr("muse.model.Muse.predict", tagged)
    lines = [
        {"text": "see (Delio)!", "image": picture.name},
        {"text": ["see", "#", "Delio!", "x"], "image": picture.name},
    ]
    file = picture.parent / "tweets.jsonl"
    file.write_text("\n".join(map(json.dumps, lines)))

    assert main([str(folder), str(file)]) == 0

    of_text, of_words = map(json.loads, capsys.readouterr().out.splitlines())
    assert of_text["entities"] == [{"text": "Delio", "type": "PER", "characters": [5, 10]}]
    assert of_words["entities"] == [{"text": "Delio!", "type": "PER", "words": [2, 2]}]


@pytest.mark.parametrize("inputs", ["text", "image"])
@pytest.mark.parametrize("task", ["mner", "msa"])
def test_a_model_is_shown_what_it_was_trained_on(
    task: str, inputs: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MUSE_CACHE", str(tmp_path / "cache"))
    data = {**PRESETS["tiny"]["data"], "synthetic_tweets": 16, "inputs": inputs}
    config = MuseConfig.model_validate({**PRESETS["tiny"], "task": task, "data": data})
    tensors = prepare(config)
    model = build_model(config, tensors).eval()
    tweets = read_corpus(config.data, config.task).splits["valid"]
    file = tmp_path / "picture.png"
    Image.fromarray(np.asarray(tweets[0].picture)).save(file)
    asked = Asked("1", " ".join(tweets[0].words), tweets[0].words, file)

    (found,) = label_all(model, tensors.tokenizer, [asked], 1)

    batch = tensors.splits["valid"].batch([0])
    if task == "mner":
        expected = entities(asked.text, joined_spans(asked.words), model.predict(batch)[0])
        assert [one["text"] for one in found["entities"]] == [one.text for one in expected]
    else:
        shares = model.task_scores(batch).softmax(dim=1)[0].tolist()
        assert list(found["probabilities"].values()) == pytest.approx(shares, abs=1e-4)
    assert found["notes"][0] == (ONLY_TEXT if inputs == "text" else ONLY_PICTURE)


def test_a_picture_that_nobody_looks_at_is_not_read(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    about = json.loads((folder / "muse.json").read_text())
    about["config"]["data"]["inputs"] = "text"
    (folder / "muse.json").write_text(json.dumps(about))

    assert main([str(folder), "--text", "here", "--image", "nowhere.jpg"]) == 0
    assert json.loads(capsys.readouterr().out)["notes"] == [ONLY_TEXT]
    assert main([str(folder), "--text", "here"]) == 0
    assert "notes" not in json.loads(capsys.readouterr().out)


def test_of_a_text_that_is_not_read_nothing_else_is_told() -> None:
    config = MuseConfig(task="mner", data=DataConfig(inputs="image"))
    asked = Asked("1", "the zyx", image=Path("picture.jpg"))
    row = Encoded([2, 5, 1, 3], [1, 2], cut=True, unknown=1)

    assert notes(asked, row, spans_of(asked, config), config) == [ONLY_PICTURE]


def test_a_model_without_an_image_encoder_looks_at_no_picture() -> None:
    config = MuseConfig(fusion=FusionConfig(kind="text"), loss=LossConfig(alpha=0, beta=0))
    asked = Asked("1", "here", image=Path("nowhere.jpg"))
    row = Encoded([2, 5, 3], [1], cut=False)

    assert not isinstance(picture_of(asked, config), str)  # why it cannot be shown
    assert notes(asked, row, spans_of(asked, config), config) == [ONLY_TEXT]


@pytest.mark.parametrize(("task", "spans"), [("mner", [(0, 6), (7, 9)]), ("msa", [(0, 9)])])
def test_a_list_of_words_is_one_text_where_a_sentiment_is_asked(
    task: Task, spans: list[tuple[int, int]]
) -> None:
    asked = Asked("1", "Delio! we", ("Delio!", "we"))

    assert spans_of(asked, MuseConfig(task=task)) == spans


def huge_picture(side: int = 20_000) -> bytes:
    """The header of a PNG and nothing to decode: whoever tries calls it broken."""
    header = b"IHDR" + struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    return b"\x89PNG\r\n\x1a\n" + chunk + struct.pack(">I", 0) + b"IDAT" + bytes(4)


@pytest.mark.parametrize(
    ("text", "image", "said"),
    [
        (" ", None, "--text: is empty"),
        ("half \ud83d of one", None, "--text: character 5"),
        ("here", "nowhere.jpg", "no file"),
        ("here", "broken.jpg", "broken.jpg"),
        ("here", "huge.png", "too many pixels"),
        ("here", "large.png", "too many pixels"),
        ("here", "n" * 300, "--image: "),
    ],
)
def test_a_mistake_is_one_line(
    folder: Path, text: str, image: str | None, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "broken.jpg").write_bytes(b"\xff\xd8 no picture")
    (folder / "huge.png").write_bytes(huge_picture())
    (folder / "large.png").write_bytes(huge_picture(10_000))  # of these Pillow only warns
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


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([], "--text, or a folder"),
        (["tweets.jsonl", "--text", "here"], "one of them"),
        (["--text", "here", "tweets.jsonl"], "one of them"),
        (["corpus"], "is a corpus; give the folder of its tweets, corpus/data"),
        (["tagged"], "is a corpus; give the folder of <id>.txt"),
        (["nowhere.jsonl"], "cannot be read"),
        (["tweets.csv"], "tweets.csv: holds no JSON"),
        (["empty"], "holds no <id>.txt"),
        (["empty", "--image", "a.png"], "--image: belongs to --text"),
        (["--text", "here", "--batch-size", "0"], "--batch-size 0"),
        (["--text", "here", "--output", "nowhere/out"], "cannot be written"),
    ],
)
def test_a_mistake_in_the_command_is_one_line(
    folder: Path,
    given: list[str],
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (folder.parent / "empty").mkdir()
    (folder.parent / "corpus" / "data").mkdir(parents=True)
    (folder.parent / "tagged").mkdir()
    for file in ("corpus/train", "corpus/valid", "tagged/train", "tagged/valid"):
        (folder.parent / f"{file}.txt").write_text("guid,tag")
    (folder.parent / "tweets.csv").write_text("id,text\n1,here\n")
    monkeypatch.chdir(folder.parent)
    assert main([str(folder), *given]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert said in error


def test_what_must_not_be_read_is_one_line(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(path: Path) -> None:  # nothing is forbidden to root
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "iterdir", refuse)
    assert main([str(folder), str(folder.parent)]) == 2
    assert capsys.readouterr().err == (
        f"error: {folder.parent}: cannot be read (Permission denied)\n"
    )


def test_ctrl_c_is_one_line(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stopped(*_: object) -> Iterator[dict[str, Any]]:
        raise KeyboardInterrupt

    monkeypatch.setattr("muse.labelling.label_all", stopped)
    assert main([str(folder), "--text", "here"]) == 130
    assert capsys.readouterr().err == "\ninterrupted; the lines so far are whole\n"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"format": 99}, f"format 99, but this version reads {FORMAT}"),
        ({"config": {"new": 1}}, "not written"),
    ],
)
def test_a_model_of_another_version_is_one_line(
    folder: Path, change: dict[str, Any], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    about = json.loads((folder / "muse.json").read_text())
    (folder / "muse.json").write_text(json.dumps({**about, **change}))
    assert main([str(folder), "--text", "here"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert said in error


def test_a_text_may_begin_with_a_stroke_as_the_help_says() -> None:
    parser = build_parser()
    assert parser.parse_intermixed_args(["best", "--text=-hello"]).text == "-hello"
    assert "--text='-...'" in parser.format_help()
