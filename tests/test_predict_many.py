"""Many tweets labelled at once: a line each, and an error belongs to its line."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from predict_story import exported_model, saved_picture  # noqa: F401

from muse.asked import asked_in_folder, asked_in_lines
from muse.labelling import NO_PICTURE
from muse.predict import main


def labelled(*given: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, list[dict[str, Any]]]:
    """The status of a command and its lines."""
    status = main(list(given))
    return status, [json.loads(line) for line in capsys.readouterr().out.splitlines()]


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


def test_endings_in_capitals_are_texts_and_hidden_files_are_none(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tweets = tmp_path / "tweets"
    tweets.mkdir()
    (tweets / "a.TXT").write_text("we saw Delio here", encoding="utf-8")
    (tweets / "._a.txt").write_bytes(b"\0\5\x16\7")
    status, lines = labelled(str(folder), str(tweets), capsys=capsys)
    assert (status, [line["id"] for line in lines]) == (0, ["a"])


def test_places_in_a_text_are_those_of_the_text_as_python_opens_it(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_bytes("\ufeffhi\r\n\r\nAda\rin Oslo\n".encode())
    (asked,) = asked_in_folder(tmp_path)
    assert asked.text == file.read_text(encoding="utf-8-sig")


def test_a_blank_may_be_one_of_the_words_as_in_a_corpus() -> None:
    line = json.dumps({"text": ["a", "\u3000", "b"]}).encode()
    (asked,) = asked_in_lines([line], "here", Path())
    assert (asked.words, asked.error) == (("a", "\u3000", "b"), "")


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
    out = tmp_path / "found.txt"
    out.write_text("lines of before")
    assert main([str(folder), "-", "--output", str(out)]) == 0
    assert len(out.read_text().splitlines()) == 5


def test_the_lines_never_take_the_place_of_the_tweets(
    folder: Path, picture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "tweets").mkdir()
    text, lines = tmp_path / "tweets" / "a.txt", tmp_path / "tweets.jsonl"
    text.write_text("here")
    (loud := text.with_name("b.TXT")).write_text("there")
    picture = picture.rename(text.with_suffix(".png"))
    lines.write_text('{"text": "here", "image": "tweets/a.png"}')
    for tweets, file in (
        *((text.parent, file) for file in (text, loud, picture)),
        *((lines, file) for file in (lines, picture)),
    ):
        before = file.read_bytes()
        assert main([str(folder), str(tweets), "--output", str(file)]) == 2
        assert f"--output {file}: holds tweets to label" in capsys.readouterr().err
        assert file.read_bytes() == before
    found = text.with_name("found.jsonl")
    for _ in range(2):  # lines of before are no tweets
        assert main([str(folder), str(text.parent), "--output", str(found)]) == 0


def test_a_full_disk_is_one_line(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "tweets.jsonl").write_text('{"text": "here"}')
    assert main([str(folder), str(tmp_path / "tweets.jsonl"), "--output", "/dev/full"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "/dev/full: the lines cannot be written (No space left on device)" in error


one_task = pytest.mark.parametrize("folder", ["mner"], indirect=True)
"""Where the lines go is not the task's affair."""


@pytest.mark.slow
@one_task
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_full_disk_behind_standard_output_is_one_line(folder: Path, unbuffered: str) -> None:
    words = [sys.executable, "-m", "muse.predict", str(folder), "--text", "here"]
    settings = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    with Path("/dev/full").open("wb") as full:
        ended = subprocess.run(
            words, stdout=full, stderr=subprocess.PIPE, env=settings, check=False
        )
    assert ended.returncode == 2
    assert ended.stderr.count(b"\n") == 1
    assert b"standard output: the lines cannot be written" in ended.stderr


@pytest.mark.slow
@one_task
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
@one_task
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
