"""Checkpoints are written beside the training, which goes on while storage is slow."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Any, Self

from muse.copies import Copies, copied

Job = Callable[[], None]


class Writer:
    """Writes one checkpoint at a time, in a thread of its own. Use it in a `with`.

    One more may wait; a newer one takes its place.
    """

    def __init__(self, sent: Job | None = None) -> None:
        """Nothing is written yet.

        Args:
            sent: called in that thread after each checkpoint, for storage that is elsewhere.
        """
        self.sent = sent
        self.copies = Copies()
        self.thread = ThreadPoolExecutor(1, "checkpoints")
        self.jobs: list[Future[None]] = []
        """What is being written, and what waits."""
        self.waiting: SimpleQueue[Job] = SimpleQueue()
        """One at most. The thread takes it from here, so that one whose place is taken is gone."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Nothing is written any more afterwards."""
        self.thread.shutdown()

    def busy(self) -> bool:
        """Whether something is being written.

        Raises:
            OSError: something could not be written.
        """
        done = [job for job in self.jobs if job.done()]
        self.jobs = [job for job in self.jobs if job not in done]
        for job in done:
            job.result()
        return bool(self.jobs)

    def copy(self, state: Any) -> Any:
        """A copy of a state for the next job, which is the only one that may read it.

        Raises:
            OSError: something could not be written.
        """
        return copied(state, {})[0] if self.busy() else self.copies.over_the_last(state)

    def write(self, job: Job) -> None:
        """Have a checkpoint written, in the place of one that still waits.

        Raises:
            OSError: an earlier one could not be written.
        """
        if self.busy():
            with suppress(Empty):
                self.waiting.get_nowait()
        self.waiting.put(job)
        self.jobs.append(self.thread.submit(self.take))

    def take(self) -> None:
        """In the thread: write what waits, if its place was not taken, and send it."""
        try:
            job = self.waiting.get_nowait()
        except Empty:
            return
        job()
        if self.sent is not None:
            self.sent()

    def flush(self) -> None:
        """Wait until all is written and sent.

        Raises:
            OSError: something could not be.
        """
        jobs, self.jobs = self.jobs, []
        for job in jobs:
            job.result()
