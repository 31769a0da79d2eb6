"""The desk between drivers and pools, when workers fall silent."""

import asyncio
from typing import Any

from desk_story import LOST, Clock, is_waiting, run, started, task

from search.desk import Desk


async def epoch(desk: Desk, clock: Clock, number: int, seconds: float) -> None:
    """Train an epoch and report it; the driver agrees."""
    clock.now += seconds
    report = asyncio.create_task(desk.report("a", {"epoch": number}))
    await desk.next("a", number - 1)
    following = asyncio.create_task(desk.next("a", number))
    assert await report is True
    following.cancel()


async def hung_after(desk: Desk, clock: Clock, seconds: float) -> list[Any]:
    clock.now += seconds
    return await desk.hung()


def test_silent_workers_are_named_once_and_the_trial_is_taken_up_again() -> None:
    async def story() -> None:
        clock = Clock()
        desk = await started(clock)
        assert await hung_after(desk, clock, 60) == []
        assert await hung_after(desk, clock, 1) == ["worker-0", "worker-1"]
        assert await hung_after(desk, clock, 1) == []
        await desk.lose(0, LOST)  # what Ray says of killed workers
        await desk.join(1, "worker-2")
        assert await desk.take(1) == task("a")
        assert await hung_after(desk, clock, 61) == ["worker-2"]
        await desk.lose(1, LOST)
        message = await desk.next("a", 0)
        assert message["kind"] == "hung"
        assert message["failed"] == "hung: no report for 61 s (attempt 2)"

    run(story())


def test_after_its_first_epoch_a_trial_may_be_silent_for_some_of_its_usual_epochs() -> None:
    async def story() -> None:
        clock = Clock()
        desk = await started(clock)
        for number, seconds in enumerate((30, 10, 20), start=1):
            await epoch(desk, clock, number, seconds)
        assert await hung_after(desk, clock, 59) == []
        assert len(await hung_after(desk, clock, 2)) == 2

    run(story())


def test_short_epochs_leave_time_for_a_busy_machine() -> None:
    async def story() -> None:
        clock = Clock()
        desk = await started(clock)
        await epoch(desk, clock, 1, 0.1)
        assert await hung_after(desk, clock, 4) == []
        assert len(await hung_after(desk, clock, 2)) == 2

    run(story())


def test_a_trial_taken_up_again_has_time_to_start_and_learns_nothing_from_its_repeated_report() -> (
    None
):
    async def story() -> None:
        clock = Clock()
        desk = await started(clock)
        await epoch(desk, clock, 1, 10)
        await desk.lose(0, LOST)
        await desk.join(1, "worker")
        await desk.take(1)
        assert await hung_after(desk, clock, 59) == []
        asyncio.create_task(desk.report("a", {"epoch": 1}))  # noqa: RUF006
        await desk.next("a", 1)
        assert desk.limit(desk.jobs["a"]) == 30

    run(story())


def test_a_first_epoch_may_take_as_long_as_those_of_other_trials() -> None:
    async def story() -> None:
        clock = Clock()
        desk = await started(clock)
        await epoch(desk, clock, 1, 30)
        await desk.put(task("b"))
        await desk.take(1)
        assert desk.limit(desk.jobs["b"]) == 90

    run(story())


def test_after_a_resume_the_epoch_told_again_counts_with_the_time_that_it_once_took() -> None:
    async def story() -> None:
        clock = Clock()
        desk = await started(clock)
        clock.now += 2  # in which the run's last state was read
        asyncio.create_task(desk.report("a", {"epoch": 4, "seconds": 30.0}))  # noqa: RUF006
        await desk.next("a", 0)
        assert desk.limit(desk.jobs["a"]) == 90

    run(story())


def test_workers_that_wait_for_their_driver_are_not_hung() -> None:
    async def story() -> None:
        clock = Clock()
        desk = await started(clock)
        report = asyncio.create_task(desk.report("a", {"epoch": 1}))
        await is_waiting(report)
        assert await hung_after(desk, clock, 1000) == []
        report.cancel()

    run(story())


def test_workers_that_have_done_with_a_trial_are_not_hung() -> None:
    async def story() -> None:
        clock = Clock()
        desk = await started(clock)
        await desk.finish("a", {})
        assert await hung_after(desk, clock, 1000) == []

    run(story())


def test_workers_that_were_lost_while_they_waited_for_their_driver_do_not_excuse_the_next() -> None:
    async def story() -> None:
        clock = Clock()
        desk = await started(clock)
        report = asyncio.create_task(desk.report("a", {"epoch": 1}))
        assert await is_waiting(report)
        await desk.lose(0, LOST)
        await desk.join(1, "worker")
        await desk.take(1)
        assert await hung_after(desk, clock, 61) == ["worker"]
        report.cancel()

    run(story())
