"""Small trials share a GPU once one has shown what it needs. No GPU here: desk and cluster only."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from search import pools
from search.desk import Desk
from search.fault import Fault
from search.pools import Pools
from search.study import Study
from search.task import Task


class Handle:
    """The desk as a Ray actor's handle: `handle.take.remote(0)`, answered at once."""

    def __init__(self, desk: Desk, loop: asyncio.AbstractEventLoop) -> None:
        self.desk, self.loop = desk, loop

    def __getattr__(self, name: str) -> Any:
        class Method:
            @staticmethod
            def remote(*given: Any) -> Any:
                return self.do(getattr(self.desk, name)(*given))

        return Method

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(asyncio.wait_for(work, 5))


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(pools.ray, "get", lambda answer: answer)
    loop = asyncio.new_event_loop()
    yield Handle(Desk(max_failures=1), loop)
    loop.close()


def first_pool(desk: Handle, **resources: Any) -> Pools:
    """One pool is there, of as many GPUs as the study says; two are in the cluster."""
    study = Study.model_validate({"resources": resources})
    made = Pools(study, "unused", desk, [{"CPU": 2, "GPU": 2}], float("inf"))
    made.trainer = lambda *_: None
    made.keep = lambda *_: None
    made.start_pool()
    return made


async def run_trial(desk: Desk, name: str, pool: int, peak: float) -> list[dict[str, Any]]:
    """One epoch of a trial in a pool; what its driver hears."""
    await desk.put(Task(name, {}, ""))
    await desk.take(pool)
    report = asyncio.create_task(desk.report(name, {"epoch": 1, "peak_memory": peak}))
    first = await desk.next(name, 0)
    last = asyncio.create_task(desk.next(name, 1))
    await report
    await desk.finish(name, {})
    return [first, await last]


def test_after_the_first_trial_several_share_a_gpu(desk: Handle) -> None:
    made = first_pool(desk)
    made.share()
    assert made.gpus == 1.0  # nothing is known yet
    desk.do(run_trial(desk.desk, "a", 0, peak=0.2))

    made.share()

    assert made.gpus == 0.25
    desk.do(desk.desk.put(Task("b", {}, "")))
    assert desk.do(desk.desk.take(0)) is None  # the pool with a whole GPU goes home
    made.start_pool()
    assert desk.do(desk.desk.take(1)).trial_id == "b"


def test_a_trial_costs_what_its_own_pool_holds(desk: Handle) -> None:
    made = first_pool(desk)
    whole = desk.do(run_trial(desk.desk, "a", 0, peak=0.2))
    made.share()
    made.start_pool()
    part = desk.do(run_trial(desk.desk, "b", 1, peak=0.2))
    assert {message["devices"] for message in whole} == {1.0}
    assert {message["devices"] for message in part} == {0.25}


def test_a_trial_that_needs_the_gpu_keeps_it(desk: Handle) -> None:
    made = first_pool(desk)
    desk.do(run_trial(desk.desk, "a", 0, peak=0.8))
    made.share()
    assert made.gpus == 1.0
    desk.do(desk.desk.put(Task("b", {}, "")))
    assert desk.do(desk.desk.take(0)).trial_id == "b"  # by the same pool


def test_the_trial_that_needed_most_decides_how_many_share(desk: Handle) -> None:
    made = first_pool(desk)
    for name, peak in (("a", 0.4), ("b", 0.1)):
        desk.do(run_trial(desk.desk, name, 0, peak))
    made.share()
    assert made.gpus == 0.5


def test_a_trial_that_failed_before_it_held_any_memory_shows_nothing(desk: Handle) -> None:
    made = first_pool(desk)
    desk.do(desk.desk.put(Task("a", {}, "")))
    desk.do(desk.desk.take(0))
    desk.do(desk.desk.fail("a", Fault("error", "no such file")))
    made.share()
    assert made.gpus == 1.0


@pytest.mark.parametrize("resources", [{"gpus_per_worker": 0.5}, {"workers": 2}])
def test_what_the_study_says_holds_and_groups_of_several_workers_never_share(
    desk: Handle, resources: dict[str, Any]
) -> None:
    made = first_pool(desk, **resources)
    before = made.gpus
    desk.do(run_trial(desk.desk, "a", 0, peak=0.1))
    made.share()
    assert made.gpus == before


def test_a_trial_without_room_beside_others_gets_a_gpu_of_its_own(desk: Handle) -> None:
    made = first_pool(desk)
    desk.do(run_trial(desk.desk, "a", 0, peak=0.2))
    made.share()
    made.start_pool()
    desk.do(desk.desk.put(Task("b", {}, "")))
    desk.do(desk.desk.take(1))

    desk.do(desk.desk.fail("b", Fault("memory", "CUDA out of memory")))

    assert desk.do(desk.desk.take(1)) is None  # not by the same small pool again
    made.share()
    assert made.gpus == 1.0
    made.start_pool()
    assert desk.do(desk.desk.take(2)).trial_id == "b"


def test_a_trial_without_room_on_a_whole_gpu_has_failed(desk: Handle) -> None:
    first_pool(desk)
    desk.do(desk.desk.put(Task("a", {}, "")))
    desk.do(desk.desk.take(0))
    desk.do(desk.desk.fail("a", Fault("memory", "CUDA out of memory")))
    assert desk.do(desk.desk.next("a", 0))["kind"] == "memory"
