"""The planted truth: does a whole study find what is so, and nothing else?"""

import gc
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import planted_truth
import pytest
import ray
from many_planted import Found, Plot, holding, run_many
from planted import run_planted
from planted_truth import DEAD, QUALITY, SPEED
from scipy.stats import binomtest

from search.connect import connect
from search.entry import Entry
from search.findings import Findings
from search.quiet import be_quiet

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1800),
    # Ray leaves its own sockets and files open in the driver.
    pytest.mark.filterwarnings("ignore"),
]

STUDIES = 200


@pytest.fixture(scope="module")
def through_tune(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Found]:
    """The first of the studies, phase by phase through Ray Tune."""
    be_quiet()
    ray.cloudpickle.register_pickle_by_value(planted_truth)  # workers do not have the tests
    connect(None)
    yield run_planted(0, tmp_path_factory.mktemp("tune"))
    ray.shutdown()
    gc.collect()  # what Ray has left open is complained of here, not in a later test


@pytest.fixture(scope="module")
def studies() -> list[Found]:
    memory = Path("/dev/shm")  # 200 ledgers wait for the disk at each of their 40,000 lines
    with TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        return run_many(STUDIES, Path(folder))


def curve_of(found: Findings, name: str) -> object:
    return next(curve for curve in found.curves if curve.name == name)


def test_a_study_run_phase_by_phase_finds_what_was_planted(through_tune: Found) -> None:
    found, entries = through_tune
    assert found.curves[0].name == QUALITY
    assert found.curves[0].verdict in ("sensitive", "cliff")
    assert {entry.state for entry in entries} == {"completed", "stopped"}
    phases = ("search", "confirm", "sensitivity")
    seeds = [{e.seed for e in entries if e.phase == phase} for phase in phases]
    assert sum(map(len, seeds)) == len(set().union(*seeds))  # no phase shares one with another


def test_tune_does_with_a_search_what_is_done_without_it(
    through_tune: Found, tmp_path: Path
) -> None:
    """As the many studies below are; with one trial at a time nothing is left to chance."""
    plot = Plot(0, tmp_path)
    plot.search(at_once=1)
    assert told(plot.ledger.entries()) == told(through_tune[1])


def told(entries: list[Entry]) -> list[object]:
    """What a search has on record, but for times."""
    return [
        (e.trial_id, e.point, e.seed, e.state, e.reason, e.reports)
        for e in entries
        if e.phase == "search"
    ]


def test_the_setting_that_decides_the_quality_ranks_first(studies: list[Found]) -> None:
    assert all(found.curves[0].name == QUALITY for found, _ in studies)


def test_a_dead_setting_is_flat_but_for_the_stated_error_rate(studies: list[Found]) -> None:
    """Holm allows 5 % of studies a false finding among all their settings."""
    alarms = sum(curve_of(found, DEAD).verdict != "flat" for found, _ in studies)
    assert binomtest(alarms, STUDIES, 0.05, alternative="greater").pvalue > 0.01, alarms


def test_a_setting_that_only_decides_the_speed_is_not_called_a_cliff(studies: list[Found]) -> None:
    assert all(curve_of(found, SPEED).verdict in ("flat", "sensitive") for found, _ in studies)


def test_the_intervals_hold_the_truth_as_often_as_they_say(studies: list[Found]) -> None:
    """Of means, and of differences; several in a study lean on the same runs, so no binomial."""
    means, differences = holding([found for found, _ in studies])
    assert 0.90 <= means <= 0.99
    assert 0.90 <= differences <= 0.99


def test_stopped_trials_enter_no_curve(studies: list[Found]) -> None:
    for found, entries in studies:
        stopped = {entry.trial_id for entry in entries if entry.state == "stopped"}
        assert stopped  # ASHA was at work
        assert not any(run.trial_id in stopped for curve in found.curves for run in curve.runs)
