"""The ledger's tables, the same in SQLite and in PostgreSQL, and how to open them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import (
    JSON,
    Column,
    Connection,
    Engine,
    Float,
    Integer,
    MetaData,
    String,
    Table,
    create_engine,
    event,
    insert,
    inspect,
    select,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from muse.errors import UserError

VERSION = 2
"""Of the tables; another one is named, not guessed at."""

METADATA = MetaData()
TRIALS = Table(
    "trials",
    METADATA,
    Column("study", String, primary_key=True),
    Column("trial_id", String, primary_key=True),
    Column("phase", String, nullable=False),
    Column("state", String, nullable=False),
    Column("seed", Integer, nullable=False),
    Column("point", JSON, nullable=False),
    Column("asked", Float, nullable=False),
    Column("budget", Integer, nullable=False, default=0),
    Column("attempts", Integer, nullable=False, default=0),
    Column("started", Float, nullable=False, default=0.0),
    Column("ended", Float, nullable=False, default=0.0),
    Column("seconds", Float, nullable=False, default=0.0),
    Column("device_seconds", Float, nullable=False, default=0.0),
    Column("reason", String, nullable=False, default=""),
    Column("kind", String, nullable=False, default=""),
    Column("node", String, nullable=False, default=""),
    Column("asked_hash", String, nullable=False, default=""),
    Column("built_hash", String, nullable=False, default=""),
    Column("checkpoint", String, nullable=False, default=""),
)
REPORTS = Table(
    "reports",
    METADATA,
    Column("study", String, primary_key=True),
    Column("trial_id", String, primary_key=True),
    Column("epoch", Integer, primary_key=True),
    Column("figures", JSON, nullable=False),
)
ABOUT = Table("ledger", METADATA, Column("version", Integer, primary_key=True))

UPSERTS: dict[str, Callable[[Table], Any]] = {
    "sqlite": sqlite.insert,
    "postgresql": postgresql.insert,
}
"""An insert that knows what to do where the row exists; each database has its own."""

ALONE = {"sqlite": "BEGIN IMMEDIATE", "postgresql": "SELECT pg_advisory_xact_lock(48269)"}
"""Until the end of a transaction nobody else makes tables. In SQLite it makes several of them one
step, too: a kill leaves all or none, else the rest would pass for a ledger of version 1."""


def read_url(text: str) -> URL:
    """The address of a database, as `--ledger` gives it.

    Raises:
        UserError: it is none that a ledger can be kept in, or it tells a password.
    """
    try:
        url = make_url(text)
        url.get_dialect()
    except (ArgumentError, NoSuchModuleError) as error:
        raise UserError(
            f"--ledger {text}: no address of a database; give sqlite:////folder/ledger.db or "
            "postgresql+psycopg://user@host/database"
        ) from error
    except ImportError as error:
        raise UserError(
            f"--ledger {text}: needs psycopg; pip install 'muse-search[postgres]'"
        ) from error
    if url.get_backend_name() not in UPSERTS or not url.database:
        raise UserError(f"--ledger {text}: name a file of sqlite or a database of postgresql.")
    secrets = [name for name in url.query if "pass" in name]  # sslpassword, passfile, ...
    if url.password is not None or secrets:
        shown = url.difference_update_query(secrets).render_as_string()
        raise UserError(
            f"--ledger {shown}: leave the password out, it would stand in "
            "study.yaml; PGPASSWORD or ~/.pgpass can hold it."
        )
    file = sqlite_file(url)
    return url if file is None else url.set(database=str(file.expanduser().resolve()))


def sqlite_url(file: Path) -> URL:
    """The address of a file, whatever its name; as text a question mark would end it."""
    return URL.create("sqlite", database=str(file))


def sqlite_file(url: URL) -> Path | None:
    """The file of an SQLite ledger; None for a server."""
    return Path(url.database or "") if url.get_backend_name() == "sqlite" else None


def open_engine(url: URL) -> Engine:
    """Connections to a ledger; none is made yet.

    Raises:
        UserError: the driver of this database is not installed.
    """
    try:
        engine = create_engine(url, pool_pre_ping=url.get_backend_name() != "sqlite")
    except ImportError as error:
        raise UserError(f"{url}: needs psycopg; pip install 'muse-search[postgres]'") from error
    if url.get_backend_name() == "sqlite":
        event.listen(engine, "connect", durable)
    return engine


def durable(connection: Any, _: Any) -> None:
    """Survive a kill at any instant, and let others read meanwhile."""
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")


def make_tables(connection: Connection, where: str) -> None:
    """Make what is missing.

    Raises:
        UserError: the tables are of another version.
    """
    if not inspect(connection).has_table("ledger"):
        connection.exec_driver_sql(ALONE[connection.dialect.name])
    there = inspect(connection)
    if there.has_table("ledger"):
        found = connection.execute(select(ABOUT.c.version)).scalar()
    else:
        found = 1 if there.has_table("trials") else None  # version 1 did not say so
    if found not in (None, VERSION):
        raise UserError(
            f"{where}: a ledger of version {found}, this muse-search reads version {VERSION}; "
            "go on with the muse-search that made it, or start under another --name."
        )
    METADATA.create_all(connection)
    if found is None:
        connection.execute(insert(ABOUT).values(version=VERSION))
