"""The ledger loses nothing, tears nothing and counts nothing twice."""

import random
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from search.entry import Entry, Word
from search.ledger import Address, Ledger
from search.schema import TRIALS, make_tables, open_engine, read_url, sqlite_url

POINT = {"cross.theta": 0.1, "cross.mu": 1}
WRITER = """
import sys
from pathlib import Path
from search.ledger import Ledger
ledger = Ledger(Path(sys.argv[1]))
for number in range(100_000):
    name = f"t{number:06d}"
    ledger.ask(name, "search", number, {"cross.theta": number / 1e6})
    for epoch in (1, 2):
        ledger.report(name, {"epoch": epoch, "value": number + epoch / 10, "elapsed": epoch}, 1.0)
    ledger.end(name, "completed", 2.0, 1.0, "")
    print(number, flush=True)
"""


def open_ledger(folder: Path) -> Ledger:
    return Ledger(folder / "ledger.db")


def figures(epoch: int, value: float, elapsed: float = 0.0) -> dict[str, Any]:
    return {"epoch": epoch, "value": value, "elapsed": elapsed}


def killed_writer(file: Path, after: float) -> int:
    """Kill a process that writes trial after trial; returns how many it had told us are done."""
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(file)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    process.stdout.readline()  # it writes now
    time.sleep(after)
    process.send_signal(signal.SIGKILL)
    told = process.stdout.read().split()
    process.stdout.close()
    process.wait()
    return int(told[-1]) if told else 0


def test_two_studies_may_begin_in_one_new_database_at_once(tmp_path: Path) -> None:
    where = Address(sqlite_url(tmp_path / "shared.db"), "second")
    first = open_engine(where.url)
    with ThreadPoolExecutor(1) as other:
        with first.begin() as connection:
            make_tables(connection, "first")
            second = other.submit(Ledger, where)
            time.sleep(0.2)  # in which it looks for tables
        ledger = second.result()
    assert ledger.entries() == []
    ledger.close()
    first.dispose()


@pytest.mark.parametrize("attempt", range(5))
def test_what_was_written_before_a_kill_is_there_in_whole(tmp_path: Path, attempt: int) -> None:
    told = killed_writer(tmp_path / "ledger.db", after=random.Random(attempt).uniform(0.0, 0.5))

    ledger = open_ledger(tmp_path)
    entries = ledger.entries()
    ledger.close()

    assert len(entries) > told  # what was told to be done is done
    assert [e.trial_id for e in entries] == [f"t{n:06d}" for n in range(len(entries))]
    for number, entry in enumerate(entries[:-1]):
        assert (entry.state, entry.seed, entry.seconds) == ("completed", number, 2.0)
        assert [r["value"] for r in entry.reports] == [number + 0.1, number + 0.2]
    last = entries[-1]  # of this one a beginning may be there
    assert [r["epoch"] for r in last.reports] == list(range(1, len(last.reports) + 1))
    assert last.state == "running" or len(last.reports) == 2


def test_a_trial_reads_as_it_was_told(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path)
    before = time.time()
    ledger.hear("a", Word(asked_hash="f00"))
    ledger.ask("a", "search", 3, POINT, budget=4)
    ledger.hear("a", Word(node="gpu-1", built_hash="f01"))
    ledger.report("a", figures(1, 0.5, 4.0), 2.0)
    ledger.hear("a", Word(kind="diverged"))
    ledger.end("a", "failed", 5.0, 2.0, "not finite")
    ledger.keep("a", "trials/a/best")

    (entry,) = ledger.entries()
    ledger.close()

    assert before - 4.0 <= entry.started <= before < entry.ended <= time.time()
    assert replace(entry, started=0.0, ended=0.0) == Entry(
        trial_id="a",
        phase="search",
        state="failed",
        seed=3,
        point=POINT,
        seconds=5.0,
        device_seconds=10.0,
        reason="not finite",
        reports=(figures(1, 0.5, 4.0),),
        kind="diverged",
        node="gpu-1",
        attempts=1,
        budget=4,
        asked_hash="f00",
        built_hash="f01",
        checkpoint="trials/a/best",
    )


def test_a_second_process_reads_while_the_first_writes(tmp_path: Path) -> None:
    writer, reader = open_ledger(tmp_path), open_ledger(tmp_path)
    writer.ask("a", "search", 0, POINT)
    assert [e.trial_id for e in reader.entries()] == ["a"]
    writer.close()
    reader.close()


def test_a_transaction_that_breaks_off_leaves_nothing(tmp_path: Path) -> None:
    def break_off() -> None:
        with ledger.transaction() as connection:
            connection.execute(TRIALS.update().values(state="failed"))
            raise KeyboardInterrupt

    ledger = open_ledger(tmp_path)
    ledger.ask("a", "search", 0, POINT)
    with pytest.raises(KeyboardInterrupt):
        break_off()
    assert [e.state for e in ledger.entries()] == ["running"]
    ledger.close()


def test_a_power_cut_loses_nothing_that_was_told(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path)
    with ledger.engine.connect() as connection:
        journal = connection.exec_driver_sql("PRAGMA journal_mode").scalar()
        synchronous = connection.exec_driver_sql("PRAGMA synchronous").scalar()
    assert (journal, synchronous) == ("wal", 2)  # FULL: on the disk before it counts
    ledger.close()


def test_a_report_told_twice_counts_once(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path)
    ledger.ask("a", "search", 0, POINT)
    for value in (0.5, 0.9):
        ledger.report("a", figures(1, value, 3.0), 1.0)

    (entry,) = ledger.entries()

    assert [r["value"] for r in entry.reports] == [0.5]
    assert entry.seconds == 3.0
    ledger.close()


def test_the_value_is_the_best_of_all_epochs_and_not_the_last(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path)
    ledger.ask("a", "search", 0, POINT)
    for epoch, value in enumerate([0.2, 0.7, 0.4], start=1):
        ledger.report("a", figures(epoch, value), 1.0)

    (entry,) = ledger.entries()

    assert (entry.value, entry.epochs) == (0.7, 3)
    ledger.close()


def test_a_trial_without_reports_has_no_value(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path)
    ledger.ask("a", "search", 0, POINT)
    (entry,) = ledger.entries()
    assert (entry.value, entry.epochs, entry.state) == (None, 0, "running")
    ledger.close()


def test_seconds_before_and_after_an_interruption_add_up(tmp_path: Path) -> None:
    first = open_ledger(tmp_path)
    first.ask("a", "search", 0, POINT)
    first.report("a", figures(1, 0.1, 10.0), 2.0)
    first.report("a", figures(2, 0.2, 20.0), 2.0)
    first.close()  # interrupted: 20 seconds on 2 devices

    second = open_ledger(tmp_path)
    second.ask("a", "search", 0, POINT)
    second.report("a", figures(3, 0.3, 12.0), 1.0)
    second.end("a", "completed", 15.0, 1.0, "")  # 15 seconds on 1 device
    (entry,) = second.entries()

    assert (entry.seconds, entry.device_seconds) == (35.0, 55.0)
    second.close()


def test_seconds_of_a_trial_that_one_process_asks_for_twice_add_up(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path)
    for seconds in (10.0, 15.0):
        ledger.ask("a", "final", 0, POINT)
        ledger.end("a", "failed", seconds, 2.0, "no room")
    entry = ledger.entry("a")
    assert (entry.seconds, entry.device_seconds) == (25.0, 50.0)
    ledger.close()


def test_an_end_that_knows_of_no_seconds_and_no_losses_takes_none_back(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path)
    ledger.ask("a", "search", 0, POINT)
    ledger.hear("a", Word(lost=2))
    ledger.report("a", figures(1, 0.5, 10.0), 2.0)
    ledger.hear("a", Word(kind="worker lost"))
    ledger.report("a", figures(2, 0.5, 0.0), 2.0)
    ledger.hear("a", Word(lost=2))
    ledger.end("a", "failed", 12.0, 2.0, "its driver was lost")
    entry = ledger.entry("a")
    assert (entry.seconds, entry.device_seconds, entry.attempts) == (12.0, 24.0, 3)
    ledger.close()


def test_a_trial_that_runs_again_keeps_its_place_and_reports(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path)
    for name in ("a", "b"):
        ledger.ask(name, "search", 0, POINT)
    ledger.report("a", figures(1, 0.5), 1.0)

    ledger.ask("a", "search", 0, POINT)

    assert [(e.trial_id, e.epochs) for e in ledger.entries()] == [("a", 1), ("b", 0)]
    ledger.close()


def test_attempts_are_all_times_that_workers_began_with_a_trial(tmp_path: Path) -> None:
    first = open_ledger(tmp_path)
    first.ask("a", "search", 0, POINT)
    first.report("a", figures(1, 0.5), 1.0)
    for epoch in (2, 3):  # one loss, told twice
        first.hear("a", Word(lost=1))
        first.report("a", figures(epoch, 0.5), 1.0)
    first.close()

    second = open_ledger(tmp_path)
    second.ask("a", "search", 0, POINT)
    second.hear("a", Word(lost=2))
    second.end("a", "completed", 1.0, 1.0, "")

    assert second.entry("a").attempts == 5  # first, after a loss, after a resume, after two losses
    second.close()


def test_a_trial_that_is_tried_again_has_not_failed_any_more(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path)
    ledger.ask("a", "final", 0, POINT)
    ledger.hear("a", Word(kind="memory"))
    ledger.end("a", "failed", 1.0, 1.0, "no room")
    ledger.ask("a", "final", 0, POINT)
    again = ledger.entry("a")
    assert (again.state, again.kind, again.reason) == ("running", "", "")
    ledger.end("a", "completed", 1.0, 1.0, "")
    assert (ledger.entry("a").kind, ledger.entry("a").reason) == ("", "")
    ledger.close()


def test_a_word_left_empty_leaves_what_is_known(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path)
    ledger.ask("a", "search", 0, POINT)
    ledger.hear("a", Word(node="gpu-1"))
    ledger.report("a", figures(1, 0.5), 1.0)
    ledger.end("a", "completed", 1.0, 1.0, "")
    assert ledger.entry("a").node == "gpu-1"
    ledger.close()


def test_a_loss_that_is_not_finite_is_kept_as_nothing(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path)
    ledger.ask("a", "search", 0, POINT)
    ledger.report("a", {**figures(1, 0.5), "loss": float("inf")}, 1.0)
    assert ledger.entry("a").reports[0]["loss"] is None
    ledger.close()


def test_entries_come_in_the_order_in_which_they_were_asked(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path)
    for name in ("search-0000", "confirm-0", "search-0001"):
        ledger.ask(name, "search", 0, POINT)
    assert [e.trial_id for e in ledger.entries()] == ["search-0000", "confirm-0", "search-0001"]
    ledger.close()


def test_entries_of_a_phase_are_only_that_phase(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path)
    ledger.ask("a", "search", 0, POINT)
    ledger.ask("b", "sensitivity", 0, POINT)
    assert [e.trial_id for e in ledger.entries("sensitivity")] == ["b"]
    ledger.close()


def test_a_copy_is_not_made_for_every_epoch_but_for_every_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Path] = []
    monkeypatch.setattr("search.ledger.save_copy", lambda _, copy: made.append(copy))
    monkeypatch.setattr("search.ledger.COPY_AFTER", 60.0)
    url, copy = sqlite_url(tmp_path / "far.db"), tmp_path / "ledger.db"
    ledger = Ledger(Address(url, "mine", copy))
    ledger.ask("a", "search", 0, POINT)
    for epoch in range(1, 9):
        ledger.report("a", {"epoch": epoch, "value": 0.5}, 1.0)
    assert made == [copy]  # when it was asked
    ledger.report("a", {"epoch": 9, "value": 0.5}, 1.0, ("completed", ""))
    assert made == [copy, copy]
    ledger.end("a", "failed", 0.0, 1.0, "")
    assert made == [copy] * 3
    ledger.close()


def test_epochs_of_a_long_trial_are_copied_now_and_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("search.ledger.COPY_AFTER", -1.0)
    url, copy = sqlite_url(tmp_path / "far.db"), tmp_path / "ledger.db"
    ledger = Ledger(Address(url, "mine", copy))
    ledger.ask("a", "search", 0, POINT)
    ledger.report("a", figures(1, 0.5), 1.0)
    ledger.close()
    copied = Ledger(copy)
    assert copied.entry("a").epochs == 1
    copied.close()


def test_points_come_back_with_their_types(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path)
    point = {"cross.mu": 1, "loss.alpha": 1 / 3, "train.precision": "bf16"}
    ledger.ask("a", "search", 0, point)
    found = ledger.entries()[0].point
    assert (found, [type(v) for v in found.values()]) == (point, [int, float, str])
    ledger.close()


def test_studies_that_share_a_file_do_not_see_one_another(tmp_path: Path) -> None:
    url = read_url(f"sqlite:///{tmp_path}/ledger.db")
    ledgers = [Ledger(Address(url, study)) for study in ("a", "b")]
    for number, ledger in enumerate(ledgers):
        ledger.ask("t", "search", number, POINT)
        ledger.report("t", figures(1, number / 10), 1.0)
        ledger.keep("t", f"trials/{number}/best")
    ledgers[0].end("t", "failed", 0.0, 1.0, "")
    found = [(e.seed, e.state, e.checkpoint) for ledger in ledgers for e in ledger.entries()]
    assert found == [(0, "failed", "trials/0/best"), (1, "running", "trials/1/best")]
    assert [ledger.entry("t").reports for ledger in ledgers] == [
        (figures(1, 0.0),),
        (figures(1, 0.1),),
    ]
    for ledger in ledgers:
        ledger.close()


def test_a_file_of_one_study_is_read_without_its_key(tmp_path: Path) -> None:
    ledger = Ledger(Address(read_url(f"sqlite:///{tmp_path}/ledger.db"), "mine-1234"))
    ledger.ask("t", "search", 0, POINT)
    ledger.close()
    reader = open_ledger(tmp_path)
    assert [e.trial_id for e in reader.entries()] == ["t"]
    reader.close()


def test_a_new_study_in_the_file_of_another_begins_empty(tmp_path: Path) -> None:
    url = read_url(f"sqlite:///{tmp_path}/ledger.db")
    other = Ledger(Address(url, "a"))
    other.ask("t", "search", 0, POINT)
    ledger = Ledger(Address(url, "b"))
    assert ledger.entries() == []
    ledger.ask("t", "search", 1, POINT)
    reader = open_ledger(tmp_path)  # without a key, none of several is meant
    assert reader.entries() == []
    for one in (other, ledger, reader):
        one.close()


def test_only_the_best_trial_has_a_checkpoint_on_record(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path)
    for name in ("a", "b"):
        ledger.ask(name, "search", 0, POINT)
        ledger.keep(name, f"trials/{name}/best")
    assert [e.checkpoint for e in ledger.entries()] == ["", "trials/b/best"]
    ledger.close()
