"""A trained folder, a text and a picture."""

import io
import json
import os
import pickle
import struct
import subprocess
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from muse.asked import Asked
from muse.checkpoint import FORMAT, export
from muse.config import MuseConfig
from muse.corpora import read_corpus
from muse.labelling import NO_PICTURE, ONLY_PICTURE, ONLY_TEXT, label_all
from muse.predict import main
from muse.prepare import prepare
from muse.presets import PRESETS
from muse.train import build_model
from muse.words import entities, joined_spans


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


def test_a_picture_may_be_left_out_which_is_told(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(folder), "--text", "we saw Delio here"]) == 0
    assert json.loads(capsys.readouterr().out)["notes"][0] == NO_PICTURE


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


def test_names_that_are_no_utf8_belong_to_their_line(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "tweets.jsonl"
    file.write_text('{"text": "here", "image": "\\ud83d.jpg"}\n{"id": "2", "text": "here"}')
    status, lines = labelled(str(folder), str(file), capsys=capsys)
    assert status == 1
    assert "?.jpg" in lines[0]["error"]
    assert "error" not in lines[1]
    (tmp_path / "tweets").mkdir()
    (tmp_path / "tweets" / os.fsdecode(b"caf\xe9.txt")).write_text("here")
    out = tmp_path / "found.jsonl"
    assert main([str(folder), str(tmp_path / "tweets"), "--output", str(out)]) == 0
    assert json.loads(out.read_text(encoding="utf-8"))["id"] == "caf?"


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


def labelled(*given: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, list[dict[str, Any]]]:
    """The status of a command and its lines."""
    status = main(list(given))
    return status, [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_a_folder_gives_a_line_for_each_text(
    folder: Path, picture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tweets = tmp_path / "tweets"
    tweets.mkdir()
    for name in ("a", "b", "c"):
        (tweets / f"{name}.txt").write_text("we saw Delio here", encoding="utf-8")
    picture.rename(tweets / "b.png")
    (tweets / "c.txt").write_bytes(b"\xff\xfe")
    status, lines = labelled(str(folder), str(tweets), capsys=capsys)
    assert status == 1
    assert [line["id"] for line in lines] == ["a", "b", "c"]
    assert lines[0]["notes"][0] == NO_PICTURE
    assert NO_PICTURE not in lines[1].get("notes", [])
    assert "not UTF-8" in lines[2]["error"]


BAD_LINES = [
    ("{", "is no JSON"),
    ("[" * 100_000, "is no JSON"),
    ("[1]", "has no text"),
    ('{"text": 3}', "has no text"),
    ('{"text": " "}', "is empty"),
    ('{"text": []}', "has no text"),
    ('{"text": ["here", ""]}', "has no text"),
    ('{"text": ["here", 3]}', "has no text"),
    ('{"text": "here", "image": 3}', "is no path"),
    ('{"text": "here", "image": "nowhere.png"}', "no file"),
    ('{"text": "\\ud83d"}', "half of one"),
    ('{"id": null, "txt": "here"}', "has no text"),
    ('{"id": 7, "txt": "here"}', "has no text"),
]


def test_an_error_belongs_to_its_line(
    folder: Path, picture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = json.dumps({"id": 7, "text": "we saw Delio here", "image": picture.name})
    file = tmp_path / "tweets.jsonl"
    rows = [line for bad, _ in BAD_LINES for line in (bad, good)]
    file.write_bytes("\n".join(rows).encode() + b'\n\n{"text": "\xff"}')
    status, lines = labelled(str(folder), str(file), "--batch-size", "3", capsys=capsys)
    assert status == 1
    assert len(lines) == 2 * len(BAD_LINES) + 1
    for (_, said), line in zip(BAD_LINES, lines[:-1:2], strict=True):
        assert said in line["error"]
    for line in lines[1:-1:2]:
        assert line["id"] == "7"
        assert "error" not in line
    assert lines[0]["id"] == "line 1"
    assert lines[-3]["id"] == "7"  # known, whatever else is wrong
    assert lines[-5]["id"] == f"line {len(rows) - 3}"
    assert lines[-1]["id"] == f"line {len(rows) + 2}"
    assert "is no JSON" in lines[-1]["error"]


def test_a_batch_finds_what_each_tweet_alone_does(
    folder: Path, picture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    texts = ["we saw Delio here", "Monen", "the Kimio and Barby again " * 3]
    file = tmp_path / "tweets.jsonl"
    file.write_text("\n".join(json.dumps({"text": t, "image": picture.name}) for t in texts))
    _, together = labelled(str(folder), str(file), capsys=capsys)
    for text, line in zip(texts, together, strict=True):
        _, (alone,) = labelled(str(folder), "--text", text, "--image", str(picture), capsys=capsys)
        if folder.name == "mner":
            assert line["entities"] == alone["entities"]
        else:
            assert line["probabilities"] == pytest.approx(alone["probabilities"], abs=2e-4)


def test_lines_come_from_standard_input_and_go_into_a_file(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stdin = SimpleNamespace(buffer=io.BytesIO(b'{"text": "here"}\n' * 5))
    monkeypatch.setattr(sys, "stdin", stdin)
    out = tmp_path / "found.jsonl"
    assert main([str(folder), "-", "--output", str(out)]) == 0
    assert len(out.read_text().splitlines()) == 5


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


def test_ctrl_c_is_one_line(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stopped(*_: object) -> Iterator[dict[str, Any]]:
        raise KeyboardInterrupt

    monkeypatch.setattr("muse.labelling.label_all", stopped)
    assert main([str(folder), "--text", "here"]) == 130
    assert capsys.readouterr().err == "\ninterrupted; the lines so far are whole\n"


@pytest.mark.slow
def test_nothing_is_said_where_nobody_reads_at_all(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)  # the output waits for the end
    words = [sys.executable, "-m", "muse.predict", str(folder), "--text", "here"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 141


@pytest.mark.slow
def test_nothing_is_said_where_nobody_reads_on(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "tweets.jsonl"
    file.write_text('{"text": "here"}\n' * 2_000)
    words = [sys.executable, "-m", "muse.predict", str(folder), str(file), "--batch-size", "1"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline().startswith(b'{"id": "line 1"')
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 141


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


class Harm:
    """Leaves a mark where it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return Path.touch, (self.mark,)


class Watch:
    """Notes every class that a pickle names; Python keeps such a hook to its end."""

    def __init__(self) -> None:
        self.on, self.pickled = False, False
        sys.addaudithook(self)

    def __call__(self, event: str, _: Any) -> None:
        self.pickled |= self.on and event == "pickle.find_class"


WATCH = Watch()


@pytest.mark.parametrize("strange", [False, True])
def test_nothing_in_a_model_is_run(
    folder: Path, strange: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Code and pickles lie beside the weights, and every file that may name code does."""
    mark = tmp_path / "mark"
    code = f"from pathlib import Path\nPath({str(mark)!r}).touch()\nclass Evil: ...\n"
    for name in ("evil.py", "__init__.py", "setup.py"):
        (folder / name).write_text(code)
    for name in ("pytorch_model.bin", "model.pt", "last.pt", "tokenizer.pkl"):
        (folder / name).write_bytes(pickle.dumps(Harm(mark)))
    for name in ("text.json", "tokenizer_config.json"):
        told = json.loads((folder / name).read_text())
        parts = ("AutoConfig", "AutoModel", "AutoTokenizer")
        told["auto_map"] = dict.fromkeys(parts, "evil.Evil")
        if strange and name == "text.json":
            told["model_type"] = "evil"
        (folder / name).write_text(json.dumps(told))
    WATCH.on, WATCH.pickled = True, False
    status = main([str(folder), "--text", "we saw Delio here"])
    WATCH.on = False
    assert not mark.exists()
    assert not WATCH.pickled
    assert status == (2 if strange else 0)
    assert capsys.readouterr().err.count("\n") == int(strange)


def test_the_watch_sees_a_pickle(tmp_path: Path) -> None:
    WATCH.on = True
    pickle.loads(pickle.dumps(Harm(tmp_path / "mark")))
    WATCH.on = False
    assert WATCH.pickled
    assert (tmp_path / "mark").exists()
