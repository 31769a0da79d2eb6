"""What runs cost: measured after each phase, estimated before the curves."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from statistics import mean

from search.ledger import Entry
from search.study import PHASES, Curves, Study


@dataclass(frozen=True)
class PhaseCost:
    """What a phase has cost so far."""

    phase: str
    runs: int
    epochs: int
    saved_epochs: int
    """Epochs that early stopping spared."""

    device_hours: float
    """Hours times the GPUs, or the CPUs where trials hold no GPU."""

    money: float | None
    """None where the experiment names no price."""


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


def phase_cost(study: Study, entries: Sequence[Entry], phase: str) -> PhaseCost:
    """What the runs of one phase have cost."""
    mine = [entry for entry in entries if entry.phase == phase]
    stopped = [entry for entry in mine if entry.state == "stopped"]
    hours = sum(entry.device_seconds for entry in mine) / 3600
    return PhaseCost(
        phase,
        runs=len(mine),
        epochs=sum(entry.epochs for entry in mine),
        saved_epochs=sum(study.budget.epochs - entry.epochs for entry in stopped),
        device_hours=hours,
        money=priced(hours, study),
    )


def phase_costs(study: Study, entries: Sequence[Entry]) -> list[PhaseCost]:
    """The cost of each phase that has begun."""
    begun = {entry.phase for entry in entries}
    return [phase_cost(study, entries, phase) for phase in PHASES if phase in begun]


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
