"""The ledger in a real PostgreSQL server, started for these tests on a socket of its own."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from postgres_server import LACKING, Server, postgres_server

from muse.errors import UserError
from search.entry import Word
from search.folder import Places, new_folder, old_folder
from search.ledger import Address, Ledger
from search.schema import read_url
from search.stored import stored
from search.study import Study

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(LACKING), reason=LACKING or "all is there"),
]
POINT = {"cross.theta": 0.1, "cross.mu": 1}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with postgres_server() as made:
        yield made


def fill(ledger: Ledger) -> None:
    """A trial that was interrupted and ended, and one that runs."""
    ledger.ask("a", "search", 3, POINT, budget=2)
    ledger.hear("a", Word(node="gpu-1", lost=1))
    for value in (0.5, 0.9):  # told twice: the first counts
        ledger.report("a", {"epoch": 1, "value": value, "elapsed": 4.0, "loss": float("nan")}, 2.0)
    ledger.ask("a", "search", 3, POINT, budget=2)
    ledger.report("a", {"epoch": 2, "value": 0.25, "elapsed": 1.0, "loss": 0.5}, 2.0)
    ledger.hear("a", Word(kind="disk"))
    ledger.end("a", "failed", 1.0, 2.0, 'said "no"')
    ledger.ask("b", "sensitivity", 0, POINT)


def test_a_study_reads_from_postgresql_as_it_reads_from_sqlite(
    server: Server, tmp_path: Path
) -> None:
    here, there = Ledger(tmp_path / "ledger.db"), Ledger(Address(read_url(server.url), "mine"))
    fill(here)
    fill(there)

    def known(ledger: Ledger) -> list[dict[str, Any]]:
        times = {"started", "ended"}
        return [{k: v for k, v in vars(e).items() if k not in times} for e in ledger.entries()]

    assert known(there) == known(here)
    assert there.entry("a").seconds == 5.0
    assert [e.trial_id for e in there.entries("sensitivity")] == ["b"]
    here.close()
    there.close()


def test_studies_of_one_database_do_not_see_one_another(server: Server) -> None:
    first = Ledger(Address(read_url(server.url), "first"))
    second = Ledger(Address(read_url(server.url), "second"))
    first.ask("a", "search", 0, POINT)
    second.ask("a", "search", 1, POINT)
    first.report("a", {"epoch": 1, "value": 0.5}, 1.0)
    first.end("a", "stopped", 0.0, 1.0, "")
    assert [(e.state, e.seed, e.epochs) for e in first.entries()] == [("stopped", 0, 1)]
    assert [(e.state, e.seed, e.epochs) for e in second.entries()] == [("running", 1, 0)]
    first.close()
    second.close()


def test_a_folder_whose_ledger_is_in_postgresql_is_resumed_from_there(
    server: Server, tmp_path: Path
) -> None:
    study = Study(name="mine")
    with new_folder(tmp_path / "mine", study, "abc", Places(server.url)) as place:
        ledger = Ledger(place.ledger)
        ledger.ask("a", "search", 0, POINT)
        ledger.close()
    with old_folder(tmp_path / "mine", stored(tmp_path / "mine")) as place:
        ledger = Ledger(place.ledger)
        assert [e.trial_id for e in ledger.entries()] == ["a"]
        ledger.close()
    assert not (tmp_path / "mine" / "ledger.db").exists()


def test_a_server_that_went_away_is_one_line_and_what_was_told_is_kept(server: Server) -> None:
    address = Address(read_url(server.url), "away")
    ledger = Ledger(address)
    ledger.ask("a", "search", 0, POINT)
    server.stop()
    with pytest.raises(UserError, match=r"does not answer \([^\n]*\); once it does, --resume\.$"):
        ledger.ask("b", "search", 0, POINT)
    server.start()
    assert [e.trial_id for e in ledger.entries()] == ["a"]
    ledger.ask("b", "search", 0, POINT)
    ledger.close()
