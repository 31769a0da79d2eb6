"""Which models stay on the disk: that of the search's best trial, and those of what still runs."""

from muse.last import LAST
from search.bucket import Checkpoints
from search.entry import Entry
from search.ledger import Ledger


def best_of(entries: list[Entry]) -> Entry | None:
    """The trial with the best score among those trained in full, else among the stopped ones.

    Of equal ones the first by its number, which no clock of another machine changes.
    """
    for states in (("completed",), ("stopped",)):
        able = [e for e in entries if e.state in states and e.value is not None]
        if able:
            return min(able, key=lambda e: (-(e.value or 0.0), len(e.trial_id), e.trial_id))
    return None


class Kept:
    """The checkpoints of a study's trials, of which few are kept."""

    def __init__(self, ledger: Ledger, shared: str) -> None:
        """Know the best of the trials on record.

        Args:
            ledger: of the study.
            shared: folder or address that all workers write to.
        """
        self.ledger = ledger
        self.checkpoints = Checkpoints(f"{shared}/trials")
        self.best = best_of(ledger.entries("search"))

    def catch_up(self) -> None:
        """Do what a process that was killed at its best trial's end had not come to."""
        if self.best is not None and not self.best.checkpoint:
            self.clear(self.best)

    def clear(self, entry: Entry) -> None:
        """A trial has ended: of all that have, keep the checkpoint of the search's best only.

        The last training keeps its own until it is scored and exported.
        """
        if entry.phase == "final":
            return
        rivals = [e for e in (self.best, entry) if e is not None and e.phase == "search"]
        best = best_of(rivals)
        for rival in {entry.trial_id: entry, **{e.trial_id: e for e in rivals}}.values():
            if best is None or rival.trial_id != best.trial_id:
                self.checkpoints.drop(rival.trial_id)
            else:
                self.checkpoints.drop_file(rival.trial_id, LAST)
        if best is entry and self.checkpoints.has(best.trial_id, "best"):
            self.ledger.keep(best.trial_id, f"trials/{best.trial_id}/best")
            best = self.ledger.entry(best.trial_id)  # which knows it now: no phase need ask again
        self.best = best
