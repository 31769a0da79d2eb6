"""Who proposes: Optuna, told the truth about stopped trials, or a list made beforehand."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.trial import TrialState
from ray.tune.search import Searcher

from search.entry import Entry
from search.prior import Prior
from search.space import Point, suggest, within
from search.study import Study

STATES = {
    "running": TrialState.RUNNING,
    "completed": TrialState.COMPLETE,
    "stopped": TrialState.PRUNED,
    "failed": TrialState.FAIL,
}


@dataclass(frozen=True)
class Proposal:
    """A trial to run."""

    trial_id: str
    point: Point
    seed: int
    seen: int = 0
    """Epochs that are on record already, from before an interruption."""


Begin = Callable[[Proposal], dict[str, Any]]
"""Puts a proposal on record and gives the config of its Tune trial."""


class Unsaved:
    """Tune pickles what it is given, to restore it some day; here the ledger does that."""

    def __getstate__(self) -> dict[str, Any]:
        return {}


class Listed(Unsaved, Searcher):  # type: ignore[misc]
    """Hands out proposals that were made beforehand."""

    def __init__(self, proposals: list[Proposal], begin: Begin) -> None:
        super().__init__(metric="best", mode="max")
        self.waiting = list(proposals)
        self.begin = begin

    def suggest(self, trial_id: str) -> dict[str, Any] | str:
        if not self.waiting:
            return str(Searcher.FINISHED)
        return self.begin(self.waiting.pop(0))

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Nothing is learnt."""

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the ledger has it all."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: the ledger has it all."""


class Truthful(Listed):
    """Optuna. A stopped trial is PRUNED, a failed one FAIL, and the value is the best score."""

    def __init__(
        self, study: Study, earlier: list[Entry], begin: Begin, priors: Sequence[Prior] = ()
    ) -> None:
        """Take up a study.

        Args:
            study: what is searched.
            earlier: trials on record; those that ran when they were interrupted run first.
            begin: puts a proposal on record.
            priors: what earlier studies found out; not counted as trials of this one.
        """
        unfinished = [e for e in earlier if e.state == "running"]
        again = [Proposal(e.trial_id, e.point, e.seed, e.epochs) for e in unfinished]
        super().__init__(again, begin)
        self.space = study
        self.number = len(earlier)
        self.optuna = build_optuna(study, earlier, priors)
        self.running: dict[str, optuna.Trial] = {}
        self.told: dict[str, int] = {}
        self.before = {e.trial_id: e.reports for e in unfinished}

    def suggest(self, trial_id: str) -> dict[str, Any] | str:
        if not self.waiting and self.number >= self.space.budget.trials:
            return str(Searcher.FINISHED)
        trial = self.optuna.ask()
        point = suggest(self.space.space, self.space.fixed, trial)
        self.running[trial_id], self.told[trial_id] = trial, 0
        if self.waiting:  # Optuna drew this very point: it was queued first
            proposal = self.waiting.pop(0)
            for report in self.before[proposal.trial_id]:
                self.on_trial_result(trial_id, report)
            return self.begin(proposal)
        proposal = Proposal(f"search-{self.number:04d}", point, self.space.seed)
        self.number += 1
        return self.begin(proposal)

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        if "failed" not in result and result["epoch"] > self.told[trial_id]:
            self.running[trial_id].report(result["value"], result["epoch"])
            self.told[trial_id] = result["epoch"]

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        if result and not error:
            self.on_trial_result(
                trial_id, result
            )  # Tune keeps the report that ends a trial from us
        trial = self.running.pop(trial_id)
        del self.told[trial_id]
        if error or not result or "failed" in result:
            self.optuna.tell(trial, state=TrialState.FAIL)
        elif result["epoch"] < self.space.budget.epochs:
            self.optuna.tell(trial, state=TrialState.PRUNED)
        else:
            self.optuna.tell(trial, result["best"])


def build_sampler(study: Study, asked: int) -> BaseSampler:
    """The study's sampler, seeded anew at each start so that a resume repeats no draw.

    Args:
        study: what is searched.
        asked: trials that exist, an earlier study's too: else this one would draw its points again.
    """
    seed = (study.seed + 7919 * asked) % 2**32
    if study.searcher.name == "random":
        return RandomSampler(seed=seed)
    return TPESampler(
        multivariate=True,
        constant_liar=True,  # trials that run at once should not ask the same
        n_startup_trials=study.searcher.startup,
        seed=seed,
    )


def build_optuna(study: Study, earlier: list[Entry], priors: Sequence[Prior] = ()) -> optuna.Study:
    """An Optuna study that knows the trials on record and what is to be tried next.

    That is: what ran when it was interrupted, then the first points that were not asked yet, nor
    trained by an earlier study.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    known = [trial for prior in priors for trial in frozen_prior(study, prior)]
    sampler = build_sampler(study, len(known) + len(earlier))
    made = optuna.create_study(direction="maximize", sampler=sampler)
    made.add_trials(known)
    ended = [frozen(study, entry) for entry in earlier if entry.state != "running"]
    made.add_trials([trial for trial in ended if trial is not None])
    unfinished = [entry.point for entry in earlier if entry.state == "running"]
    new = [p for p in study.first_points if not any(t.params | p == t.params for t in known)]
    for point in [*unfinished, *new[len(earlier) :]]:
        made.enqueue_trial(point)
    return made


def distributions(study: Study, point: Point) -> dict[str, BaseDistribution] | None:
    """What each value of a point was drawn from; None where it lies outside the space."""
    known = {**study.fixed, **point}
    if point.keys() != study.space.keys() or not all(
        within(study.space, name, known).holds(value) for name, value in point.items()
    ):
        return None
    trial = optuna.trial.FixedTrial(point)
    suggest(study.space, study.fixed, trial)  # type: ignore[arg-type]
    drawn_from: dict[str, BaseDistribution] = trial.distributions
    return drawn_from


def frozen(study: Study, entry: Entry) -> optuna.trial.FrozenTrial | None:
    """A trial on record as Optuna keeps it; None where it lies outside a changed space."""
    drawn_from = distributions(study, entry.point)
    if drawn_from is None:
        return None
    last = entry.reports[-1]["value"] if entry.reports else None
    values = {"completed": entry.value, "stopped": last}  # as Optuna's tell does
    return optuna.trial.create_trial(
        state=STATES[entry.state],
        value=values.get(entry.state),
        params=entry.point,
        distributions=drawn_from,
        intermediate_values={r["epoch"]: r["value"] for r in entry.reports},
    )


def frozen_prior(study: Study, prior: Prior) -> list[optuna.trial.FrozenTrial]:
    """The trials of an earlier study as Optuna keeps them, marked with where they come from."""
    return [
        optuna.trial.create_trial(
            state=TrialState.COMPLETE,
            value=known.value,
            params=known.point,
            distributions=drawn_from,
            user_attrs={"warm_start": prior.folder, "trial_id": known.trial_id},
        )
        for known in prior.trials
        if (drawn_from := distributions(study, known.point)) is not None
    ]
