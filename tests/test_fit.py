"""A run goes on from where it was, and keeps its best model."""

from pathlib import Path
from typing import Any

import pytest
import torch
from fit_story import Figures, Killed, fitted, go_on, kill_after, prepared
from small_muse import weights
from torch import Tensor

from muse import train
from muse.checkpoint import load
from muse.device import CPU, Worker
from muse.errors import UserError
from muse.evaluate import evaluate
from muse.last import LAST, load_last


def test_a_refusal_ends_the_run_after_that_epoch(tmp_path: Path) -> None:
    config, tensors = prepared(tmp_path, train={"epochs": 5})

    told = fitted(config, tensors, tmp_path / "run", lambda figures: figures["epoch"] < 2)

    assert [figures["epoch"] for figures in told] == [1, 2]
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == ["best", LAST]


def test_a_refused_run_can_be_taken_up_where_it_ended(tmp_path: Path) -> None:
    config, tensors = prepared(tmp_path, train={"epochs": 3})
    whole = fitted(config, tensors, tmp_path / "whole", go_on)
    fitted(config, tensors, tmp_path / "run", lambda _: False)  # as Ctrl-C ends a search

    rest = fitted(config, tensors, tmp_path / "run", go_on)

    assert rest == [pytest.approx(expected, abs=1e-6) for expected in whole]
    assert not (tmp_path / "run" / LAST).exists()


@pytest.mark.parametrize(
    ("part", "told"),
    [
        ({"train": {"epochs": 4}}, "train.epochs was 3, not 4"),
        ({"cross": {"theta": 0.25}}, "cross.theta was 0.5, not 0.25"),
        ({"data": {"inputs": "text"}}, "data.inputs was both, not text"),
        ({"data": {"synthetic_seed": 1}}, "data was "),
    ],
)
def test_a_run_of_other_settings_or_data_is_not_taken_up(
    tmp_path: Path, part: dict[str, dict[str, Any]], told: str
) -> None:
    config, tensors = prepared(tmp_path, train={"epochs": 3})
    fitted(config, tensors, tmp_path / "run", lambda _: False)
    before = (tmp_path / "run" / LAST).read_bytes()
    other = prepared(tmp_path, **{"train": {"epochs": 3}, **part})

    with pytest.raises(UserError, match=f"last.pt: of a run whose {told}"):
        fitted(*other, tmp_path / "run", go_on)

    assert (tmp_path / "run" / LAST).read_bytes() == before


def test_a_finished_run_leaves_only_its_best_model(tmp_path: Path) -> None:
    config, tensors = prepared(tmp_path)

    fitted(config, tensors, tmp_path / "run", go_on)

    assert [path.name for path in (tmp_path / "run").iterdir()] == ["best"]


@pytest.mark.parametrize(("task", "epoch"), [("mner", 1), ("msa", 2)])
def test_an_interrupted_run_ends_as_if_it_had_not_been(
    tmp_path: Path, task: str, epoch: int
) -> None:
    config, tensors = prepared(tmp_path, task, train={"epochs": 3})
    whole = fitted(config, tensors, tmp_path / "whole", go_on)

    with pytest.raises(Killed):
        fitted(config, tensors, tmp_path / "run", kill_after(epoch))
    rest = fitted(config, tensors, tmp_path / "run", go_on)

    # From the first epoch on: whoever was told of those before may be gone, too.
    assert rest == [pytest.approx(expected, abs=1e-6) for expected in whole]
    one, other = (weights(load(tmp_path / name / "best")[0]) for name in ("whole", "run"))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_a_run_killed_within_an_epoch_begins_that_epoch_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, tensors = prepared(tmp_path)
    whole = fitted(config, tensors, tmp_path / "whole", go_on)
    step, steps = train.train_step, []

    def killed_at_the_fifth(run: train.Run, indices: Tensor) -> Any:
        steps.append(1)
        if len(steps) == 5:  # the second of the second epoch
            raise Killed
        return step(run, indices)

    monkeypatch.setattr(train, "train_step", killed_at_the_fifth)
    with pytest.raises(Killed):
        fitted(config, tensors, tmp_path / "run", go_on)
    rest = fitted(config, tensors, tmp_path / "run", go_on)

    assert rest == [pytest.approx(expected, abs=1e-6) for expected in whole]


def test_epochs_that_are_told_again_are_not_trained_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, tensors = prepared(tmp_path, train={"epochs": 4})
    scripted(monkeypatch, [0.1, 0.2, 0.3, 0.4])
    with pytest.raises(Killed):
        fitted(config, tensors, tmp_path / "run", kill_after(3))
    state = load_last(tmp_path / "run", CPU)
    assert state is not None
    kept = len(state["reports"])
    scripted(monkeypatch, [0.9] * 4)

    told = fitted(config, tensors, tmp_path / "run", go_on)

    assert [figures["value"] for figures in told] == [0.1, 0.2, 0.3][:kept] + [0.9] * (4 - kept)


def test_a_resumed_run_may_be_refused_at_once(tmp_path: Path) -> None:
    config, tensors = prepared(tmp_path, train={"epochs": 3})
    with pytest.raises(Killed):
        fitted(config, tensors, tmp_path / "run", kill_after(1))

    told = fitted(config, tensors, tmp_path / "run", lambda _: False)

    assert [figures["epoch"] for figures in told] == [1]


def scripted(monkeypatch: pytest.MonkeyPatch, scores: list[float]) -> list[dict[str, Tensor]]:
    """Let the epochs score as told; returns the weights that each of them will have."""
    seen: list[dict[str, Tensor]] = []

    def scored(model: Any, *_: object) -> Figures:
        seen.append(weights(model))
        return {"f1": scores[len(seen) - 1], "loss": 1.0}

    monkeypatch.setattr(train, "evaluate", scored)
    return seen


@pytest.mark.parametrize(
    ("scores", "best"),
    [([0.5, 0.9, 0.7], 2), ([0.9, 0.5, 0.7], 1), ([0.5, 0.7, 0.9], 3), ([0.0, 0.0, 0.0], 1)],
)
def test_the_model_of_the_best_epoch_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scores: list[float], best: int
) -> None:
    config, tensors = prepared(tmp_path, train={"epochs": 3})
    seen = scripted(monkeypatch, scores)

    told = fitted(config, tensors, tmp_path / "run", go_on)

    kept = weights(load(tmp_path / "run" / "best")[0])
    assert all(torch.equal(kept[name], value) for name, value in seen[best - 1].items())
    assert (told[-1]["best"], told[-1]["best_epoch"]) == (max(scores), best)
    assert told[-1]["value"] == scores[-1]


def test_the_best_epoch_before_an_interruption_is_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, tensors = prepared(tmp_path, train={"epochs": 3})
    seen = scripted(monkeypatch, [0.9, 0.5, 0.7])
    with pytest.raises(Killed):
        fitted(config, tensors, tmp_path / "run", kill_after(1))

    told = fitted(config, tensors, tmp_path / "run", go_on)

    kept = weights(load(tmp_path / "run" / "best")[0])
    assert all(torch.equal(kept[name], value) for name, value in seen[0].items())
    assert told[-1]["best_epoch"] == 1


def test_the_kept_model_scores_what_was_reported(tmp_path: Path) -> None:
    config, tensors = prepared(tmp_path, "msa")

    told = fitted(config, tensors, tmp_path / "run", go_on)

    model, tokenizer = load(tmp_path / "run" / "best")
    scores = evaluate(model, tensors.splits["valid"], config, Worker())
    assert scores["accuracy"] == told[-1]["best"]
    assert tokenizer.get_vocab() == tensors.tokenizer.get_vocab()
