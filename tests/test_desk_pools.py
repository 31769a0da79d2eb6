"""The desk's pools: which come, which go home, and when no more are started."""

import asyncio
import random

import pytest
from desk_story import LOST, Clock, is_waiting, run, started, task

from search.desk import BARREN, Desk
from search.task import Patience


def test_all_workers_of_all_pools_are_named_to_be_killed() -> None:
    async def story() -> None:
        desk = await started(Clock())
        await desk.join(1, "worker-2")
        assert await desk.workers() == ["worker-0", "worker-1", "worker-2"]

    run(story())


def test_a_pool_that_waits_for_work_goes_home_at_once_when_it_is_retired() -> None:
    async def story() -> None:
        desk = Desk(max_failures=1)
        taking = asyncio.create_task(desk.take(0))
        assert await is_waiting(taking)
        await desk.retire()
        assert await taking is None

    run(story())


def test_a_pool_without_work_for_long_goes_home() -> None:
    async def story() -> None:
        desk = Desk(max_failures=1, patience=Patience(idle=0.05))
        assert await desk.take(0) is None
        await desk.put(task("a"))
        assert await desk.take(1) == task("a")

    run(story())


def test_the_desk_tells_how_many_trials_wait_and_which_pools_have_started() -> None:
    async def story() -> None:
        desk = Desk(max_failures=1)
        await desk.join(7, "worker")
        for name in "abc":
            await desk.put(task(name))
        assert await desk.demand() == (3, set())
        await desk.take(7)
        assert await desk.demand() == (2, {7})
        await desk.lose(7, LOST)
        assert await desk.demand() == (3, set())

    run(story())


def test_pools_that_are_lost_at_their_start_again_and_again_ask_for_no_more() -> None:
    async def story() -> None:
        desk = Desk(max_failures=1)
        await desk.put(task("a"))
        told = [await desk.lose(number, LOST) for number in range(BARREN)]
        assert told == [True] * (BARREN - 1) + [False]
        assert await desk.demand() == (0, set())

    run(story())


def test_pools_that_are_lost_at_their_start_do_not_count_while_another_runs() -> None:
    async def story() -> None:
        desk = await started(Clock())
        assert all([await desk.lose(number, LOST) for number in range(1, BARREN + 2)])

    run(story())


def test_a_pool_that_started_makes_up_for_those_that_were_lost_at_their_start() -> None:
    async def story() -> None:
        desk = Desk(max_failures=1)
        await desk.put(task("a"))
        for number in range(BARREN - 1):
            await desk.lose(number, LOST)
        await desk.take(BARREN)
        assert await desk.lose(BARREN, LOST)
        assert await desk.lose(BARREN + 1, LOST)
        assert await desk.demand() == (1, set())

    run(story())


def test_pools_that_end_after_they_asked_for_work_were_not_lost_at_their_start() -> None:
    async def story() -> None:
        desk = Desk(max_failures=1, patience=Patience(idle=0.01))
        for number in range(BARREN):
            assert await desk.take(number) is None
        assert all([await desk.lose(number, LOST) for number in range(BARREN)])
        await desk.put(task("a"))
        assert await desk.demand() == (1, set())

    run(story())


async def pool(desk: Desk, number: int, dice: random.Random, trained: list[str]) -> None:
    """Trains each trial for up to three epochs, and loses its workers now and then."""
    while (given := await desk.take(number)) is not None:
        wanted = True
        for epoch in (1, 2, 3):
            await asyncio.sleep(dice.uniform(0, 0.002))
            if dice.random() < 0.05:
                break  # the workers are gone, nobody says goodbye
            wanted = await desk.report(given.trial_id, {"epoch": epoch})
            if not wanted:
                break
        else:
            wanted = False
        if not wanted:
            trained.append(given.trial_id)
            await desk.finish(given.trial_id, {})


async def driver(desk: Desk, name: str, dice: random.Random) -> str:
    """Reads the reports of a trial, and stops it now and then."""
    await desk.put(task(name))
    seen, end = 0, ""
    while not end:
        message = await desk.next(name, seen)
        seen += 1
        await asyncio.sleep(dice.uniform(0, 0.002))
        if "finished" in message or "failed" in message:
            end = "finished" if "finished" in message else "failed"
        elif dice.random() < 0.2:
            end = "stopped"
    await desk.leave(name)
    return end


@pytest.mark.parametrize("seed", range(5))
def test_many_pools_and_drivers_come_to_an_end_with_every_trial_done_once(seed: int) -> None:
    async def story() -> tuple[list[str], list[str]]:
        dice, trained = random.Random(seed), []
        desk = Desk(max_failures=10)
        pools = [asyncio.create_task(pool(desk, n, dice, trained)) for n in range(4)]
        gate = asyncio.Semaphore(7)

        async def one(number: int) -> str:
            async with gate:
                return await driver(desk, f"trial-{number}", dice)

        ends = await asyncio.gather(*(one(number) for number in range(60)))
        assert desk.jobs == {}
        await desk.close()
        await asyncio.gather(*pools)
        return ends, trained

    ends, trained = run(story())
    assert len(trained) == len(set(trained))
    assert ends.count("finished") > 0
    assert ends.count("stopped") > 0
    assert ends.count("finished") <= len(trained) <= 60
