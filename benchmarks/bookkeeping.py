"""What the bookkeeping costs: trials that only sleep, on 16 logical slots, everything on record.

    python benchmarks/bookkeeping.py
    python benchmarks/bookkeeping.py --trials 200

Ledger, trials.csv, Optuna (TPE), its journal, ASHA and TensorBoard are on, and nothing is trained:
a trial takes a second by the clock. Ray's own release test (10,000 trials of 1 s on 16 CPUs, all
loggers off) passes below 800 s where 625 s is ideal: a ratio of 1.28.
"""

import argparse
import asyncio
import os
import platform
import tempfile
import time
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import psutil
from rich.console import Console

from search.quiet import be_quiet
from search.study import Study

SLOTS, SECONDS, EPOCHS = 16, 1.0, 3
RAYS_MARK = 1.28


class Gate:
    """Lets the first trials begin together.

    Starting 16 processes takes longer than a trial, and Tune ends those that have not started yet
    when one that is free can take their trial: with trials this short most would never start.
    """

    def __init__(self) -> None:
        self.arrived = 0
        self.full = asyncio.Event()

    async def wait_for_all(self) -> None:
        """Return once as many trials as there are slots have asked."""
        self.arrived += 1
        if self.arrived == SLOTS:
            self.full.set()
        await self.full.wait()


def sleep(config: dict[str, Any], desk: Any) -> None:
    """Run one trial without any work; a Tune function.

    Args:
        config: `task` and `seen`, as `search.trial.drive` gets them.
        desk: handle of a Gate.
    """
    import ray  # noqa: PLC0415
    from ray import tune  # noqa: PLC0415

    ray.get(desk.wait_for_all.remote())
    theta = config["task"]["config"]["cross"]["theta"]
    for epoch in range(1, EPOCHS + 1):
        time.sleep(SECONDS / EPOCHS)
        value = theta + epoch / 10
        tune.report(
            {
                "epoch": epoch,
                "value": value,
                "best": value,
                "valid_f1": value,
                "elapsed": epoch * SECONDS / EPOCHS,
            }
        )


def build_study(trials: int) -> Study:
    """The seven settings of the quickstart's size. Nobody is stopped: a trial is a second."""
    return Study.model_validate(
        {
            "preset": "tiny",
            "budget": {"trials": trials, "epochs": EPOCHS},
            "scheduler": {"grace_epochs": EPOCHS},
            "space": {
                "cross.theta": {"low": 0.0, "high": 0.5},
                "cross.mu": {"low": 0, "high": 3},
                "cross.eta": {"low": 1, "high": 4},
                "loss.alpha": {"low": 1e-5, "high": 1e-1, "log": True},
                "loss.beta": {"low": 1e-5, "high": 1e-1, "log": True},
                "train.learning_rate": {"low": 1e-4, "high": 1e-2, "log": True},
                "cross.dropout": {"low": 0.0, "high": 0.4},
            },
        }
    )


Moment = tuple[int, float, float, float]
"""Trials that had ended, the clock, the driver's memory in bytes and its seconds of CPU then."""


def search(study: Study, folder: Path) -> list[Moment]:
    """Run a search; returns the moments at which its trials ended."""
    import ray  # noqa: PLC0415

    from search.keeper import Keeper  # noqa: PLC0415
    from search.launch import tune_phase  # noqa: PLC0415
    from search.ledger import Ledger  # noqa: PLC0415
    from search.mirror import Mirror  # noqa: PLC0415
    from search.scheduler import build_scheduler  # noqa: PLC0415
    from search.searcher import Truthful  # noqa: PLC0415
    from search.view import View  # noqa: PLC0415

    seen: list[Moment] = []
    driver = psutil.Process()

    class Watched(View):
        def ended(self, entry: Any, best: Any) -> None:
            super().ended(entry, best)
            memory, work = driver.memory_info().rss, time.process_time()
            seen.append((len(seen) + 1, time.perf_counter(), memory, work))

    gate = ray.remote(num_cpus=0)(Gate).remote()
    ledger = Ledger(folder / "ledger.db")
    keeper = Keeper(study, folder, ledger, Watched("bench", "", Console(file=StringIO())))
    pools = SimpleNamespace(concurrent=SLOTS)
    cluster = cast("Any", SimpleNamespace(desk=gate, pools=pools, unended=dict))
    searcher = Truthful(study, [], keeper.start("search", study.budget.trials, [], 1.0), ())
    try:
        with Mirror(study, folder / "optuna.journal", [], ()) as keeper.mirror:
            tune_phase(cluster, keeper, searcher, build_scheduler(study, []), sleep)
    finally:
        keeper.close()
        ledger.close()
    return seen


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Cost of the bookkeeping around a trial.")
    parser.add_argument("--trials", type=int, default=1000, metavar="N")
    trials = parser.parse_args().trials
    if trials < SLOTS:
        parser.error(f"--trials: at least {SLOTS}, the first of which begin together")
    be_quiet()
    import optuna  # noqa: PLC0415
    import ray  # noqa: PLC0415

    quiet = {"include_dashboard": False, "log_to_driver": False, "logging_level": "ERROR"}
    ray.init(address="local", num_cpus=SLOTS, **quiet)  # never a cluster that is there already
    print(f"{os.cpu_count()} CPUs, {platform.platform()}, Python {platform.python_version()}")
    print(f"ray {ray.__version__}, optuna {optuna.__version__}; load {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        seen = search(build_study(trials), Path(folder))
        took = time.perf_counter() - began
    ray.shutdown()
    tell(trials, took, seen)


def tell(trials: int, took: float, seen: list[Moment]) -> None:
    """Print the figures.

    Args:
        trials: how many there were.
        took: seconds in all.
        seen: the moments at which they ended.
    """
    ideal = trials * SECONDS / SLOTS
    print(f"{trials} trials of {SECONDS:g} s on {SLOTS} slots: {took:.1f} s, ideal {ideal:.1f} s")
    print(f"ratio {took / ideal:.2f}, from Tune's start on (Ray's own pass mark: {RAYS_MARK})")
    # Once the actors stand, and everything has been imported.
    start, end = seen[min(2 * SLOTS, trials // 2) - 1], seen[-1]
    count, clock, memory, work = (b - a for a, b in zip(start, end, strict=True))
    print(f"ratio {clock / (count * SECONDS / SLOTS):.2f} once all {SLOTS} slots are at work")
    print(
        f"driver's CPU: {1000 * work / count:.0f} ms a trial, {1000 * SECONDS / SLOTS:.0f} ms fit"
    )
    print(f"driver's memory: +{memory / count / 1000:.0f} KB a trial")
    print(f"load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
