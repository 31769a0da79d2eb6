"""One trial, as the ledger knows it, and what is said of it."""

from dataclasses import dataclass
from typing import Any, Literal

from search.space import Point

State = Literal["running", "completed", "stopped", "failed"]

Outcome = tuple[State, str]
"""How a trial ended, and the reason."""


@dataclass(frozen=True)
class Entry:
    """What is known of one trial."""

    trial_id: str
    phase: str
    state: State
    seed: int
    point: Point
    """The searched settings it was asked to use."""

    seconds: float
    device_seconds: float
    """Seconds times the CPUs or GPUs it held."""

    reason: str
    """Why it was stopped or failed."""

    reports: tuple[dict[str, Any], ...]
    """Figures of each epoch, in order."""

    kind: str = ""
    """Of its failure, in a word or two: diverged, memory, worker lost, hung, ..."""

    node: str = ""
    """Host that trained it last."""

    attempts: int = 0
    """Times that workers began with it: again after they were lost, and after a resume."""

    budget: int = 0
    """Epochs that it was allowed."""

    asked_hash: str = ""
    built_hash: str = ""
    """Fingerprints of the configuration that was asked, and that the workers say they built."""

    checkpoint: str = ""
    """Where its best model is kept, inside the study's folder."""

    started: float = 0.0
    ended: float = 0.0
    """Seconds since 1970; 0 where that has not happened."""

    @property
    def epochs(self) -> int:
        """Epochs it was trained."""
        return int(self.reports[-1]["epoch"]) if self.reports else 0

    @property
    def value(self) -> float | None:
        """Its best validation score, the one rule for all tables and for the checkpoint."""
        return max(
            (float(r["value"]) for r in self.reports if r["value"] is not None), default=None
        )


@dataclass(frozen=True)
class Word:
    """What is said of a trial besides figures. Empty: nothing new."""

    node: str = ""
    kind: str = ""
    asked_hash: str = ""
    built_hash: str = ""
    lost: int = 0
    """Times that its workers were lost since this process asked for it."""
