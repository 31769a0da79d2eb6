"""The README's first command and what stands around it, as a user runs them: in processes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from studies import ROOT, rows, run

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def test_the_quickstart_varies_all_seven_settings_and_stops_some_trials(quickstart: Path) -> None:
    searched = [row for row in rows(quickstart) if row["phase"] == "search"]
    for name in ("theta", "mu", "eta", "alpha", "beta", "learning_rate", "dropout"):
        assert len({row[name] for row in searched}) > 1, name
    assert all(0 <= int(row["mu"]) < int(row["eta"]) <= 3 for row in searched)
    assert {row["state"] for row in searched} == {"completed", "stopped"}


def test_the_quickstart_finds_a_model_that_uses_both_streams(quickstart: Path) -> None:
    best = yaml.safe_load((quickstart / "best.yaml").read_text(encoding="utf-8"))
    assert best["confirmed"]["mean"] > 0.9
    assert best["final"]["test"]["f1"] > 0.9
    assert best["model"] == best["final"]["trial_id"]


def test_the_quickstart_leaves_curves_events_and_nothing_half_done(quickstart: Path) -> None:
    for name in ("theta", "mu", "eta", "alpha", "beta", "learning_rate", "dropout"):
        assert (quickstart / "sensitivity" / f"{name}.png").stat().st_size > 5000
        header = (quickstart / "sensitivity" / f"{name}.csv").read_text().splitlines()[0]
        assert header == "value,seed,metric,budget,trial_id,phase"
    trials = {row["trial_id"] for row in rows(quickstart)}
    events = {file.parent.name for file in quickstart.glob("tensorboard/*/events.*")}
    assert events == trials | {"sensitivity", "review"}
    assert len(list((quickstart / "review").glob("tweet-*.png"))) == 8
    assert "python -m muse.predict" in (quickstart / "best" / "README.md").read_text()
    html = (quickstart / "report.html").read_text(encoding="utf-8")
    assert "http://" not in html.replace("http://www.w3.org/", "")  # it works offline
    assert (quickstart / "sensitivity" / "summary.csv").read_text().count("\n") == 8
    assert not (quickstart / "trials").exists()
    assert not (quickstart / ".ray").exists()


def test_a_finished_study_is_not_overwritten(quickstart: Path) -> None:
    done = run("--output", str(quickstart.parent))
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "finished study" in done.stderr


def test_a_study_of_other_data_is_refused_and_stays_as_it_is(quickstart: Path) -> None:
    file, table = quickstart / "study.yaml", rows(quickstart)
    before = file.read_text(encoding="utf-8")
    file.write_text(before.replace("synthetic_tweets: 256", "synthetic_tweets: 96"))
    done = run("--output", str(quickstart.parent), "--resume")
    assert done.returncode == 2
    assert "data changed" in done.stderr
    assert rows(quickstart) == table
    file.write_text(before)


def test_the_exported_model_predicts(quickstart: Path) -> None:
    text = ["--text", "the Delio and Delby again"]
    done = subprocess.run(
        [sys.executable, "-m", "muse.predict", str(quickstart / "best"), *text],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "entities" in json.loads(done.stdout)


def test_every_phase_of_a_finished_study_runs_again_without_training(quickstart: Path) -> None:
    before = rows(quickstart)
    (quickstart / "report.html").unlink()
    done = run("--output", str(quickstart.parent), "--resume")
    assert done.returncode == 0, done.stderr
    assert rows(quickstart) == before
    assert (quickstart / "report.html").exists()
