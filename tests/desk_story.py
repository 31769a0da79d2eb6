"""The desk as an ordinary class without Ray: what its tests share."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from search.fault import Fault
from search.task import Task

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
