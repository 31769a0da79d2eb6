"""A driver passes a trial's epochs on to Tune, each once."""

from types import SimpleNamespace
from typing import Any

import pytest

from search import trial
from search.task import Task

Message = dict[str, Any]


def passed_on(monkeypatch: pytest.MonkeyPatch, told: list[Message], seen: int = 0) -> list[Message]:
    """What Tune hears of a trial whose workers tell this, where it knows `seen` epochs."""
    heard: list[Message] = []
    desk = SimpleNamespace(next=SimpleNamespace(remote=lambda _, read: told[read]))
    monkeypatch.setattr(trial.ray, "get", lambda answer: answer)
    monkeypatch.setattr(trial.tune, "report", heard.append)
    trial.pass_reports(Task("a", {}, ""), desk, seen)
    return heard


def epoch(number: int) -> Message:
    return {"epoch": number, "best": number / 10}


END = {"finished": True}


def test_epochs_that_are_trained_again_are_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    told = [epoch(number) for number in (1, 2, 3, 1, 2, 3, 4)]
    assert passed_on(monkeypatch, [*told, END]) == [epoch(n) for n in (1, 2, 3, 4)]


def test_epochs_from_before_a_resume_are_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    told = [epoch(number) for number in (1, 2, 3)]
    assert passed_on(monkeypatch, [*told, END], seen=2) == [epoch(3)]


def test_a_failure_comes_with_the_last_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    told = [epoch(1), epoch(2), epoch(1), {"failed": "no room", "kind": "disk"}]
    assert passed_on(monkeypatch, told)[-1] == {**epoch(2), "failed": "no room", "kind": "disk"}


def test_tune_hears_of_a_trial_whose_epochs_were_all_known(monkeypatch: pytest.MonkeyPatch) -> None:
    assert passed_on(monkeypatch, [epoch(1), epoch(2), END], seen=2) == [epoch(2)]
