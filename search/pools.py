"""A study's worker groups: as many as its trials can use and the cluster has room for."""

import logging
import threading
import time
from contextlib import suppress
from itertools import count
from typing import Any

import ray
import ray.exceptions
import ray.train
from ray.train import WorkerGroupError

from search.enter import pool_loop
from search.fault import Fault
from search.faults import NOBODY, first_line, of_workers
from search.group import Group, Several, Single
from search.packing import gpus_for
from search.room import (
    Resources,
    concurrent_trials,
    each_worker,
    fitting,
    gpus_per_worker,
    whole_gpus,
)
from search.study import Study

LOOK_EVERY = 1.0
"""Seconds between two looks at the pools."""

HURRY = 5.0
"""Seconds that a pool gets to end where nobody wants to wait."""


class Pools:
    """Worker groups (pools) that take trials from a desk, one after the other.

    A pool lives as long as its workers. A thread looks after them: it starts another where trials
    wait and the cluster has room, and kills workers that have been silent for too long.
    """

    def __init__(
        self, study: Study, folder: str, desk: Any, have: list[Resources], room_within: float
    ) -> None:
        """None is started yet.

        Args:
            study: whose trials they run.
            folder: an absolute path that all nodes see, or an address in a bucket.
            desk: handle of the desk actor.
            have: what each machine of the cluster has.
            room_within: seconds for which a trial waits for room while no pool has any.

        Raises:
            UserError: no machine can hold a trial, and none will come.
        """
        self.study, self.folder, self.desk = study, folder, desk
        self.room_within, self.served = room_within, time.monotonic()
        self.gpus = gpus_per_worker(study, have)
        self.concurrent = concurrent_trials(study, have, self.gpus)
        self.running: dict[int, threading.Thread] = {}
        self.numbers = count()
        self.opening = threading.Lock()  # the watcher starts pools as well
        self.over = threading.Event()
        self.watcher = threading.Thread(target=self.watch, daemon=True)

    def start(self) -> None:
        """Make room for the search, and look after the pools from now on."""
        self.make_room(self.study.trials)
        self.watcher.start()

    def end(self, patience: float) -> None:
        """Let the pools go, and wait for those that run.

        Args:
            patience: seconds to wait at most.
        """
        self.over.set()
        self.watcher.join(timeout=patience)
        _, able = ray.get(self.desk.demand.remote())
        ray.get(self.desk.close.remote())
        began = time.monotonic()
        for number, pool in list(self.running.items()):
            # One that has not started may wait for machines that nobody needs any more.
            until = began + (patience if number in able else min(patience, HURRY))
            pool.join(timeout=max(0.0, until - time.monotonic()))
        for worker in ray.get(self.desk.workers.remote()):
            ray.kill(worker)
        for pool in list(self.running.values()):
            pool.join(timeout=HURRY / 2)

    @property
    def devices(self) -> float:
        """GPUs that one trial holds, or CPUs where it has no GPU."""
        wanted = self.study.resources
        return wanted.workers * (self.gpus or wanted.cpus_per_worker)

    @property
    def apart(self) -> int:
        """Trials for which there is room where none shares a GPU with another."""
        have = machines()
        return max(1, fitting(self.study, have, whole_gpus(gpus_per_worker(self.study, have))))

    @property
    def most(self) -> int:
        """Pools to ask for: what fits now, or as many as the study wants on a grown cluster."""
        return self.study.resources.concurrent or self.concurrent

    def make_room(self, trials: int) -> None:
        """Start the pools that so many trials can use; a phase may have more than the last."""
        with self.opening:
            for _ in range(min(trials, self.most) - len(self.running)):
                self.start_pool()

    def watch(self) -> None:
        """Look after the pools until the search is over."""
        told = ""
        while not self.over.wait(LOOK_EVERY):
            try:
                self.look()
            except ray.exceptions.RayError:  # Ray is gone; the main thread learns it as well
                return
            except Exception as error:  # the next look may go well; without any, a hang is for ever
                if told != (told := first_line(error)):
                    logging.warning("the worker groups could not be looked after: %s", told)

    def look(self) -> None:
        """Kill what hangs; start pools where trials wait and there is room."""
        for worker in ray.get(self.desk.hung.remote()):
            ray.kill(worker)
        self.share()
        self.concurrent = max(1, fitting(self.study, machines(), self.gpus))
        waiting, able = ray.get(self.desk.demand.remote())
        self.expect_room(waiting, able)
        with self.opening:
            starting = len(set(list(self.running)) - able)
            for _ in range(min(waiting - starting, self.most - len(self.running))):
                self.start_pool()

    def expect_room(self, waiting: int, able: set[int]) -> None:
        """Tell who waits that there will be no room, where there was none for too long."""
        if not waiting or able:
            self.served = time.monotonic()
        elif time.monotonic() - self.served > self.room_within:
            workers, minutes = self.study.resources.workers, self.room_within / 60
            reason = f"for {minutes:.0f} minutes no room was found for {workers} of them at once"
            ray.get(self.desk.close.remote(reason))

    def share(self) -> None:
        """Give trials a part of a GPU each, once one has shown how much of its memory it needs.

        Groups of the old size end with the trial that they have. Where a trial then finds no room,
        all get a whole GPU again.
        """
        wanted = self.study.resources
        if not self.gpus or wanted.gpus_per_worker is not None or wanted.workers > 1:
            return  # NCCL wants a GPU a worker
        peak = ray.get(self.desk.peak_memory.remote())
        if peak is not None and gpus_for(peak) != self.gpus:
            self.gpus = gpus_for(peak)
            ray.get(self.desk.retire.remote())

    def start_pool(self) -> None:
        """Start a worker group that takes trials from the desk until it is sent home."""
        number = next(self.numbers)
        ray.get(self.desk.open.remote(number, self.devices, 0 < self.gpus < 1))
        trainer = self.trainer(number)
        thread = threading.Thread(target=self.keep, args=(number, trainer), daemon=True)
        self.running[number] = thread
        thread.start()

    def trainer(self, number: int) -> Group:
        """A worker group of Ray Train, which lives as long as all of its workers do."""
        wanted = self.study.resources
        threads = max(1, int(wanted.cpus_per_worker))
        kind = Several if wanted.workers > 1 else Single
        return kind(
            pool_loop,
            train_loop_config={"desk": self.desk, "pool": number, "threads": threads},
            scaling_config=ray.train.ScalingConfig(
                num_workers=wanted.workers,
                use_gpu=self.gpus > 0,
                resources_per_worker=each_worker(self.study, self.gpus),
            ),
            run_config=ray.train.RunConfig(
                name=f"pool-{number}",
                storage_path=f"{self.folder}/.ray",
                failure_config=ray.train.FailureConfig(max_failures=0, max_preemption_failures=0),
            ),
        )

    def keep(self, number: int, trainer: Group) -> None:
        """Run a pool to its end; its trial goes to another one.

        Where no pool can run at all, nobody waits for one in vain.
        """
        fault = NOBODY
        try:
            trainer.fit()
        except WorkerGroupError as error:
            fault = of_workers(error.worker_failures.values())
        except Exception as error:
            fault = Fault("worker lost", first_line(error), again=True)
        finally:
            del self.running[number]
        if self.over.is_set():
            return
        with suppress(ray.exceptions.RayError):  # Ray is gone; the main thread learns it as well
            if not ray.get(self.desk.lose.remote(number, fault)):
                ray.get(self.desk.close.remote(fault.reason))


def machines() -> list[Resources]:
    """What each living machine of the cluster has."""
    return [node["Resources"] for node in ray.nodes() if node["Alive"]]
