"""What Ray Tune does with a searcher, a scheduler and a keeper, in one process and at once.

As in its `TuneController`: `_process_trial_result`, then `stop_trial`.
"""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from ray.tune.schedulers import TrialScheduler

from search.searcher import Listed

Figures = dict[str, Any]


def search_without_ray(  # noqa: PLR0913, PLR0917
    searcher: Listed,
    scheduler: TrialScheduler,
    keeper: Any,
    train: Callable[[dict[str, Any], int], Figures],
    at_once: int,
    choose: Callable[[list[Any]], Any],
) -> None:
    """Run trials until the searcher has finished.

    Args:
        searcher: proposes them.
        scheduler: stops them.
        keeper: what Tune calls back.
        train: figures of a trial, given its config, after an epoch.
        at_once: trials that run beside each other.
        choose: which of them ends its next epoch.
    """
    running: list[Any] = []
    started = 0
    while True:
        while len(running) < at_once and isinstance(
            config := searcher.suggest(f"tune-{started}"), dict
        ):
            trial = SimpleNamespace(trial_id=f"tune-{started}", config=config, last_result=None)
            trial.epoch = config["seen"]
            scheduler.on_trial_add(None, trial)
            running.append(trial)
            started += 1
        if not running:
            return
        trial = choose(running)
        trial.epoch += 1
        if hear(trial, train(trial.config, trial.epoch), searcher, scheduler, keeper):
            running.remove(trial)


def hear(
    trial: Any, told: Figures, searcher: Listed, scheduler: TrialScheduler, keeper: Any
) -> bool:
    """An epoch of a trial; whether it was its last."""
    stopped = scheduler.on_trial_result(None, trial, told) == TrialScheduler.STOP
    if not stopped:  # Tune keeps the report that ends a trial from a searcher
        searcher.on_trial_result(trial.trial_id, told)
    keeper.on_trial_result(0, [], trial, {**told, "done": stopped})
    trial.last_result = told
    if stopped:
        scheduler.on_trial_complete(None, trial, told)
        searcher.on_trial_complete(trial.trial_id, told)
        keeper.on_trial_complete(0, [], trial)
    return stopped
