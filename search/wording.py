"""What a curve and its verdict mean in plain words: the same in every place."""

from collections.abc import Sequence

from search.findings import Curve, Findings, Interaction, Verdict
from search.space import Choice
from search.terms import listed, metric_name, score, title
from search.verdict import MOST, are_alike, deep_runs, is_known
from search.view import number

VERDICTS: dict[Verdict, str] = {
    "cliff": "some legal value loses most of the gain over the trivial baseline",
    "sensitive": "some value differs from the incumbent beyond chance",
    "flat": "no value differs from the incumbent beyond chance",
    "unjudged": "cannot be told from these runs",
}
"""What each verdict says, in the order of their weight."""

NO_INTERVAL = "one score a value: no interval"
NO_SCORE = "no run ended with a score"
INERT = (
    "beside the incumbent's other settings no value changes anything, every run with a seed is the "
    "same run"
)


def excluded(curve: Curve) -> str:
    """Differences that every value's interval excludes; scores never differ by more than 1."""
    bound = curve.excluded_above
    return "nothing" if bound is not None and bound >= 1 else score(bound)


def safe_range(curve: Curve) -> str:
    """The values that are not worse than the incumbent by more than the noise floor."""
    if not curve.safe:
        return "-"
    if isinstance(curve.knob, Choice):
        return listed([number(value) for value in curve.safe])
    if len(curve.safe) == 1:
        return f"{number(curve.safe[0])} only"
    return f"{number(curve.safe[0])} to {number(curve.safe[-1])}"


def few_seeds(findings: Findings) -> bool:
    """Whether there is nothing to draw an interval from."""
    return all(level.low is None for curve in findings.curves for level in curve.levels)


def reading(curve: Curve, findings: Findings) -> str:
    """One curve's verdict as a sentence or two."""
    if curve.best is None:
        return f"Not judged: {NO_SCORE}."
    best, means = curve.best.value, curve.means
    lowest, highest = min(means, key=means.__getitem__), max(means, key=means.__getitem__)
    told = {
        "cliff": f"Cliff: {fall(curve)}; best is {number(best)} with {score(means[best])}, and no "
        f"learning at all gives {score(findings.baseline)}.",
        "sensitive": f"Sensitive: {surviving(curve)} from the incumbent beyond chance; the means "
        f"reach from {score(means[lowest])} at {number(lowest)} to {score(means[highest])} at "
        f"{number(highest)}.",
        "flat": "Flat: no value differs from the incumbent beyond chance. " + unseen(curve),
        "unjudged": f"Not judged: {unjudged(curve, findings)}." + reach(curve),
    }[curve.verdict]
    safe = [f"Safe (within the noise floor): {safe_range(curve)}."] if curve.safe else []
    if safe and curve.none_worse:
        safe = [f"Within the noise floor: {safe_range(curve)}; others are not shown to be worse."]
    return " ".join([told, *failures(curve), *safe])


def reach(curve: Curve) -> str:
    """A sentence on the means, where they differ."""
    low, high = min(curve.means.values()), max(curve.means.values())
    return "" if low == high else f" The means reach from {score(low)} to {score(high)}."


def fall(curve: Curve) -> str:
    """Where a cliff is, and what is left there."""
    fallen = [level for level in curve.levels if level.falls]
    dead = [number(level.value) for level in fallen if not level.scores]
    low = [f"to {score(curve.means[v.value])} at {number(v.value)}" for v in fallen if v.scores]
    told = [f"the score falls {listed(low)}"] if low else []
    return " and ".join(
        [*told, *([f"every run at {listed(dead)} failed or diverged"] if dead else [])]
    )


def unjudged(curve: Curve, findings: Findings) -> str:
    """Why a curve with scores has no verdict."""
    if curve.inert:
        return INERT
    if not findings.seeds:
        return "the incumbent itself failed with every seed, so there is nothing to compare with"
    if few_seeds(findings):
        return "one score a value tells nothing of chance"
    if len(curve.levels) == 1:
        return "no other value is legal beside the incumbent's other settings"
    if are_alike(curve.levels):
        return (
            f"every run scored {score(findings.mean)}, so these tweets tell no value from another"
        )
    return too_unsure(curve, findings)


def too_unsure(curve: Curve, findings: Findings) -> str:
    """Why a curve with scores that differ, and intervals, has no verdict."""
    gain = findings.mean - findings.baseline
    others = [level for level in curve.levels if level.value != curve.incumbent]
    unknown = [number(level.value) for level in others if not is_known(level)]
    if gain <= 0:
        trivial = f"the trivial baseline ({score(findings.baseline)})"
        return f"the incumbent is no better than {trivial}, so there is no gain to lose"
    if unknown:
        return f"too few of the runs at {listed(unknown)} ended with a score"
    half = f"half of what training gains ({MOST * gain:.2g})"
    deep = [number(v.value) for v in others if 0 < deep_runs(v, gain) < len(v.pairs)]
    if deep:
        return f"some runs at {listed(deep)} lost more than {half} and some did not"
    return (
        f"{len(findings.seeds)} seeds are too few here, the intervals do not even exclude a "
        f"difference of {half}"
    )


def surviving(curve: Curve) -> str:
    """How many values differ from the incumbent."""
    count = sum(level.survives for level in curve.levels)
    return f"{count} of {len(curve.levels)} values {'differs' if count == 1 else 'differ'}"


def unseen(curve: Curve) -> str:
    """What a flat curve may hide."""
    bound = curve.excluded_above or 0.0
    return f"Every value's 95 % interval excludes differences above {bound:.2g}."


def failures(curve: Curve) -> list[str]:
    """Sentences on runs that failed or diverged, and on those that lost their machine."""
    kinds = {
        "failed or diverged": [(level.value, level.diverged) for level in curve.levels],
        "lost their machine": [(level.value, level.lost) for level in curve.levels],
    }
    told = []
    for what, counts in kinds.items():
        places = [number(value) for value, count in counts if count]
        if places:
            told.append(f"{sum(count for _, count in counts)} {what}, at {listed(places)}.")
    return told


def headline(findings: Findings) -> list[str]:
    """What the study found, a sentence each: what matters, what does not, what is best."""
    groups = {
        verdict: [curve for curve in findings.curves if curve.verdict == verdict]
        for verdict in VERDICTS
    }
    lines = []
    if groups["cliff"]:
        lines.append(f"Handle with care, a wrong value ruins the score: {names(groups['cliff'])}.")
    if groups["sensitive"]:
        lines.append(f"Worth tuning: {names(groups['sensitive'])}.")
    if groups["flat"]:
        lines.append(f"No effect seen: {names(groups['flat'])}. {limits(groups['flat'])}")
    return [*lines, *not_judged(groups["unjudged"], findings), best_line(findings)]


def not_judged(curves: Sequence[Curve], findings: Findings) -> list[str]:
    """A sentence for each reason why curves have no verdict."""
    reasons: dict[str, list[Curve]] = {}
    for curve in curves:
        why = NO_SCORE if curve.effect is None else unjudged(curve, findings)
        reasons.setdefault(why, []).append(curve)
    return [f"Not judged: {names(some)}; {why}." for why, some in reasons.items()]


def names(curves: Sequence[Curve]) -> str:
    """Settings in a row, each with the span of its means."""
    return listed([spanned(title(curve.name), curve.effect) for curve in curves])


def spanned(name: str, effect: float | None) -> str:
    """A setting with the span of its means in brackets."""
    if effect is None:
        return name
    span = f"span {effect:.2g}"
    return f"{name[:-1]}; {span})" if name.endswith(")") else f"{name} ({span})"


def limits(curves: Sequence[Curve]) -> str:
    """What flat curves, each of them, may hide."""
    known = [(curve.excluded_above or 0.0, title(curve.name)) for curve in curves]
    (least, sharp), (most, dull) = min(known), max(known)
    size = f"{most:.2g}" if most < 2 * least else f"{least:.2g} ({sharp}) to {most:.2g} ({dull})"
    return f"Their 95 % intervals exclude differences above {size}."


def best_line(findings: Findings) -> str:
    """The best configuration and how good it is."""
    count = len(findings.seeds)
    seeds = "one seed" if count == 1 else f"the {count} seeds of the curves"
    if count == 0:
        tried = any(curve.runs for curve in findings.curves)
        why = "as it failed with those of the curves" if tried else "as no curve was trained"
        seeds = f"the confirmation's seeds, {why}"
    noise = "" if findings.noise is None else f", noise floor {findings.noise:.2g}"
    point = ", ".join(f"{title(name)} {number(v)}" for name, v in findings.point.items())
    return (
        f"Best configuration ({findings.trial_id}): {point}; mean {metric_name(findings.metric)} "
        f"{score(findings.mean)} over {seeds}{noise}."
    )


def interplay(interaction: Interaction) -> str:
    """One map's reading as a sentence."""
    pair = " and ".join(map(title, interaction.names))
    judged = [(low, high) for _, low, high in interaction.surplus.values() if low is not None]
    if not judged:
        return f"{pair}: whether they depend on one another cannot be told from these runs."
    clear = sum(high is not None and (low > 0 or high < 0) for low, high in judged)
    return (
        f"{pair}: at {clear} of {len(judged)} pairs the score differs from what the two single "
        "changes add up to (its 95 % interval, not corrected for their number, leaves out zero)."
    )
