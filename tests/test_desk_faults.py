"""The desk between drivers and pools, when workers are lost, fail or fall silent."""

import asyncio
import random
from typing import Any

import pytest
from desk_story import LOST, Clock, is_waiting, run, task

from search.desk import BARREN, Desk
from search.fault import Fault
from search.task import Patience


def test_a_trial_whose_pool_is_gone_is_taken_by_another_before_new_ones() -> None:
    async def story() -> None:
        desk = Desk(max_failures=1)
        await desk.put(task("a"))
        await desk.put(task("b"))
        await desk.take(0)
        assert await desk.lose(0, LOST)
        assert await desk.take(1) == task("a")
        asyncio.create_task(desk.report("a", {"epoch": 1}))  # noqa: RUF006
        assert (await desk.next("a", 0))["attempts"] == 1

    run(story())


def test_workers_that_are_lost_while_they_wait_for_work_get_none() -> None:
    async def story() -> None:
        desk = Desk(max_failures=1)
        taking = asyncio.create_task(desk.take(0))
        assert await is_waiting(taking)
        await desk.lose(0, LOST)
        await desk.put(task("a"))
        assert await taking is None
        assert await desk.take(1) == task("a")

    run(story())


def test_a_fault_that_cannot_pass_tells_the_attempt_in_which_it_came() -> None:
    async def story() -> None:
        desk = Desk(max_failures=5)
        await desk.put(task("a"))
        for number in range(3):
            await desk.take(number)
            if number < 2:
                await desk.lose(number, LOST)
        await desk.fail("a", Fault("diverged", "not finite in epoch 1"))
        message = await desk.next("a", 0)
        assert message["failed"] == "not finite in epoch 1 (attempt 3)"
        assert message["attempts"] == 2

    run(story())


def test_seconds_of_earlier_attempts_count_and_those_of_waiting_do_not() -> None:
    async def story() -> None:
        clock = Clock()
        desk = Desk(max_failures=1, clock=clock)
        await desk.put(task("a"))
        await desk.take(0)
        clock.now += 1
        await desk.lose(0, LOST)
        clock.now += 10
        await desk.take(1)
        clock.now += 2
        asyncio.create_task(desk.report("a", {"epoch": 1}))  # noqa: RUF006
        assert (await desk.next("a", 0))["elapsed"] == 3

    run(story())


def test_seconds_of_all_earlier_attempts_count() -> None:
    async def story() -> None:
        clock = Clock()
        desk = Desk(max_failures=2, clock=clock)
        await desk.put(task("a"))
        for number, seconds in enumerate((1, 4)):
            await desk.take(number)
            clock.now += seconds
            await desk.lose(number, LOST)
        await desk.take(2)
        clock.now += 2
        asyncio.create_task(desk.report("a", {"epoch": 1}))  # noqa: RUF006
        assert (await desk.next("a", 0))["elapsed"] == 7

    run(story())


def test_a_late_word_of_workers_that_are_gone_does_not_end_a_trial_that_waits_again() -> None:
    async def story() -> None:
        desk = Desk(max_failures=1)
        await desk.put(task("a"))
        await desk.take(0)
        await desk.lose(0, LOST)
        await desk.fail("a", Fault("error", "the other worker lost this one"))
        end = asyncio.create_task(desk.next("a", 0))
        assert await is_waiting(end)
        assert await desk.take(1) == task("a")
        assert await is_waiting(end)
        end.cancel()

    run(story())


def test_what_a_retired_pool_gives_back_goes_to_one_that_waits() -> None:
    async def story() -> None:
        desk = Desk(max_failures=1)
        await desk.put(task("a"))
        await desk.take(0)
        await desk.retire()
        taking = asyncio.create_task(desk.take(1))
        assert await is_waiting(taking)
        assert await desk.take(0) is None  # its workers were lost, and it is to go home
        assert await taking == task("a")

    run(story())


def test_a_trial_that_a_retired_pool_gives_back_is_handed_out_once() -> None:
    async def story() -> None:
        desk = Desk(max_failures=1)
        await desk.put(task("a"))
        await desk.take(0)
        await desk.retire()
        assert await desk.take(0) is None
        await desk.lose(0, LOST)
        assert await desk.demand() == (1, set())
        assert desk.jobs["a"].attempts == 1

    run(story())


def test_a_fault_that_may_pass_gives_the_trial_back_until_it_failed_too_often() -> None:
    async def story() -> None:
        desk = Desk(max_failures=1)
        away = Fault("disk", "the storage was away", again=True)
        await desk.put(task("a"))
        await desk.put(task("b"))
        for _ in range(2):
            assert await desk.take(0) == task("a")
            await desk.fail("a", away)
        assert await desk.take(0) == task("b")
        message = await desk.next("a", 0)
        assert (message["kind"], message["attempts"]) == ("disk", 1)  # taken up again
        assert message["failed"] == "the storage was away (attempt 2)"

    run(story())


def test_a_trial_of_several_workers_ends_when_all_of_them_have_left_it() -> None:
    async def story() -> None:
        desk = Desk(max_failures=5)
        for worker in ("one", "two"):
            await desk.join(0, worker)
        await desk.put(task("a"))
        await desk.take(0)
        await desk.fail("a", Fault("diverged", "not finite in epoch 1"))
        end = asyncio.create_task(desk.next("a", 0))
        assert await is_waiting(end)  # the other may still write its checkpoint
        await desk.fail("a", Fault("error", "the other worker lost this one"))
        await desk.lose(0, LOST)
        message = await end
        assert (message["failed"], message["kind"]) == ("not finite in epoch 1", "diverged")
        assert message["attempts"] == 0

    run(story())


def test_a_fault_that_cannot_pass_ends_the_trial_at_once() -> None:
    async def story() -> None:
        desk = Desk(max_failures=5)
        await desk.put(task("a"))
        await desk.take(0)
        await desk.fail("a", Fault("diverged", "not finite in epoch 1"))
        await desk.fail("a", Fault("error", "the other worker lost this one"))
        message = await desk.next("a", 0)
        assert (message["failed"], message["kind"]) == ("not finite in epoch 1", "diverged")
        assert len(desk.jobs["a"].messages) == 1

    run(story())


def test_where_a_trial_runs_and_what_was_built_goes_with_all_its_messages() -> None:
    async def story() -> None:
        desk = Desk(max_failures=1)
        await desk.put(task("a"))
        await desk.take(0)
        await desk.began("a", {"node": "host-1", "fingerprint": "abc"})
        report = asyncio.create_task(desk.report("a", {"epoch": 1}))
        first = await desk.next("a", 0)
        assert (first["node"], first["fingerprint"]) == ("host-1", "abc")
        last = asyncio.create_task(desk.next("a", 1))
        await report
        await desk.fail("a", Fault("memory", "no memory"))
        assert (await last)["node"] == "host-1"

    run(story())


PATIENCE = Patience(factor=3.0, first=60.0, least=5.0)


async def started(clock: Clock) -> Desk:
    """A desk whose only pool has two workers and a trial."""
    desk = Desk(max_failures=1, patience=PATIENCE, clock=clock)
    for worker in ("worker-0", "worker-1"):
        await desk.join(0, worker)
    await desk.put(task("a"))
    await desk.take(0)
    return desk


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


def test_a_trial_that_fails_because_its_pool_was_lost_costs_what_the_pool_held() -> None:
    async def story() -> None:
        desk = Desk(max_failures=0)
        await desk.open(0, devices=0.25, shares=True)
        await desk.put(task("a"))
        await desk.take(0)
        await desk.lose(0, LOST)
        assert (await desk.next("a", 0))["devices"] == 0.25

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
