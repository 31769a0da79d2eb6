"""A search that is killed at any instant loses no trial, repeats none and keeps its budget."""

import multiprocessing
import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
from studies import NOBODY_STOPPED, ROOT, command, epochs_on_record
from without_ray import search_without_ray

from search.entry import Entry, State
from search.ledger import Ledger
from search.scheduler import build_scheduler
from search.searcher import Proposal, Truthful
from search.start import settle
from search.study import Study

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def on_record(file: Path) -> dict[str, Entry]:
    """The trials of a ledger by their ids."""
    if not file.exists():
        return {}
    ledger = Ledger(file)
    try:
        return {entry.trial_id: entry for entry in ledger.entries()}
    finally:
        ledger.close()


class Witness:
    """Remembers what has ended, and checks that it stays as it was.

    Only the place of the best model may change: it is exported when the search has ended.
    """

    def __init__(self) -> None:
        self.ended: dict[str, Entry] = {}

    def look(self, file: Path) -> dict[str, Entry]:
        now = on_record(file)
        for trial_id, entry in self.ended.items():
            same = replace(now[trial_id], checkpoint=entry.checkpoint)
            assert same == entry  # neither lost nor trained again
        self.ended = {i: e for i, e in now.items() if e.state != "running"}
        return now


def check_whole(entries: dict[str, Entry], trials: int, epochs: int) -> None:
    """The budget is spent exactly, and every trial has an end that fits its reports."""
    assert sorted(entries) == [f"search-{number:04d}" for number in range(trials)]
    for entry in entries.values():
        assert entry.state in ("completed", "stopped")
        assert [r["epoch"] for r in entry.reports] == list(range(1, entry.epochs + 1))
        assert (entry.epochs == epochs) == (entry.state == "completed")


TRIALS, EPOCHS = 40, 9
STUDY = Study.model_validate(
    {
        "preset": "tiny",
        "budget": {"trials": TRIALS, "epochs": EPOCHS},
        "space": {"cross.theta": {"low": 0.0, "high": 0.5}, "cross.mu": {"low": 0, "high": 2}},
        "searcher": {"startup": 4},
    }
)


def figures(point: dict[str, Any], epoch: int) -> dict[str, Any]:
    value = 1 - (point["cross.theta"] - 0.3) ** 2 - 1 / (epoch + point["cross.mu"])
    return {"epoch": epoch, "value": value, "best": value, "elapsed": float(epoch)}


class OnRecord:
    """Puts trials on record, as the keeper does it."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger

    def begin(self, proposal: Proposal) -> dict[str, Any]:
        """A trial is asked for."""
        self.ledger.ask(proposal.trial_id, "search", proposal.seed, proposal.point)
        task = {"trial_id": proposal.trial_id, "point": proposal.point}
        return {"task": task, "seen": proposal.seen}

    def on_trial_result(
        self, _iteration: int, _trials: list[Any], trial: Any, result: dict[str, Any]
    ) -> None:
        """An epoch has ended."""
        told = {name: value for name, value in result.items() if name != "done"}
        self.ledger.report(trial.config["task"]["trial_id"], told, devices=1.0)

    def on_trial_complete(self, _iteration: int, _trials: list[Any], trial: Any) -> None:
        """A trial has."""
        epoch, trial_id = trial.last_result["epoch"], trial.config["task"]["trial_id"]
        state: State = "completed" if epoch == EPOCHS else "stopped"
        self.ledger.end(trial_id, state, float(epoch), 1.0, "")


def search(file: Path) -> None:
    """Search, or go on with it, three trials at a time."""
    ledger = Ledger(file)
    settle(ledger, EPOCHS)
    earlier, record = ledger.entries(), OnRecord(ledger)
    searcher, asha = Truthful(STUDY, earlier, record.begin), build_scheduler(STUDY, earlier)

    def train(config: dict[str, Any], epoch: int) -> dict[str, Any]:
        return figures(config["task"]["point"], epoch)

    search_without_ray(searcher, asha, record, train, 3, random.choice)
    ledger.close()


def run_for(seconds: float | None, file: Path) -> int:
    """Search in a process of its own and kill it after a while; its exit status."""
    process = multiprocessing.get_context("fork").Process(target=search, args=(file,))
    process.start()
    process.join(seconds)
    if process.is_alive() and process.pid is not None:
        os.kill(process.pid, signal.SIGKILL)
    process.join()
    return int(process.exitcode or 0)


@pytest.mark.parametrize("seed", [0, 1])
def test_forty_kills_of_searcher_asha_and_ledger_leave_the_study_whole(
    seed: int, tmp_path: Path
) -> None:
    dice = random.Random(seed)
    kills, studies = 0, 0
    while kills < 20:
        file, witness = tmp_path / f"{studies}.db", Witness()
        studies += 1
        # A study that is killed before its first trial each time would never end.
        for attempt in range(200):
            status = run_for(dice.uniform(0, 0.2 + 0.05 * attempt), file)
            assert status in (0, -signal.SIGKILL)
            witness.look(file)
            if status == 0:
                break
            kills += 1
        check_whole(witness.look(file), TRIALS, EPOCHS)


KILL, CTRL_C, TERM = signal.SIGKILL, signal.SIGINT, signal.SIGTERM
ENDS = [KILL, CTRL_C, KILL, TERM, KILL, KILL]
"""Of whole searches, each of which takes half a minute to start and end."""

STATUS = {KILL: -KILL, CTRL_C: 130, TERM: 143}
"""What a search that is ended so says to its shell."""


@pytest.fixture
def heard_interrupts() -> Iterator[None]:
    """Ctrl-C reaches what is started meanwhile, also where a script started the tests with `&`."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def start(study: Path) -> "subprocess.Popen[str]":
    """Start a tiny study, or go on with it."""
    small = ["--trials", "5", "--epochs", "2"]
    small += ["--set", "data.synthetic_tweets=24", *NOBODY_STOPPED]
    how = ["--resume"] if (study / "study.yaml").exists() else small
    where = ["--output", str(study.parent), "--name", study.name, "--phases", "search"]
    with errors_of(study).open("w") as errors:
        return subprocess.Popen(
            command(*where, *how),
            cwd=ROOT,
            text=True,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            start_new_session=True,  # so that no signal reaches this process
        )


def errors_of(study: Path) -> Path:
    """What the last process of a study said on stderr."""
    return study.with_suffix(".err")


def end_some_time(
    process: "subprocess.Popen[str]", how: signal.Signals, file: Path, dice: random.Random
) -> list[psutil.Process]:
    """End a search somewhere between its start and some seconds after its next epoch.

    A signal that it can answer comes soon after an epoch: before the first it may not listen yet,
    and long after the last it does so no more.

    Returns:
        The processes that it had started.
    """
    before, until = epochs_on_record(file), time.monotonic() + 240
    if how != KILL or dice.random() < 0.7:
        while process.poll() is None and epochs_on_record(file) == before:
            assert time.monotonic() < until
            time.sleep(0.05)
    time.sleep(dice.uniform(0, 4 if how == KILL else 1))
    family = []
    if process.poll() is None:
        family = psutil.Process(process.pid).children(recursive=True)
        # SIGTERM to all that it started in its group, as `timeout` does; else to it alone.
        (os.killpg if how == TERM else os.kill)(process.pid, how)
    process.wait(timeout=120)
    return family


def gone(family: list[psutil.Process]) -> bool:
    """Whether what a kill leaves behind has ended."""
    left = [process for process in family if process.is_running()]
    return not [p for p in left if p.status() != "zombie" and "ray" in " ".join(p.cmdline())]


def ended_whole(study: Path, ends: list[signal.Signals], dice: random.Random) -> None:
    """Take a study to its end, through ends that it was not to have as long as there are any."""
    witness = Witness()
    while True:
        process, family, status = start(study), [], 0
        if ends:
            family = end_some_time(process, ends[0], study / "ledger.db", dice)
            status = STATUS[ends[0]]
        process.wait()
        assert process.returncode in (0, status), errors_of(study).read_text()
        for _ in range(100):
            if gone(family):
                break
            time.sleep(0.1)
        assert gone(family)
        if status != STATUS[KILL]:  # an orderly end leaves no process at all
            assert psutil.wait_procs(family, timeout=60)[1] == []
        entries = witness.look(study / "ledger.db")
        if process.returncode == 0:
            check_whole(entries, 5, 2)
            return
        ends.pop(0)


@pytest.mark.usefixtures("heard_interrupts")
def test_ends_of_whole_searches_leave_every_study_whole_and_no_process(tmp_path: Path) -> None:
    dice, ends, studies = random.Random(0), list(ENDS), 0
    while ends:
        ended_whole(tmp_path / f"study-{studies}", ends, dice)
        studies += 1
