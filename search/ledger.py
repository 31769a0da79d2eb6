"""Every trial of a study, its stop reason and its budget: the one source of truth.

One SQLite file in the study's folder, written by the search's own process alone. `trials.csv`,
Optuna's knowledge after a resume, TensorBoard and the curves are all drawn from it.
"""

import csv
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import (
    JSON,
    Column,
    Connection,
    Float,
    Integer,
    MetaData,
    String,
    Table,
    create_engine,
    event,
    select,
)
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.exc import DatabaseError

from muse.errors import UserError
from search.space import SEVEN, Point, short

State = Literal["running", "completed", "stopped", "failed"]

METADATA = MetaData()
TRIALS = Table(
    "trials",
    METADATA,
    Column("trial_id", String, primary_key=True),
    Column("phase", String, nullable=False),
    Column("state", String, nullable=False),
    Column("seed", Integer, nullable=False),
    Column("point", JSON, nullable=False),
    Column("asked", Float, nullable=False),
    Column("attempts", Integer, nullable=False, default=0),
    Column("seconds", Float, nullable=False, default=0.0),
    Column("device_seconds", Float, nullable=False, default=0.0),
    Column("reason", String, nullable=False, default=""),
)
REPORTS = Table(
    "reports",
    METADATA,
    Column("trial_id", String, primary_key=True),
    Column("epoch", Integer, primary_key=True),
    Column("figures", JSON, nullable=False),
)


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

    @property
    def epochs(self) -> int:
        """Epochs it was trained."""
        return int(self.reports[-1]["epoch"]) if self.reports else 0

    @property
    def value(self) -> float | None:
        """Its best validation score, the one rule for all tables and for the checkpoint."""
        return max((float(r["value"]) for r in self.reports), default=None)


class Ledger:
    """The trials of one study."""

    def __init__(self, file: Path) -> None:
        """Open the file, or make it.

        Raises:
            UserError: it is no ledger.
        """
        self.file = file
        self.counted: dict[str, float] = {}
        self.engine = create_engine(f"sqlite:///{file}")
        event.listen(self.engine, "connect", durable)
        with self.transaction() as connection:
            METADATA.create_all(connection)

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """All that is written inside is kept, or nothing.

        Raises:
            UserError: the file is damaged or cannot be written.
        """
        try:
            with self.engine.begin() as connection:
                yield connection
        except DatabaseError as error:
            raise UserError(
                f"{self.file}: the ledger cannot be used ({error.orig}); restore it from a copy, "
                "or start the study under another --name."
            ) from error

    def ask(self, trial_id: str, phase: str, seed: int, point: Point) -> None:
        """A trial is about to run; one that was interrupted runs again."""
        values = {"phase": phase, "state": "running", "seed": seed, "point": point}
        self.counted[trial_id] = 0.0
        row = insert(TRIALS).values(trial_id=trial_id, asked=time.time(), **values)
        with self.transaction() as connection:
            connection.execute(
                row.on_conflict_do_update(index_elements=["trial_id"], set_={"state": "running"})
            )

    def report(self, trial_id: str, figures: dict[str, Any], devices: float) -> None:
        """An epoch has ended; the same epoch told twice counts once."""
        values = {"trial_id": trial_id, "epoch": figures["epoch"], "figures": figures}
        with self.transaction() as connection:
            connection.execute(insert(REPORTS).values(**values).on_conflict_do_nothing())
            self.spend(connection, trial_id, figures.get("elapsed", 0.0), devices)

    def end(self, trial_id: str, state: State, elapsed: float, devices: float, reason: str) -> None:
        """A trial has ended, `elapsed` seconds after this process asked for it."""
        with self.transaction() as connection:
            self.spend(connection, trial_id, elapsed, devices)
            connection.execute(
                TRIALS.update()
                .where(TRIALS.c.trial_id == trial_id)
                .values(state=state, reason=reason)
            )

    def spend(self, connection: Connection, trial_id: str, elapsed: float, devices: float) -> None:
        """Add the seconds that are new, to those from before an interruption too."""
        new = max(0.0, elapsed - self.counted.get(trial_id, 0.0))
        self.counted[trial_id] = max(elapsed, self.counted.get(trial_id, 0.0))
        connection.execute(
            TRIALS.update()
            .where(TRIALS.c.trial_id == trial_id)
            .values(
                seconds=TRIALS.c.seconds + new,
                device_seconds=TRIALS.c.device_seconds + new * devices,
            )
        )

    def entries(self, phase: str | None = None) -> list[Entry]:
        """All trials, or those of one phase, in the order in which they were asked."""
        with self.transaction() as connection:
            trials = connection.execute(select(TRIALS).order_by(TRIALS.c.asked)).mappings().all()
            rows = connection.execute(select(REPORTS).order_by(REPORTS.c.epoch)).all()
        reports: dict[str, list[dict[str, Any]]] = {}
        for trial_id, _, figures in rows:
            reports.setdefault(trial_id, []).append(figures)
        return [
            Entry(
                **{key: t[key] for key in Entry.__annotations__ if key != "reports"},
                reports=tuple(reports.get(t["trial_id"], ())),
            )
            for t in trials
            if phase in (None, t["phase"])
        ]

    def close(self) -> None:
        """Let go of the file."""
        self.engine.dispose()


def durable(connection: Any, _: Any) -> None:
    """Survive a kill at any instant, and let others read meanwhile."""
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")


COLUMNS = ("epochs", "metric", "value", "seconds", "device_seconds", "reason")


def write_csv(entries: Sequence[Entry], metric: str, fixed: Point, file: Path) -> None:
    """One row a trial; readers see the old table or the new one, never half of it.

    Args:
        entries: the trials.
        metric: what `value` is.
        fixed: values of settings that the study does not search, by dotted name.
        file: the table.
    """
    extra = sorted({name for e in entries for name in e.point if name not in SEVEN})
    new = file.with_suffix(".csv.new")
    with new.open("w", newline="", encoding="utf-8") as stream:
        table = csv.writer(stream)
        names = [*SEVEN, *extra]
        table.writerow(["trial_id", "phase", "state", "seed", *map(short, names), *COLUMNS])
        for e in entries:
            known = {**fixed, **e.point}
            settings = [known.get(name, "") for name in names]
            value = "" if e.value is None else e.value
            costs = [round(e.seconds, 3), round(e.device_seconds, 3), e.reason]
            head = [e.trial_id, e.phase, e.state, e.seed]
            table.writerow([*head, *settings, e.epochs, metric, value, *costs])
    new.replace(file)
