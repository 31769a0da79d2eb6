"""What a study has spent so far, while it runs and afterwards."""

from pathlib import Path

from muse.errors import UserError
from search.costs import PhaseCost, phase_costs
from search.entry import Entry
from search.ledger import Address, Ledger
from search.ledger_files import save_copy
from search.schema import sqlite_file
from search.scratch import scratch
from search.stored import address, stored
from search.view import clock, several


def spent(root: Path, price: float | None = None) -> str:
    """A line for each phase, and one for all.

    Args:
        root: the study's folder.
        price: of one device for an hour; None: as the study says.

    Raises:
        UserError: there is no study.
    """
    if not (root / "study.yaml").is_file():
        raise UserError(f"{root}: no study here, so nothing was spent; --name says which one.")
    found = stored(root)
    asked = found.study.resources.price_per_hour if price is None else price
    rows = phase_costs(entries_of(root, found.ledger), found.study.budget.epochs, asked)
    lines = [line(row.phase, row.trials, row.device_seconds, row.money) for row in rows]
    seconds = sum(row.device_seconds for row in rows)
    money = None if asked is None else sum(row.money or 0.0 for row in rows)
    total = line("in all", sum(row.trials for row in rows), seconds, money)
    return "\n".join([*lines, total, note(rows, asked)])


def line(what: str, trials: int, seconds: float, money: float | None) -> str:
    """One row."""
    price = "" if money is None else f", {money:.2f} in your money"
    return f"{what}: {several(trials, 'trial')}, {clock(seconds)} of device time{price}"


def note(rows: list[PhaseCost], price: float | None) -> str:
    """What the sum is of."""
    if price is None:
        return "no price is named: --set resources.price_per_hour=P, of one GPU (or CPU) an hour"
    stopped = sum(row.saved_seconds for row in rows) * price / 3600
    return (
        f"at {price:g} an hour of one device, machines that start or idle not counted; "
        f"early stopping saved {stopped:.2f}"
    )


def entries_of(root: Path, where: Address) -> list[Entry]:
    """The trials on record, from a copy: a search may be at work on the ledger itself."""
    file = sqlite_file(where.url)
    if file is None:
        return read(where)
    known = [found for found in (file, root / "ledger.db") if found.is_file()]
    if not known:
        return []
    with scratch() as here:
        save_copy(known[0], here / "ledger.db")
        return read(address(here, {"study": where.study}))


def read(where: Address) -> list[Entry]:
    """All trials of a ledger."""
    ledger = Ledger(where)
    try:
        return ledger.entries()
    finally:
        ledger.close()
