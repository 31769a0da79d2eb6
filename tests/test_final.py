"""Which workers the final training gets."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Self

import pytest
from sample_entries import sample_entry, sample_study

from search import final
from search.bucket import Checkpoints
from search.final import train_final, workers_for
from search.searcher import Proposal

HERE = SimpleNamespace(pools=SimpleNamespace(apart=3))
"""The cluster that trained the other phases, with groups for three trials."""


class Work:
    """A study at work, as far as the final training looks at it."""

    def __init__(self, minutes: float, tweets: int = 100, **resources: Any) -> None:
        self.study = sample_study(resources={"together_minutes": minutes, **resources})
        self.place, self.address = SimpleNamespace(shared="folder"), None
        self.released = False
        self.running = HERE
        self.tensors = SimpleNamespace(splits={"train": range(tweets)})

    def cluster(self) -> Any:
        return HERE

    def release(self) -> None:
        self.released = True


class Gathered:
    """In place of a cluster with one group."""

    def __init__(self, study: Any, *_: Any) -> None:
        self.resources = study.resources

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: Any) -> None:
        pass


@pytest.fixture(autouse=True)
def _no_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(final, "Cluster", Gathered)


def run_of(seconds: float) -> Any:
    return replace(sample_entry("search-0001", 0.8), seconds=seconds)


def test_a_run_that_takes_long_gets_all_workers_and_the_others_go_home_first() -> None:
    work: Any = Work(minutes=2)
    with workers_for(work, run_of(seconds=121)) as cluster:
        assert work.released
        assert (cluster.resources.workers, cluster.resources.concurrent) == (3, 1)  # type: ignore[attr-defined]


def test_no_more_workers_come_together_than_there_are_tweets() -> None:
    work: Any = Work(minutes=2, tweets=2)
    with workers_for(work, run_of(seconds=121)) as cluster:
        assert cluster.resources.workers == 2  # type: ignore[attr-defined]


def test_workers_of_one_group_share_no_gpu() -> None:
    work: Any = Work(minutes=2, gpus_per_worker=0.125)
    with workers_for(work, run_of(seconds=121)) as cluster:
        assert cluster.resources.gpus_per_worker == 1  # type: ignore[attr-defined]


def test_sums_over_a_batch_get_no_more_workers_than_the_search_gave_them() -> None:
    work: Any = Work(minutes=2)
    work.study = work.study.model_copy(update={"fixed": {"parity.summed_losses": True}})
    with workers_for(work, run_of(seconds=121)) as cluster:
        assert cluster is HERE


def test_a_short_run_waits_for_no_new_workers() -> None:
    work: Any = Work(minutes=2)
    with workers_for(work, run_of(seconds=119)) as cluster:
        assert cluster is HERE
        assert not work.released


def test_a_short_run_alone_starts_no_more_workers_than_it_needs() -> None:
    work: Any = Work(minutes=2)
    work.running = None  # a resume with nothing else to train
    with workers_for(work, run_of(seconds=119)) as cluster:
        assert (cluster.resources.workers, cluster.resources.concurrent) == (1, 1)  # type: ignore[attr-defined]


@pytest.mark.parametrize("kept", [True, False])
def test_a_final_training_whose_model_is_gone_is_done_again(
    kept: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another configuration was the best meanwhile; its model went with the others."""
    done = sample_entry("final-search-0001", 0.8, phase="final")
    forgotten: list[str] = []
    trained: list[Proposal] = []
    checkpoints = Checkpoints(str(tmp_path))
    if kept:
        (tmp_path / done.trial_id / "best").mkdir(parents=True)
    work: Any = SimpleNamespace(
        entries=lambda _: [done],
        ledger=SimpleNamespace(forget=forgotten.append),
        keeper=SimpleNamespace(
            start=lambda *_: None, kept=SimpleNamespace(checkpoints=checkpoints)
        ),
    )

    def train(cluster: Any, keeper: Any, searcher: Any, scheduler: Any) -> None:
        trained.extend(searcher.waiting)

    monkeypatch.setattr(final, "tune_phase", train)
    cluster: Any = SimpleNamespace(pools=SimpleNamespace(devices=1.0))
    wanted = Proposal(done.trial_id, done.point, done.seed)
    assert train_final(work, cluster, wanted) == done
    assert (forgotten, trained) == (([], []) if kept else ([done.trial_id], [wanted]))
