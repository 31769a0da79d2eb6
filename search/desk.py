"""Where trials wait for a worker group, and where their reports wait for the search.

One Ray actor between Tune's drivers, which put trials and read reports, and the worker groups
(pools), which take trials and report. A report is answered only when the driver has made up its
mind, so a trial that is stopped trains no epoch too many.
"""

import asyncio
import time
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True)
class Task:
    """One trial, as its workers get it."""

    trial_id: str
    config: dict[str, Any]
    """A MuseConfig as plain data."""

    folder: str
    """Where its checkpoints go."""

    work: Literal["train", "score"] = "train"
    """score: read `folder/best` and score it on the test split."""


@dataclass
class Job:
    """A task and how far it is."""

    task: Task
    pool: int | None = None
    attempts: int = 0
    taken: float = 0.0
    """When its workers took it, on the desk's clock."""

    messages: list[dict[str, Any]] = field(default_factory=list)
    answered: int = 0
    """Messages that the driver has read and answered."""

    ended: bool = False
    """Its workers have left it."""

    unwanted: bool = False
    """The driver wants no more of it."""


class Desk:
    """Hands trials to pools and reports to drivers. Made an actor by `cluster.py`."""

    def __init__(self, max_failures: int) -> None:
        self.jobs: dict[str, Job] = {}
        self.waiting: list[str] = []
        self.max_failures = max_failures
        self.closed, self.reason = False, ""
        self.changed = asyncio.Condition()

    async def put(self, task: Task) -> None:
        """A driver asks for a trial."""
        async with self.changed:
            self.jobs[task.trial_id] = Job(task)
            self.waiting.append(task.trial_id)
            self.changed.notify_all()

    async def take(self, pool: int) -> Task | None:
        """A pool asks for work; None ends it.

        A pool whose workers were lost gets the same trial again, until it has failed too often.
        """
        async with self.changed:
            for job in self.jobs.values():
                if job.pool == pool and not job.ended:
                    job.attempts += 1
                    if job.attempts <= self.max_failures and not job.unwanted:
                        return job.task
                    self._end(job, {"failed": f"its workers were lost {job.attempts} times"})
            await self.changed.wait_for(lambda: self.closed or self.waiting)
            if self.closed:
                return None
            job = self.jobs[self.waiting.pop(0)]
            job.pool, job.taken = pool, time.monotonic()
            return job.task

    async def report(self, trial_id: str, figures: dict[str, Any]) -> bool:
        """A pool tells of an epoch, and learns whether to go on."""
        async with self.changed:
            job = self.jobs[trial_id]
            self._tell(job, figures)
            number = len(job.messages)
            await self.changed.wait_for(lambda: job.unwanted or job.answered >= number)
            return not job.unwanted

    async def finish(self, trial_id: str, failed: str, result: dict[str, float]) -> None:
        """A pool has done with a trial; `failed` says why it could not. The first word counts."""
        async with self.changed:
            job = self.jobs.get(trial_id)
            if job is not None and not job.ended:
                self._end(
                    job, {"failed": failed} if failed else {"finished": True, "result": result}
                )

    def _end(self, job: Job, message: dict[str, Any]) -> None:
        job.ended = True
        self._tell(job, message)

    def _tell(self, job: Job, message: dict[str, Any]) -> None:
        elapsed = time.monotonic() - job.taken
        job.messages.append({**message, "attempts": job.attempts, "elapsed": elapsed})
        self.changed.notify_all()

    async def next(self, trial_id: str, seen: int) -> dict[str, Any]:
        """A driver waits for the message after the first `seen`, and so agrees to those."""
        async with self.changed:
            job = self.jobs[trial_id]
            job.answered = seen
            self.changed.notify_all()
            await self.changed.wait_for(lambda: len(job.messages) > seen or self.closed)
            if len(job.messages) > seen:
                return job.messages[seen]
            return {"failed": f"no workers are left: {self.reason}", "elapsed": 0.0}

    async def leave(self, trial_id: str) -> None:
        """A driver wants no more of a trial; returns when its workers have left it."""
        async with self.changed:
            job = self.jobs[trial_id]
            job.unwanted = True
            if trial_id in self.waiting:
                self.waiting.remove(trial_id)
                job.ended = True
            self.changed.notify_all()
            await self.changed.wait_for(lambda: job.ended or self.closed)
            del self.jobs[trial_id]

    async def lose(self, pool: int, reason: str) -> None:
        """A pool is gone for good; the trial that it had fails."""
        async with self.changed:
            for job in self.jobs.values():
                if job.pool == pool and not job.ended:
                    self._end(job, {"failed": reason})

    async def close(self, reason: str = "the search is over") -> None:
        """Send pools home, and tell drivers why nothing more will come."""
        async with self.changed:
            self.closed, self.reason = True, reason
            for job in self.jobs.values():
                job.unwanted = True
            self.changed.notify_all()
