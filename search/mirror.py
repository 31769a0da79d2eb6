"""The search as an Optuna journal, `optuna.journal`, that optuna-dashboard opens.

Drawn from the ledger: anew whenever a process takes up the study, then word by word. A trial is
RUNNING only while a process trains it: one that was interrupted is marked FAIL with the attribute
`interrupted`, or is left out after a kill and a resume, until it runs again.
"""

import json
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from optuna.storages import JournalStorage
from optuna.storages.journal import BaseJournalBackend, JournalFileBackend, JournalFileSymlinkLock
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from muse.errors import UserError
from search.entry import Entry
from search.prior import Prior
from search.searcher import STATES, frozen, frozen_prior
from search.study import Study


class InMemory(BaseJournalBackend):
    """A journal that is written to its file in one go, when it is whole."""

    def __init__(self) -> None:
        self.lines: list[dict[str, Any]] = []

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        self.lines += logs

    def read_logs(self, log_number_from: int) -> list[dict[str, Any]]:
        return self.lines[log_number_from:]


class Unhurried(JournalFileBackend):
    """A journal file that does not wait for the disk: after a crash it is drawn anew anyway."""

    def __init__(self, file: Path) -> None:
        super().__init__(str(file))
        self.file, self.lock = file, JournalFileSymlinkLock(str(file))  # the dashboard writes too

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        text = "".join(json.dumps(log, separators=(",", ":")) + "\n" for log in logs)
        self.lock.acquire()
        try:
            with self.file.open("ab") as stream:
                stream.write(text.encode())
        finally:
            self.lock.release()


def draw(study: Study, earlier: list[Entry], priors: Sequence[Prior], file: Path) -> None:
    """Write a journal of all that has ended, in the place of an older one."""
    lines = InMemory()
    storage = JournalStorage(lines)
    number = storage.create_new_study([StudyDirection.MAXIMIZE], study.name)
    storage.set_study_user_attr(number, "value", f"best {study.base.metric} over a trial's epochs")
    for prior in priors:
        for known in frozen_prior(study, prior):
            storage.create_new_trial(number, known)
    for entry in earlier:
        made = mirrored(study, entry) if entry.state != "running" else None
        if made is not None:
            storage.create_new_trial(number, made)
    new = file.with_name(f".{file.name}.new")
    new.unlink(missing_ok=True)
    Unhurried(new).append_logs(lines.lines)
    file.with_name(f"{file.name}.lock").unlink(missing_ok=True)  # of a process that was killed
    new.replace(file)


def mirrored(study: Study, entry: Entry) -> FrozenTrial | None:
    """A trial with the value that all our tables show, its times and what we call it."""
    made = frozen(study, entry)
    if made is None:
        return None
    if entry.state == "stopped":
        made.value = entry.value  # Optuna's own rule would be the last one
    made.datetime_start = moment(entry.started or entry.ended or time.time())
    made.datetime_complete = moment(entry.ended) if entry.state != "running" else None
    for name, value in attributes(entry).items():
        made.set_user_attr(name, value)
    return made


def attributes(entry: Entry) -> dict[str, Any]:
    """What the journal says of a trial besides its score."""
    told = {"reason": entry.reason, "kind": entry.kind, "node": entry.node}
    known = {name: value for name, value in told.items() if value}
    return {"trial_id": entry.trial_id, "seed": entry.seed, **known}


def moment(seconds: float) -> datetime:
    """A time that Optuna understands."""
    return datetime.fromtimestamp(seconds, UTC)


class Mirror:
    """The journal of a search that runs. Use it in a `with`."""

    def __init__(
        self, study: Study, file: Path, earlier: list[Entry], priors: Sequence[Prior] = ()
    ) -> None:
        """Draw the journal anew.

        Args:
            study: what is searched.
            file: the journal.
            earlier: trials on record.
            priors: what earlier studies found out.

        Raises:
            UserError: it cannot be written.
        """
        self.study, self.file = study, file
        self.running: dict[str, int] = {}
        try:
            draw(study, earlier, priors, file)
            self.storage = JournalStorage(Unhurried(file))
            self.number = self.storage.get_study_id_from_name(study.name)
        except OSError as error:
            raise UserError(f"{file}: cannot be written ({error.strerror}).") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Nothing runs any more."""
        # A full disk was told of already, and may have left half a line, which Optuna cannot read;
        # a resume draws it anew.
        with suppress(OSError, ValueError):
            for number in self.running.values():
                if self.storage.get_trial(number).state.is_finished():
                    continue  # Ctrl-C came just after its end
                self.storage.set_trial_user_attr(number, "interrupted", True)
                self.storage.set_trial_state_values(number, TrialState.FAIL)
        self.running.clear()

    def begin(self, entry: Entry) -> None:
        """A trial runs, perhaps again."""
        made = mirrored(self.study, entry)
        if made is not None:
            self.running[entry.trial_id] = self.storage.create_new_trial(self.number, made)

    def report(self, trial_id: str, figures: dict[str, Any]) -> None:
        """An epoch has ended."""
        if trial_id in self.running:
            number = self.running[trial_id]
            self.storage.set_trial_intermediate_value(number, figures["epoch"], figures["value"])

    def end(self, entry: Entry) -> None:
        """A trial has ended."""
        number = self.running.get(entry.trial_id)
        if number is None:
            return
        for name, value in attributes(entry).items():
            if name not in ("trial_id", "seed"):
                self.storage.set_trial_user_attr(number, name, value)
        values = [entry.value] if entry.state != "failed" and entry.value is not None else None
        self.storage.set_trial_state_values(number, STATES[entry.state], values)
        del self.running[entry.trial_id]  # last: Ctrl-C may come between two of these lines
