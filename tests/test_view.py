"""What the console shows, with a terminal and without."""

from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from search.entry import Entry
from search.view import LAST, View, clock, settings

POINT = {"cross.theta": 0.123456, "cross.mu": 1, "train.precision": "auto"}


def entry(number: int, state: Any = "completed", value: float | None = 0.5, **more: Any) -> Entry:
    reports = () if value is None else ({"epoch": 3, "value": value},)
    name = f"search-{number:04d}"
    return Entry(name, "search", state, 0, POINT, 1.0, 1.0, more.get("reason", ""), reports)


def plain() -> tuple[View, StringIO]:
    """A view that writes to a file."""
    out = StringIO()
    return View("mine", "valid_f1", Console(file=out, width=80)), out


def terminal() -> tuple[View, StringIO]:
    """A view that believes in a terminal."""
    out = StringIO()
    return View("mine", "valid_f1", Console(file=out, width=100, force_terminal=True)), out


def test_without_a_terminal_there_is_one_line_a_trial() -> None:
    view, out = plain()
    with view:
        view.start("search", 3, [])
        for number, state in enumerate(["completed", "stopped", "failed"]):
            view.begun(f"search-{number:04d}")
            value = None if state == "failed" else 0.5
            view.ended(entry(number, state, value, reason="no memory"), entry(0))
    point = "theta=0.1235  mu=1  train.precision=auto"
    assert out.getvalue().splitlines() == [
        "search: 3 trials",
        f"1/3 search-0000 completed after 3 epochs, valid_f1 0.5000  {point}",
        f"2/3 search-0001 stopped after 3 epochs, valid_f1 0.5000  {point}",
        f"3/3 search-0002 failed after 0 epochs, valid_f1 - (no memory)  {point}",
    ]


def test_after_a_resume_counting_goes_on() -> None:
    view, out = plain()
    with view:
        view.start("search", 4, [entry(0), entry(1, "stopped"), entry(2, "running")])
        view.ended(entry(2), None)
    assert "3/4 search-0002 completed" in out.getvalue()


def test_a_new_phase_counts_from_zero() -> None:
    view, out = plain()
    with view:
        view.start("search", 1, [])
        view.ended(entry(0), None)
        view.start("sensitivity", 2, [])
        view.ended(entry(1), None)
    assert "1/2 search-0001" in out.getvalue()


@pytest.mark.parametrize("reason", ["[cls] is missing", "cannot open [/data/x]", "[Errno 28] full"])
def test_brackets_in_a_reason_are_shown_as_they_stand(reason: str) -> None:
    view, out = plain()
    with view:
        view.start("search", 1, [])
        view.ended(entry(0, "failed", None, reason=reason), None)
    assert f"({reason})" in out.getvalue()


@pytest.mark.parametrize("line", ["model res [v2]/best", "no study in [/b]", "a :smile: b"])
def test_a_line_is_shown_as_it_stands(line: str) -> None:
    for view, out in (plain(), terminal()):
        view.say(line)
        assert out.getvalue() == f"{line}\n"


def test_a_terminal_is_drawn_through_a_whole_study() -> None:
    view, out = terminal()
    with view:
        view.start("search", 12, [entry(0), entry(1, "failed", None)])
        for number in range(2, 12):
            view.begun(f"search-{number:04d}")
            view.ended(entry(number, "stopped" if number % 2 else "completed"), entry(0))
        view.start("sensitivity", 3, [])
        view.begun("best-seed1")
        view.ended(entry(20, "failed", None, reason="cannot open [/data/x]"), entry(0))
    assert "mine, sensitivity" in out.getvalue()


def test_a_terminal_shows_progress_best_and_the_last_trials() -> None:
    view, out = terminal()
    view.start("search", 12, [])
    for number in range(LAST + 2):
        view.ended(entry(number, value=number / 10), entry(number, value=number / 10))
    view.begun("search-0099")
    with view:
        view.draw()
    text = out.getvalue()
    assert "8/12" in text
    assert "running 1, 8 completed, 0 stopped, 0 failed" in text
    assert "best so far: valid_f1 0.7000  theta=0.1235" in text
    assert "search-0007" in text
    assert "search-0001" not in text  # only the last ones


def test_a_terminal_before_the_first_end_says_that_there_is_no_best() -> None:
    view, out = terminal()
    with view:
        view.start("search", 12, [])
    assert "best so far: none yet" in out.getvalue()


def test_time_left_is_unknown_until_a_trial_of_this_session_has_ended() -> None:
    view, _ = plain()
    view.start("search", 4, [entry(0)])
    assert view.left() == "-"


def test_time_left_follows_from_this_sessions_trials() -> None:
    view, _ = plain()
    view.start("search", 10, [entry(0)])
    view.ended(entry(1), None)
    view.ended(entry(2), None)
    view.began -= 60.0  # two trials took a minute, seven are left
    assert view.left() == "3 min 30 s"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 min 00 s"), (59.6, "1 min 00 s"), (125, "2 min 05 s"), (3600 * 25 + 60, "25 h 01 min")],
)
def test_durations_are_short(seconds: float, text: str) -> None:
    assert clock(seconds) == text


def test_a_point_is_one_line_of_short_names() -> None:
    assert settings({"cross.mu": 2, "loss.alpha": 1.23456e-05}) == "mu=2  alpha=1.235e-05"
