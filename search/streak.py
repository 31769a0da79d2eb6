"""When failures end a search: so many of one kind in a row."""

from dataclasses import dataclass, field

from search.fault import PASSING

GIVE_UP_AFTER = 3
"""Failures of one kind in a row that end the search."""

PATIENCE = 40
"""The same for the phases after it: there a value that fails with every seed is a finding, and
so are several values of one setting, but not most of a study. Lost machines are no finding: each
such run was tried several times, and those behind it would fail as fast as they are asked for."""


@dataclass
class Streak:
    """The last trials of a phase, as far as they all failed for one kind of reason."""

    patience: int
    reasons: list[str] = field(default_factory=list)
    kind: str = ""

    def add(self, reason: str, kind: str) -> None:
        """A trial has failed, or not, where there is no reason; then the count begins anew."""
        same = self.reasons if kind == self.kind else []
        self.reasons = [*same, reason][-self.patience :] if reason else []
        self.kind = kind

    @property
    def is_over(self) -> bool:
        """Whether going on is a waste."""
        most = GIVE_UP_AFTER if self.kind in PASSING else self.patience
        return len(self.reasons) >= most


def streak_of(phase: str) -> Streak:
    """A phase begins: nothing has failed in it."""
    return Streak(GIVE_UP_AFTER if phase == "search" else PATIENCE)
