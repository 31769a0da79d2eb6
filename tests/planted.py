"""A study whose truth is known: what each setting does to the score is planted, noise included.

`cross.dropout` decides the final quality, `train.learning_rate` only how fast it is reached, and
`cross.theta` does nothing. Everything but the training itself is real: Tune, Optuna, ASHA, the
ledger and the phases.
"""

from dataclasses import dataclass
from hashlib import sha256
from io import StringIO
from math import exp, log10
from pathlib import Path
from typing import Any

import numpy as np
from ray import tune
from rich.console import Console

from search.findings import Findings
from search.folder import new_folder
from search.keeper import Keeper
from search.ledger import Ledger
from search.phases import run_phases
from search.plan import incumbent
from search.sensitivity import findings
from search.space import Point
from search.study import Study
from search.view import View
from search.work import Work

QUALITY, SPEED, DEAD = "cross.dropout", "train.learning_rate", "cross.theta"
EPOCHS = 9
NOISE, SEED_EFFECT = 0.02, 0.01
"""Standard deviations: of a run, and of what all runs with one seed share."""


def true_score(point: Point, epoch: int = EPOCHS) -> float:
    """Score without noise after an epoch."""
    quality = 0.8 - 5.0 * (float(point[QUALITY]) - 0.2) ** 2
    slowness = 1.0 - 0.4 * (log10(float(point[SPEED])) + 3)  # 0.6 to 1.4 epochs
    return quality * (1 - exp(-epoch / slowness))


def draw_from(*what: object) -> float:
    """A standard normal number that depends on nothing but its arguments."""
    digest = sha256(repr(what).encode()).digest()
    return float(np.random.default_rng(int.from_bytes(digest[:8])).standard_normal())


def planted(config: dict[str, Any], desk: int) -> None:
    """A Tune function that pretends to train; it reports once where nobody may stop it.

    Args:
        config: as `search.trial.drive` gets it, and perhaps the study's `number`.
        desk: number of the study; other studies have other noise.
    """
    number = config.get("number", desk)
    settings, seed = config["task"]["config"], config["task"]["config"]["train"]["seed"]
    names = (name.split(".") for name in (QUALITY, SPEED, DEAD))
    point = {f"{section}.{key}": settings[section][key] for section, key in names}
    shared = SEED_EFFECT * draw_from(number, seed)
    own = NOISE * draw_from(number, seed, sorted(point.items()))
    stoppable = config["task"]["trial_id"].startswith("search")
    for epoch in range(1, EPOCHS + 1):
        if epoch > config["seen"] and (stoppable or epoch == EPOCHS):
            value = true_score(point, epoch) + shared + own
            tune.report({"epoch": epoch, "value": value, "best": value, "elapsed": epoch})


@dataclass(frozen=True)
class Garden:
    """Stands for a Cluster: nothing is trained, so it needs no workers."""

    desk: int
    concurrent: int = 4
    devices: float = 1.0


class PlantedWork(Work):
    """A study at work on planted scores."""

    number = 0

    def cluster(self) -> Any:
        return Garden(self.number)


def planted_study(number: int, seeds: int = 3) -> Study:
    """A study of the three settings, like one that somebody would write."""
    return Study.model_validate(
        {
            "name": f"planted-{number}",
            "preset": "tiny",
            "seed": 1000 * number,
            "budget": {"trials": 20, "epochs": EPOCHS},
            "searcher": {"startup": 6},
            "sensitivity": {"points": 5, "seeds": seeds, "pairs": 0},
            "space": {
                QUALITY: {"low": 0.0, "high": 0.4},
                SPEED: {"low": 1e-4, "high": 1e-2, "log": True},
                DEAD: {"low": 0.0, "high": 0.5},
            },
        }
    )


def run_planted(number: int, output: Path, seeds: int = 3) -> tuple[Findings, list[Any]]:
    """Search, confirm and draw the curves of one planted study; its findings and its entries."""
    study = planted_study(number, seeds)
    root = output / study.name
    view = View(study.name, "valid_f1", Console(file=StringIO()))
    with new_folder(root, study, "planted") as place:
        ledger = Ledger(place.ledger)
        keeper = Keeper(study, root, ledger, view)
        none: Any = None
        with PlantedWork(study, place, none, view, ledger, keeper, None, drive=planted) as work:
            work.number = number
            run_phases(work, ("search", "confirm", "sensitivity"))
        entries = ledger.entries()
        ledger.close()
    return findings(study, entries, incumbent(study, entries), baseline=0.0), entries
