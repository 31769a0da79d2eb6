"""Worker groups are as many as a phase's trials can use and the cluster has room for."""

import threading
from contextlib import suppress
from types import SimpleNamespace

import pytest
from ray.exceptions import ActorDiedError

from muse.errors import UserError
from search.pools import Pools
from search.room import Resources, concurrent_trials, fitting, gpus_per_worker
from search.study import Study


def pools_of(
    cpus: int, trials: int, room_within: float = float("inf"), **resources: float | None
) -> Pools:
    """Pools of one machine with two GPUs; they are counted and not started."""
    asked = {"cpus_per_worker": 1, "gpus_per_worker": 0, **resources}
    study = Study.model_validate({"budget": {"trials": trials}, "resources": asked})
    made = Pools(study, "unused", None, [{"CPU": cpus, "GPU": 2}], room_within)

    def start_pool() -> None:
        made.running[len(made.running)] = threading.Thread()

    made.start_pool = start_pool
    return made


def test_two_threads_start_no_more_pools_than_there_is_room_for() -> None:
    pools = pools_of(cpus=1, trials=1)
    start, at_once = pools.start_pool, threading.Barrier(2)

    def slowly() -> None:
        with suppress(threading.BrokenBarrierError):
            at_once.wait(timeout=0.2)  # here the other thread would have counted as well
        start()

    pools.start_pool = slowly
    threads = [threading.Thread(target=pools.make_room, args=(1,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(pools.running) == 1


def test_a_pool_that_ends_after_ray_does_so_without_a_word() -> None:
    pools = pools_of(cpus=1, trials=1)
    pools.start_pool()

    def gone(*_: object) -> None:
        raise ActorDiedError

    pools.desk = SimpleNamespace(lose=SimpleNamespace(remote=gone))
    pools.keep(0, SimpleNamespace(fit=gone))
    assert not pools.running


def test_an_error_of_one_look_does_not_end_the_looking(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("search.pools.LOOK_EVERY", 0.001)
    pools, looks = pools_of(cpus=1, trials=1), []

    def look() -> None:
        looks.append(1)
        if len(looks) == 3:
            pools.over.set()
        raise RuntimeError("can't start new thread")

    pools.look = look
    pools.watch()
    assert len(looks) == 3
    assert caplog.text.count("can't start new thread") == 1  # told once


@pytest.mark.parametrize(
    ("phases", "expected"), [([1, 3], [1, 2]), ([2, 1], [2, 2]), ([1, 1, 9], [1, 1, 2])]
)
def test_a_phase_with_more_trials_than_the_one_before_gets_more_pools(
    phases: list[int], expected: list[int]
) -> None:
    pools = pools_of(cpus=2, trials=phases[0])
    found = []
    for trials in phases:
        pools.make_room(trials)
        found.append(len(pools.running))
    assert found == expected


def test_a_cluster_that_grows_is_asked_for_no_more_than_the_phase_can_use() -> None:
    pools = pools_of(cpus=0, trials=1, concurrent=5)
    pools.make_room(1)
    assert len(pools.running) == 1
    pools.make_room(9)
    assert len(pools.running) == 5


@pytest.mark.parametrize(("asked", "groups"), [(None, 2), (0.125, 2), (1, 2), (2, 1), (0, 16)])
def test_workers_that_share_no_gpu_are_as_many_as_there_are_gpus(
    asked: float | None, groups: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("search.pools.machines", lambda: [{"CPU": 16, "GPU": 2}])
    pools = pools_of(16, 9, gpus_per_worker=asked)
    pools.gpus, pools.concurrent = 0.125, 16  # once trials have shown that they are small
    assert pools.apart == groups


@pytest.mark.parametrize(
    ("resources", "machines", "fits"),
    [
        ({"cpus_per_worker": 4}, [{"CPU": 6}, {"CPU": 6}], 2),  # a worker is not spread over two
        ({"cpus_per_worker": 4, "workers": 2}, [{"CPU": 6}, {"CPU": 6}], 1),  # a group is
        ({"cpus_per_worker": 0.2}, [{"CPU": 1}], 5),  # 1 // 0.2 is 4
        ({"cpus_per_worker": 0.1, "gpus_per_worker": 0.4}, [{"CPU": 8, "GPU": 2}], 4),
        ({"cpus_per_worker": 1, "custom": {"disk": 2}}, [{"CPU": 9}, {"CPU": 9, "disk": 5}], 2),
        ({"custom": {"disk": 0.1}}, [{"CPU": 9, "disk": 0.3}], 3),  # 0.3 / 0.1 is less
        ({"cpus_per_worker": 0.4}, [{"CPU": 2}], 5),  # only a GPU is not spread
        ({"cpus_per_worker": 1, "concurrent": 3}, [{"CPU": 8}], 3),
        ({"cpus_per_worker": 1, "concurrent": 9}, [{"CPU": 8}], 8),
    ],
)
def test_room_is_counted_machine_by_machine(
    resources: dict[str, float], machines: list[Resources], fits: int
) -> None:
    asked = {"gpus_per_worker": 0, **resources}
    study = Study.model_validate({"resources": asked})
    assert fitting(study, machines, float(asked["gpus_per_worker"])) == fits


@pytest.mark.parametrize(
    ("asked", "machines", "gpus"),
    [
        (None, [{"CPU": 8, "GPU": 1}], 1.0),
        (None, [{"CPU": 4}, {"CPU": 8, "GPU": 1}], 1.0),  # the first machine is the head
        (None, [{"CPU": 8}], 0.0),
        (0, [{"CPU": 8, "GPU": 1}], 0.0),
        (0.5, [{"CPU": 8, "GPU": 1}], 0.5),
    ],
)
def test_a_worker_gets_a_gpu_where_there_is_any_unless_the_study_says_otherwise(
    asked: float | None, machines: list[Resources], gpus: float
) -> None:
    study = Study.model_validate({"resources": {"gpus_per_worker": asked}})
    assert gpus_per_worker(study, machines) == gpus


@pytest.mark.parametrize(
    ("machines", "concurrent", "trials"),
    [([{"CPU": 1}], None, 1), ([{"CPU": 3}], None, 3), ([{"CPU": 0}], 2, 1), ([], 2, 1)],
)
def test_trials_start_where_one_fits_or_the_cluster_grows(
    machines: list[Resources], concurrent: int | None, trials: int
) -> None:
    study = Study.model_validate({"resources": {"gpus_per_worker": 0, "concurrent": concurrent}})
    assert concurrent_trials(study, machines, 0.0) == trials


def test_a_trial_that_no_machine_can_hold_is_refused_with_what_each_has() -> None:
    study = Study.model_validate({"resources": {"cpus_per_worker": 8, "gpus_per_worker": 0}})
    with pytest.raises(UserError, match="a trial wants 8 CPU, the cluster has 6 CPU; 4 CPU"):
        concurrent_trials(study, [{"CPU": 6}, {"CPU": 4}], 0.0)


def test_what_a_trial_of_several_workers_wants_is_told_for_all_of_them() -> None:
    asked = {"cpus_per_worker": 3, "gpus_per_worker": 0, "workers": 2}
    study = Study.model_validate({"resources": asked})
    with pytest.raises(UserError, match="a trial wants 6 CPU, the cluster has 4 CPU"):
        concurrent_trials(study, [{"CPU": 4}], 0.0)


@pytest.mark.parametrize(
    ("waiting", "able", "closed"), [(1, set(), True), (0, set(), False), (1, {0}, False)]
)
def test_a_group_that_found_no_room_for_long_is_waited_for_no_longer(
    waiting: int, able: set[int], closed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    pools, told = pools_of(cpus=4, trials=1, room_within=60.0, workers=4), []
    pools.served -= 61
    pools.desk = SimpleNamespace(close=SimpleNamespace(remote=told.append))
    monkeypatch.setattr("search.pools.ray.get", lambda _: None)
    pools.expect_room(waiting, able)
    assert told == ["for 1 minutes no room was found for 4 of them at once"] * closed
