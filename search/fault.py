"""A trial's failure in one word and one line, for all that pass it on.

By itself, because they need nothing else: the desk and Tune's drivers are processes of their own,
and start in a tenth of the time without torch.
"""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["diverged", "memory", "worker lost", "node lost", "hung", "disk", "error"]


PASSING: tuple[str, ...] = ("worker lost", "node lost", "hung", "disk")
"""Kinds that another day and another machine may be spared."""

OF_MACHINES = (*PASSING, "changed")
"""Kinds that say nothing of a trial's settings; the last: what it was begun with changed."""


@dataclass(frozen=True)
class Fault:
    """Why a trial, or a worker group, could not go on."""

    kind: Kind
    reason: str
    again: bool = False
    """Whether the same trial may do better at another try, from its last checkpoint."""
