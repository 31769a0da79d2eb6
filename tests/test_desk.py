"""The desk between drivers and pools: who gets which trial, and who hears what."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest
from desk_story import is_waiting, run, task

from search.desk import Desk
from search.fault import Fault


def test_a_report_is_answered_only_when_the_driver_asks_for_the_next() -> None:
    async def story() -> None:
        desk = Desk(max_failures=1)
        await desk.put(task("a"))
        await desk.take(0)
        report = asyncio.create_task(desk.report("a", {"epoch": 1}))
        message = await desk.next("a", 0)
        assert message["epoch"] == 1
        assert await is_waiting(report)

        following = asyncio.create_task(desk.next("a", 1))

        assert await report is True
        assert await is_waiting(following)
        following.cancel()

    run(story())


def test_a_trial_that_its_driver_leaves_is_told_to_stop() -> None:
    async def story() -> None:
        desk = Desk(max_failures=1)
        await desk.put(task("a"))
        await desk.take(0)
        report = asyncio.create_task(desk.report("a", {"epoch": 1}))
        await desk.next("a", 0)

        leaving = asyncio.create_task(desk.leave("a"))

        assert await report is False
        assert await is_waiting(leaving)  # until the workers have left it
        await desk.finish("a", {})
        await leaving
        assert desk.jobs == {}

    run(story())


def test_a_report_after_its_driver_has_left_is_answered_with_stop() -> None:
    async def story() -> None:
        desk = Desk(max_failures=1)
        await desk.put(task("a"))
        await desk.take(0)
        leaving = asyncio.create_task(desk.leave("a"))
        assert await is_waiting(leaving)
        assert await desk.report("a", {"epoch": 1}) is False
        leaving.cancel()

    run(story())


def test_a_finished_trial_gives_its_result_after_all_its_reports() -> None:
    async def story() -> None:
        desk = Desk(max_failures=1)
        await desk.put(task("a"))
        await desk.take(0)
        report = asyncio.create_task(desk.report("a", {"epoch": 1}))
        assert (await desk.next("a", 0))["epoch"] == 1
        last = asyncio.create_task(desk.next("a", 1))
        await report
        await desk.finish("a", {"valid_f1": 0.5})
        message = await last
        assert (message["finished"], message["result"]) == (True, {"valid_f1": 0.5})
        await desk.leave("a")

    run(story())


def test_a_failed_trial_tells_its_driver_why() -> None:
    async def story() -> None:
        desk = Desk(max_failures=1)
        await desk.put(task("a"))
        await desk.take(0)
        await desk.fail("a", Fault("diverged", "the loss is not finite"))
        message = await desk.next("a", 0)
        assert (message["failed"], message["kind"]) == ("the loss is not finite", "diverged")
        assert "finished" not in message

    run(story())


def test_trials_are_taken_in_the_order_in_which_they_were_put() -> None:
    async def story() -> None:
        desk = Desk(max_failures=1)
        for name in "abc":
            await desk.put(task(name))
        taken = [await desk.take(pool) for pool in range(3)]
        assert [t.trial_id for t in taken if t] == ["a", "b", "c"]

    run(story())


def test_a_pool_waits_for_work() -> None:
    async def story() -> None:
        desk = Desk(max_failures=1)
        taking = asyncio.create_task(desk.take(0))
        assert await is_waiting(taking)
        await desk.put(task("a"))
        assert await taking == task("a")

    run(story())


def test_a_pool_that_lost_its_workers_gets_the_same_trial_again() -> None:
    async def story() -> None:
        desk = Desk(max_failures=2)
        await desk.put(task("a"))
        await desk.put(task("b"))
        taken = [await desk.take(0) for _ in range(3)]
        assert taken == [task("a")] * 3
        asyncio.create_task(desk.report("a", {"epoch": 1}))  # noqa: RUF006
        assert (await desk.next("a", 0))["attempts"] == 2

    run(story())


def test_a_trial_that_loses_its_workers_too_often_has_failed() -> None:
    async def story() -> None:
        desk = Desk(max_failures=2)
        await desk.put(task("a"))
        await desk.put(task("b"))
        for _ in range(3):
            await desk.take(0)

        assert await desk.take(0) == task("b")  # the pool goes on with the next

        message = await desk.next("a", 0)
        assert message["failed"] == "its workers were lost (attempt 3)"
        assert message["kind"] == "worker lost"
        await desk.leave("a")

    run(story())


def test_without_allowed_failures_the_first_loss_is_the_end() -> None:
    async def story() -> None:
        desk = Desk(max_failures=0)
        await desk.put(task("a"))
        await desk.take(0)
        taking = asyncio.create_task(desk.take(0))
        assert "failed" in await desk.next("a", 0)
        taking.cancel()

    run(story())


def test_a_lost_trial_that_nobody_wants_any_more_is_not_taken_up_again() -> None:
    async def story() -> None:
        desk = Desk(max_failures=5)
        await desk.put(task("a"))
        await desk.take(0)
        leaving = asyncio.create_task(desk.leave("a"))
        assert await is_waiting(leaving)
        taking = asyncio.create_task(desk.take(0))  # its workers were lost, new ones ask
        await leaving
        assert await is_waiting(taking)
        taking.cancel()

    run(story())


def test_a_trial_that_is_left_while_it_waits_is_never_handed_out() -> None:
    async def story() -> None:
        desk = Desk(max_failures=1)
        await desk.put(task("a"))
        await desk.leave("a")
        taking = asyncio.create_task(desk.take(0))
        assert await is_waiting(taking)
        await desk.put(task("b"))
        assert await taking == task("b")

    run(story())


def test_closing_sends_pools_home_and_tells_drivers_why() -> None:
    async def story() -> None:
        desk = Desk(max_failures=1)
        await desk.put(task("a"))
        await desk.take(0)
        report = asyncio.create_task(desk.report("a", {"epoch": 1}))
        await desk.next("a", 0)
        waiting = asyncio.create_task(desk.next("a", 1))
        await report
        idle = asyncio.create_task(desk.take(1))
        assert await is_waiting(idle)

        await desk.close("the last pool was lost")

        assert await idle is None
        assert (await waiting)["failed"] == "no workers are left: the last pool was lost"
        assert await desk.report("a", {"epoch": 2}) is False
        await desk.leave("a")  # does not wait for workers that are gone

    run(story())


def test_a_trial_that_is_put_after_the_end_fails_at_once() -> None:
    async def story() -> None:
        desk = Desk(max_failures=1)
        await desk.close()
        await desk.put(task("a"))
        assert "failed" in await desk.next("a", 0)
        assert await desk.take(0) is None
        await desk.leave("a")

    run(story())


def test_elapsed_runs_from_when_the_workers_took_the_trial() -> None:
    async def story() -> None:
        desk = Desk(max_failures=1)
        await desk.put(task("a"))
        await asyncio.sleep(0.1)
        await desk.take(0)
        asyncio.create_task(desk.report("a", {"epoch": 1}))  # noqa: RUF006
        assert 0 <= (await desk.next("a", 0))["elapsed"] < 0.1

    run(story())


@pytest.mark.parametrize(
    ("started", "spared"),
    [
        ("search.desk, search.trial", "torch optuna"),
        ("search.group, search.enter", "transformers optuna muse.model"),  # Ray's controller
        (  # the search itself, until its report
            "search.start, search.resume",
            "muse.model torchvision sklearn statsmodels matplotlib",
        ),
    ],
)
def test_processes_beside_the_workers_are_spared_what_starts_slowly(
    started: str, spared: str
) -> None:
    told = f"import sys, {started}; print(set('{spared}'.split()) & sys.modules.keys())"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", told],
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "set()\n"
