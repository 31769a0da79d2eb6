"""What a study says at its end."""

import shlex
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.text import Text
from sample_entries import POINT, sample_study

from search import closing


def test_the_mean_is_told_of_as_many_seeds_as_it_is_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(closing, "trivial_score", lambda *_: 0.0)
    said: list[Text] = []
    study = sample_study(sensitivity={"seeds": 2})  # resumed with fewer than it was confirmed with
    work: Any = SimpleNamespace(study=study, view=SimpleNamespace(say=said.append), tensors=None)
    confirmed = {"mean": 0.6, "by_seed": {107: 0.5, 108: 0.6, 109: 0.7}}
    closing.tell_best(work, {"value": 0.5, "settings": POINT, "confirmed": confirmed})
    assert "0.6000 (mean of 3 seeds that confirmed it)" in said[0].plain


def test_the_command_to_copy_holds_for_a_folder_with_blanks_and_brackets() -> None:
    root = Path("my results") / "study [v2]"
    said: list[str] = []
    work: Any = SimpleNamespace(
        study=SimpleNamespace(compare=object()),
        place=SimpleNamespace(root=root),
        view=SimpleNamespace(say=said.append),
    )
    closing.tell(work)
    assert shlex.split(said[-1]) == ["tensorboard", "--logdir", f"{root}/tensorboard"]
