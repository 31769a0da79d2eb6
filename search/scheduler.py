"""Who stops a trial early: ASHA, which keeps its rungs over a resume, or nobody."""

from math import log
from types import SimpleNamespace
from typing import Any

from ray.tune.schedulers import ASHAScheduler, FIFOScheduler, TrialScheduler

from search.entry import Entry
from search.study import Study


class Asha(ASHAScheduler):  # type: ignore[misc]
    """Ray Tune's ASHA, with trials known by our own ids, which a resume does not change.

    Source: Li et al., "A System for Massively Parallel Hyperparameter Tuning", MLSys 2020.
    """

    def on_trial_add(self, tune_controller: Any, trial: Any) -> None:
        super().on_trial_add(tune_controller, ours(trial))

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        action: str = super().on_trial_result(tune_controller, ours(trial), result)
        return action

    def on_trial_complete(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> None:
        super().on_trial_complete(tune_controller, ours(trial), result)

    def on_trial_remove(self, tune_controller: Any, trial: Any) -> None:
        super().on_trial_remove(tune_controller, ours(trial))

    def replay(self, entry: Entry) -> None:
        """Take the reports from before an interruption into the rungs."""
        trial = SimpleNamespace(config={"task": {"trial_id": entry.trial_id}})
        self.on_trial_add(None, trial)
        for report in entry.reports:
            self.on_trial_result(None, trial, report)
        self.on_trial_remove(None, trial)


def ours(trial: Any) -> SimpleNamespace:
    """A trial as ASHA needs it: nothing but an id."""
    return SimpleNamespace(trial_id=trial.config["task"]["trial_id"])


def grace(study: Study) -> int:
    """Epochs before which nothing is stopped."""
    return min(study.scheduler.grace_epochs, study.budget.epochs)


def rungs(study: Study) -> tuple[int, ...]:
    """The epochs after which a trial may be stopped: ASHA looks at one milestone an epoch."""
    epochs, first, factor = study.budget.epochs, grace(study), study.scheduler.reduction
    if study.scheduler.name == "none":
        return ()
    count = int(log(epochs / first) / log(factor)) + 1
    milestones = [first * factor**number for number in range(count)]
    found: list[int] = []
    for epoch in range(1, epochs):
        if sum(milestone <= epoch for milestone in milestones) > len(found):
            found.append(epoch)
    return tuple(found)


def build_scheduler(study: Study, earlier: list[Entry]) -> TrialScheduler:
    """The study's scheduler, knowing the reports of trials from before an interruption."""
    if study.scheduler.name == "none":
        return FIFOScheduler()
    asha = Asha(
        time_attr="epoch",
        metric="best",
        mode="max",
        max_t=study.budget.epochs,
        grace_period=grace(study),
        reduction_factor=study.scheduler.reduction,
    )
    for entry in earlier:
        asha.replay(entry)
    return asha
