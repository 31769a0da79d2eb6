"""Faults and growth on a real cluster of several nodes on this machine, with a work that counts."""

import gc
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from io import StringIO
from pathlib import Path
from typing import Any

import psutil
import pytest
import ray
from ray.cluster_utils import Cluster as Machines
from ray.util.placement_group import placement_group_table
from rich.console import Console

from search.cluster import Cluster
from search.entry import Entry
from search.keeper import Keeper
from search.launch import tune_phase
from search.ledger import Ledger
from search.quiet import be_quiet
from search.scheduler import build_scheduler
from search.searcher import Begin, Proposal, Truthful
from search.study import Study
from search.view import View

be_quiet()

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    # Ray leaves its own sockets and files open in the driver.
    pytest.mark.filterwarnings("ignore"),
]

EPOCHS = 4


@pytest.fixture(autouse=True)
def workers_find_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))


def study(trials: int, scheduler: str = "none", **resources: Any) -> Study:
    """A study whose pools each hold one slot."""
    return Study.model_validate(
        {
            "preset": "tiny",
            "budget": {"trials": trials, "epochs": EPOCHS},
            "searcher": {"name": "random"},
            "scheduler": {"name": scheduler, "reduction": 2},
            "space": {"cross.theta": {"low": 0.1, "high": 0.5}},
            "resources": {
                "cpus_per_worker": 0.1,
                "gpus_per_worker": 0,
                "custom": {"slot": 1},
                **resources,
            },
        }
    )


@contextmanager
def machines(*slots: int) -> Iterator[Machines]:
    """A head without slots, and a node for each number of them."""
    head = {"num_cpus": 1, "object_store_memory": 80 * 2**20, "include_dashboard": False}
    made = Machines(initialize_head=True, head_node_args=head)
    try:
        for number in slots:
            add(made, number)
        yield made
    finally:
        ray.shutdown()
        made.shutdown()
        gc.collect()  # what Ray has left open is complained of here, not in a later test


def add(made: Machines, slots: int) -> Any:
    """Add a node, from any thread: Ray sets a signal handler, which only the main one may."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ray._private.utils.set_sigterm_handler", lambda _: None)
        return add_node(made, slots)


def add_node(made: Machines, slots: int) -> Any:
    return made.add_node(num_cpus=1, resources={"slot": slots}, object_store_memory=80 * 2**20)


def lose(made: Machines, node: Any) -> None:
    """End a node without warning, and see its workers gone: they outlive it for a moment."""
    (raylet,) = node.all_processes["raylet"]
    workers = psutil.Process(raylet.process.pid).children(recursive=True)
    assert workers
    made.remove_node(node, allow_graceful=False)
    _, alive = psutil.wait_procs(workers, timeout=60)
    assert not alive


class Search:
    """A search of counted epochs on a cluster, in this process."""

    def __init__(self, about: Study, folder: Path, **config: Any) -> None:
        self.study, self.folder, self.config = about, folder, {"seconds": 0.3, **config}
        self.ledger = Ledger(folder / "ledger.db")
        view = View("mine", "valid_f1", Console(file=StringIO()))
        self.keeper = Keeper(about, folder, self.ledger, view)

    def begin(self) -> Begin:
        """As the Keeper's, with another work and a configuration that it understands."""
        ask = self.keeper.start("search", self.study.budget.trials, [], devices=1.0)

        def begin(proposal: Proposal) -> dict[str, Any]:
            config = ask(proposal)
            own = {"epochs": EPOCHS, "theta": proposal.point["cross.theta"], **self.config}
            work = {"config": own, "work": "cluster_work:count"}
            return {**config, "task": {**config["task"], **work}}

        return begin

    def run(self, cluster: Cluster) -> list[Entry]:
        scheduler = build_scheduler(self.study, [])
        tune_phase(cluster, self.keeper, Truthful(self.study, [], self.begin()), scheduler)
        return self.ledger.entries()

    def attempts(self, entry: Entry) -> list[int]:
        """The epochs after which each attempt of a trial began; only while its folder is there."""
        file = Path(self.keeper.kept.checkpoints.folder(entry.trial_id)) / "attempts"
        return [int(line) for line in file.read_text().splitlines()]

    def keep_folders(self) -> None:
        """Leave the trials' folders for the test to look at."""
        self.keeper.kept.clear = lambda _: None  # type: ignore[method-assign]


def epochs_so_far(folder: Path) -> dict[str, int]:
    """Reported epochs of all trials so far, from outside the search's thread."""
    with closing(sqlite3.connect(f"file:{folder}/ledger.db?mode=ro", uri=True)) as ledger:
        return dict(ledger.execute("select trial_id, count(*) from reports group by trial_id"))


class Meanwhile:
    """Does something beside the search.

    Its thread lives on afterwards: the kernel ends a node that was started by a thread with it.
    """

    def __init__(self, act: Callable[[], None]) -> None:
        self.act, self.done = act, threading.Event()
        self.error: BaseException | None = None
        threading.Thread(target=self.live, daemon=True).start()

    def live(self) -> None:
        try:
            self.act()
        except BaseException as error:
            self.error = error
        self.done.set()
        threading.Event().wait()

    def join(self) -> None:
        assert self.done.wait(200)
        if self.error is not None:
            raise self.error


def wait_until(done: Callable[[], bool], seconds: float = 180) -> None:
    for _ in range(int(seconds * 10)):
        if done():
            return
        time.sleep(0.1)
    pytest.fail("it did not happen in time")


def held() -> list[str]:
    """Placement groups that still hold or want resources."""
    groups = placement_group_table().values()
    return [group["placement_group_id"] for group in groups if group["state"] != "REMOVED"]


def wanted(resource: str) -> list[str]:
    """Placement groups that wait for a resource."""
    return [
        group["placement_group_id"]
        for group in placement_group_table().values()
        if group["state"] == "PENDING" and resource in group["bundles"][0]
    ]


def test_a_lost_node_costs_no_trial_and_no_epoch(tmp_path: Path) -> None:
    gate = tmp_path / "gate"  # so that each node is in the middle of a trial when one is lost
    search = Search(study(4), tmp_path, gate=str(gate))
    search.keep_folders()
    with machines(1, 1) as made:
        doomed = made.list_all_nodes()[-1]

        def kill() -> None:
            wait_until(lambda: list(epochs_so_far(tmp_path).values()) == [2, 2])
            lose(made, doomed)
            gate.touch()

        with Cluster(search.study, str(tmp_path), made.address) as cluster:
            assert cluster.pools.concurrent == 2
            killer = Meanwhile(kill)
            entries = search.run(cluster)
            killer.join()
    assert [e.state for e in entries] == ["completed"] * 4
    assert [e.epochs for e in entries] == [EPOCHS] * 4
    again = [a for a in map(search.attempts, entries) if len(a) > 1]
    assert again == [[0, 2]]  # it went on from its checkpoint


def test_asha_over_more_trials_than_fit_leaves_nothing_behind(tmp_path: Path) -> None:
    search = Search(study(12, "asha"), tmp_path, seconds=0.05)
    with machines(2) as made, Cluster(search.study, str(tmp_path), made.address) as cluster:
        before = {**ray.cluster_resources()}
        entries = search.run(cluster)
        cluster.end(patience=30)
        wait_until(lambda: not held(), seconds=10)

        def all_free() -> bool:
            now = ray.available_resources()
            names = ("CPU", "slot", "node:__internal_head__")
            return all(now.get(name, 0) == before[name] for name in names)

        wait_until(all_free, seconds=10)
    assert len(entries) == 12
    assert {e.state for e in entries} == {"completed", "stopped"}
    assert all(e.state == "stopped" or e.epochs == EPOCHS for e in entries)


def test_a_trial_that_takes_long_to_end_does_not_cost_the_next_one(tmp_path: Path) -> None:
    search = Search(study(6, "asha"), tmp_path, seconds=0.05, leaving=3)
    with machines(1) as made, Cluster(search.study, str(tmp_path), made.address) as cluster:
        entries = search.run(cluster)
    assert [e.state for e in entries].count("stopped") >= 2
    assert {e.state for e in entries} == {"completed", "stopped"}
    assert len(entries) == 6


def test_a_lost_driver_costs_its_trial_and_not_its_workers(tmp_path: Path) -> None:
    search = Search(study(3), tmp_path)
    with machines(1) as made, Cluster(search.study, str(tmp_path), made.address) as cluster:

        def kill_the_driver() -> None:
            wait_until(lambda: sum(epochs_so_far(tmp_path).values()) >= 2)
            family = psutil.Process().children(recursive=True)  # of this test, not of one beside it
            (driver,) = [process for process in family if is_driver(process)]
            driver.kill()

        killer = Meanwhile(kill_the_driver)
        entries = search.run(cluster)
        killer.join()
    assert [(e.state, e.epochs) for e in entries[1:]] == [("completed", EPOCHS)] * 2
    assert (entries[0].state, entries[0].epochs < EPOCHS) == ("failed", True)


def is_driver(process: psutil.Process) -> bool:
    """Whether a process runs one of Tune's functions for this one."""
    with suppress(psutil.Error):
        return "ImplicitFunc" in process.name() + " ".join(process.cmdline())
    return False


def test_a_node_that_joins_takes_trials_and_idle_pools_give_theirs_back(tmp_path: Path) -> None:
    gate = tmp_path / "gate"  # so that no trial ends before the new pools stand
    search = Search(study(6, idle_minutes=0.05), tmp_path, seconds=0.1, gate=str(gate))
    with machines(1) as made, Cluster(search.study, str(tmp_path), made.address) as cluster:
        assert cluster.pools.concurrent == 1
        most: list[int] = []

        def grow() -> None:
            wait_until(lambda: sum(epochs_so_far(tmp_path).values()) >= 2)
            add(made, 2)
            wait_until(lambda: len(ray.get(cluster.desk.demand.remote())[1]) == 3)
            most.append(cluster.pools.concurrent)
            gate.touch()

        grower = Meanwhile(grow)
        entries = search.run(cluster)
        grower.join()
        assert most == [3]
        assert [e.state for e in entries] == ["completed"] * 6
        wait_until(lambda: not cluster.pools.running, seconds=30)
        wait_until(lambda: not held(), seconds=10)


def test_a_search_that_waits_for_its_first_node_asks_for_it(tmp_path: Path) -> None:
    search = Search(study(2, concurrent=2), tmp_path, seconds=0.1)
    with machines() as made, Cluster(search.study, str(tmp_path), made.address) as cluster:

        def grow() -> None:
            wait_until(lambda: bool(wanted("slot")))  # what an autoscaler would see
            add(made, 2)

        grower = Meanwhile(grow)
        entries = search.run(cluster)
        grower.join()
    assert [e.state for e in entries] == ["completed"] * 2


def test_a_group_too_large_for_the_machines_is_not_waited_for_without_end(tmp_path: Path) -> None:
    about = study(1, concurrent=1, workers=2)
    search = Search(about, tmp_path)
    with (
        machines(1) as made,
        Cluster(about, str(tmp_path), made.address, room_within=6.0) as cluster,
    ):
        (entry,) = search.run(cluster)
    assert entry.state == "failed"
    assert entry.reason.endswith("for 0 minutes no room was found for 2 of them at once")


def test_a_silent_worker_is_replaced_and_its_trial_goes_on(tmp_path: Path) -> None:
    about = study(2, first_epoch_minutes=0.1)
    search = Search(about, tmp_path, seconds=0.2, hang=1)
    search.keep_folders()
    with machines(2) as made, Cluster(about, str(tmp_path), made.address) as cluster:
        entries = search.run(cluster)
    assert [e.state for e in entries] == ["completed"] * 2
    assert [search.attempts(e) for e in entries] == [[0, 0], [0, 0]]


def test_a_worker_that_is_silent_again_and_again_fails_its_trial_as_hung(tmp_path: Path) -> None:
    about = study(1, first_epoch_minutes=0.05, max_failures=0)
    search = Search(about, tmp_path, hang=1)
    with machines(1) as made, Cluster(about, str(tmp_path), made.address) as cluster:
        (entry,) = search.run(cluster)
    assert entry.state == "failed"
    assert entry.reason.startswith("hung: no report for")
    assert search.keeper.streak.kind == "hung"
