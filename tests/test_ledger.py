"""The ledger loses nothing, tears nothing and counts nothing twice."""

import csv
import json
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from muse.errors import UserError
from search.ledger import TRIALS, Entry, Ledger, write_csv

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
    ledger.ask("a", "search", 3, POINT)
    ledger.report("a", figures(1, 0.5, 4.0), 2.0)
    ledger.end("a", "failed", 5.0, 2.0, "not finite")

    assert ledger.entries() == [
        Entry("a", "search", "failed", 3, POINT, 5.0, 10.0, "not finite", (figures(1, 0.5, 4.0),))
    ]
    ledger.close()


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


def test_a_trial_that_runs_again_keeps_its_place_and_reports(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path)
    for name in ("a", "b"):
        ledger.ask(name, "search", 0, POINT)
    ledger.report("a", figures(1, 0.5), 1.0)

    ledger.ask("a", "search", 0, POINT)

    assert [(e.trial_id, e.epochs) for e in ledger.entries()] == [("a", 1), ("b", 0)]
    ledger.close()


def test_entries_of_a_phase_are_only_that_phase(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path)
    ledger.ask("a", "search", 0, POINT)
    ledger.ask("b", "sensitivity", 0, POINT)
    assert [e.trial_id for e in ledger.entries("sensitivity")] == ["b"]
    ledger.close()


def test_points_come_back_with_their_types(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path)
    point = {"cross.mu": 1, "loss.alpha": 1 / 3, "train.precision": "bf16"}
    ledger.ask("a", "search", 0, point)
    found = ledger.entries()[0].point
    assert (found, [type(v) for v in found.values()]) == (point, [int, float, str])
    ledger.close()


@pytest.mark.parametrize(
    "content", [b"no database at all, " * 100, b"SQLite format 3\0" + b"x" * 99]
)
def test_a_corrupt_file_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "ledger.db").write_bytes(content)
    with pytest.raises(UserError, match=r"ledger\.db: the ledger cannot be used \([^\n]*$"):
        open_ledger(tmp_path)


def test_a_file_that_is_damaged_inside_is_named(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path)
    for number in range(100):
        ledger.ask(f"t{number}", "search", 0, POINT)
    ledger.close()
    content = bytearray((tmp_path / "ledger.db").read_bytes())
    content[4096:] = b"\xff" * (
        len(content) - 4096
    )  # the first page, with the tables' names, stays
    (tmp_path / "ledger.db").write_bytes(content)

    ledger = open_ledger(tmp_path)
    with pytest.raises(UserError, match=r"ledger\.db: the ledger cannot be used \([^\n]*$"):
        ledger.entries()
    ledger.close()


def test_a_folder_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none.ledger\.db"):
        open_ledger(tmp_path / "none")


DONE = Entry(
    trial_id="search-0000",
    phase="search",
    state="completed",
    seed=4,
    point={"cross.theta": 0.25, "cross.eta": 3, "captioner.dropout": 0.3, "text.layers": 2},
    seconds=1.23456,
    device_seconds=2.46912,
    reason="",
    reports=({"epoch": 1, "value": 0.5}, {"epoch": 2, "value": 0.25}),
)
FIXED = {"cross.mu": 1, "cross.eta": 9, "loss.alpha": 1e-4, "cross.dropout": 0.1}


def rows(file: Path) -> list[list[str]]:
    with file.open(newline="") as stream:
        return list(csv.reader(stream))


def test_trials_csv_has_its_columns_in_order(tmp_path: Path) -> None:
    write_csv([DONE], "valid_f1", FIXED, tmp_path / "trials.csv")
    assert (tmp_path / "trials.csv").read_text().splitlines()[0] == (
        "trial_id,phase,state,seed,theta,mu,eta,alpha,beta,learning_rate,dropout,"
        "captioner.dropout,text.layers,epochs,metric,value,seconds,device_seconds,reason"
    )


def test_trials_csv_shows_searched_fixed_and_unknown_settings(tmp_path: Path) -> None:
    write_csv([DONE], "valid_f1", FIXED, tmp_path / "trials.csv")
    row = dict(zip(*rows(tmp_path / "trials.csv"), strict=True))
    assert (row["theta"], row["eta"]) == ("0.25", "3")  # searched; eta's fixed value yields
    assert (row["mu"], row["alpha"], row["dropout"]) == ("1", "0.0001", "0.1")  # fixed
    assert (row["captioner.dropout"], row["beta"]) == ("0.3", "")


def test_trials_csv_shows_cost_and_outcome(tmp_path: Path) -> None:
    failed = replace(DONE, trial_id="b", state="failed", reports=(), reason='said "no", twice')
    write_csv([DONE, failed], "valid_f1", FIXED, tmp_path / "trials.csv")
    outcomes = [row[-6:] for row in rows(tmp_path / "trials.csv")[1:]]
    assert outcomes == [
        ["2", "valid_f1", "0.5", "1.235", "2.469", ""],
        ["0", "valid_f1", "", "1.235", "2.469", 'said "no", twice'],
    ]


def test_a_study_without_trials_has_a_table_with_a_header_only(tmp_path: Path) -> None:
    write_csv([], "valid_f1", FIXED, tmp_path / "trials.csv")
    assert len(rows(tmp_path / "trials.csv")) == 1


def test_a_table_that_could_not_be_finished_leaves_the_old_one(tmp_path: Path) -> None:
    file = tmp_path / "trials.csv"
    write_csv([DONE], "valid_f1", FIXED, file)
    before = file.read_bytes()
    broken = replace(DONE, seconds="no number")  # type: ignore[arg-type]

    with pytest.raises(TypeError):
        write_csv([DONE, broken], "valid_f1", FIXED, file)

    assert file.read_bytes() == before


@pytest.mark.slow
def test_a_reader_never_sees_half_a_table(tmp_path: Path) -> None:
    file = tmp_path / "trials.csv"
    entries = [replace(DONE, trial_id=f"search-{n}") for n in range(200)]
    write_csv(entries, "valid_f1", FIXED, file)
    script = (
        "import sys, json\nfrom pathlib import Path\nfile = Path(sys.argv[1])\n"
        "print('ready', flush=True)\n"
        "print(json.dumps(sorted({file.read_bytes().count(b'\\n') for _ in range(3000)})))"
    )
    command = [sys.executable, "-c", script, str(file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as reader:
        assert reader.stdout is not None
        reader.stdout.readline()
        while reader.poll() is None:
            write_csv(entries, "valid_f1", FIXED, file)
        seen = json.loads(reader.stdout.read())
    assert seen == [201]
