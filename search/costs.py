"""What each phase of a study cost, and what stopping early saved."""

from collections.abc import Sequence
from dataclasses import dataclass

from search.entry import Entry


@dataclass(frozen=True)
class PhaseCost:
    """One row of the table of costs."""

    phase: str
    trials: int
    stopped: int
    failed: int
    epochs: int
    """Epochs trained."""

    device_seconds: float
    """Seconds times the CPUs or GPUs held."""

    saved_epochs: int
    """Epochs that the stopped trials did not train."""

    saved_seconds: float
    """Device seconds that these would have taken, at each trial's own pace."""

    money: float | None = None
    """None where the experiment names no price."""


def phase_costs(
    entries: Sequence[Entry], budget: int, price: float | None = None
) -> list[PhaseCost]:
    """A row for each phase, in the order in which they began.

    Args:
        entries: all trials on record.
        budget: epochs of a trial that is not stopped.
        price: of one device for an hour.
    """
    phases = dict.fromkeys(entry.phase for entry in entries)
    return [
        cost(phase, [e for e in entries if e.phase == phase], budget, price) for phase in phases
    ]


def cost(
    phase: str, entries: Sequence[Entry], budget: int, price: float | None = None
) -> PhaseCost:
    """The row of one phase."""
    spent = sum(e.device_seconds for e in entries)
    stopped = [e for e in entries if e.state == "stopped" and e.epochs]
    saved = [(max(0, budget - e.epochs), e.device_seconds / e.epochs) for e in stopped]
    return PhaseCost(
        phase,
        trials=len(entries),
        stopped=sum(e.state == "stopped" for e in entries),
        failed=sum(e.state == "failed" for e in entries),
        epochs=sum(e.epochs for e in entries),
        device_seconds=spent,
        saved_epochs=sum(epochs for epochs, _ in saved),
        saved_seconds=sum(epochs * pace for epochs, pace in saved),
        money=None if price is None else price * spent / 3600,
    )
