"""The command line without its search: what its tests share."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from search import resume, start
from search.cli import main
from search.ledger import Ledger
from search.study import Study

EXPERIMENT = """
preset: tiny
data: {synthetic_tweets: 24}
budget: {trials: 3, epochs: 2}
fixed: {cross.layers: 4}
space:
  cross.theta: {low: 0.0, high: 0.5}
  cross.mu: {low: 0, high: 2}
"""
POINT = {"cross.theta": 0.1, "cross.mu": 1}


class Commands:
    """Runs the command; notes what would have been searched."""

    def __init__(self, folder: Path, said: pytest.CaptureFixture[str]) -> None:
        self.folder, self.said = folder, said
        self.file = folder / "mine.yaml"
        self.file.write_text(EXPERIMENT)
        self.went: list[Study] = []
        self.places: list[Any] = []
        self.notes: Sequence[str] = ()

    def go(self, study: Study, place: Any, *given: Any) -> None:
        """Instead of a search: one trial ends, one is interrupted."""
        *_, self.notes = given
        self.went.append(study)
        self.places.append(place)
        ledger = Ledger(place.ledger)
        if not ledger.entries():
            for name in ("search-0000", "search-0001"):
                ledger.ask(name, "search", 0, POINT, study.budget.epochs)
                ledger.report(name, {"epoch": 1, "value": 0.5, "elapsed": 1.0}, 1.0)
            ledger.report("search-0000", {"epoch": 2, "value": 0.7, "elapsed": 2.0}, 1.0)
            ledger.end("search-0000", "completed", 2.0, 1.0, "")
        ledger.close()

    def run(self, *words: str, name: str = "mine") -> str:
        """The command's error; nothing where it went well."""
        given = [*words, "--output", str(self.folder / "results"), "--name", name]
        status = main(given)
        error = self.said.readouterr().err
        assert (status, error.count("\n")) in [(0, 0), (2, 1)]
        return error

    def states(self, name: str = "mine") -> list[str]:
        ledger = Ledger(self.root(name) / "ledger.db")
        found = [e.state for e in ledger.entries()]
        ledger.close()
        return found

    def root(self, name: str = "mine") -> Path:
        return self.folder / "results" / name


@pytest.fixture(name="commands")
def made_commands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Commands:
    """A study that was begun and interrupted."""
    monkeypatch.setenv("MUSE_CACHE", str(tmp_path / "cache"))
    made = Commands(tmp_path, capsys)
    for module in (start, resume):
        monkeypatch.setattr(module, "go", made.go)
    assert made.run(str(made.file)) == ""
    return made
