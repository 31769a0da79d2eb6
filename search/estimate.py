"""What the curves will cost, and how they shrink to fit."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from statistics import mean

from search.entry import Entry
from search.sections import Curves
from search.study import Study


@dataclass(frozen=True)
class Estimate:
    """What runs will cost, if they take as long as those before."""

    runs: int
    hours: float
    """With as many at once as the cluster holds."""

    device_hours: float
    money: float | None


def priced(device_hours: float, study: Study) -> float | None:
    """Money for hours of one device."""
    price = study.resources.price_per_hour
    return None if price is None else device_hours * price


def seconds_a_run(entries: Sequence[Entry]) -> float:
    """Mean seconds of a run with the full budget; 0 where none has ended."""
    full = [entry.seconds for entry in entries if entry.state == "completed"]
    return mean(full) if full else 0.0


def estimate(
    study: Study, entries: Sequence[Entry], runs: int, concurrent: int, devices: float
) -> Estimate:
    """What so many more runs with the full budget will cost.

    Args:
        study: names the price.
        entries: runs that tell how long one takes.
        runs: how many.
        concurrent: runs at once.
        devices: GPUs or CPUs that each holds.
    """
    each = seconds_a_run(entries) / 3600
    device_hours = runs * each * devices
    return Estimate(runs, ceil(runs / concurrent) * each, device_hours, priced(device_hours, study))


FEW_SEEDS, FEW_POINTS = 2, 3


def smaller(curves: Curves) -> Curves | None:
    """The next smaller curves: first no pairs, then two seeds, three points, one seed.

    Returns:
        None where nothing smaller is a curve.
    """
    if curves.pairs:
        return curves.model_copy(update={"pairs": 0})
    if curves.seeds > FEW_SEEDS:
        return curves.model_copy(update={"seeds": curves.seeds - 1})
    if curves.points > FEW_POINTS:
        return curves.model_copy(update={"points": curves.points - 1})
    if curves.seeds > 1:
        return curves.model_copy(update={"seeds": 1})
    return None
