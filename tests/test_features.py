"""A wholly frozen image encoder reads each picture once, and nothing else changes."""

from pathlib import Path
from typing import Any

import pytest
import torch
from small_muse import small_config, small_tensors

from muse.checkpoint import load
from muse.config import MuseConfig
from muse.device import Worker
from muse.encoders import ImageEncoder
from muse.errors import UserError
from muse.evaluate import evaluate
from muse.fit import fit
from muse.tensors import Tensors
from muse.train import start_run, train_step

FROZEN = {"frozen_stages": 1}
"""All the stages that the small model has."""


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MUSE_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many pictures an image encoder was given, call after call."""
    given: list[int] = []
    usual = ImageEncoder.features

    def counted(self: ImageEncoder, image: torch.Tensor) -> torch.Tensor:
        given.append(len(image))
        return usual(self, image)

    monkeypatch.setattr(ImageEncoder, "features", counted)
    return given


def prepared(tmp_path: Path, **parts: Any) -> tuple[MuseConfig, Tensors]:
    config = small_config("msa", **{"image": FROZEN, **parts})
    return config, small_tensors(config, tmp_path / "cache")


def run_of(config: MuseConfig, tensors: Tensors, folder: Path) -> list[dict[str, float]]:
    told: list[dict[str, float]] = []
    fit(config, tensors, lambda figures: told.append(figures) or True, folder)
    return told


def test_every_picture_is_read_once_for_all_runs(tmp_path: Path, read: list[int]) -> None:
    config, tensors = prepared(tmp_path)
    run_of(config, tensors, tmp_path / "one")
    assert sum(read) == len(tensors.splits["train"].pixels)
    run_of(config, tensors, tmp_path / "another")
    assert sum(read) == len(tensors.splits["train"].pixels)


def test_losses_are_those_of_pictures_read_in_every_step(tmp_path: Path) -> None:
    config, tensors = prepared(tmp_path)
    kept, anew = (
        start_run(config, tensors, Worker(), keep_features=keep) for keep in (True, False)
    )
    for run in (kept, anew):
        run.wrapped.train()
    for first in range(0, 16, 8):
        torch.manual_seed(first)
        expected = train_step(anew, torch.arange(first, first + 8))
        torch.manual_seed(first)
        found = train_step(kept, torch.arange(first, first + 8))
        torch.testing.assert_close(found, expected, rtol=2e-3, atol=1e-4)  # half precision


def test_the_kept_model_scores_pictures_as_it_was_scored_on_features(tmp_path: Path) -> None:
    config, tensors = prepared(tmp_path)
    told = run_of(config, tensors, tmp_path / "run")
    model, _ = load(tmp_path / "run" / "best")
    scores = evaluate(model, tensors.splits["valid"], config, Worker())
    assert scores["accuracy"] == pytest.approx(told[-1]["best"])


def test_other_weights_have_features_of_their_own(tmp_path: Path, read: list[int]) -> None:
    config, tensors = prepared(tmp_path)
    start_run(config, tensors, Worker())
    other, _ = prepared(tmp_path, train={"seed": 1})  # random weights are drawn from the seed
    start_run(other, tensors, Worker())
    assert sum(read) == 2 * len(tensors.splits["train"].pixels)


@pytest.mark.parametrize(
    "parts", [{"image": {"frozen_stages": 0}}, {"image": {"stages": 2, "frozen_stages": 1}}]
)
def test_an_encoder_that_learns_sees_pixels(tmp_path: Path, parts: dict[str, Any]) -> None:
    config, tensors = prepared(tmp_path, **parts)
    run = start_run(config, tensors, Worker())
    assert run.tensors.splits["train"].batch([0]).image.dtype == torch.uint8


def test_a_blanked_picture_is_the_blank_pictures_features(tmp_path: Path) -> None:
    config, tensors = prepared(tmp_path, data={"inputs": "text"})
    train = start_run(config, tensors, Worker()).tensors.splits["train"]
    batch = train.batch([0, 1])
    assert torch.equal(batch.image[0], batch.image[1])


@pytest.mark.parametrize("content", [b"", b"\x93NUMPY", b"no array"])
def test_features_that_a_power_cut_left_in_part_are_named(tmp_path: Path, content: bytes) -> None:
    config, tensors = prepared(tmp_path)
    start_run(config, tensors, Worker())
    (file,) = (tmp_path / "cache").glob("features-*/features.npy")
    file.write_bytes(content)
    with pytest.raises(UserError, match=r"features-\w+: no whole features .*; delete the folder"):
        start_run(config, tensors, Worker())


def test_features_too_large_for_half_precision_are_refused_and_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = ImageEncoder.features
    monkeypatch.setattr(ImageEncoder, "features", lambda self, image: 1e6 * usual(self, image))
    config, tensors = prepared(tmp_path)
    with pytest.raises(UserError, match=r"too large for half precision; name image\.weights"):
        start_run(config, tensors, Worker())
    assert not list((tmp_path / "cache").glob("features-*/"))
