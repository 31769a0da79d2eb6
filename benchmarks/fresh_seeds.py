"""What it costs to choose the incumbent and draw the curves with the same seeds.

    python benchmarks/fresh_seeds.py

Simulated studies in which no setting does anything: how often is something found all the same, and
how many 95 % intervals hold the truth? Then: how wide may an interval of a mean be?
"""

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Numbers = NDArray[np.float64]
SETTINGS, VALUES, CANDIDATES = 7, 5, 3


def differences(rows: Numbers) -> tuple[Numbers, Numbers]:
    """Of each row to the first: p, and whether a 95 % interval holds 0. Rows are values."""
    rest = rows - rows.mean(1, keepdims=True) - rows.mean(0) + rows.mean()
    freedom = (len(rows) - 1) * (rows.shape[1] - 1)
    scale = np.sqrt(2 * (rest**2).sum() / freedom / rows.shape[1])
    t = np.abs(rows[1:].mean(1) - rows[0].mean()) / scale
    return 2 * stats.t.sf(t, freedom), t < stats.t.ppf(0.975, freedom)


def study(seeds: int, fresh: bool, draw: np.random.Generator) -> tuple[bool, float]:
    """Whether a false difference is found, and the share of intervals that hold."""
    incumbent = max(draw.normal(size=(CANDIDATES, seeds)), key=lambda row: float(row.mean()))
    if fresh:
        incumbent = draw.normal(size=seeds)
    tables = [np.vstack([incumbent, draw.normal(size=(VALUES, seeds))]) for _ in range(SETTINGS)]
    found = [differences(table) for table in tables]
    p = np.concatenate([p for p, _ in found])
    alarm = bool(p.min() <= 0.05 / p.size)  # the first step of Holm's procedure
    return alarm, float(np.mean([holds for _, holds in found]))


def mean_holds(seeds: int, seed_part: float, draw: np.random.Generator, values: int = 6) -> float:
    """Share of 95 % intervals of a mean, with Satterthwaite's degrees of freedom, that hold."""
    score = draw.normal(0, seed_part, (20_000, 1, seeds)) + draw.normal(
        0, 1, (20_000, values, seeds)
    )
    rows, columns = score.mean(2, keepdims=True), score.mean(1, keepdims=True)
    within = ((score - rows) ** 2).sum((1, 2))
    rest = ((score - rows - columns + score.mean((1, 2), keepdims=True)) ** 2).sum((1, 2))
    squares = (within - rest) ** 2 / (seeds - 1) + rest**2 / ((values - 1) * (seeds - 1))
    half = stats.t.ppf(0.975, within**2 / squares)
    half = half * np.sqrt(within / (values * (seeds - 1)) / seeds)
    return float((np.abs(rows[:, 0, 0]) <= half).mean())


def main() -> None:
    """Print both tables."""
    draw = np.random.default_rng(0)
    print("seeds  curves' seeds  false alarms  intervals that hold")
    for seeds in (2, 3, 5):
        for fresh in (False, True):
            told = np.array([study(seeds, fresh, draw) for _ in range(4000)], float)
            alarms, hold = told.mean(0)
            which = "fresh" if fresh else "shared"
            print(f"{seeds:5}  {which:>13}  {alarms:12.1%}  {hold:19.1%}")
    print("seeds  seed's part / noise  intervals of a mean that hold")
    for seeds in (2, 3, 5):
        for part in (0.0, 1.0, 2.0, 5.0):
            print(f"{seeds:5}  {part:19g}  {mean_holds(seeds, part, draw):29.1%}")


if __name__ == "__main__":
    main()
