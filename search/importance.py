"""Which settings mattered to the search: shares of variance over its full-budget trials.

A second opinion beside the curves, from other runs and by other people's methods (Optuna's). It is
the weaker one: the searcher looked where it was good already, with one seed each.
"""

import math
import warnings
from collections.abc import Mapping, Sequence

import numpy as np
import optuna
from numpy.random import Generator
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.importance import (
    BaseImportanceEvaluator,
    FanovaImportanceEvaluator,
    PedAnovaImportanceEvaluator,
    get_param_importances,
)
from optuna.trial import FrozenTrial, create_trial

from search.entry import Entry
from search.findings import Curve, Importance
from search.space import Choice, Knob, Range, Value, within
from search.study import Study

GOOD_TRIALS = 5
"""Good trials that PED-ANOVA should see at least, as its documentation asks."""

LEAST_TRIALS = 2 * GOOD_TRIALS
"""Fewer say nothing: the good trials would be most of them, and there are seven settings."""

RESAMPLES = 80
"""Bootstrap resamples: both methods together take about four seconds for 30 trials of seven
settings, and the ends of an interval, a few tenths wide, are known to a few hundredths."""

FANOVA_TREES = 16
"""Optuna's default of 64 takes about four times as long. With 30 trials, 16 trees move a share by
some hundredths; its interval is several times as wide."""


def ped_anova(trials: int) -> PedAnovaImportanceEvaluator:
    """What set the good trials apart: the best tenth, or the best five where those are more."""
    return PedAnovaImportanceEvaluator(
        target_quantile=min(0.99, max(0.1, GOOD_TRIALS / max(1, trials)))
    )


def fanova(seed: int) -> FanovaImportanceEvaluator:
    """What explains the scores of all trials, by a random forest."""
    return FanovaImportanceEvaluator(n_trees=FANOVA_TREES, seed=seed)


def both(
    study: Study, entries: Sequence[Entry], seed: int
) -> tuple[dict[str, Importance], dict[str, Importance]]:
    """Shares by PED-ANOVA and by fANOVA, by dotted name; see `importances`."""
    count = len(comparable(study, entries))
    return (
        importances(study, entries, ped_anova(count), RESAMPLES, seed),
        importances(study, entries, fanova(seed), RESAMPLES, seed),
    )


def importances(
    study: Study,
    entries: Sequence[Entry],
    evaluator: BaseImportanceEvaluator,
    resamples: int,
    seed: int,
) -> dict[str, Importance]:
    """Each searched setting's share, with a 95 % interval from resampled trials.

    Args:
        study: what was searched.
        entries: all trials on record; only the search's full-budget ones are used.
        evaluator: one of Optuna's.
        resamples: how many times the trials are drawn anew.
        seed: of these draws.

    Returns:
        By dotted name; empty where fewer than `LEAST_TRIALS` trials had the full budget, where a
        setting had one value in all of them, or where all scores are equal.
    """
    domains = {name: domain(within(study.space, name, study.fixed)) for name in study.space}
    trials = [as_trial(study, domains, e) for e in comparable(study, entries)]
    share = shares(trials, list(domains), evaluator) if enough(trials, domains) else {}
    if not share:
        return {}
    random = np.random.default_rng(seed)
    drawn = [shares(resample(trials, random), list(domains), evaluator) for _ in range(resamples)]
    told = [found for found in drawn if found]
    return {name: interval(share[name], [found[name] for found in told]) for name in domains}


def comparable(study: Study, entries: Sequence[Entry]) -> list[Entry]:
    """The search's trials that had the full budget: the score of a stopped one is no final one.

    Those in the ranges as they are now.
    """
    return [
        e
        for e in entries
        if e.phase == "search" and e.state == "completed"
        if e.value is not None and math.isfinite(e.value) and study.holds(e.point)
    ]


def domain(knob: Knob) -> BaseDistribution:
    """A knob's whole range, the same in all trials: Optuna leaves out those whose range changes.

    A log range is given as its logarithm, since fANOVA would measure it evenly.
    """
    if isinstance(knob, Choice):
        return CategoricalDistribution(knob.choices)
    if isinstance(knob, Range):
        return FloatDistribution(float(place(knob, knob.low)), float(place(knob, knob.high)))
    return IntDistribution(knob.low, knob.high)


def place(knob: Knob, value: Value) -> Value:
    """A value as it stands in the knob's domain."""
    if isinstance(knob, Range):
        return math.log(float(value)) if knob.log else float(value)
    return value


def as_trial(study: Study, domains: dict[str, BaseDistribution], entry: Entry) -> FrozenTrial:
    """A trial on record, in the static domains."""
    values = {name: place(study.space[name], entry.point[name]) for name in domains}
    return create_trial(params=values, distributions=domains, value=entry.value)


def enough(trials: Sequence[FrozenTrial], domains: Mapping[str, BaseDistribution]) -> bool:
    """Whether the trials can tell the settings apart at all."""
    varied = [
        len({trial.params[name] for trial in trials}) > 1
        for name, values in domains.items()
        if not values.single()
    ]
    return len(trials) >= LEAST_TRIALS and bool(varied) and all(varied)


def resample(trials: Sequence[FrozenTrial], random: Generator) -> list[FrozenTrial]:
    """As many trials, drawn with replacement."""
    return [trials[i] for i in random.integers(len(trials), size=len(trials))]


def shares(
    trials: Sequence[FrozenTrial], names: list[str], evaluator: BaseImportanceEvaluator
) -> dict[str, float]:
    """Shares that add up to one; empty where the scores do not differ."""
    if len({trial.value for trial in trials}) < 2:
        return {}
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    made = optuna.create_study(direction="maximize")
    optuna.logging.set_verbosity(verbosity)
    made.add_trials(trials)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a resample may be thin: that is what the interval tells
        return get_param_importances(made, evaluator=evaluator, params=names)


def interval(share: float, drawn: Sequence[float]) -> Importance:
    """A share with the middle 95 % of its resamples, itself among them."""
    low, high = np.quantile([share, *drawn], [0.025, 0.975])
    share = float(share)  # fANOVA gives a number of NumPy
    return Importance(share, min(share, float(low)), max(share, float(high)))


def disagreements(
    curves: Sequence[Curve], ped_anova: Mapping[str, Importance], fanova: Mapping[str, Importance]
) -> tuple[str, ...]:
    """Settings whose curve and whose importance say different things.

    With n settings an equal share is 1/n. A *flat* setting is named where either importance lies
    above an equal share with its whole interval. A *sensitive* one or a *cliff* is named where it
    is among the stronger half by effect and both importances lie below an equal share with their
    whole intervals. Nothing is named where there are no importances.
    """
    ranked = sorted(curves, key=lambda curve: -(curve.effect or 0.0))
    strong = {curve.name for curve in ranked[: math.ceil(len(ranked) / 2)]}
    told = []
    for curve in curves:
        known = [shares[curve.name] for shares in (ped_anova, fanova) if curve.name in shares]
        equal = 1 / max(1, len(ped_anova) or len(fanova))
        if curve.verdict == "flat" and any(found.low > equal for found in known):
            told.append(curve.name)
        moves = curve.verdict in ("sensitive", "cliff") and curve.name in strong
        if moves and len(known) == 2 and all(found.high < equal for found in known):
            told.append(curve.name)
    return tuple(told)
