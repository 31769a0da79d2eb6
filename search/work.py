"""What the phases of a study share: folder, ledger, console, and a cluster on demand."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from muse.errors import UserError
from muse.tensors import Tensors
from search.bucket import remove
from search.cluster import PATIENCE, Cluster
from search.entry import Entry
from search.folder import StudyFolder
from search.keeper import Keeper
from search.ledger import Ledger
from search.study import Study
from search.trial import drive
from search.view import View


@dataclass
class Work:
    """A study at work. Use it in a `with`."""

    study: Study
    place: StudyFolder
    tensors: Tensors
    view: View
    ledger: Ledger
    keeper: Keeper
    address: str | None
    """A Ray cluster; None is this machine."""

    agree: Callable[[str], bool] | None = None
    """Asked before something that takes long; None goes on."""

    drive: Callable[..., None] = drive
    """The Tune function that runs a proposal."""

    stack: ExitStack = field(default_factory=ExitStack)
    running: Cluster | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Send the worker groups home and close what is open; what nobody needs goes.

        Raises:
            UserError: the end could not be put on record.
        """
        try:
            self.stack.__exit__(kind, error, trace)
        finally:
            self.keeper.close()
        if kind is None:
            if self.keeper.broken:  # the last words did not get through: all stays as it is
                raise UserError(self.keeper.broken)
            remove(f"{self.place.shared}/.ray")
            if all(entry.state != "running" for entry in self.entries()):  # none is to go on
                remove(f"{self.place.shared}/trials")

    def cluster(self) -> Cluster:
        """Ray and the study's worker groups, started when first needed."""
        if self.running is None:
            self.running = self.stack.enter_context(
                Cluster(self.study, self.place.shared, self.address)
            )
        return self.running

    def release(self) -> None:
        """Send the worker groups home; Ray stays, for it takes long to start."""
        if self.running is not None:
            self.running.end(patience=PATIENCE)
            self.running = None

    def entries(self, phase: str | None = None) -> list[Entry]:
        """Trials on record."""
        return self.ledger.entries(phase)
