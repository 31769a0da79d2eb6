"""What a study found out about its settings: the data that tables, pictures and reports draw on."""

from collections.abc import Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Literal

from search.space import Knob, Point, Value

Verdict = Literal["cliff", "sensitive", "flat", "unjudged"]
"""cliff: a legal value loses most of the gain over the trivial baseline; sensitive: some value
differs from the incumbent beyond chance; flat: none does, and the intervals leave no room for a
cliff; unjudged: they do, or there are none, or the setting is inert."""


@dataclass(frozen=True)
class Run:
    """One full-budget run on a curve. All fields but `lost` are columns of its CSV file."""

    value: Value
    seed: int
    metric: float | None
    """Best validation score; None where the run failed or diverged."""

    budget: int
    """Epochs."""

    trial_id: str
    phase: str
    lost: bool = False
    """Whether it failed for its machine's sake, which says nothing of the setting."""


@dataclass(frozen=True)
class Level:
    """What the runs at one value of a setting say. Intervals hold 95 %; None: cannot be told."""

    value: Value
    scores: tuple[float, ...]
    failed: int
    """Runs that failed or diverged."""

    mean: float | None
    low: float | None
    high: float | None
    """Interval of the mean over all seeds that might have been drawn."""

    difference: float | None
    """Mean over seeds of the score here minus the incumbent's with the same seed."""

    difference_low: float | None
    difference_high: float | None
    p: float | None
    """Of no difference to the incumbent, not corrected."""

    lost: int = 0
    """Of the failed ones, those that failed for their machine's sake."""

    survives: bool = False
    """Whether the difference survives Holm's correction over all values of all settings."""

    falls: bool = False
    """Whether a cliff lies here."""

    seeds: tuple[int, ...] = ()
    """Of the scores."""

    pairs: tuple[float, ...] = ()
    """Score minus the incumbent's, of each seed that has both."""

    @property
    def diverged(self) -> int:
        """Runs that failed, and not for their machine's sake."""
        return self.failed - self.lost


def fair_means(levels: Sequence[Level], incumbent: Value) -> dict[Value, float]:
    """The mean of each value that has one, as they may be compared with each other.

    Where runs failed, a plain mean is one over other seeds, which may be easier ones: then it is
    the incumbent's mean and what differs with the same seeds.
    """
    own = next((level.mean for level in levels if level.value == incumbent), None)
    whole = len({frozenset(level.seeds) for level in levels if level.scores}) < 2
    return {
        level.value: level.mean
        if whole or level.difference is None or own is None
        else own + level.difference
        for level in levels
        if level.mean is not None
    }


@dataclass(frozen=True)
class Curve:
    """One setting varied over its whole range, the rest at the incumbent."""

    name: str
    """Dotted, as in `cross.theta`."""

    knob: Knob
    """Its legal range beside the incumbent's other values."""

    incumbent: Value
    runs: tuple[Run, ...]
    levels: tuple[Level, ...]
    """One for each value, in their order, the incumbent's among them."""

    verdict: Verdict
    effect: float | None
    """Highest mean minus lowest mean, in units of the score."""

    excluded_above: float | None
    """Larger differences from the incumbent are excluded by every value's 95 % interval."""

    safe: tuple[Value, ...]
    """Neighbouring values, the incumbent's among them, that are not worse than it by more than the
    noise floor."""

    inert: bool = False
    """Whether runs with the same seed are one run, figure by figure, whatever value they have:
    nothing reads this setting beside the incumbent's others."""

    alarm: str = ""
    """Says that the best value sits at the range's edge, and which wider range to try."""

    @property
    def means(self) -> dict[Value, float]:
        """The mean of each value that has one, as they may be compared: see `fair_means`."""
        return fair_means(self.levels, self.incumbent)

    @property
    def best(self) -> Level | None:
        """The value with the highest mean; of several the incumbent's.

        One at which most runs diverge is not it, unless it is so at all of them.
        """
        means = self.means
        able = [v for v in self.levels if v.diverged < len(v.scores)] or self.levels
        scored = [(means[v.value], v.value == self.incumbent, v) for v in able if v.scores]
        return max(scored, key=itemgetter(0, 1))[2] if scored else None

    @property
    def none_worse(self) -> bool:
        """Whether nothing that was tried is shown to be worse."""
        return self.verdict == "flat" and not any(level.diverged for level in self.levels)

    @property
    def own_mean(self) -> float | None:
        """The incumbent's mean score on this curve; None where it has none."""
        return next((v.mean for v in self.levels if v.value == self.incumbent), None)

    def beside(self, level: Level) -> tuple[float, float] | None:
        """The interval of a value's difference, laid on the incumbent's mean; None: there is none.

        What a curve is about: seeds that move all values alike make the means uncertain, and not
        their differences (Baguley 2012, "Calculating and graphing within-subject confidence
        intervals for ANOVA").
        """
        own = self.own_mean
        if self.inert or own is None:
            return None
        if level.difference_low is None or level.difference_high is None:
            return None
        # Scores lie between 0 and 1.
        return max(0.0, own + level.difference_low), min(1.0, own + level.difference_high)


@dataclass(frozen=True)
class Importance:
    """A share of the variance over the search's full-budget trials, with a bootstrap interval."""

    share: float
    low: float
    high: float


@dataclass(frozen=True)
class Interaction:
    """Two settings varied together around the incumbent."""

    names: tuple[str, str]
    values: tuple[tuple[Value, ...], tuple[Value, ...]]
    means: dict[tuple[Value, Value], float]
    """Mean score of each pair of values that was trained; illegal pairs are absent."""

    surplus: dict[tuple[Value, Value], tuple[float, float | None, float | None]]
    """At pairs where both differ from the incumbent: mean score minus what the two single changes
    add up to, with its 95 % interval."""

    failed: frozenset[tuple[Value, Value]] = frozenset()
    """Pairs that were trained, and every run of which failed."""


@dataclass(frozen=True)
class Findings:
    """All of it."""

    study: str
    metric: str
    trial_id: str
    """The search trial whose configuration is the incumbent."""

    point: Point
    seeds: tuple[int, ...]
    mean: float
    """The incumbent's mean score over the seeds."""

    noise: float | None
    """Noise floor: standard deviation over seeds in the confirm phase; None with one seed."""

    baseline: float
    """Score without any learning: no entity found, or always the most frequent class."""

    curves: tuple[Curve, ...]
    """Ranked by effect, the strongest first."""

    ped_anova: dict[str, Importance]
    fanova: dict[str, Importance]
    """By dotted name; empty where too few trials of the search had the full budget."""

    disagree: tuple[str, ...]
    """Settings whose curve and whose importance say different things."""

    interactions: tuple[Interaction, ...]
