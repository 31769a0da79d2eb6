"""What the runs of a comparison tell: each variant's scores and its difference to the reference.

Variants are different models, whose scores need not vary alike, so each has intervals of its own
spread: Student's, over its seeds for the means and over the pairs of one seed for the differences.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from statsmodels.stats.multitest import multipletests

from search.entry import Entry
from search.plan import COMPARE, compared
from search.space import Point
from search.spread import CONFIDENCE, ROUNDING, Spread, hidden_by
from search.study import Study

Scores = dict[int, float]
"""Scores by their seed."""


@dataclass(frozen=True)
class Estimate:
    """A mean with its 95 % interval, where more than one seed tells it."""

    mean: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Variant:
    """One row of the table."""

    name: str
    settings: Point
    """What it changes; the reference nothing."""

    test: Scores
    """Of each run's best epoch on the test split; empty where the corpus has none."""

    valid: Scores
    failed: int
    """Runs that failed or diverged."""

    difference: Estimate | None = None
    """Mean over seeds of its score minus the reference's; None: the reference, or no pair."""

    p: float | None = None
    """Of no difference, not corrected."""

    p_holm: float | None = None
    """The same, corrected for the number of variants (Holm)."""

    @property
    def survives(self) -> bool:
        """Whether the difference is beyond chance after the correction."""
        return self.p_holm is not None and self.p_holm <= 1 - CONFIDENCE


@dataclass(frozen=True)
class Contrast:
    """All of it."""

    study: str
    metric: str
    """Of both splits, such as f1."""

    split: str
    """The split whose scores are compared: test, or valid where there is no test split."""

    seeds: tuple[int, ...]
    variants: tuple[Variant, ...]
    """The reference first."""

    planned: int
    """Runs that the study wants of each."""

    grain: Mapping[str, float]
    """By how much one right answer more moves the score of a split."""

    @property
    def reference(self) -> Variant:
        """What the others are compared with."""
        return self.variants[0]

    def scores(self, variant: Variant, split: str = "") -> Scores:
        """A variant's scores, on the split that is compared or another."""
        return variant.test if (split or self.split) == "test" else variant.valid

    def mean(self, variant: Variant, split: str = "") -> Estimate | None:
        """Their mean with its interval."""
        grain = self.grain.get(split or self.split, 0.0)
        return mean_score(self.scores(variant, split), grain)


def contrast(
    study: Study, entries: Sequence[Entry], grain: Callable[[str], float] = lambda _: 0.0
) -> Contrast:
    """Read a comparison's runs off the record.

    Args:
        study: which compares.
        entries: every trial on record; those that still run do not count.
        grain: by how much one right answer more moves the score of a split.
    """
    ends = {e.trial_id: e for e in entries if e.phase == COMPARE and e.state != "running"}
    metric = study.base.metric.removeprefix("valid_")
    runs = compared(study)
    rows = []
    for name, wanted in runs.items():
        there = [ends[run.trial_id] for run in wanted if run.trial_id in ends]
        done = [e for e in there if e.state == "completed" and e.value is not None]
        rows.append(
            Variant(
                name,
                wanted[0].point,
                test=on_test(done, f"test_{metric}"),
                valid={e.seed: e.value for e in done if e.value is not None},
                failed=len(there) - len(done),
            )
        )
    split = "test" if any(row.test for row in rows) else "valid"
    seeds = tuple(run.seed for run in next(iter(runs.values())))
    variants = against_first(rows, split, grain(split))
    grains = {name: grain(name) for name in ("valid", split)}
    return Contrast(study.name, metric, split, seeds, variants, len(seeds), grains)


def on_test(entries: Sequence[Entry], figure: str) -> Scores:
    """The test scores, which stand in the report of the last epoch."""
    return {e.seed: e.reports[-1][figure] for e in entries if figure in e.reports[-1]}


def against_first(rows: Sequence[Variant], split: str, grain: float = 0.0) -> tuple[Variant, ...]:
    """Compare every row with the first, and correct for their number."""
    found = [rows[0], *(beside(row, rows[0], split, grain) for row in rows[1:])]
    tested = [row.p for row in found if row.p is not None]
    corrected = iter(multipletests(tested, method="holm")[1] if tested else ())
    return tuple(
        row if row.p is None else replace(row, p_holm=float(next(corrected))) for row in found
    )


def beside(row: Variant, reference: Variant, split: str, grain: float) -> Variant:
    """A variant with its difference to the reference, run by run of the same seed."""
    here, there = (getattr(variant, split) for variant in (row, reference))
    pairs = [here[seed] - there[seed] for seed in sorted(here.keys() & there.keys())]
    if not pairs:
        return row
    mean = float(np.mean(pairs))
    if len(pairs) < 2 or alike_by_luck(pairs, here, there):
        return replace(row, difference=Estimate(mean))
    noise = spread(pairs)
    if max(pairs) - min(pairs) < ROUNDING:  # each score is known to one right answer, no better
        noise = replace(noise, variance=2 * hidden_by(grain))
    interval = noise.interval(mean, 1 / len(pairs))
    return replace(row, difference=Estimate(mean, *interval), p=noise.chance(mean, 1 / len(pairs)))


def alike_by_luck(pairs: Sequence[float], here: Scores, there: Scores) -> bool:
    """Whether differences are equal, and none is zero, though the scores are not equal.

    Few tweets make few different scores, so that says nothing of how sure the difference is.
    """
    vary = len(set(here.values())) > 1 or len(set(there.values())) > 1
    return vary and max(pairs) - min(pairs) < ROUNDING < abs(pairs[0])


def spread(values: Sequence[float]) -> Spread:
    """The variance of some values."""
    return Spread(float(np.var(values, ddof=1)), len(values) - 1)


def mean_score(scores: Mapping[int, float], grain: float = 0.0) -> Estimate | None:
    """Mean and interval of scores, which lie between 0 and 1; None where there is none.

    One score alone has no interval; equal ones are known to one right answer, no better.
    """
    values = list(scores.values())
    if not values:
        return None
    mean = float(np.mean(values))
    if len(values) < 2:
        return Estimate(mean)
    noise = spread(values)
    noise = replace(noise, variance=max(noise.variance, hidden_by(grain)))
    low, high = noise.interval(mean, 1 / len(values))
    return Estimate(mean, max(0.0, low), min(1.0, high))
