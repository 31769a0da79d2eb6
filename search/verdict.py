"""From a setting's levels to what a reader wants to know: does it matter, what is safe?"""

from collections.abc import Callable, Sequence
from dataclasses import replace

from search.findings import Curve, Level, Verdict, fair_means
from search.inference import holm
from search.space import Choice, Point, Range, Value, Whole
from search.spread import CONFIDENCE, Spread
from search.study import Study

MOST = 0.5
"""Share of the gain over the trivial baseline that a value must lose to be a cliff."""

LEAST = 2
"""Runs that must have failed at a value, all there are, or must have lost most of the gain, to make
a cliff: one may be chance."""


def judge(
    curves: Sequence[Curve], gain: float, noise: Spread | None, point: Point, study: Study
) -> list[Curve]:
    """Correct for the number of comparisons, give every curve its verdict, and rank them.

    Args:
        curves: with raw levels.
        gain: the incumbent's mean score minus the trivial baseline.
        noise: variance of a score over seeds, from other runs than the curves'.
        point: the incumbent's settings.
        study: whose ranges the alarms are about.
    """
    corrected = holm([curve.levels for curve in curves])
    compared = sum(level.p is not None for levels in corrected for level in levels)
    chance = (1 - CONFIDENCE) / max(1, compared)
    floor = None if noise is None else noise.deviation
    judged = []
    for curve, levels in zip(curves, corrected, strict=True):
        marked = [
            replace(v, falls=v.value != curve.incumbent and falls(v, gain, noise, chance))
            for v in levels
        ]
        told = verdict(marked, curve.incumbent, gain)
        found = replace(
            curve,
            levels=tuple(marked),
            verdict="unjudged" if curve.inert else told,
            effect=effect(levels, curve.incumbent),
            excluded_above=None if curve.inert else excluded_above(levels, curve.incumbent),
            safe=safe(levels, curve.incumbent, floor) if gain > 0 else (),  # else nothing to lose
        )
        judged.append(replace(found, alarm=alarm(found, point, study, floor or 0.0)))
    return sorted(judged, key=lambda curve: -(curve.effect or 0.0))


def verdict(levels: Sequence[Level], incumbent: Value, gain: float) -> Verdict:
    """cliff, sensitive, flat, or unjudged where even a cliff could hide or all runs are alike.

    Args:
        levels: of one setting, corrected, with their falls.
        incumbent: its value at the incumbent.
        gain: the incumbent's mean score minus the trivial baseline.
    """
    centre = [level for level in levels if level.value == incumbent]
    others = [level for level in levels if level.value != incumbent]
    if not any(level.scores for level in centre):
        return "unjudged"
    if any(level.falls for level in others):
        return "cliff"
    if any(level.survives for level in others):
        return "sensitive"
    bound = excluded_above(levels, incumbent)
    if bound is None or not all(map(is_known, others)):
        return "unjudged"
    hides_none = not any(deep_runs(level, gain) for level in others)
    return "flat" if bound <= MOST * gain and hides_none else "unjudged"


def deep_runs(level: Level, gain: float) -> int:
    """Runs at a value that lost most of the gain: where some do and some do not, means hide it."""
    return sum(-pair > MOST * gain for pair in level.pairs)


def is_known(level: Level) -> bool:
    """Whether the runs at a value tell how it differs: most have a score, of several seeds."""
    return level.difference_low is not None and level.failed < len(level.scores)


def are_alike(levels: Sequence[Level]) -> bool:
    """Whether every run of several values has the same score.

    Seeds alone make scores differ: these runs have reached the highest there is, or learnt nothing,
    and would have done so had the setting mattered.
    """
    return len(levels) > 1 and len({score for level in levels for score in level.scores}) == 1


def trains_nothing(level: Level) -> bool:
    """Whether every run at a value failed, and not for its machine's sake."""
    return not level.scores and level.failed - level.lost >= LEAST


def falls(level: Level, gain: float, noise: Spread | None, chance: float) -> bool:
    """Whether a value loses most of the gain, or trains nothing at all.

    A loss of several runs is beyond chance too where it is so by the noise of other runs alone: one
    wild seed here widens the curve's own intervals.

    Args:
        level: the value, corrected.
        gain: the incumbent's mean score minus the trivial baseline.
        noise: variance of a score over seeds, from other runs.
        chance: that may be taken for each of all settings' comparisons.
    """
    if not level.scores:
        return trains_nothing(level)
    if level.difference is None or level.p is None:
        return False
    beyond_chance = level.survives
    if noise is not None and noise.variance > 0 and deep_runs(level, gain) >= LEAST:
        by_noise = noise.chance(level.difference, 2 / len(level.pairs))
        beyond_chance = beyond_chance or by_noise <= chance
    return -level.difference > MOST * gain > 0 and beyond_chance


def effect(levels: Sequence[Level], incumbent: Value) -> float | None:
    """Highest mean minus lowest mean."""
    means = fair_means(levels, incumbent).values()
    return max(means) - min(means) if means else None


def excluded_above(levels: Sequence[Level], incumbent: Value) -> float | None:
    """The end of a difference's interval that lies farthest from none.

    None where some value has no interval, which then excludes nothing.
    """
    others = [level for level in levels if level.value != incumbent]
    ends = [end for v in others for end in (v.difference_low, v.difference_high)]
    if are_alike(levels) or not ends or None in ends:
        return None
    return max(abs(end) for end in ends if end is not None)


def safe(levels: Sequence[Level], incumbent: Value, noise: float | None) -> tuple[Value, ...]:
    """Neighbouring values around the incumbent's that are worse by the noise floor at most."""
    values = [level.value for level in levels]
    means = fair_means(levels, incumbent)
    centre = means.get(incumbent)
    if noise is None or centre is None:
        return ()

    def good(level: Level) -> bool:
        worse = level.survives and (level.difference or 0.0) < 0
        near = level.value in means and means[level.value] >= centre - noise
        return near and not level.diverged and not worse

    if isinstance(incumbent, str):  # texts have no neighbours
        return tuple(v.value for v in levels if v.value == incumbent or good(v))
    place = values.index(incumbent)
    below = reach(levels[:place][::-1], good)
    above = reach(levels[place + 1 :], good)
    return tuple(values[place - below : place + above + 1])


def reach(levels: Sequence[Level], good: Callable[[Level], bool]) -> int:
    """How many of the first levels are good without a gap."""
    count = 0
    for level in levels:
        if not good(level):
            break
        count += 1
    return count


def alarm(curve: Curve, point: Point, study: Study, noise: float) -> str:
    """Name an edge of the searched range at which the best value sits, and a wider range.

    A flat curve has its best value somewhere by chance: no alarm. None either where a value inside
    the range does as well, but for the noise floor, nor where runs diverge at the edge.
    """
    knob = study.space[curve.name]
    if curve.verdict in ("flat", "unjudged") or isinstance(knob, Choice) or curve.best is None:
        return ""
    if curve.best.diverged:
        return ""
    best, edges = curve.best.value, (knob.low, knob.high)
    top = curve.means[best]
    if any(mean >= top - noise and value not in edges for value, mean in curve.means.items()):
        return ""
    for share in (1.0, 0.5, 0.25, 0.125):
        low, high = wider(knob, best == knob.high, share)
        if study.allows({**point, curve.name: high if best == knob.high else low}):
            return f"the best value, {best}, is the range's end: try {low:g} to {high:g}"
    return f"the best value, {best}, is the range's end, and none beyond it is legal"


def wider(knob: Range | Whole, upward: bool, share: float) -> tuple[float, float]:
    """The next range to try: a decade more where it is logarithmic, else half as much again.

    Args:
        knob: the range now.
        upward: whether to look above it, not below.
        share: of that step, where the whole leaves what is legal.
    """
    if isinstance(knob, Whole):
        return (knob.low, knob.high + 1) if upward else (knob.low - 1, knob.high)
    if knob.log:
        factor = 10**share
        return (knob.low, knob.high * factor) if upward else (knob.low / factor, knob.high)
    step = share * (knob.high - knob.low) / 2
    if upward:
        return knob.low, knob.high + step
    return (max(0.0, knob.low - step) if knob.low > 0 else knob.low - step), knob.high
