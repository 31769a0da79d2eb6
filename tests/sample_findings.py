"""Findings of a study that never was, with everything that a picture or a table may meet."""

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from statistics import mean, stdev
from typing import Any

from scipy.stats import t

from search.findings import Curve, Findings, Importance, Interaction, Level, Run, Verdict
from search.space import Choice, Knob, Range, Value, Whole, short

SEEDS = (0, 1, 2)
NOISE = 0.006
BASELINE = 0.21
POINT: dict[str, Value] = {
    "cross.theta": 0.1,
    "cross.mu": 1,
    "cross.eta": 4,
    "loss.alpha": 1e-4,
    "loss.beta": 1e-3,
    "train.learning_rate": 3e-5,
    "cross.dropout": 0.2,
}
KNOBS: dict[str, Knob] = {
    "cross.theta": Range(low=0.0, high=0.5),
    "cross.mu": Whole(low=0, high=3),  # below eta
    "cross.eta": Whole(low=2, high=6),  # above mu
    "loss.alpha": Range(low=1e-5, high=1e-1, log=True),
    "loss.beta": Range(low=1e-5, high=1e-1, log=True),
    "train.learning_rate": Range(low=1e-5, high=1e-4, log=True),
    "cross.dropout": Range(low=0.1, high=0.4),
}
Truth = Callable[[Any], float | None]
TRUTHS: dict[str, Truth] = {
    "cross.theta": lambda v: 0.72 - 0.35 * (v - 0.12) ** 2,
    "cross.mu": lambda _: 0.72,
    "cross.eta": lambda v: 0.696 + 0.012 * (v - 2),
    "loss.alpha": lambda _: 0.72,
    "loss.beta": lambda v: 0.72 if v < 5e-3 else 0.6 if v < 5e-2 else 0.3,
    "train.learning_rate": lambda v: 0.72 - 0.2 * abs(v - 3e-5) * 1e4 if v < 9e-5 else None,
    "cross.dropout": lambda v: 0.72 - 0.3 * (v - 0.2) ** 2,
}
VERDICTS: dict[str, Verdict] = {
    "cross.theta": "sensitive",
    "cross.mu": "flat",
    "cross.eta": "sensitive",
    "loss.alpha": "flat",
    "loss.beta": "cliff",
    "train.learning_rate": "cliff",
    "cross.dropout": "flat",
}
ALARM = "the best value, 6, is the range's highest; try a range up to 8"


def run(value: Value, seed: int, metric: float | None, trial_id: str = "s-0004") -> Run:
    return Run(value, seed, metric, 10 if metric is not None else 2, trial_id, "sensitivity")


def level(value: Value, runs: Sequence[Run], centre: dict[int, float], survives: bool) -> Level:
    """A level as Student's t sees it, compared with a centre where there is one."""
    here = {r.seed: r.metric for r in runs if r.value == value and r.metric is not None}
    failed = sum(r.value == value and r.metric is None for r in runs)
    scores = tuple(here.values())
    low = high = difference = p = None
    ends: tuple[float | None, float | None] = (None, None)
    if len(scores) > 1:
        wide = float(t.ppf(0.975, len(scores) - 1)) * stdev(scores) / len(scores) ** 0.5
        low, high = mean(scores) - wide, mean(scores) + wide
        if centre:
            difference = mean(score - centre[seed] for seed, score in here.items())
            ends = difference - wide, difference + wide
            p = 0.0004 if survives else 0.31
    found = mean(scores) if scores else None
    return Level(value, scores, failed, found, low, high, difference, *ends, p, survives=survives)


def build_curve(  # noqa: PLR0913, PLR0917
    name: str,
    knob: Knob,
    incumbent: Value,
    values: Sequence[Value],
    runs: Sequence[Run],
    verdict: Verdict,
    **fields: Any,
) -> Curve:
    """A curve from its runs."""
    centre = {r.seed: r.metric for r in runs if r.value == incumbent and r.metric is not None}
    base = mean(centre.values()) if centre else 0.0
    levels = []
    for value in values:
        scores = [r.metric for r in runs if r.value == value and r.metric is not None]
        far = bool(scores) and abs(mean(scores) - base) > 3 * NOISE and verdict != "flat"
        other = value != incumbent
        deep = not scores or mean(scores) < (base + BASELINE) / 2
        found = level(value, runs, centre if other else {}, far and other)
        levels.append(replace(found, falls=verdict == "cliff" and other and deep))
    means = [one.mean for one in levels if one.mean is not None]
    own = {
        "effect": max(means) - min(means) if means else None,
        "excluded_above": 0.012 if len({r.seed for r in runs}) > 1 else None,
        "safe": safe(levels, incumbent),
    }
    return Curve(name, knob, incumbent, tuple(runs), tuple(levels), verdict, **{**own, **fields})


def safe(levels: Sequence[Level], incumbent: Value) -> tuple[Value, ...]:
    """Neighbours of the incumbent that are not worse by more than the noise."""
    own = next((found.mean for found in levels if found.value == incumbent), None)
    found: list[Value] = []
    for entry in levels:
        good = own is not None and entry.mean is not None and entry.mean >= own - NOISE
        if good:
            found.append(entry.value)
        elif incumbent in found:
            break
        else:
            found = []
    return tuple(found)


def curve_of(
    name: str, verdict: Verdict = "sensitive", seeds: Sequence[int] = SEEDS, **fields: Any
) -> Curve:
    """One of the seven settings."""
    knob, incumbent, truth = KNOBS[name], POINT[name], TRUTHS[name]
    noise = random.Random(len(name))
    kept = {*knob.values(7), incumbent}
    values = sorted(kept, key=float)
    runs = []
    for value in values:
        for seed in seeds:
            score = truth(value)
            failed = score is None or (name == "loss.alpha" and value == 0.1 and seed == 2)
            got = None if failed or score is None else round(score + noise.gauss(0, NOISE), 4)
            runs.append(run(value, seed, got, f"s-0004-{short(name)}-{value}-seed{seed}"))
    return build_curve(name, knob, incumbent, values, runs, verdict, **fields)


def choice_curve() -> Curve:
    """A setting that is one of a few names."""
    knob = Choice(choices=["auto", "float32", "bf16"])
    scores = {"auto": 0.72, "float32": 0.722, "bf16": 0.64}
    noise = random.Random(5)
    runs = [
        run(value, seed, score + noise.gauss(0, NOISE))
        for value, score in scores.items()
        for seed in SEEDS
    ]
    return build_curve("train.precision", knob, "auto", list(scores), runs, "sensitive")


def failed_curve() -> Curve:
    """A setting whose runs all failed."""
    runs = [run(value, 0, None) for value in (0.0, 0.25, 0.5)]
    knob = KNOBS["cross.theta"]
    return build_curve("cross.theta", knob, 0.25, [0.0, 0.25, 0.5], runs, "unjudged", safe=())


def interaction() -> Interaction:
    """mu by eta: some pairs illegal, one not trained."""
    means: dict[tuple[Value, Value], float] = {
        (mu, eta): round(0.72 - 0.012 * abs(mu - 1) - 0.02 * abs(eta - 4) - 0.01 * (eta - mu), 4)
        for mu in (0, 1, 3)
        for eta in (2, 4, 6)
        if mu < eta and (mu, eta) != (3, 6)
    }
    surplus: dict[tuple[Value, Value], tuple[float, float | None, float | None]] = {
        (0, 2): (-0.021, -0.034, -0.008),
        (0, 6): (0.004, -0.009, 0.017),
        (3, 4): (0.001, None, None),
    }
    return Interaction(("cross.mu", "cross.eta"), ((0, 1, 3), (2, 4, 6)), means, surplus)


def shares(values: Sequence[float]) -> dict[str, Importance]:
    """One for each setting."""
    return {
        name: Importance(share, max(0.0, share - 0.06), min(1.0, share + 0.12))
        for name, share in zip(POINT, values, strict=True)
    }


def findings(**fields: Any) -> Findings:
    """All seven settings, the strongest first."""
    curves = [curve_of(name, verdict) for name, verdict in VERDICTS.items()]
    curves = [
        curve_of("cross.eta", "sensitive", alarm=ALARM) if c.name == "cross.eta" else c
        for c in curves
    ]
    ranked = tuple(sorted(curves, key=lambda c: -(c.effect or 0.0)))
    scores = next(s for s in ranked[0].levels if s.value == ranked[0].incumbent).scores
    own: dict[str, Any] = {
        "study": "twitter2015",
        "metric": "valid_f1",
        "trial_id": "search-0004",
        "point": POINT,
        "seeds": SEEDS,
        "mean": mean(scores),
        "noise": NOISE,
        "baseline": BASELINE,
        "curves": ranked,
        "ped_anova": shares([0.08, 0.03, 0.1, 0.42, 0.2, 0.12, 0.05]),
        "fanova": shares([0.06, 0.02, 0.14, 0.38, 0.22, 0.13, 0.05]),
        "disagree": ("loss.alpha",),
        "interactions": (interaction(),),
    }
    return Findings(**{**own, **fields})


def one_seed() -> Findings:
    """The same with one seed: nothing can be judged."""
    curves = [curve_of(name, "unjudged", seeds=(0,)) for name in POINT]
    ranked = tuple(sorted(curves, key=lambda c: -(c.effect or 0.0)))
    return findings(
        curves=ranked, seeds=(0,), noise=None, ped_anova={}, fanova={}, disagree=(), interactions=()
    )
