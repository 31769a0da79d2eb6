"""Checkpoints beside the training: what waits for storage, and what is never lost."""

import threading
import weakref
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from small_muse import small_config, small_muse, small_tensors, weights

from muse import fit as fitting
from muse import train
from muse.checkpoint import export, load
from muse.copies import Copies, copied
from muse.device import CPU
from muse.fit import fit
from muse.last import LAST, load_last, save_last
from muse.tokenizer import build_tokenizer
from muse.writer import Writer

PATIENCE = 60.0
"""Seconds after which a thread counts as stuck."""


class Slow:
    """A job that takes until it is let go."""

    def __init__(self) -> None:
        self.started, self.let_go, self.done = (threading.Event() for _ in range(3))

    def __call__(self) -> None:
        self.started.set()
        assert self.let_go.wait(PATIENCE)
        self.done.set()


def test_who_writes_does_not_wait() -> None:
    slow = Slow()
    with Writer() as writer:
        writer.write(slow)
        assert slow.started.wait(PATIENCE)
        assert writer.busy()
        assert not slow.done.is_set()
        slow.let_go.set()
        writer.flush()
        assert slow.done.is_set()
        assert not writer.busy()


def test_the_end_waits_for_what_is_being_written() -> None:
    slow = Slow()
    with Writer() as writer:
        writer.write(slow)
        threading.Timer(0.05, slow.let_go.set).start()
    assert slow.done.is_set()


def test_a_newer_checkpoint_takes_the_place_of_one_that_waits() -> None:
    slow, written = Slow(), []
    with Writer() as writer:
        writer.write(slow)
        assert slow.started.wait(PATIENCE)
        for number in (2, 3, 4):
            writer.write(lambda number=number: written.append(number))
        slow.let_go.set()
    assert written == [4]


def test_a_checkpoint_whose_place_was_taken_is_let_go() -> None:
    class Weights:
        """Stands for gigabytes."""

    slow, alive = Slow(), []
    with Writer() as writer:
        writer.write(slow)
        assert slow.started.wait(PATIENCE)
        for _ in range(5):
            weights = Weights()
            alive.append(weakref.ref(weights))
            writer.write(partial(id, weights))
        del weights
        assert [one() is not None for one in alive] == [False] * 4 + [True]
        slow.let_go.set()


def test_each_checkpoint_is_sent_when_it_is_written() -> None:
    happened: list[str] = []
    with Writer(lambda: happened.append("sent")) as writer:
        for name in ("one", "two"):
            writer.write(lambda name=name: happened.append(name))
            writer.flush()
    assert happened == ["one", "sent", "two", "sent"]


def full() -> None:
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("ask", ["flush", "busy", "write"])
def test_who_asks_next_learns_what_could_not_be_written(ask: str) -> None:
    with Writer() as writer:
        writer.write(full)
        writer.thread.submit(int).result()  # the job before it is done
        with pytest.raises(OSError, match="No space"):
            writer.write(int) if ask == "write" else getattr(writer, ask)()
        assert not writer.busy()  # told once


def test_a_copy_stays_as_it_was_and_shares_what_was_shared() -> None:
    weight = torch.ones(3)
    state = {"a": weight, "deep": [{"b": weight}, (weight[1:], 5, "x", None)]}
    copy, _ = copied(state, {})
    weight.zero_()
    assert copy["a"].tolist() == [1, 1, 1]
    assert copy["deep"][0]["b"] is copy["a"]
    assert copy["deep"][1][0].tolist() == [1, 1]
    assert copy["deep"][1][1:] == (5, "x", None)


def test_views_of_one_memory_that_are_not_alike_are_copied_apart() -> None:
    weight = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    state = {
        "whole": weight,
        "turned": weight.T,
        "first": weight[:1],
        "bits": weight.view(torch.int32),
    }
    copy, _ = copied(state, {})
    assert all(torch.equal(copy[name], part) for name, part in state.items())
    assert copy["bits"].dtype == torch.int32


def test_a_copy_takes_the_room_of_the_one_before() -> None:
    copies, weight = Copies(), torch.ones(3)
    first = copies.over_the_last({"a": weight})["a"]
    weight.fill_(2)
    assert copies.over_the_last({"a": weight, "b": torch.zeros(2)})["a"] is first
    assert first.tolist() == [2, 2, 2]
    assert copies.over_the_last({"a": torch.zeros(3)})["a"] is not first  # of another tensor


def test_a_copy_that_is_being_written_stays_as_it_is() -> None:
    slow, weight = Slow(), torch.ones(3)
    with Writer() as writer:
        first = writer.copy({"a": weight})["a"]
        writer.write(slow)
        assert slow.started.wait(PATIENCE)
        weight.fill_(2)
        second = writer.copy({"a": weight})["a"]
        slow.let_go.set()
    assert (first.tolist(), second.tolist()) == ([1, 1, 1], [2, 2, 2])


def test_a_model_is_exported_as_it_was_when_it_was_copied(tmp_path: Path) -> None:
    model = small_muse(small_config(parity={"shared_projection": True}))
    copy, before = Copies().over_the_last(model.state_dict()), weights(model)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    export(model, build_tokenizer(["we saw the day"], 64), tmp_path / "best", copy)
    kept = weights(load(tmp_path / "best")[0])
    assert kept.keys() == before.keys()
    assert all(torch.equal(kept[name], value) for name, value in before.items())


def slowly(monkeypatch: pytest.MonkeyPatch, until: threading.Event) -> list[int]:
    """Storage that takes until then for the first state; returns the epochs of what it has kept."""
    kept: list[int] = []

    def save(folder: Path, state: dict[str, Any]) -> None:
        assert until.wait(PATIENCE)
        save_last(folder, state)
        kept.append(len(state["reports"]))

    monkeypatch.setattr(fitting, "save_last", save)
    return kept


def test_training_goes_on_while_its_state_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = small_config(train={"epochs": 4})
    tensors = small_tensors(config, tmp_path / "cache")
    whole: list[dict[str, float]] = []
    fit(config, tensors, lambda figures: whole.append(figures) or True, tmp_path / "whole")
    let_go, told = threading.Event(), []
    kept = slowly(monkeypatch, let_go)

    def report(figures: dict[str, float]) -> bool:
        told.append(figures)
        if figures["epoch"] == 3:  # two epochs more than what is written
            assert kept == []
            let_go.set()
        return figures["epoch"] < 3

    fit(config, tensors, report, tmp_path / "run")
    state = load_last(tmp_path / "run", CPU)
    assert state is not None
    assert kept == [len(state["reports"])] == [1]  # those of 2 and 3 were not worth waiting for

    fit(config, tensors, lambda figures: told.append(figures) or True, tmp_path / "run")
    assert [figures["epoch"] for figures in told] == [1, 2, 3, 1, 2, 3, 4]
    for figures in told:
        expected = whole[int(figures["epoch"]) - 1]
        assert figures["train_loss"] == pytest.approx(expected["train_loss"], abs=1e-6)
        assert figures["best_epoch"] == expected["best_epoch"]
    one, other = (weights(load(tmp_path / name / "best")[0]) for name in ("whole", "run"))
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert not (tmp_path / "run" / LAST).exists()


def test_a_state_never_tells_of_a_best_model_that_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = small_config(train={"epochs": 3})
    tensors = small_tensors(config, tmp_path / "cache")
    seen: list[tuple[int, bool]] = []

    def save(folder: Path, state: dict[str, Any]) -> None:
        best = weights(load(folder / "best")[0])
        own = all(torch.equal(best[name], value) for name, value in state["model"].items())
        seen.append((state["reports"][-1]["best_epoch"], own))
        save_last(folder, state)

    scores = iter([0.5, 0.9, 0.7])
    monkeypatch.setattr(fitting, "save_last", save)
    monkeypatch.setattr(train, "evaluate", lambda *_: {"f1": next(scores), "loss": 1.0})
    fit(config, tensors, lambda _: True, tmp_path / "run")
    assert seen
    assert all(own for _, own in seen)


def test_a_full_disk_ends_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = small_config()
    tensors = small_tensors(config, tmp_path / "cache")
    monkeypatch.setattr(fitting, "save_last", lambda *_: full())
    with pytest.raises(OSError, match="No space"):
        fit(config, tensors, lambda _: True, tmp_path / "run")
