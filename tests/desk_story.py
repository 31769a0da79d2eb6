"""The desk as an ordinary class without Ray: what its tests share."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from search.desk import Desk
from search.fault import Fault
from search.task import Patience, Task

LIMIT = 5.0
"""Seconds after which a wait counts as for ever."""


def task(name: str) -> Task:
    return Task(name, {}, "")


def run(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(asyncio.wait_for(work, LIMIT))


async def is_waiting(work: "asyncio.Task[Any]") -> bool:
    """Whether it goes on waiting once all that can happen has happened."""
    for _ in range(20):
        await asyncio.sleep(0)
    return not work.done()


LOST = Fault("worker lost", "a worker process died", again=True)


class Clock:
    """Stands still until it is moved."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


PATIENCE = Patience(factor=3.0, first=60.0, least=5.0)


async def started(clock: Clock) -> Desk:
    """A desk whose only pool has two workers and a trial."""
    desk = Desk(max_failures=1, patience=PATIENCE, clock=clock)
    for worker in ("worker-0", "worker-1"):
        await desk.join(0, worker)
    await desk.put(task("a"))
    await desk.take(0)
    return desk
