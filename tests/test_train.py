"""Training: what an epoch does and tells, and what a start depends on."""

from pathlib import Path
from typing import Any

import pytest
import torch
from fit_story import TIMES, Figures, fitted, go_on, prepared
from small_muse import small_config, small_tensors, weights
from torch import Tensor

from muse import train
from muse.checkpoint import load
from muse.config import MuseConfig
from muse.device import Worker
from muse.errors import DivergedError, UserError
from muse.fit import fit
from muse.presets import PRESETS
from muse.shares import epoch_order, steps_an_epoch
from muse.train import build_model, check_finite, start_run

both_tasks = pytest.mark.parametrize("task", ["mner", "msa"])


@both_tasks
def test_every_epoch_is_reported_with_all_its_figures(tmp_path: Path, task: str) -> None:
    config, tensors = prepared(tmp_path, task, train={"epochs": 2})
    told: list[Figures] = []

    last = fit(config, tensors, lambda figures: told.append(figures) or True, tmp_path / "run")

    scores = {
        "mner": {
            "valid_f1",
            "valid_precision",
            "valid_recall",
            "valid_f1_official",
            "crf_learning_rate",
        },
        "msa": {"valid_accuracy", "valid_weighted_f1"},
    }
    assert [figures["epoch"] for figures in told] == [1, 2]
    assert set(told[0]) == scores[task] | {
        *("epoch", "value", "best", "best_epoch", "valid_loss", "learning_rate", *TIMES),
        *("train_loss", "train_task", "train_caption", "train_image", "gradient_norm"),
    }
    assert last == told[-1]


def test_the_training_loss_weighs_its_three_parts(tmp_path: Path) -> None:
    config, tensors = prepared(tmp_path, loss={"alpha": 0.3, "beta": 0.7}, train={"epochs": 1})

    (told,) = fitted(config, tensors, tmp_path / "run", go_on)

    parts = told["train_task"] + 0.3 * told["train_caption"] + 0.7 * told["train_image"]
    assert told["train_loss"] == pytest.approx(parts, rel=1e-5)


def test_the_same_seed_gives_the_same_figures_and_weights(tmp_path: Path) -> None:
    config, tensors = prepared(tmp_path)

    first = fitted(config, tensors, tmp_path / "a", go_on)
    torch.manual_seed(123)  # whatever happened before must not matter
    second = fitted(config, tensors, tmp_path / "b", go_on)

    assert first == second
    one, other = (weights(load(tmp_path / name / "best")[0]) for name in "ab")
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_another_seed_gives_other_figures(tmp_path: Path) -> None:
    config, tensors = prepared(tmp_path, train={"epochs": 1})
    other = small_config(train={"epochs": 1, "seed": 1})

    first = fitted(config, tensors, tmp_path / "a", go_on)
    second = fitted(other, tensors, tmp_path / "b", go_on)

    assert first[0]["train_loss"] != second[0]["train_loss"]


def test_a_run_that_diverges_names_the_epoch_and_the_loss(tmp_path: Path) -> None:
    config, tensors = prepared(tmp_path, "msa", train={"learning_rate": 1e30, "epochs": 1})

    with pytest.raises(DivergedError, match=r"not finite in epoch 1: .*task loss") as error:
        fitted(config, tensors, tmp_path / "run", go_on)

    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_only_what_is_not_finite_is_named(bad: float) -> None:
    with pytest.raises(DivergedError) as error:
        check_finite(torch.tensor([bad, 1.0, bad, 2.0, 0.0]), epoch=3)

    assert str(error.value) == "not finite in epoch 3: loss, caption loss"


def test_a_long_epoch_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config, tensors = prepared(tmp_path, "msa", train={"batch_size": 2, "learning_rate": 1e30})
    monkeypatch.setattr(train, "CHECK_EVERY", 3)
    step, steps = train.train_step, []

    def counted(run: train.Run, indices: Tensor) -> Any:
        steps.append(1)
        return step(run, indices)

    monkeypatch.setattr(train, "train_step", counted)
    with pytest.raises(DivergedError):
        fitted(config, tensors, tmp_path / "run", go_on)

    assert len(steps) == 3  # of 12


@pytest.mark.parametrize(
    ("tweets", "world", "steps"), [(24, 1, 3), (25, 1, 4), (25, 2, 3), (26, 2, 4)]
)
def test_a_last_batch_without_a_tweet_for_every_worker_is_left_out(
    tmp_path: Path, tweets: int, world: int, steps: int
) -> None:
    config, tensors = prepared(tmp_path, data={"synthetic_tweets": tweets})  # 8 a batch

    assert steps_an_epoch(tensors.splits["train"], config, world) == steps
    batches = list(epoch_order(tensors.splits["train"], config, 1, world))
    assert len(batches) == steps
    assert all(len(batch) >= world for batch in batches)


@pytest.mark.parametrize("world", [9, 25])
def test_more_workers_than_tweets_of_a_batch_are_refused(tmp_path: Path, world: int) -> None:
    config = small_config()  # batches of 8
    tensors = small_tensors(config, tmp_path)
    with pytest.raises(UserError, match=rf"resources\.workers={world}, but a batch has at most 8"):
        start_run(config, tensors, Worker(world=world))


def test_what_is_frozen_does_not_learn_from_batches_and_all_else_is_in_training(
    tmp_path: Path,
) -> None:
    config = small_config(image={"stages": 2, "frozen_stages": 1})
    model = build_model(config, small_tensors(config, tmp_path))
    frozen, free = model.image_encoder.stages
    assert not any(module.training for module in frozen.modules())
    assert all(module.training for module in [*free.modules(), *model.text_encoder.modules()])


def test_an_epoch_takes_every_tweet_once_in_an_order_of_its_own(tmp_path: Path) -> None:
    config, tensors = prepared(tmp_path)
    split = tensors.splits["train"]

    first, again, second = (
        torch.cat(list(epoch_order(split, config, epoch, 1))).tolist() for epoch in (1, 1, 2)
    )

    assert sorted(first) == sorted(second) == list(range(24))
    assert first == again != second


def test_the_start_depends_on_the_seed_alone(tmp_path: Path) -> None:
    config, tensors = prepared(tmp_path)

    one = weights(build_model(config, tensors))
    torch.randn(5)
    same = weights(build_model(config, tensors))
    other = weights(build_model(small_config(train={"seed": 1}), tensors))

    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not torch.equal(one["fusion.linear.weight"], other["fusion.linear.weight"])


def tiny_trained(tmp_path: Path, task: str, inputs: str) -> float:
    """The best score of the tiny preset on made-up tweets; it ends where that is above 0.9."""
    preset = PRESETS["tiny"]
    # With fewer tweets luck alone moves the score of one stream by 0.1.
    data = {**preset["data"], "synthetic_tweets": 512, "inputs": inputs}
    settings = {**preset["train"], "epochs": 10, "learning_rate": 1e-3}
    parts = {"task": task, **preset, "data": data, "train": settings}
    config = MuseConfig.model_validate(parts)
    tensors = small_tensors(config, tmp_path / "cache")
    told = fitted(config, tensors, tmp_path / "run", lambda figures: figures["value"] <= 0.9)
    return told[-1]["best"]


@pytest.mark.slow
@both_tasks
def test_the_tiny_preset_learns_what_needs_text_and_picture(tmp_path: Path, task: str) -> None:
    assert tiny_trained(tmp_path, task, "both") > 0.9


@pytest.mark.slow
@pytest.mark.parametrize(
    ("task", "inputs"),
    [("mner", "text"), ("msa", "text"), ("msa", "image")],
)
def test_one_stream_alone_stays_near_its_ceiling(tmp_path: Path, task: str, inputs: str) -> None:
    assert 0.4 < tiny_trained(tmp_path, task, inputs) < 0.6  # a picture cannot know where names are
