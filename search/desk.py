"""Where trials wait for a worker group, and where their reports wait for the search.

One Ray actor between Tune's drivers, which put trials and read reports, and the worker groups
(pools), which take trials and report. A report is answered only when the driver has made up its
mind, so a trial that is stopped trains no epoch too many.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from statistics import median
from typing import Any

from search.fault import Fault
from search.task import Job, Message, Patience, Pool, Task

BARREN = 3
"""Pools lost in a row, before any of them asked for work, after which no more are started."""


class Desk:
    """Hands trials to pools and reports to drivers. Made an actor by `cluster.py`."""

    def __init__(
        self,
        max_failures: int,
        patience: Patience = Patience(),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.jobs: dict[str, Job] = {}
        self.waiting: list[str] = []
        self.pools: dict[int, Pool] = {}
        self.max_failures, self.patience, self.clock = max_failures, patience, clock
        self.barren = 0
        self.peak, self.known = 0.0, False
        self.closed, self.reason = False, ""
        self.changed = asyncio.Condition()

    @asynccontextmanager
    async def change(self) -> AsyncIterator[None]:
        """Change something, and wake up who waits for it."""
        async with self.changed:
            yield
            self.changed.notify_all()

    async def put(self, task: Task) -> None:
        """A driver asks for a trial."""
        async with self.change():
            self.jobs[task.trial_id] = Job(task)
            self.waiting.append(task.trial_id)

    async def open(self, pool: int, devices: float, shares: bool) -> None:
        """A pool is about to start."""
        async with self.change():
            self.pools[pool] = Pool(devices=devices, shares=shares)

    async def retire(self) -> None:
        """No pool that there is takes another trial: others, of another size, will."""
        async with self.change():
            for pool in self.pools.values():
                pool.retired = True

    async def join(self, pool: int, handle: Any) -> None:
        """A worker of a pool has started."""
        async with self.change():
            self.pools.setdefault(pool, Pool()).handles.append(handle)

    async def take(self, pool: int) -> Task | None:
        """A pool asks for work; None ends it: the search is over, or there was none for long."""
        async with self.changed:
            me = self.pools.setdefault(pool, Pool())
            me.able = True
            self.barren = 0
            self._lose(pool, Fault("worker lost", "its workers were lost", again=True))
            with suppress(TimeoutError):
                async with asyncio.timeout(self.patience.idle):
                    await self.changed.wait_for(lambda: self.closed or me.retired or self.waiting)
            if self.closed or me.retired or not self.waiting:
                return None
            job = self.jobs[self.waiting.pop(0)]
            job.pool, job.fault = pool, None
            job.told = job.answering = False
            job.taken = job.heard = self.clock()
            return job.task

    async def began(self, trial_id: str, about: Message) -> None:
        """A pool has built a trial: where, and what."""
        async with self.changed:
            self.jobs[trial_id].about = about

    async def report(self, trial_id: str, figures: Message) -> bool:
        """A pool tells of an epoch, and learns whether to go on."""
        async with self.changed:
            job = self.jobs[trial_id]
            self._pace(job, figures)
            self.peak = max(self.peak, figures.get("peak_memory", 0.0))
            self._tell(job, figures)
            number = len(job.messages)
            job.answering = True
            await self.changed.wait_for(lambda: job.unwanted or job.answered >= number)
            job.answering, job.heard = False, self.clock()
            return not job.unwanted

    def _pace(self, job: Job, figures: Message) -> None:
        """Learn how long an epoch takes; one that is told again is known already.

        To a desk that is new, because the search was resumed, it is not: then what its workers
        took for it counts, not the moment that they needed to load it.
        """
        epoch = figures.get("epoch", 0)
        if epoch > job.epoch:
            job.paces.append(max(self.clock() - job.heard, figures.get("seconds", 0.0)))
            job.epoch = epoch
        job.told = True

    async def finish(self, trial_id: str, result: dict[str, float]) -> None:
        """A pool has done with a trial."""
        async with self.changed:
            job = self.jobs.get(trial_id)
            if job is not None and not job.ended:
                self._end(job, {"finished": True, "result": result})

    async def fail(self, trial_id: str, fault: Fault) -> None:
        """A worker could not go on with a trial. The first word counts.

        One of several workers leaves its group, which ends; so does the trial then, and not before:
        the others may still write its checkpoint.
        """
        async with self.changed:
            job = self.jobs.get(trial_id)
            if job is None or job.ended or job.pool is None or job.fault is not None:
                return
            if fault.kind == "memory" and self._of(job).shares:
                fault = replace(fault, again=True)  # alone it may have room
                self._share_no_more()
            job.fault = fault
            if not fault.again and len(self._of(job).handles) < 2:
                self._fail(job, fault)

    def _of(self, job: Job) -> Pool:
        """The pool that has a job."""
        return Pool() if job.pool is None else self.pools.get(job.pool, Pool())

    def _share_no_more(self) -> None:
        """From now on trials want a GPU of their own."""
        self.peak, self.known = 1.0, True
        for pool in self.pools.values():
            pool.retired = pool.retired or pool.shares

    def _lose(self, pool: int, fault: Fault) -> None:
        """A pool has let go of its trial: another takes it, unless it failed too often."""
        for job in self.jobs.values():
            if job.pool == pool and not job.ended:
                self._retry(job, job.fault or fault)

    def _retry(self, job: Job, fault: Fault) -> None:
        if not fault.again or job.unwanted or job.attempts >= self.max_failures:
            self._fail(job, fault)
            return
        job.attempts += 1
        seconds = self.clock() - job.taken
        job.spent += seconds
        job.paid += seconds * self._of(job).devices
        job.pool = None
        self.waiting.insert(0, job.task.trial_id)
        self.changed.notify_all()

    def _fail(self, job: Job, fault: Fault) -> None:
        often = f" (attempt {job.attempts + 1})" if job.attempts else ""
        self._end(job, {"failed": fault.reason + often, "kind": fault.kind})

    def _end(self, job: Job, message: Message) -> None:
        job.ended = True
        self.known = self.known or self.peak > 0.0
        self._tell(job, message)

    def _tell(self, job: Job, message: Message) -> None:
        more = {"attempts": job.attempts, **self._cost(job)}
        job.messages.append({**job.about, **message, **more})
        self.changed.notify_all()

    def _cost(self, job: Job) -> dict[str, float]:
        """Seconds that a trial has had workers, and how many devices they held on average."""
        now = self.clock() - job.taken if job.pool is not None else 0.0
        elapsed = job.spent + now
        if job.pool not in self.pools and not job.spent:
            return {"elapsed": elapsed}
        devices = self._of(job).devices
        mean = (job.paid + now * devices) / elapsed if job.spent else devices
        return {"elapsed": elapsed, "devices": mean}

    async def unended(self) -> dict[str, dict[str, float]]:
        """What each trial has cost so far that workers have or had: an interruption ends it."""
        async with self.changed:
            costs = {name: self._cost(job) for name, job in self.jobs.items() if not job.ended}
            return {name: cost for name, cost in costs.items() if "devices" in cost}

    async def next(self, trial_id: str, seen: int) -> Message:
        """A driver waits for the message after the first `seen`, and so agrees to those."""
        async with self.changed:
            job = self.jobs[trial_id]
            job.answered = seen
            self.changed.notify_all()
            await self.changed.wait_for(lambda: len(job.messages) > seen or self.closed)
            if len(job.messages) > seen:
                return job.messages[seen]
            reason = f"no workers are left: {self.reason}"
            return {"failed": reason, "kind": "worker lost", "elapsed": 0.0}

    async def leave(self, trial_id: str) -> None:
        """A driver wants no more of a trial; returns when its workers have left it."""
        async with self.changed:
            job = self.jobs.get(trial_id)
            if job is None:
                return
            job.unwanted = True
            if trial_id in self.waiting:
                self.waiting.remove(trial_id)
                job.ended = True
            self.changed.notify_all()
            await self.changed.wait_for(lambda: job.ended or self.closed)
            self.jobs.pop(trial_id, None)

    async def lose(self, pool: int, fault: Fault) -> bool:
        """A pool is gone.

        Returns:
            Whether pools can run at all: one does, or not many in a row were lost at their start.
        """
        async with self.change():
            gone = self.pools.get(pool, Pool())
            gone.retired = True  # its last question may still wait here for an answer
            if not gone.able:
                self.barren += 1
            self._lose(pool, fault)  # while it is known what the pool held
            self.pools.pop(pool, None)
            return self.barren < BARREN or any(known.able for known in self.pools.values())

    async def hung(self) -> list[Any]:
        """The workers that have been silent for too long, each named once; to be killed."""
        async with self.changed:
            found: list[Any] = []
            now = self.clock()
            for job in self.jobs.values():
                silent = now - job.heard
                working = job.pool in self.pools and not (job.ended or job.answering or job.fault)
                if working and silent > self.limit(job):
                    reason = f"hung: no report for {silent:.0f} s"
                    job.fault = Fault("hung", reason, again=True)
                    found += self.pools[job.pool].handles  # type: ignore[index]
            return found

    def limit(self, job: Job) -> float:
        """Seconds for which a trial's workers may be silent."""
        paces = job.paces or [pace for other in self.jobs.values() for pace in other.paces]
        usual = self.patience.factor * median(paces) if paces else 0.0
        return max(usual, self.patience.least if job.told else self.patience.first)

    async def demand(self) -> tuple[int, set[int]]:
        """Trials that wait for a pool, and the pools that have started."""
        async with self.changed:
            able = {number for number, pool in self.pools.items() if pool.able}
            return (len(self.waiting) if self.barren < BARREN else 0), able

    async def peak_memory(self) -> float | None:
        """The most memory that a trial has held, as a share of its GPU; None until one has ended.

        1.0 once a trial did not find room beside others.
        """
        async with self.changed:
            return self.peak if self.known else None

    async def workers(self) -> list[Any]:
        """The workers of all pools, to be killed."""
        async with self.changed:
            return [handle for pool in self.pools.values() for handle in pool.handles]

    async def close(self, reason: str = "the search is over") -> None:
        """Send pools home, and tell drivers why nothing more will come."""
        async with self.changed:
            self.closed, self.reason = True, reason
            for job in self.jobs.values():
                job.unwanted = True
            self.changed.notify_all()
