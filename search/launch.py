"""A list of proposals, or Optuna's, through Ray Tune to the worker groups."""

from collections.abc import Callable
from typing import Any

from ray import tune
from ray.tune import Callback, Stopper
from ray.tune.execution import class_cache
from ray.tune.schedulers import TrialScheduler
from ray.tune.search import ConcurrencyLimiter

from muse.errors import UserError
from search.cluster import HEAD, Cluster
from search.keeper import Keeper
from search.scratch import scratch
from search.searcher import Listed, Unsaved
from search.trial import drive


class GivenUp(Unsaved, Stopper):  # type: ignore[misc]
    """Ends a search in which nothing works."""

    def __init__(self, keeper: Keeper) -> None:
        self.keeper = keeper

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        return False

    def stop_all(self) -> bool:
        return self.keeper.given_up


class Lost(Unsaved, Callback):  # type: ignore[misc]
    """Takes a trial off the desk whose driver is lost: its workers would wait for the verdict."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self.cluster.desk.leave.remote(trial.config["task"]["trial_id"])


class AsManyAsFit(Unsaved, ConcurrencyLimiter):  # type: ignore[misc]
    """Lets Tune have as many trials at once as the cluster has room for at that moment."""

    def __init__(self, searcher: Listed, cluster: Cluster) -> None:
        self.cluster = cluster
        super().__init__(searcher, max_concurrent=cluster.pools.concurrent)

    @property
    def max_concurrent(self) -> int:
        """Trials at once."""
        return self.cluster.pools.concurrent

    @max_concurrent.setter
    def max_concurrent(self, _: int) -> None:
        """The cluster decides, whatever Tune sets."""

    def get_state(self) -> dict[str, Any]:
        return {}  # as Unsaved


def keep_keys_here() -> None:
    """Hand no key of AWS to Tune's drivers: they need none, and Ray logs what it hands on."""
    handed = class_cache.ENV_VARS_TO_PROPAGATE
    handed -= {name for name in handed if name.startswith("AWS_")}


def tune_phase(
    cluster: Cluster,
    keeper: Keeper,
    searcher: Listed,
    scheduler: TrialScheduler,
    drive: Callable[..., None] = drive,
) -> None:
    """Run the proposals of a searcher through Ray Tune.

    Args:
        cluster: where they run.
        keeper: puts them on record.
        searcher: proposes them.
        scheduler: stops them early.
        drive: a Tune function that runs one, given the desk.

    Raises:
        UserError: trial after trial failed, or nothing can be put on record any more.
    """
    keep_keys_here()
    try:
        run_tune(cluster, keeper, searcher, scheduler, drive)
    finally:
        keeper.charge(cluster.unended())
    if keeper.broken:
        raise UserError(keeper.broken)
    keeper.table()
    if keeper.given_up:
        raise UserError(
            f"the last {len(keeper.streak.reasons)} trials failed ({keeper.streak.kind}), so the "
            f"search has stopped: {keeper.streak.reasons[-1]}"
        )


def run_tune(
    cluster: Cluster,
    keeper: Keeper,
    searcher: Listed,
    scheduler: TrialScheduler,
    drive: Callable[..., None],
) -> None:
    """Let Tune run until the searcher has finished; Ctrl-C gets through."""
    driver = tune.with_parameters(drive, desk=cluster.desk)
    with scratch() as folder:  # Tune insists on one; the ledger has all of it
        tune.Tuner(
            tune.with_resources(driver, {"cpu": 0, HEAD: 0.001}),
            tune_config=tune.TuneConfig(
                search_alg=AsManyAsFit(searcher, cluster),
                scheduler=scheduler,
                num_samples=-1,  # until the searcher has finished
                reuse_actors=True,
            ),
            run_config=tune.RunConfig(
                storage_path=str(folder),
                callbacks=[Lost(cluster), keeper],
                stop=GivenUp(keeper),
                verbose=0,
            ),
        ).fit()
