"""Every trial of a study, its stop reason and its budget: the one source of truth.

One SQLite file in the study's folder, or a PostgreSQL database that several studies share, written
by the search's own process alone. `trials.csv`, Optuna's knowledge, TensorBoard and the curves are
all drawn from it.
"""

import math
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, case, literal, select
from sqlalchemy.engine import URL
from sqlalchemy.exc import DatabaseError

from muse.errors import UserError
from search.entry import Entry, Outcome, State, Word
from search.ledger_files import save_copy
from search.schema import (
    REPORTS,
    TRIALS,
    UPSERTS,
    make_tables,
    open_engine,
    sqlite_file,
    sqlite_url,
)
from search.space import Point


@dataclass(frozen=True)
class Address:
    """Where a study's ledger is kept."""

    url: URL
    study: str = ""
    """Its key among the studies of one database."""

    copy: Path | None = None
    """A file that takes a copy of every change, where the ledger is not in the folder."""


COPY_AFTER = 1.0
"""Seconds between two copies of the whole file for no more than an epoch; a trial's begin and end
are copied at once."""


class Ledger:
    """The trials of one study."""

    def __init__(self, where: Path | Address) -> None:
        """Open it, or make it.

        Args:
            where: an SQLite file of one study, or a full address.

        Raises:
            UserError: it is no ledger.
        """
        alone = isinstance(where, Path)
        if isinstance(where, Path):
            where = Address(sqlite_url(where))
        self.where, self.study = where, where.study
        self.name = str(sqlite_file(where.url) or where.url)
        self.counted: dict[str, tuple[float, float, int]] = {}
        """Seconds, device-seconds and losses on record of what this process asked for."""
        self.copied = 0.0
        self.words: dict[str, Word] = {}
        self.engine = open_engine(where.url)
        weakref.finalize(self, self.engine.dispose)  # also where nobody comes to close it
        with self.transaction() as connection:
            make_tables(connection, self.name)
            studies = connection.scalars(select(TRIALS.c.study).distinct()).all()
        if alone and len(studies) == 1:
            self.study = studies[0]

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """All that is written inside is kept, or nothing.

        Raises:
            UserError: it is damaged, cannot be written or does not answer.
        """
        try:
            with self.engine.begin() as connection:
                yield connection
        except DatabaseError as error:
            raise UserError(f"{self.name}: {explain(error)}") from error

    def mine(self, trial_id: str) -> ColumnElement[bool]:
        """Which row a trial has."""
        return (TRIALS.c.study == self.study) & (TRIALS.c.trial_id == trial_id)

    def hear(self, trial_id: str, word: Word) -> None:
        """Keep what is said of a trial in mind; it goes on record with the next call."""
        self.words[trial_id] = word

    def ask(self, trial_id: str, phase: str, seed: int, point: Point, budget: int = 0) -> None:
        """A trial is about to run; one that was interrupted runs again."""
        again = {"state": "running", "budget": budget, "kind": "", "reason": ""}
        new = {"phase": phase, "seed": seed, "point": point, "asked": time.time(), "attempts": 1}
        key = {"study": self.study, "trial_id": trial_id}
        self.counted[trial_id] = (0.0, 0.0, 0)
        row = UPSERTS[self.engine.dialect.name](TRIALS).values(**key, **new, **again)
        once_more = {**again, "attempts": TRIALS.c.attempts + 1}
        with self.transaction() as connection:
            connection.execute(
                row.on_conflict_do_update(index_elements=["study", "trial_id"], set_=once_more)
            )
            if trial_id in self.words:
                self.spend(connection, trial_id, 0.0, 0.0)
        self.save_copy()

    def report(
        self,
        trial_id: str,
        figures: dict[str, Any],
        devices: float,
        outcome: Outcome | None = None,
    ) -> None:
        """An epoch has ended, and the trial with it where there is an outcome.

        The same epoch told twice counts once. `devices` is the mean since this process asked.
        """
        key = {"study": self.study, "trial_id": trial_id, "epoch": figures["epoch"]}
        row = UPSERTS[self.engine.dialect.name](REPORTS).values(**key, figures=storable(figures))
        with self.transaction() as connection:
            connection.execute(row.on_conflict_do_nothing())
            self.spend(connection, trial_id, figures.get("elapsed", 0.0), devices)
            if outcome is not None:
                self.settle(connection, trial_id, outcome)
        if outcome is not None or time.monotonic() - self.copied > COPY_AFTER:
            self.save_copy()

    def end(self, trial_id: str, state: State, elapsed: float, devices: float, reason: str) -> None:
        """A trial has ended, `elapsed` seconds after this process asked for it."""
        with self.transaction() as connection:
            self.spend(connection, trial_id, elapsed, devices)
            self.settle(connection, trial_id, (state, reason))
        self.save_copy()

    def charge(self, trial_id: str, elapsed: float, devices: float) -> None:
        """A trial was interrupted `elapsed` seconds after this process asked for it."""
        with self.transaction() as connection:
            self.spend(connection, trial_id, elapsed, devices)
        self.save_copy()

    def forget(self, trial_id: str) -> None:
        """A trial is to be trained from its beginning: its epochs go, what they cost stays."""
        told = (REPORTS.c.study == self.study) & (REPORTS.c.trial_id == trial_id)
        with self.transaction() as connection:
            connection.execute(REPORTS.delete().where(told))
        self.save_copy()

    def settle(self, connection: Connection, trial_id: str, outcome: Outcome) -> None:
        """A trial is over."""
        state, reason = outcome
        row = TRIALS.update().where(self.mine(trial_id))
        connection.execute(row.values(state=state, reason=reason, ended=time.time()))

    def spend(self, connection: Connection, trial_id: str, elapsed: float, devices: float) -> None:
        """Add what is new, to what is known from before an interruption too."""
        seconds, paid, lost = self.counted.get(trial_id, (0.0, 0.0, 0))
        word = self.words.pop(trial_id, Word(lost=lost))
        new = max(0.0, elapsed - seconds)
        cost = max(0.0, elapsed * devices - paid) if new else 0.0
        self.counted[trial_id] = (seconds + new, paid + cost, max(word.lost, lost))
        first = and_(TRIALS.c.started == 0, literal(elapsed > 0))
        told = {name: said for name, said in asdict(word).items() if said and name != "lost"}
        connection.execute(
            TRIALS.update()
            .where(self.mine(trial_id))
            .values(
                seconds=TRIALS.c.seconds + new,
                device_seconds=TRIALS.c.device_seconds + cost,
                attempts=TRIALS.c.attempts + max(0, word.lost - lost),
                started=case((first, time.time() - elapsed), else_=TRIALS.c.started),
                **told,
            )
        )

    def keep(self, trial_id: str, checkpoint: str) -> None:
        """Only this trial's best model is kept, at a path inside the study's folder."""
        others = (TRIALS.c.study == self.study) & (TRIALS.c.checkpoint != "")
        with self.transaction() as connection:
            connection.execute(TRIALS.update().where(others).values(checkpoint=""))
            connection.execute(
                TRIALS.update().where(self.mine(trial_id)).values(checkpoint=checkpoint)
            )

    def entries(self, phase: str | None = None) -> list[Entry]:
        """All trials, or those of one phase, in the order in which they were asked."""
        wanted = TRIALS.c.study == self.study
        return self.read(wanted & (TRIALS.c.phase == phase) if phase is not None else wanted)

    def entry(self, trial_id: str) -> Entry:
        """One trial."""
        (found,) = self.read(self.mine(trial_id))
        return found

    def read(self, wanted: ColumnElement[bool]) -> list[Entry]:
        """The trials whose rows are wanted."""
        ids = select(TRIALS.c.trial_id).where(wanted)
        theirs = (REPORTS.c.study == self.study) & REPORTS.c.trial_id.in_(ids)
        rows = select(REPORTS.c.trial_id, REPORTS.c.figures).where(theirs)
        order = (TRIALS.c.asked, TRIALS.c.trial_id)
        with self.transaction() as connection:
            trials = connection.execute(select(TRIALS).where(wanted).order_by(*order))
            found = trials.mappings().all()
            told = connection.execute(rows.order_by(REPORTS.c.epoch)).all()
        reports: dict[str, list[dict[str, Any]]] = {}
        for trial_id, figures in told:
            reports.setdefault(trial_id, []).append(figures)
        return [
            Entry(
                **{f.name: row[f.name] for f in fields(Entry) if f.name != "reports"},
                reports=tuple(reports.get(row["trial_id"], ())),
            )
            for row in found
        ]

    def save_copy(self) -> None:
        """Put a copy into the study's folder, where the ledger is kept elsewhere."""
        file = sqlite_file(self.where.url)
        if file is not None and self.where.copy is not None:
            save_copy(file, self.where.copy)
            self.copied = time.monotonic()

    def close(self) -> None:
        """Let go of it."""
        self.engine.dispose()


def storable(figures: dict[str, Any]) -> dict[str, Any]:
    """Figures as JSON knows them: what is not finite becomes null, as PostgreSQL insists."""
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in figures.items()
    }


def explain(error: DatabaseError) -> str:
    """What is wrong with a ledger, and the way out."""
    told = " ".join(str(error.orig).split())
    if "is full" in told or "disk I/O error" in told or "No space" in told:
        return f"the ledger cannot be written ({told}); make room, then --resume."
    if "is locked" in told:
        return f"the ledger is held by another program ({told}); close that, then --resume."
    if "connection" in told:
        return f"the ledger does not answer ({told}); once it does, --resume."
    return (
        f"the ledger cannot be used ({told}); restore it from a copy, "
        "or start the study under another --name."
    )
