"""Many planted studies, without Ray: a trial takes milliseconds, but Tune ten for each epoch.

That Tune does the same with a study is a test of its own.
"""

import gc
from concurrent.futures import ProcessPoolExecutor
from io import StringIO
from itertools import repeat
from multiprocessing import get_context
from pathlib import Path
from random import Random
from typing import Any

import statsmodels.stats.multitest  # noqa: F401 - before all imports are frozen
from planted import planted_study
from planted_truth import EPOCHS, figures, score, true_score
from rich.console import Console
from without_ray import search_without_ray

from search.entry import Entry
from search.findings import Findings
from search.keeper import Keeper
from search.ledger import Ledger
from search.plan import CONFIRM, SENSITIVITY, confirmation, incumbent, sweep
from search.scheduler import build_scheduler
from search.searcher import Proposal, Truthful
from search.sensitivity import findings
from search.view import View

Found = tuple[Findings, list[Entry]]
AT_ONCE = 2
"""Trials of one study beside each other."""


class Plot:
    """One of the studies: what its own Tune run would have."""

    def __init__(self, number: int, output: Path) -> None:
        self.number, self.study = number, planted_study(number)
        root = output / self.study.name
        root.mkdir(parents=True)
        self.ledger = Ledger(root / "ledger.db")
        view = View(self.study.name, "valid_f1", Console(file=StringIO()))
        self.keeper = Keeper(self.study, root, self.ledger, view)

    def search(self, at_once: int = AT_ONCE) -> None:
        """Propose trials, train them and stop some."""
        begin = self.keeper.start("search", self.study.budget.trials, [], 1.0)
        searcher, asha = Truthful(self.study, [], begin), build_scheduler(self.study, [])

        def train(config: dict[str, Any], epoch: int) -> dict[str, Any]:
            return figures(config["task"]["config"], self.number, epoch)

        choose = Random(self.number).choice
        search_without_ray(searcher, asha, self.keeper, train, at_once, choose)

    def train(self, phase: str, wanted: list[Proposal]) -> None:
        """Put full runs on record. Nobody proposes or stops them, so Tune has no part in it."""
        for run in wanted:
            self.ledger.ask(run.trial_id, phase, run.seed, run.point, EPOCHS)
            settings = self.study.config(run.point, run.seed).model_dump(mode="json")
            value = score(settings, self.number, EPOCHS)
            self.ledger.report(run.trial_id, {"epoch": EPOCHS, "value": value}, 1.0)
            self.ledger.end(run.trial_id, "completed", 1.0, 1.0, "")

    def draw_curves(self) -> None:
        self.train(CONFIRM, confirmation(self.study, self.ledger.entries("search")))
        best = incumbent(self.study, self.ledger.entries())
        curves = self.study.sensitivity
        self.train(SENSITIVITY, sweep(self.study, best, curves.points, curves.seeds))

    def found(self) -> Found:
        entries = self.ledger.entries()
        return findings(self.study, entries, incumbent(self.study, entries), 0.0), entries


def run_many(count: int, output: Path) -> list[Found]:
    """Search many planted studies, then draw the curves of each, in two processes.

    Each study has its own Optuna, ASHA, ledger and keeper.
    """
    halves = [range(0, count, 2), range(1, count, 2)]
    with ProcessPoolExecutor(2, get_context("spawn")) as pool:
        return [found for half in pool.map(run_some, halves, repeat(output)) for found in half]


def run_some(numbers: range, output: Path) -> list[Found]:
    """Planted studies, one after the other."""
    gc.freeze()  # statsmodels looks for garbage at each correction, among all that was imported
    return [run_one(number, output) for number in numbers]


def run_one(number: int, output: Path) -> Found:
    """A planted study."""
    plot = Plot(number, output)
    plot.search()
    plot.draw_curves()
    return plot.found()


def holding(found: list[Findings]) -> tuple[float, float]:
    """Shares of the 95 % intervals of means, and of differences, that hold the planted truth."""
    means, differences = [], []
    for each in found:
        there = true_score(each.point)
        for curve in each.curves:
            for level in curve.levels:
                truth = true_score({**each.point, curve.name: level.value})
                means.append(level.low <= truth <= level.high)
                if level.difference is not None:
                    low, high = level.difference_low, level.difference_high
                    differences.append(low <= truth - there <= high)
    return sum(means) / len(means), sum(differences) / len(differences)
