"""`trials.csv` shows each trial whole, and is never half written."""

import csv
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from search.entry import Entry
from search.space import Point
from search.table import write_csv

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
    node="gpu-1",
    attempts=2,
    budget=3,
)


def fixed(_: Entry) -> Point:
    return {"cross.mu": 1, "cross.eta": 9, "loss.alpha": 1e-4, "cross.dropout": 0.1}


def rows(file: Path) -> list[list[str]]:
    with file.open(newline="") as stream:
        return list(csv.reader(stream))


def test_trials_csv_has_its_columns_in_order(tmp_path: Path) -> None:
    write_csv([DONE], "valid_f1", fixed, tmp_path / "trials.csv")
    assert (tmp_path / "trials.csv").read_text().splitlines()[0] == (
        "trial_id,phase,state,seed,theta,mu,eta,alpha,beta,learning_rate,dropout,"
        "captioner.dropout,text.layers,epochs,metric,value,seconds,device_seconds,reason,"
        "kind,node,attempts,budget"
    )


def test_trials_csv_shows_searched_fixed_and_unknown_settings(tmp_path: Path) -> None:
    write_csv([DONE], "valid_f1", fixed, tmp_path / "trials.csv")
    row = dict(zip(*rows(tmp_path / "trials.csv"), strict=True))
    assert (row["theta"], row["eta"]) == ("0.25", "3")  # searched; eta's fixed value yields
    assert (row["mu"], row["alpha"], row["dropout"]) == ("1", "0.0001", "0.1")  # fixed
    assert (row["captioner.dropout"], row["beta"]) == ("0.3", "")


def test_trials_csv_shows_cost_and_outcome(tmp_path: Path) -> None:
    failed = replace(
        DONE, trial_id="b", state="failed", reports=(), reason='said "no", twice', kind="disk"
    )
    write_csv([DONE, failed], "valid_f1", fixed, tmp_path / "trials.csv")
    outcomes = [row[-10:] for row in rows(tmp_path / "trials.csv")[1:]]
    assert outcomes == [
        ["2", "valid_f1", "0.5", "1.235", "2.469", "", "", "gpu-1", "2", "3"],
        ["0", "valid_f1", "", "1.235", "2.469", 'said "no", twice', "disk", "gpu-1", "2", "3"],
    ]


def test_a_study_without_trials_has_a_table_with_a_header_only(tmp_path: Path) -> None:
    write_csv([], "valid_f1", fixed, tmp_path / "trials.csv")
    assert len(rows(tmp_path / "trials.csv")) == 1


def test_a_table_that_could_not_be_finished_leaves_the_old_one(tmp_path: Path) -> None:
    file = tmp_path / "trials.csv"
    write_csv([DONE], "valid_f1", fixed, file)
    before = file.read_bytes()
    broken = replace(DONE, seconds="no number")  # type: ignore[arg-type]

    with pytest.raises(TypeError):
        write_csv([DONE, broken], "valid_f1", fixed, file)

    assert file.read_bytes() == before


@pytest.mark.slow
def test_a_reader_never_sees_half_a_table(tmp_path: Path) -> None:
    file = tmp_path / "trials.csv"
    entries = [replace(DONE, trial_id=f"search-{n}") for n in range(200)]
    write_csv(entries, "valid_f1", fixed, file)
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
            write_csv(entries, "valid_f1", fixed, file)
        seen = json.loads(reader.stdout.read())
    assert seen == [201]
