"""What it costs to come within 1 % of the best score: our search, a grid, and random search.

    python benchmarks/search_cost.py --minutes 10
    python benchmarks/search_cost.py --minutes 0

Every epoch is trained: the tiny model on the made tweets of experiments/quickstart.yaml. Only Ray
is left out: trials run one after the other in this process, proposed and stopped by the project's
own searcher and scheduler. Each search is one line of the records, which the same command goes on
with; several processes may write one file, say with --seeds 0 1 2 and --seeds 3 4 5. Another number
of trials wants records of its own.

`ours`: TPE and ASHA, the published setting first. `random`: full budget. `grid`: as the authors
searched, learning rate and dropout at full budget, all else as published, in an order drawn for
each seed; their learning rates suit a pretrained BERT, so the grid has three over the study's
range.
"""

import argparse
import json
import time
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from ray.tune.schedulers import TrialScheduler
from ray.tune.search import Searcher

from muse.config import MuseConfig
from muse.device import Worker
from muse.prepare import prepare
from muse.tensors import Tensors
from muse.train import run_epoch, start_run
from search.experiment import read_study
from search.scheduler import build_scheduler
from search.searcher import Proposal, Truthful
from search.space import Point
from search.study import Study

QUICKSTART = Path(__file__).parents[1] / "experiments" / "quickstart.yaml"
WAYS: dict[str, dict[str, Any]] = {
    "ours": {},
    "grid": {},
    "random": {"searcher.name": "random", "scheduler.name": "none", "first_points": []},
}
RATES, DROPOUTS = (1e-4, 1e-3, 1e-2), (0.1, 0.2, 0.3, 0.4)
WITHIN = 0.99

Epochs = list[tuple[float, float]]
"""Score and CPU seconds of each epoch, in the order of training."""


def train(config: MuseConfig, tensors: Tensors) -> Iterator[tuple[dict[str, float], float]]:
    """Train epoch by epoch: the report and the CPU seconds of each, validation included."""
    began = time.process_time()
    run = start_run(config, tensors, Worker())
    while run.epoch < config.train.epochs:
        run_epoch(run)
        ended = time.process_time()
        yield run.report, ended - began
        began = ended


def proposed(study: Study, tensors: Tensors) -> Epochs:
    """What the project's searcher and scheduler make of a study."""
    epochs: Epochs = []
    points: dict[str, Proposal] = {}

    def begin(proposal: Proposal) -> dict[str, Any]:
        points[proposal.trial_id] = proposal
        return {"task": {"trial_id": proposal.trial_id}}

    searcher, scheduler = Truthful(study, [], begin), build_scheduler(study, [])
    while (task := searcher.suggest(name := f"trial-{len(points)}")) != Searcher.FINISHED:
        proposal = points[task["task"]["trial_id"]]
        config = study.config(proposal.point, proposal.seed)
        trial = SimpleNamespace(config=task)
        scheduler.on_trial_add(None, trial)
        for report, seconds in train(config, tensors):
            epochs.append((report["value"], seconds))
            searcher.on_trial_result(name, report)
            if scheduler.on_trial_result(None, trial, report) != TrialScheduler.CONTINUE:
                break
        searcher.on_trial_complete(name, report)
        scheduler.on_trial_remove(None, trial)
    return epochs


def gridded(study: Study, tensors: Tensors) -> Epochs:
    """The authors' grid at full budget."""
    published = study.first_points[0]
    points: list[Point] = [
        {**published, "train.learning_rate": rate, "cross.dropout": dropout}
        for rate, dropout in product(RATES, DROPOUTS)
    ]
    order = np.random.default_rng(study.seed).permutation(len(points))
    return [
        (report["value"], seconds)
        for place in order
        for report, seconds in train(study.config(points[place], study.seed), tensors)
    ]


def searched(way: str, seed: int, trials: int | None = None) -> Epochs:
    """One whole search; the grid is as long as it is, whatever the trials."""
    longer = {} if trials is None else {"budget.trials": trials}
    study = read_study(QUICKSTART, {"seed": seed, **longer, **WAYS[way]})
    published = read_study(QUICKSTART).first_points[0]  # random search begins nowhere
    tensors = prepare(study.config(published, seed))
    return gridded(study, tensors) if way == "grid" else proposed(study, tensors)


def cost(epochs: Epochs, target: float) -> tuple[int, float, bool]:
    """Epochs and seconds until the target, or all of them where it was never reached."""
    seconds = 0.0
    for number, (score, some) in enumerate(epochs, start=1):
        seconds += some
        if score >= target:
            return number, seconds, True
    return len(epochs), seconds, False


def interval(values: list[float]) -> str:
    """The mean and its 95 % bootstrap interval."""
    numbers = np.array(values)
    drawn = np.random.default_rng(0).choice(numbers, (10_000, len(numbers))).mean(1)
    low, high = np.percentile(drawn, [2.5, 97.5])
    return f"{numbers.mean():.1f} ({low:.1f} to {high:.1f})"


def records(file: Path) -> dict[tuple[str, int], Epochs]:
    """The searches made so far."""
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    made = [json.loads(line) for line in lines]
    return {(one["way"], one["seed"]): one["epochs"] for one in made}


def print_costs(made: dict[tuple[str, int], Epochs]) -> None:
    """The table.

    Searches that never came there count with all they spent: a lower bound, and the lower the
    shorter they are. How many came there within the epochs of the shortest is fair to all.
    """
    shortest = min(len(epochs) for epochs in made.values())
    best = max(score for epochs in made.values() for score, _ in epochs)
    print(f"best known score {best:.4f}; means with 95 % bootstrap intervals")
    for way in WAYS:
        theirs = [epochs for (name, _), epochs in made.items() if name == way]
        costs = [cost(epochs, WITHIN * best) for epochs in theirs]
        if costs:
            found = np.mean([max(score for score, _ in epochs) for epochs in theirs])
            reached = f"{sum(there for *_, there in costs)} of {len(costs)} came there"
            soon = sum(there and number <= shortest for number, _, there in costs)
            reached += f" ({soon} in {shortest} epochs)"
            epochs, seconds = (interval([c[part] for c in costs]) for part in (0, 1))
            spent = np.mean([len(one) for one in theirs])
            print(f"{way:<8}{reached}, epochs {epochs}, CPU seconds {seconds}, found {found:.3f}")
            print(f"{'':<8}{spent:.0f} epochs in all")


def main() -> None:
    """Search until the time is up, then print what all searches so far have cost."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(10)))
    parser.add_argument("--minutes", type=float, default=10, help="no search begins later")
    parser.add_argument("--ways", choices=tuple(WAYS), nargs="+", default=list(WAYS))
    parser.add_argument("--trials", type=int, help="default: the quickstart's; the grid has 12")
    parser.add_argument("--records", type=Path, default=Path("results/search_cost.jsonl"))
    asked = parser.parse_args()
    torch.set_num_threads(1)
    asked.records.parent.mkdir(parents=True, exist_ok=True)
    until = time.monotonic() + 60 * asked.minutes
    for seed, way in product(asked.seeds, asked.ways):
        if (way, seed) not in records(asked.records) and time.monotonic() < until:
            epochs = searched(way, seed, asked.trials)
            line = json.dumps({"way": way, "seed": seed, "epochs": epochs})
            with asked.records.open("a", encoding="utf-8") as file:
                file.write(line + "\n")
    if made := records(asked.records):
        print_costs(made)


if __name__ == "__main__":
    main()
