"""Which curves a study can afford."""

from dataclasses import replace
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console
from sample_entries import BEST, sample_entry, sample_study

from muse.errors import UserError
from search.estimate import Estimate
from search.plan import run_count
from search.settle import settled_plan, told
from search.view import View

HOUR = 3600.0


class Asked(list[str]):
    """Notes what is asked, and gives one answer."""

    def __init__(self, answer: bool) -> None:
        super().__init__()
        self.answer = answer

    def __call__(self, question: str) -> bool:
        self.append(question)
        return self.answer


def work_at(
    folder: Path, seconds: float = 60.0, agree: Any = None, most: int = 1, **sensitivity: Any
) -> Any:
    """A study whose runs take so long, with a stand-in for its cluster, which has yet to grow."""
    folder.mkdir(exist_ok=True)
    return SimpleNamespace(
        study=sample_study(sensitivity=sensitivity),
        place=SimpleNamespace(root=folder),
        view=View("mine", "valid_f1", Console(file=StringIO())),
        agree=agree,
        entries=lambda: [replace(BEST, seconds=seconds)],
        cluster=lambda: SimpleNamespace(pools=SimpleNamespace(most=most, devices=1.0)),
    )


def said(work: Any) -> str:
    return str(work.view.console.file.getvalue())


def test_curves_that_may_take_as_long_as_they_want_are_those_asked_for(tmp_path: Path) -> None:
    work = work_at(tmp_path)
    assert settled_plan(work, BEST).curves == work.study.sensitivity
    assert "at most" in said(work)


def test_a_plan_is_kept_though_runs_have_become_slower(tmp_path: Path) -> None:
    plan = settled_plan(work_at(tmp_path, max_hours=2.0), BEST)
    later = work_at(tmp_path, seconds=HOUR, max_hours=2.0)
    assert settled_plan(later, BEST) == plan
    assert said(later) == ""


def test_another_incumbent_settles_the_plan_anew(tmp_path: Path) -> None:
    settled_plan(work_at(tmp_path), BEST)
    other = sample_entry("search-0009")
    assert settled_plan(work_at(tmp_path), other).incumbent == "search-0009"


def test_another_wish_settles_the_plan_anew(tmp_path: Path) -> None:
    settled_plan(work_at(tmp_path), BEST)
    assert settled_plan(work_at(tmp_path, points=3), BEST).curves.points == 3


def test_curves_shrink_until_they_fit_and_it_is_said(tmp_path: Path) -> None:
    work = work_at(tmp_path, max_hours=0.6)  # 14 runs of a minute with each seed
    curves = settled_plan(work, BEST).curves
    assert (curves.pairs, curves.seeds, curves.points) == (0, 2, 5)
    assert "shrunk to fit 0.6 hours" in said(work)


def test_machines_that_will_come_count_though_they_are_not_there_yet(tmp_path: Path) -> None:
    work = work_at(tmp_path, most=8, max_hours=0.6)
    assert settled_plan(work, BEST).curves == work.study.sensitivity


def test_where_not_even_the_smallest_fit_the_error_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="even the smallest curves") as error:
        settled_plan(work_at(tmp_path, max_hours=0.01), BEST)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "plan.yaml").exists()


def test_a_question_is_asked_only_above_an_hour(tmp_path: Path) -> None:
    short, long = Asked(answer=True), Asked(answer=True)
    runs = run_count(sample_study(), BEST, sample_study().sensitivity)
    settled_plan(work_at(tmp_path / "short", seconds=0.99 * HOUR / runs, agree=short), BEST)
    settled_plan(work_at(tmp_path / "long", seconds=1.01 * HOUR / runs, agree=long), BEST)
    assert (len(short), len(long)) == (0, 1)


def test_where_nobody_can_be_asked_long_curves_are_trained(tmp_path: Path) -> None:
    work = work_at(tmp_path, seconds=HOUR, agree=None)
    assert settled_plan(work, BEST).curves == work.study.sensitivity


@pytest.mark.parametrize(("money", "said"), [(None, ""), (7.0, ", 7.00 in money")])
def test_a_cost_is_told_in_hours_of_the_clock_and_of_devices(
    money: float | None, said: str
) -> None:
    assert told(Estimate(runs=3, hours=2.5, device_hours=5.0, money=money)) == (
        f"the curves need at most 3 runs: about 2 h 30 min, 5 device-hours{said}"
    )


def test_a_bound_of_hours_is_an_answer_already(tmp_path: Path) -> None:
    asked = Asked(answer=False)
    settled_plan(work_at(tmp_path, seconds=HOUR, agree=asked, max_hours=1000.0), BEST)
    assert asked == []


def test_a_refusal_trains_nothing_and_is_asked_again(tmp_path: Path) -> None:
    work = work_at(tmp_path, seconds=HOUR, agree=Asked(answer=False))
    for _ in range(2):
        with pytest.raises(UserError, match="--resume takes the study up again"):
            settled_plan(work, BEST)
    assert len(work.agree) == 2
    assert not (tmp_path / "plan.yaml").exists()
