"""Many planted studies in each run of Ray Tune, which takes seconds to start."""

import gc
from concurrent.futures import ProcessPoolExecutor
from io import StringIO
from itertools import repeat
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import planted_truth
import ray
import statsmodels.stats.multitest  # noqa: F401 - before all imports are frozen
from planted import Garden, planted_study
from planted_truth import EPOCHS, planted, score, true_score
from ray import tune
from ray.tune.schedulers import TrialScheduler
from ray.tune.search import Searcher
from rich.console import Console

from search.entry import Entry
from search.findings import Findings
from search.keeper import Keeper
from search.launch import tune_phase
from search.ledger import Ledger
from search.plan import CONFIRM, SENSITIVITY, confirmation, incumbent, sweep
from search.quiet import be_quiet
from search.scheduler import build_scheduler
from search.searcher import Listed, Proposal, Truthful, Unsaved
from search.sensitivity import findings
from search.view import View

Found = tuple[Findings, list[Entry]]
AT_ONCE = 2
"""Trials take milliseconds: with more processes Tune ends those that have not started yet, because
one that is free takes their trial, and starts others in their place, again and again."""


class Plot:
    """One of the studies: what its own Tune run would have."""

    def __init__(self, number: int, output: Path) -> None:
        self.number, self.study = number, planted_study(number)
        root = output / self.study.name
        root.mkdir(parents=True)
        self.ledger = Ledger(root / "ledger.db")
        view = View(self.study.name, "valid_f1", Console(file=StringIO()))
        self.keeper = Keeper(self.study, root, self.ledger, view)
        self.searcher: Listed
        self.scheduler: TrialScheduler

    def search(self) -> None:
        begin = self.keeper.start("search", self.study.budget.trials, [], 1.0)
        self.searcher = Truthful(self.study, [], begin)
        self.scheduler = build_scheduler(self.study, [])

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


class Fields(Unsaved, Searcher):  # type: ignore[misc]
    """Asks one study after the other."""

    def __init__(self, plots: list[Plot]) -> None:
        super().__init__(metric="best", mode="max")
        self.left = list(plots)
        self.owner: dict[str, Plot] = {}

    def suggest(self, trial_id: str) -> Any:
        while self.left:
            plot = self.left[0]
            config = plot.searcher.suggest(trial_id)
            if config != Searcher.FINISHED:
                self.owner[trial_id] = plot
                return {**config, "number": plot.number}
            self.left.pop(0)
        return Searcher.FINISHED

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        self.owner[trial_id].searcher.on_trial_result(trial_id, result)

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        self.owner[trial_id].searcher.on_trial_complete(trial_id, result, error)

    def save(self, checkpoint_path: str) -> None:
        """Nothing."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing."""


class Fences(TrialScheduler):  # type: ignore[misc]
    """Each study's own ASHA, or nobody, decides about its trials."""

    def __init__(self, plots: list[Plot]) -> None:
        super().__init__()
        self.plots = {plot.number: plot for plot in plots}

    def __getstate__(self) -> dict[str, Any]:
        return {}

    def of(self, trial: Any) -> TrialScheduler:
        return self.plots[trial.config["number"]].scheduler

    def on_trial_add(self, tune_controller: Any, trial: Any) -> None:
        self.of(trial).on_trial_add(tune_controller, trial)

    def on_trial_error(self, *told: Any) -> None:
        raise AssertionError(told)

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        return self.of(trial).on_trial_result(tune_controller, trial, result)

    def on_trial_complete(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> None:
        self.of(trial).on_trial_complete(tune_controller, trial, result)

    def on_trial_remove(self, tune_controller: Any, trial: Any) -> None:
        self.of(trial).on_trial_remove(tune_controller, trial)

    def choose_trial_to_run(self, tune_controller: Any, **_: Any) -> Any:
        waiting = (t for t in tune_controller.get_live_trials() if t.status == "PENDING")
        return next(waiting, None)

    def debug_string(self) -> str:
        return "many"


class Keepers(Unsaved, tune.Callback):  # type: ignore[misc]
    """Each study's own keeper puts its trials on record."""

    given_up, broken, mirror = False, "", None

    def __init__(self, plots: list[Plot]) -> None:
        self.plots = {plot.number: plot for plot in plots}

    def of(self, trial: Any) -> Keeper:
        return self.plots[trial.config["number"]].keeper

    def table(self) -> None:
        """Nothing."""

    def on_trial_result(
        self, iteration: int, trials: Any, trial: Any, result: Any, **_: Any
    ) -> None:
        self.of(trial).on_trial_result(iteration, trials, trial, result)

    def on_trial_complete(self, iteration: int, trials: Any, trial: Any, **_: Any) -> None:
        self.of(trial).on_trial_complete(iteration, trials, trial)


def run_many(count: int, output: Path) -> list[Found]:
    """Search many planted studies, then draw the curves of each, in two processes.

    Ray must be connected. Each study has its own Optuna, ASHA, ledger and keeper.
    """
    address = ray.get_runtime_context().gcs_address
    halves = [range(0, count, 2), range(1, count, 2)]
    with ProcessPoolExecutor(2, get_context("spawn")) as pool:
        return [
            found
            for half in pool.map(run_some, halves, repeat(output), repeat(address))
            for found in half
        ]


def run_some(numbers: range, output: Path, address: str) -> list[Found]:
    """Planted studies in one run of Tune, on a cluster."""
    be_quiet()
    ray.cloudpickle.register_pickle_by_value(planted_truth)  # workers do not have the tests
    ray.init(address, log_to_driver=False, logging_level="ERROR")
    gc.freeze()  # statsmodels looks for garbage at each correction, among all that was imported
    plots = [Plot(number, output) for number in numbers]
    for plot in plots:
        plot.search()
    garden: Any = Garden(0, AT_ONCE)
    keepers: Any = Keepers(plots)
    searcher: Any = Fields(plots)
    tune_phase(garden, keepers, searcher, Fences(plots), planted)
    for plot in plots:
        plot.draw_curves()
    return [plot.found() for plot in plots]


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
