"""Worker groups that outlive their trials, on a Ray cluster."""

import subprocess
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

import ray
import ray.exceptions
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from search.connect import connect
from search.desk import Desk
from search.guard import stand_guard
from search.pools import HURRY, Pools, machines
from search.study import Study
from search.task import Patience

HEAD = "node:__internal_head__"
"""A resource that every cluster's head node has. Tune's drivers ask for a crumb of it, and for no
CPU, so that they never wait for their own workers."""

PATIENCE = 30.0
"""Seconds that the pools get to end where nothing hurries."""

ROOM_WITHIN = 1200.0
"""Seconds in which a group of many workers must find room: a new machine would be there by then."""


class Cluster:
    """Ray, a desk, and the worker groups (`pools`) of one study. Use it in a `with`."""

    def __init__(
        self,
        study: Study,
        folder: str,
        address: str | None = None,
        room_within: float = float("inf"),
    ) -> None:
        """Nothing is started yet.

        Args:
            study: whose trials it runs.
            folder: an absolute path that all nodes see, or an address in a bucket.
            address: of a Ray cluster; None is this machine.
            room_within: seconds for which a trial waits for room while no group has any; as long as
                it takes where groups are so small that any machine that comes will do.
        """
        self.study, self.folder, self.address = study, folder, address
        self.room_within = room_within
        self.connected = False
        self.guard: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.connected = not ray.is_initialized()  # else another cluster of this process has Ray
        if self.connected:
            connect(self.address)
        try:
            if self.connected and self.address is None:
                self.guard = stand_guard()
            self.desk = start_desk(self.study)
            self.pools = Pools(self.study, self.folder, self.desk, machines(), self.room_within)
            self.pools.start()
        except BaseException:
            self.leave()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Send the pools home, and wait for them where nothing hurries."""
        try:
            with suppress(ray.exceptions.RayError):  # gone already: nothing is left to end
                self.end(patience=PATIENCE if kind is None else HURRY)
        finally:
            self.leave()

    def leave(self) -> None:
        """Let go of Ray, if it is ours to let go of, and of what it leaves behind."""
        if self.connected:
            ray.shutdown()
        if self.guard is not None:
            self.guard.communicate()

    def end(self, patience: float) -> None:
        """Let the worker groups go; Ray is still there afterwards.

        Args:
            patience: seconds to wait for them at most.
        """
        self.pools.end(patience)

    def unended(self) -> dict[str, dict[str, float]]:
        """What each trial has cost that has not ended; nothing where Ray is gone, which knew it."""
        with suppress(ray.exceptions.RayError):
            costs: dict[str, dict[str, float]] = ray.get(self.desk.unended.remote(), timeout=HURRY)
            return costs
        return {}


def start_desk(study: Study) -> Any:
    """The desk, as an actor beside this process: it outlives all machines but this one."""
    here = ray.get_runtime_context().get_node_id()
    stay = NodeAffinitySchedulingStrategy(here, soft=False)
    wanted = study.resources
    patience = Patience(
        factor=wanted.hang_factor,
        first=60 * wanted.first_epoch_minutes,
        idle=60 * wanted.idle_minutes,
    )
    actor = ray.remote(Desk).options(num_cpus=0, scheduling_strategy=stay)
    return actor.remote(wanted.max_failures, patience)
