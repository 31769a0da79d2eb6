"""What a trial costs beside its training, in the steady state of a search.

    python benchmarks/trial_overhead.py

Every trial is the same loop of 1.2 s in 4 epochs, and trials run one after the other:

- nested, as shipped: a Tune trial starts a TorchTrainer with one worker, as Ray's manual shows;
- nested, lean: the same with Ray Train's waits shortened and its side processes switched off;
- pools: this package, with the ledger and all that a search writes, 1 worker and 2 a trial.

The first trial of each, which waits for what is started once, does not count. Figures depend on how
busy the machine is: compare within one run.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from io import StringIO
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[0] = str(ROOT)  # the checkout, whatever is installed

from search.quiet import be_quiet  # noqa: E402

EPOCHS, SECONDS = 4, 0.3
LEAN = {
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.2",
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",
    "RAY_TRAIN_METRICS_ENABLED": "0",
}
VARIANTS = {
    "nested, as shipped": 3,
    "nested, lean": 3,
    "pools, 1 worker": 12,
    "pools, 2 workers": 12,
}
"""Trials of each."""


def loop(desk: Any, task: Any, worker: Any) -> dict[str, float]:
    """The loop, as a pool's work."""
    import ray  # noqa: PLC0415
    import torch  # noqa: PLC0415

    for epoch in range(1, EPOCHS + 1):
        time.sleep(SECONDS)
        figures = {"epoch": epoch, "value": 0.5, "best": 0.5}
        if worker.rank == 0:
            ray.get(desk.report.remote(task.trial_id, figures))
        if worker.world > 1:
            torch.distributed.barrier()
    return {}


def nested_loop() -> None:
    """The loop, as a training function of Ray Train."""
    import ray.train  # noqa: PLC0415

    for epoch in range(1, EPOCHS + 1):
        time.sleep(SECONDS)
        ray.train.report({"epoch": epoch, "value": 0.5})


def nested_trial(config: dict[str, Any]) -> None:
    """A Tune trial that starts a trainer of its own."""
    import ray.train  # noqa: PLC0415
    from ray import tune  # noqa: PLC0415
    from ray.train.torch import TorchTrainer  # noqa: PLC0415
    from ray.tune.integration.ray_train import TuneReportCallback  # noqa: PLC0415

    aside = {"PlacementGroupCleanerCallback", "ControllerMetricsCallback", "WorkerMetricsCallback"}

    class Lean(TorchTrainer):  # type: ignore[misc]
        def _create_default_callbacks(self) -> list[object]:
            made = super()._create_default_callbacks()
            return [one for one in made if type(one).__name__ not in aside]

    (Lean if config["lean"] else TorchTrainer)(
        nested_loop,
        scaling_config=ray.train.ScalingConfig(num_workers=1, resources_per_worker={"CPU": 1}),
        run_config=ray.train.RunConfig(
            name=tune.get_context().get_trial_id(),
            storage_path=config["folder"],
            callbacks=[TuneReportCallback()],
        ),
    ).fit()


def run_nested(folder: Path, trials: int, lean: bool) -> list[float]:
    """When each trial ended."""
    import ray  # noqa: PLC0415
    from ray import tune  # noqa: PLC0415

    ends: list[float] = []

    class Clock(tune.Callback):  # type: ignore[misc]
        def on_trial_complete(self, *_: Any, **__: Any) -> None:
            ends.append(time.monotonic())

    ray.init(
        address="local",
        num_cpus=2,
        resources={"driver": 8},
        include_dashboard=False,
        log_to_driver=False,
        object_store_memory=200 * 2**20,
    )
    tune.Tuner(
        tune.with_resources(nested_trial, {"cpu": 0, "driver": 1}),
        param_space={"folder": str(folder / "train"), "lean": lean},
        tune_config=tune.TuneConfig(num_samples=trials, max_concurrent_trials=1),
        run_config=tune.RunConfig(storage_path=str(folder / "tune"), callbacks=[Clock()]),
    ).fit()
    ray.shutdown()
    return ends


def run_pools(folder: Path, trials: int, workers: int) -> list[float]:
    """When each trial ended."""
    from rich.console import Console  # noqa: PLC0415

    from search.cluster import Cluster  # noqa: PLC0415
    from search.keeper import Keeper  # noqa: PLC0415
    from search.launch import tune_phase  # noqa: PLC0415
    from search.ledger import Ledger  # noqa: PLC0415
    from search.scheduler import build_scheduler  # noqa: PLC0415
    from search.searcher import Proposal, Truthful  # noqa: PLC0415
    from search.study import Study  # noqa: PLC0415
    from search.view import View  # noqa: PLC0415

    ends: list[float] = []

    class Clock(Keeper):
        def end(self, *given: Any, **named: Any) -> None:
            super().end(*given, **named)
            ends.append(time.monotonic())

    study = Study.model_validate(
        {
            "preset": "tiny",
            "budget": {"trials": trials, "epochs": EPOCHS},
            "scheduler": {"name": "none"},
            "space": {"cross.theta": {"low": 0.0, "high": 0.5}},
            "resources": {"workers": workers, "concurrent": 1, "gpus_per_worker": 0},
        }
    )
    keeper = Clock(
        study, folder, Ledger(folder / "ledger.db"), View("", "", Console(file=StringIO()))
    )
    ask = keeper.start("search", trials, [], devices=1.0)

    def begin(proposal: Proposal) -> dict[str, Any]:
        config = ask(proposal)
        return {**config, "task": {**config["task"], "work": "trial_overhead:loop"}}

    with Cluster(study, str(folder)) as cluster:
        tune_phase(cluster, keeper, Truthful(study, [], begin), build_scheduler(study, []))
    return ends


def measure(variant: str) -> dict[str, float]:
    """Run a variant in this process; seconds from one trial's end to the next one's."""
    trials = VARIANTS[variant]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if variant.startswith("nested"):
            ends = run_nested(folder, trials, lean="lean" in variant)
        else:
            ends = run_pools(folder, trials, workers=2 if "2" in variant else 1)
    steps = [after - before for before, after in pairwise(ends)]
    assert len(ends) == trials
    return {
        "mean": (ends[-1] - ends[0]) / (trials - 1),
        "median": median(steps),
        "load": os.getloadavg()[0],
    }


def apart(variant: str) -> dict[str, float]:
    """Run a variant in a process of its own."""
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'benchmarks'}"}
    if variant == "nested, lean":
        environment |= LEAN
    done = subprocess.run(
        [sys.executable, __file__, "--only", variant],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{variant}: {done.stderr}")
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


def table() -> None:
    """Measure everything and print it."""
    import ray  # noqa: PLC0415
    import torch  # noqa: PLC0415

    print(
        f"{os.cpu_count()} CPU cores, {platform.machine()}, Python {platform.python_version()}, "
        f"Ray {ray.__version__}, torch {torch.__version__}; a loop of {EPOCHS * SECONDS:.1f} s"
    )
    print("variant             trials  s a trial  median  over the loop  load")
    for variant, trials in VARIANTS.items():
        f = apart(variant)
        over = f["mean"] - EPOCHS * SECONDS
        print(
            f"{variant:<20}{trials:>5}{f['mean']:>11.2f}{f['median']:>8.2f}{over:>15.2f}"
            f"{f['load']:>6.1f}",
            flush=True,
        )


def main() -> None:
    """The whole table, or one variant for it."""
    parser = argparse.ArgumentParser(description="Seconds a trial costs beside its training.")
    parser.add_argument("--only", choices=VARIANTS, help="one variant, as JSON")
    variant = parser.parse_args().only
    if variant is None:
        table()
        return
    if variant.startswith("pools"):
        be_quiet()
    print(json.dumps(measure(variant)))


if __name__ == "__main__":
    main()
