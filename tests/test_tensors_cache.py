"""Prepared corpora on disk: made once per content, whole or not at all."""

import errno
import json
import multiprocessing
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from small_corpora import (  # noqa: F401
    TRAIN,
    left_in,
    own_cache,
    save_picture,
    tagged,
    two_tweets,
)

from muse import prepare as preparing
from muse.cache import build_once, cache_folder
from muse.config import MuseConfig, TextConfig
from muse.corpora import read_corpus
from muse.errors import UserError
from muse.pictures import collect
from muse.prepare import (
    BERTS,
    content_key,
    corpus_tokenizer,
    every_tweet,
    prepare,
    special_names,
)
from muse.tensors import open_tensors
from muse.text_source import text_source
from muse.tokenizer import build_tokenizer, load_tokenizer


@pytest.mark.parametrize(
    ("given", "place"), [(None, ".cache/muse"), ("", ".cache/muse"), ("~/own", "own")]
)
def test_the_cache_lies_at_home_unless_it_is_put_elsewhere(
    given: str | None, place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("MUSE_CACHE") if given is None else monkeypatch.setenv("MUSE_CACHE", given)

    assert cache_folder() == tmp_path / place


def test_a_cache_that_is_not_there_yet_is_made(tmp_path: Path) -> None:
    folder = tmp_path / "not" / "yet" / "key"

    build_once(folder, lambda part: (part / "whole").touch())

    assert (folder / "whole").is_file()


def test_the_same_content_is_prepared_once(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = prepare(tagged(root))
    monkeypatch.delattr(preparing, "write")

    assert prepare(tagged(root)).folder == first.folder


@pytest.mark.parametrize(
    "change", ["word", "tag", "picture", "text_tokens", "image_size", "small_image_size", "limit"]
)
def test_other_content_has_another_key(root: Path, change: str) -> None:
    before = prepare(tagged(root)).key
    sizes = {"text_tokens": 12, "image_size": 12, "small_image_size": 8, "limit": 1}
    if change == "word":
        (root / "valid.txt").write_text(TRAIN.replace("today", "now"), encoding="utf-8")
    elif change == "tag":
        (root / "valid.txt").write_text(TRAIN.replace("B-LOC", "B-ORG"), encoding="utf-8")
    elif change == "picture":
        save_picture(root / "images" / "1.jpg", (0, 0, 255))

    after = prepare(tagged(root, **{name: sizes[name] for name in [change] if name in sizes})).key

    assert after != before


def test_another_tokeniser_has_another_key(root: Path) -> None:
    config = tagged(root)
    (root / "train.txt").write_text(
        "IMGID:1\n" + "".join(f"w{i}\tO\n" for i in range(70)), encoding="utf-8"
    )
    small = config.model_copy(update={"text": TextConfig(weights=None, vocabulary=64)})

    assert prepare(config).key != prepare(small).key
    assert prepare(small).vocabulary == 64


def test_other_roles_of_the_same_tokens_have_another_key(root: Path) -> None:
    config = tagged(root)
    corpus = read_corpus(config.data, config.task)
    gallery = collect([tweet.picture for tweet in every_tweet(corpus)])
    tokenizer = corpus_tokenizer(config, corpus)
    before = content_key(config.data, corpus, gallery, tokenizer)

    tokenizer.unk_token, tokenizer.mask_token = "[MASK]", "[UNK]"

    assert content_key(config.data, corpus, gallery, tokenizer) != before


def test_the_roles_of_bert_are_the_usual_ones_whose_keys_are_on_record() -> None:
    made, loaded = build_tokenizer(["hello"], 64), load_tokenizer(text_source("minilm"))
    assert special_names(made) == special_names(loaded) == BERTS


def test_a_moved_corpus_has_the_same_key(root: Path) -> None:
    before = prepare(tagged(root)).key

    assert prepare(tagged(root.rename(root.with_name("moved")))).key == before


def test_a_worker_needs_only_the_folder(root: Path) -> None:
    prepared = prepare(tagged(root))

    opened = open_tensors(prepared.folder)

    assert (opened.key, opened.labels, opened.counts, opened.vocabulary) == (
        *(prepared.key, prepared.labels, prepared.counts),
        len(prepared.tokenizer),
    )


@pytest.mark.parametrize(
    "file", ["about.json", "pictures.npy", "train/token_ids.npy", "train/targets.json"]
)
@pytest.mark.parametrize("damage", ["gone", "short"])
def test_a_damaged_folder_is_refused(root: Path, file: str, damage: str) -> None:
    path = prepare(tagged(root)).folder / file
    content = path.read_bytes()
    path.unlink()
    if damage == "short":
        path.write_bytes(content[: len(content) // 2])

    with pytest.raises(UserError, match="delete the folder and prepare it again"):
        prepare(tagged(root))


def test_a_folder_of_another_version_is_refused(root: Path) -> None:
    folder = prepare(tagged(root)).folder
    about = json.loads((folder / "about.json").read_text())
    (folder / "about.json").write_text(json.dumps({**about, "format": 0}))

    with pytest.raises(UserError, match="format 0"):
        open_tensors(folder)


# --- the cache -----------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["write_pictures", "save_tokenizer"])
def test_no_space_left_is_one_line_and_leaves_nothing(
    root: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(preparing, place, full)
        with pytest.raises(UserError) as caught:
            prepare(tagged(root))

    assert str(caught.value).startswith(f"{cache}: ")
    assert "No space left on device" in str(caught.value)
    assert left_in(cache) == []
    assert len(prepare(tagged(root)).splits["train"]) == 2  # as soon as there is room


def test_a_cache_that_cannot_be_written_is_named(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("MUSE_CACHE", str(tmp_path / "file" / "cache"))

    with pytest.raises(UserError, match="set MUSE_CACHE to another folder"):
        prepare(tagged(root))


def test_an_interrupted_preparation_leaves_nothing(
    root: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(preparing, "write_pictures", interrupted)

    with pytest.raises(KeyboardInterrupt):
        prepare(tagged(root))

    assert left_in(cache) == []


def test_what_a_killed_process_left_is_swept(tmp_path: Path) -> None:
    (tmp_path / "key.part").mkdir()
    (tmp_path / "key.part" / "half").write_text("written")

    build_once(tmp_path / "key", lambda part: (part / "whole").touch())

    assert [path.name for path in (tmp_path / "key").iterdir()] == ["whole"]
    assert left_in(tmp_path) == ["key"]


BUILDER = """
import sys, time
from pathlib import Path
from muse.cache import build_once

folder, log = Path(sys.argv[1]), Path(sys.argv[2])

def fill(part):
    with log.open("a") as file:
        file.write("filled\\n")
    (part / "first").touch()
    time.sleep(0.2)
    (part / "second").touch()

build_once(folder, fill)
assert {path.name for path in folder.iterdir()} == {"first", "second"}
"""


def test_of_four_processes_at_once_one_fills_the_folder(tmp_path: Path) -> None:
    arguments = [sys.executable, "-c", BUILDER, str(tmp_path / "key"), str(tmp_path / "log")]
    processes = [subprocess.Popen(arguments, cwd=Path(__file__).parents[1]) for _ in range(4)]

    assert [process.wait() for process in processes] == [0] * 4
    assert (tmp_path / "log").read_text() == "filled\n"


def test_four_threads_at_once_prepare_the_same(root: Path, cache: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        prepared = list(pool.map(prepare, [tagged(root)] * 4))

    assert len({some.folder for some in prepared}) == 1
    assert left_in(cache) == [prepared[0].key]


def prepare_key(config: MuseConfig) -> str:
    return prepare(config).key


@pytest.mark.slow
def test_four_processes_at_once_prepare_the_same(root: Path, cache: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        keys = pool.map(prepare_key, [tagged(root)] * 4, chunksize=1)

    assert set(keys) == set(left_in(cache))
