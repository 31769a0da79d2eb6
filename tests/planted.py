"""A study whose truth is known: what each setting does to the score is planted, noise included.

`cross.dropout` decides the final quality, `train.learning_rate` only how fast it is reached, and
`cross.theta` does nothing. Everything but the training itself is real: Tune, Optuna, ASHA, the
ledger and the phases.
"""

from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any, Self

from planted_truth import DEAD, EPOCHS, QUALITY, SPEED, planted
from rich.console import Console

from search.findings import Findings
from search.folder import new_folder
from search.keeper import Keeper
from search.ledger import Ledger
from search.phases import run_phases
from search.plan import incumbent
from search.sensitivity import findings
from search.study import Study
from search.view import View
from search.work import Work


@dataclass(frozen=True)
class Garden:
    """Stands for a Cluster and its pools: nothing is trained, so it needs no workers.

    One trial at a time: they take milliseconds, and with more of Tune's processes one that is free
    takes the trials of those that still start, which Tune then ends and starts again.
    """

    desk: int
    concurrent: int = 1
    devices: float = 1.0
    most: int = 4

    @property
    def pools(self) -> Self:
        return self

    def make_room(self, trials: int) -> None:
        """Nothing."""

    def unended(self) -> dict[str, dict[str, float]]:
        """Nobody is interrupted."""
        return {}


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
