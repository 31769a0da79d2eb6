"""Small runs, trained to their end or killed on the way."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from small_muse import small_config, small_tensors

from muse.config import MuseConfig
from muse.fit import fit
from muse.tensors import Tensors

Figures = dict[str, float]
TIMES = ("seconds", "samples_per_second")


class Killed(BaseException):
    """What ends a run from outside."""


def prepared(tmp_path: Path, task: str = "mner", **parts: Any) -> tuple[MuseConfig, Tensors]:
    config = small_config(task, **parts)
    return config, small_tensors(config, tmp_path / "cache")


def fitted(
    config: MuseConfig, tensors: Tensors, folder: Path, answer: Callable[[Figures], bool]
) -> list[Figures]:
    """Train, and return every report but for what depends on the clock."""
    told: list[Figures] = []

    def report(figures: Figures) -> bool:
        told.append({name: value for name, value in figures.items() if name not in TIMES})
        return answer(figures)

    fit(config, tensors, report, folder)
    return told


def go_on(figures: Figures) -> bool:
    return True


def kill_after(epoch: int) -> Callable[[Figures], bool]:
    def answer(figures: Figures) -> bool:
        if figures["epoch"] == epoch:
            raise Killed
        return True

    return answer
