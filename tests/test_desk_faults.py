"""The desk between drivers and pools, when workers are lost or fail."""

import asyncio

from desk_story import LOST, Clock, is_waiting, run, task

from search.desk import Desk
from search.fault import Fault


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


def test_a_trial_that_fails_because_its_pool_was_lost_costs_what_the_pool_held() -> None:
    async def story() -> None:
        desk = Desk(max_failures=0)
        await desk.open(0, devices=0.25, shares=True)
        await desk.put(task("a"))
        await desk.take(0)
        await desk.lose(0, LOST)
        assert (await desk.next("a", 0))["devices"] == 0.25

    run(story())


def test_each_attempt_of_a_trial_costs_what_its_own_pool_held() -> None:
    async def story() -> None:
        clock = Clock()
        desk = Desk(max_failures=1, clock=clock)
        for pool, devices, seconds in ((0, 0.25, 12), (1, 1.0, 4)):
            await desk.open(pool, devices=devices, shares=devices < 1)
            if pool == 0:
                await desk.put(task("a"))
            await desk.take(pool)
            clock.now += seconds
            await desk.lose(pool, LOST)
        told = await desk.next("a", 0)
        assert (told["elapsed"], told["devices"] * told["elapsed"]) == (16, 12 * 0.25 + 4)

    run(story())


def test_what_an_interrupted_trial_has_cost_so_far_can_be_asked_for() -> None:
    async def story() -> None:
        clock = Clock()
        desk = Desk(max_failures=1, clock=clock)
        await desk.open(0, devices=0.25, shares=True)
        for name in ("done", "waits", "runs"):
            await desk.put(task(name))
        await desk.take(0)
        await desk.finish("done", {})
        await desk.open(1, devices=2.0, shares=False)
        desk.waiting.reverse()
        await desk.take(1)
        clock.now += 7
        assert await desk.unended() == {"runs": {"elapsed": 7, "devices": 2.0}}
        await desk.lose(1, LOST)  # it waits for its second attempt
        assert await desk.unended() == {"runs": {"elapsed": 7, "devices": 2.0}}

    run(story())
