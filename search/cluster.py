"""Connect to Ray, ship our own code to it, and keep worker groups that outlive their trials."""

import socket
import threading
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import ray
import ray.train
from ray.train.torch import TorchTrainer
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

import muse
import search
from muse.errors import UserError
from search.desk import Desk
from search.study import Study
from search.worker import pool_loop

HEAD = "node:__internal_head__"
"""A resource that every cluster's head node has. Tune's drivers ask for a crumb of it, and for no
CPU, so that they never wait for their own workers."""


def connect(address: str | None) -> None:
    """Join the cluster at an address, or start Ray on this machine.

    Raises:
        UserError: nothing answers there.
    """
    if address is not None:
        check_answer(address)
    options: dict[str, Any] = {
        "runtime_env": {"py_modules": [muse, search]},  # else workers may run an installed copy
        "log_to_driver": False,
        "logging_level": "ERROR",
    }
    if address is None:
        options |= {"include_dashboard": False, "object_store_memory": 200 * 2**20}
    try:
        ray.init(address=address or "local", **options)
    except ConnectionError as error:
        raise UserError(
            f"--address {address}: no Ray cluster answers there; start one with 'ray up' or "
            "'ray start --head', or leave --address out to use this machine."
        ) from error


def check_answer(address: str) -> None:
    """Ask for a connection first: Ray itself tries for two minutes before it gives up.

    Raises:
        UserError: nothing answers at a HOST:PORT.
    """
    host, colon, port = address.rpartition(":")
    if not (colon and port.isdigit()) or "/" in host:
        return  # auto, or a form that only Ray reads
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
    except OSError as error:
        raise UserError(
            f"--address {address}: nothing answers there ({error}); start a cluster with 'ray up' "
            "or 'ray start --head', or leave --address out to use this machine."
        ) from error


class Cluster:
    """Ray, a desk, and the worker groups of one study. Use it in a `with`."""

    def __init__(self, study: Study, folder: Path, address: str | None = None) -> None:
        self.study, self.folder, self.address = study, folder, address
        self.pools: list[threading.Thread] = []
        self.lost: list[str] = []

    def __enter__(self) -> Self:
        connect(self.address)
        try:
            have = ray.cluster_resources()
            self.gpus = gpus_per_worker(self.study, have)
            self.concurrent = concurrent_trials(self.study, have, self.gpus)
            here = ray.get_runtime_context().get_node_id()
            stay = NodeAffinitySchedulingStrategy(here, soft=False)
            actor = ray.remote(Desk).options(num_cpus=0, scheduling_strategy=stay)
            self.desk = actor.remote(self.study.resources.max_failures)
            for number in range(self.concurrent):
                self.start_pool(number)
        except BaseException:
            ray.shutdown()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Send the pools home, and wait for them where nothing hurries."""
        ray.get(self.desk.close.remote())
        for pool in self.pools:
            pool.join(timeout=30 if kind is None else 5)
        ray.shutdown()

    @property
    def devices(self) -> float:
        """GPUs that one trial holds, or CPUs where it has no GPU."""
        wanted = self.study.resources
        return wanted.workers * (self.gpus or wanted.cpus_per_worker)

    def start_pool(self, number: int) -> None:
        """Start a worker group that takes trials from the desk until it is sent home."""
        wanted = self.study.resources
        each = {"CPU": wanted.cpus_per_worker, "GPU": self.gpus}
        settings = {
            "desk": self.desk,
            "pool": number,
            "threads": max(1, int(wanted.cpus_per_worker)),
        }
        trainer = TorchTrainer(
            pool_loop,
            train_loop_config=settings,
            scaling_config=ray.train.ScalingConfig(
                num_workers=wanted.workers,
                use_gpu=self.gpus > 0,
                resources_per_worker={key: value for key, value in each.items() if value},
            ),
            run_config=ray.train.RunConfig(
                name=f"pool-{number}",
                storage_path=str((self.folder / ".ray").resolve()),
                failure_config=ray.train.FailureConfig(max_failures=100),
            ),
        )
        thread = threading.Thread(target=self.keep, args=(number, trainer), daemon=True)
        self.pools.append(thread)
        thread.start()

    def keep(self, number: int, trainer: TorchTrainer) -> None:
        """Run a pool to its end; when the last one is lost, nobody waits for it in vain."""
        try:
            trainer.fit()
        except Exception as error:
            self.lost.append(str(error).splitlines()[0])
            ray.get(self.desk.lose.remote(number, self.lost[-1]))
            if len(self.lost) == len(self.pools):
                ray.get(self.desk.close.remote(self.lost[-1]))


def gpus_per_worker(study: Study, have: dict[str, float]) -> float:
    """GPUs of each worker: as the study says, else one where there are any."""
    asked = study.resources.gpus_per_worker
    return asked if asked is not None else float(have.get("GPU", 0) >= 1)


def concurrent_trials(study: Study, have: dict[str, float], gpus: float) -> int:
    """Trials that run at once.

    Raises:
        UserError: not even one fits.
    """
    wanted = study.resources
    if wanted.concurrent is not None:
        return min(wanted.concurrent, study.budget.trials)
    each = {"CPU": wanted.workers * wanted.cpus_per_worker, "GPU": wanted.workers * gpus}
    fits = min(int(have.get(key, 0) // need) for key, need in each.items() if need)
    if fits < 1:
        raise UserError(
            f"resources: a trial wants {each['CPU']:g} CPUs and {each['GPU']:g} GPUs, the cluster "
            f"has {have.get('CPU', 0):g} and {have.get('GPU', 0):g}; ask for less, or set "
            "resources.concurrent where it grows on demand."
        )
    return min(fits, study.budget.trials)
