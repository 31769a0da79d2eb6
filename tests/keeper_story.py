"""Stand-ins for Tune and its trials, for the tests of the keeper."""

from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from search.entry import Entry
from search.keeper import Keeper
from search.ledger import Ledger
from search.searcher import Proposal
from search.study import Study
from search.view import View

STUDY = Study.model_validate(
    {
        "preset": "tiny",
        "budget": {"trials": 5, "epochs": 3},
        "space": {"cross.theta": {"low": 0.0, "high": 0.5}, "cross.mu": {"low": 0, "high": 3}},
        "fixed": {"cross.dropout": 0.3},
    }
)


class Tune:
    """Calls a keeper as Tune does."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ledger = Ledger(folder / "ledger.db")
        view = View("mine", "valid_f1", Console(file=StringIO()))
        self.keeper = Keeper(STUDY, folder, self.ledger, view)
        self.begin = self.keeper.start("search", 5, [], devices=2.0)

    def start(self, name: str, theta: float = 0.1) -> Any:
        """Ask for a trial, whose workers make a checkpoint."""
        config = self.begin(Proposal(name, {"cross.theta": theta, "cross.mu": 1}, 0))
        made = Path(config["task"]["folder"]) / "best"
        made.mkdir(parents=True)
        (made / "model").write_text(name)
        return SimpleNamespace(config=config, last_result={}, error_file=None)

    def report(self, trial: Any, epoch: int, value: float, **more: Any) -> None:
        result = {
            "epoch": epoch,
            "value": value,
            "best": value,
            "valid_f1": value,
            "elapsed": 10.0 * epoch,
            "hostname": "here",
            **more,
        }
        self.keeper.on_trial_result(0, [], trial, result)
        trial.last_result = result

    def complete(self, trial: Any) -> None:
        self.keeper.on_trial_complete(0, [], trial)

    def fail(self, name: str, reason: str = "no memory", kind: str = "memory") -> None:
        """A trial that fails before its first epoch has ended."""
        trial = self.start(name)
        self.report(trial, 0, 0.0, failed=reason, kind=kind)
        self.complete(trial)

    def train(self, name: str, value: float, epochs: int = 3) -> None:
        trial = self.start(name)
        for epoch in range(1, epochs + 1):
            self.report(trial, epoch, value * epoch / epochs)
        self.complete(trial)

    def entry(self, name: str) -> Entry:
        return next(e for e in self.ledger.entries() if e.trial_id == name)

    def close(self) -> None:
        self.keeper.board.close()
        self.ledger.close()

    def checkpoints(self) -> set[str]:
        return {folder.name for folder in (self.folder / "trials").iterdir()}


@pytest.fixture(name="tune")
def made_tune(tmp_path: Path) -> Iterator[Tune]:
    """One in a new folder; a test file that imports it has it as `tune`."""
    made = Tune(tmp_path)
    yield made
    made.close()
