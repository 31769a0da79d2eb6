"""Fonts for the letters of all tweets."""

import warnings
from io import BytesIO

import pytest
from matplotlib.figure import Figure

from search import letters
from search.letters import all_letters, told_missing

ONLY_STIX = "\u2aa7"
"""A sign that Matplotlib's usual font lacks, and another of its own has."""


def draw(text: str) -> None:
    figure = Figure()
    figure.text(0, 0, text)
    figure.savefig(BytesIO())


def test_letters_without_a_font_are_named_once_and_not_warned_of(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(letters, "FAMILIES", ())
    with all_letters() as missing:  # warnings are errors here
        draw("so \ue000 \ue001 good")
        draw("\ue000")
    assert missing == {"\ue000", "\ue001"}
    assert "no font here has 2 of the letters" in told_missing(missing)


def test_an_installed_font_has_what_the_usual_one_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(letters, "FAMILIES", ("Nowhere", "STIXGeneral"))
    with all_letters() as missing:
        draw(f"a {ONLY_STIX}")
    assert missing == set()


def test_other_warnings_are_not_swallowed() -> None:
    with pytest.raises(UserWarning, match="a real one"), all_letters():
        warnings.warn("a real one", stacklevel=1)
