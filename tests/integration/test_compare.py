"""A comparison as a user runs it: in processes, through Ray, and again with more of it."""

import csv
from pathlib import Path

import pytest
from studies import rows, run

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

EXPERIMENT = """
preset: tiny
data: {synthetic_tweets: 48}
budget: {epochs: 2}
resources: {workers: 1, cpus_per_worker: 1}
compare:
  seeds: 1
  variants:
    no-exchange: {cross.theta: 0}
"""
ONE_MORE = "    text-only: {fusion.kind: text, loss.alpha: 0, loss.beta: 0}\n"


def table(study: Path) -> list[dict[str, str]]:
    with (study / "comparison" / "summary.csv").open(encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def test_a_comparison_ends_in_a_table_and_takes_more_later(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(EXPERIMENT)
    given = (str(file), "--output", str(tmp_path))

    done = run(*given)
    assert (done.returncode, done.stderr) == (0, "")
    assert [row["n"] for row in table(tmp_path / "mine")] == ["1", "1"]
    before = rows(tmp_path / "mine")

    file.write_text(EXPERIMENT + ONE_MORE)
    done = run(*given, "--resume", "--set", "compare.seeds=2")
    assert (done.returncode, done.stderr) == (0, "")
    found = table(tmp_path / "mine")
    assert [row["variant"] for row in found] == ["muse", "no-exchange", "text-only"]
    assert [row["n"] for row in found] == ["2", "2", "2"]
    assert all(row["test"] and row["valid"] for row in found)
    after = rows(tmp_path / "mine")
    for row, same in zip(before, after, strict=False):  # nothing is trained twice
        assert row.items() <= same.items()  # the new variant has a column of its own
    assert {(row["phase"], row["state"]) for row in after} == {("compare", "completed")}
    assert not (tmp_path / "mine" / "trials").exists()  # nobody asks for the models
