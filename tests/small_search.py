"""A search without Ray and without training: our searcher, ASHA and keeper, called as Tune does."""

from collections.abc import Callable
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Self

from ray.tune.schedulers import TrialScheduler
from ray.tune.search import Searcher
from rich.console import Console

from search.entry import Entry
from search.keeper import Keeper
from search.ledger import Ledger
from search.mirror import Mirror
from search.prior import Prior
from search.scheduler import build_scheduler
from search.searcher import Truthful
from search.space import Point
from search.study import Study
from search.view import View

Score = Callable[[Point, int], float | None]
"""A point's score after so many epochs; None: the trial fails there."""


class SmallSearch:
    """One process at work on a study, until it has ended or is interrupted. Use it in a `with`."""

    def __init__(self, study: Study, folder: Path, score: Score, priors: list[Prior] | None = None):
        self.study, self.score = study, score
        self.ledger = Ledger(folder / "ledger.db")
        earlier = self.ledger.entries("search")
        self.keeper = Keeper(
            study, folder, self.ledger, View("small", "", Console(file=StringIO()))
        )
        begin = self.keeper.start("search", study.budget.trials, earlier, 1.0)
        self.searcher = Truthful(study, earlier, begin, priors or [])
        self.scheduler = build_scheduler(study, earlier)
        self.mirror = Mirror(study, folder / "optuna.journal", earlier, priors or [])
        self.keeper.mirror = self.mirror
        self.running: list[SimpleNamespace] = []
        self.asked = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.mirror.__exit__(None, None, None)
        self.close()

    def close(self) -> None:
        """As after a kill: nobody tells the journal."""
        self.keeper.board.close()
        self.ledger.close()

    def run(self, reports: int = 10**9, slots: int = 4) -> None:
        """Let trials take turns, an epoch each, until so many epochs were reported."""
        told = 0
        while told < reports:
            while len(self.running) < slots and self.start():
                pass
            if not self.running:
                return
            self.epoch(self.running.pop(0))
            told += 1

    def start(self) -> bool:
        """Begin a trial, if there is any left."""
        name = f"tune-{self.asked}"
        given: Any = self.searcher.suggest(name)
        if given == Searcher.FINISHED:
            return False
        self.asked += 1
        task = given["task"]
        trial = SimpleNamespace(
            trial_id=name, config=given, last_result={}, error_file=None, epoch=given["seen"]
        )
        trial.best = self.ledger.entry(task["trial_id"]).value or 0.0
        self.scheduler.on_trial_add(None, trial)
        self.running.append(trial)
        return True

    def epoch(self, trial: SimpleNamespace) -> None:
        """Train one epoch, and do what Tune does with its report."""
        entry = self.ledger.entry(trial.config["task"]["trial_id"])
        value = self.score(entry.point, trial.epoch + 1)
        if value is None:
            failed = {
                "epoch": trial.epoch,
                "best": trial.best,
                "failed": "no luck",
                "kind": "error",
            }
            trial.last_result = failed
            self.finish(trial, failed)
            return
        trial.epoch += 1
        trial.best = max(trial.best, value)
        result = {"epoch": trial.epoch, "value": value, "best": trial.best, "elapsed": 0.1}
        trial.last_result = result
        self.keeper.on_trial_result(0, [], trial, result)
        stop = self.scheduler.on_trial_result(None, trial, result) == TrialScheduler.STOP
        if stop or trial.epoch == self.study.budget.epochs:
            self.finish(trial, result)
        else:
            self.searcher.on_trial_result(trial.trial_id, result)
            self.running.append(trial)

    def finish(self, trial: SimpleNamespace, result: dict[str, Any]) -> None:
        """A trial leaves."""
        self.scheduler.on_trial_complete(None, trial, result)
        self.searcher.on_trial_complete(trial.trial_id, result)
        self.keeper.on_trial_complete(0, [], trial)

    @property
    def entries(self) -> list[Entry]:
        return self.ledger.entries("search")
