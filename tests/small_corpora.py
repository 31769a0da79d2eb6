"""Two tagged tweets, or some sentiments, on disk: what tests of prepared corpora share."""

from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from muse.config import DataConfig, ImageConfig, MuseConfig, TextConfig
from muse.tensors import Tensors

TRAIN = """IMGID:1
Ada\tB-PER
Lovelace\tI-PER
visits\tO
Paris\tB-LOC
\u200b\tO
today\tO

IMGID:2
hello\tO
Ada\tB-PER
"""
PAD, UNK, CLS, SEP, MASK = range(5)


def save_picture(path: Path, colour: tuple[int, int, int]) -> None:
    Image.new("RGB", (20, 10), colour).save(path, quality=95)


def tagged(root: Path, **data: Any) -> MuseConfig:
    settings = {"text_tokens": 16, "image_size": 16, "small_image_size": 4, **data}
    return MuseConfig(
        task="mner",
        data=DataConfig(name="twitter2015", root=root, **settings),
        text=TextConfig(weights=None),
        image=ImageConfig(stages=1),
    )


def sentiments(tmp_path: Path, texts: list[str], **data: Any) -> MuseConfig:
    root = tmp_path / "sentiments"
    (root / "data").mkdir(parents=True, exist_ok=True)
    rows = "".join(f"{number},neutral\n" for number in range(len(texts)))
    for split in ("train", "valid"):
        (root / f"{split}.txt").write_text(f"guid,tag\n{rows}", encoding="utf-8")
    for number, text in enumerate(texts):
        (root / "data" / f"{number}.txt").write_text(text, encoding="utf-8")
    settings = {"text_tokens": 8, "image_size": 8, "small_image_size": 4, **data}
    return MuseConfig(
        task="msa",
        data=DataConfig(name="mvsa_single", root=root, **settings),
        text=TextConfig(weights=None),
        image=ImageConfig(stages=1),
    )


def tokens(prepared: Tensors, row: torch.Tensor) -> list[str]:
    return list(prepared.tokenizer.convert_ids_to_tokens(row.tolist()))


def left_in(cache: Path) -> list[str]:
    """What is in the cache beside the empty lock files."""
    return [path.name for path in cache.iterdir() if path.suffix != ".lock"]


@pytest.fixture(name="cache", autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the test's own, for each test of a file that imports it."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("MUSE_CACHE", str(folder))
    return folder


@pytest.fixture(name="root")
def two_tweets(tmp_path: Path) -> Path:
    """Two tagged tweets; the first has a red picture."""
    folder = tmp_path / "corpus"
    (folder / "images").mkdir(parents=True)
    for split in ("train", "valid"):
        (folder / f"{split}.txt").write_text(TRAIN, encoding="utf-8")
    save_picture(folder / "images" / "1.jpg", (255, 0, 0))
    return folder
