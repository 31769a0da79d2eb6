"""`trials.csv`: one row a trial, drawn from the ledger."""

import csv
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from muse.durable import atomically
from search.entry import Entry
from search.space import SEVEN, Point, short

HEAD = ("trial_id", "phase", "state", "seed")
COLUMNS = ("epochs", "metric", "value", "seconds", "device_seconds", "reason")
MORE = ("kind", "node", "attempts", "budget")


def write_csv(
    entries: Sequence[Entry], metric: str, fixed: Callable[[Entry], Point], file: Path
) -> None:
    """One row a trial.

    Args:
        entries: the trials.
        metric: what `value` is.
        fixed: what a trial had of the settings that are not searched, by dotted name.
        file: the table.
    """
    extra = sorted({name for e in entries for name in e.point if name not in SEVEN})
    names = [*SEVEN, *extra]

    def row(e: Entry) -> list[object]:
        known = e.point if e.point.keys() >= set(names) else {**fixed(e), **e.point}
        settings = [known.get(name, "") for name in names]
        costs = [round(e.seconds, 3), round(e.device_seconds, 3), e.reason]
        first, last = ([getattr(e, name) for name in own] for own in (HEAD, MORE))
        return [*first, *settings, e.epochs, metric, e.value, *costs, *last]

    head = [*HEAD, *map(short, names), *COLUMNS, *MORE]
    write_rows(file, [head, *map(row, entries)])


def write_rows(file: Path, rows: Iterable[Sequence[object]]) -> None:
    """A CSV file; None is an empty cell. Readers see the old table or the new one."""

    def write(new: Path) -> None:
        with new.open("w", newline="", encoding="utf-8") as stream:
            csv.writer(stream).writerows(rows)

    atomically(file, write)
