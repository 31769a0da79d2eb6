"""What a dry run says of a study's price."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from search import preview
from search.preview import dearest, device_of, hours, spoken, told_cost
from search.reading import told_counts
from search.study import Study

TENSORS: Any = SimpleNamespace(splits={"train": range(300), "valid": range(150)})
RUNS = 2 * 3 + 1
"""Two candidates with three seeds, and the final training."""


def study_of(**resources: Any) -> Study:
    """Four trials of five epochs without curves."""
    return Study(
        preset="tiny",
        data={"name": "synthetic"},
        budget={"trials": 4, "epochs": 5},
        sensitivity={"candidates": 2, "points": 0, "seeds": 3},
        resources=resources,
    )


@pytest.fixture(autouse=True)
def a_second_a_tweet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preview, "seconds_a_tweet", lambda *_: 1.0)


def test_what_is_measured_is_the_longest_step() -> None:
    ends = {"low": 0.0, "high": 0.5}
    space = {"loss.beta": ends, "cross.theta": {"choices": [0.3, 0, 0.1]}, "cross.dropout": ends}
    config = dearest(Study(preset="tiny", data={"name": "synthetic"}, space=space))
    assert (config.loss.beta, config.cross.theta, config.cross.dropout) == (0.5, 0.3, 0.5)


def test_hours_are_those_of_every_epoch_of_every_run() -> None:
    assert hours(study_of(), TENSORS) == pytest.approx((4 + RUNS) * 5 * (300 + 150 / 3) / 3600)


@pytest.mark.parametrize(
    ("cores", "measured", "money"), [(0.5, 1, "10.69"), (1, 1, "10.69"), (2, 2, "21.39")]
)
def test_each_core_has_its_price_and_half_a_one_takes_twice_as_long(
    cores: float, measured: int, money: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    told = told_cost(study_of(cpus_per_worker=cores, price_per_hour=2), TENSORS)
    assert told.startswith("the work of training on 19,000 tweets, 5.4 hours if they ran one")
    assert f"this machine ({measured} CPU), none was stopped" in told
    assert told.endswith(f", {money} in money")


@pytest.mark.parametrize(
    ("hours", "said"), [(0.001, "1 min"), (0.99, "60 min"), (1.04, "1.1 hours"), (2.0, "2.0 hours")]
)
def test_a_time_is_never_told_shorter_than_it_is(hours: float, said: str) -> None:
    assert spoken(hours) == said


def test_without_a_price_there_is_no_money() -> None:
    assert "money" not in told_cost(study_of(), TENSORS)


@pytest.mark.parametrize(
    ("gpu", "asked", "expected"),
    [(True, None, "cuda"), (True, 0.5, "cuda"), (True, 0, "cpu"), (False, None, "cpu")],
)
def test_time_is_measured_where_trials_would_be_trained(
    gpu: bool, asked: float | None, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
    assert device_of(study_of(gpus_per_worker=asked)).type == expected


@pytest.mark.parametrize(
    ("targets", "said"),
    [
        ([["O", "O"], ["O"]], "valid: no word of it is in an entity: nothing can be found"),
        ([["O", "B-PER"], ["O"]], ""),
        (["positive", "positive"], "valid: all its tweets are positive: nothing can be told apart"),
        (["positive", "neutral"], ""),
    ],
)
def test_labels_from_which_nothing_can_be_learnt_are_told(targets: Any, said: str) -> None:
    tensors: Any = SimpleNamespace(
        counts={"valid": {"tweets": 2, "missing_images": 0}},
        splits={"valid": SimpleNamespace(targets=targets)},
    )
    first, *more = told_counts(tensors)
    assert first == "valid: 2 tweets, 0 missing images"
    assert [line.partition(", nor")[0] for line in more] == [said] * bool(said)
