"""How often a curve calls a setting sensitive that does nothing, where few tweets make few scores.

    python benchmarks/few_tweets.py

Simulated studies, each of seven settings with some values and two or three seeds: a score is 0.8, a
seed's part and noise, rounded to a whole number of validation tweets.
"""

import argparse

import numpy as np

from search.findings import Run
from search.inference import holm, levels

COUNTS = {"quickstart": (3, 3, 3, 2, 2, 3, 3), "laptop": (4, 4, 4, 3, 3, 4, 4)}
"""Values of each setting beside one another, the incumbent's among them."""

NOISE = 0.013
"""Standard deviation of the seed's part, and of the noise, as real runs have it."""


def alarm(counts: tuple[int, ...], tweets: int, seeds: int, draw: np.random.Generator) -> bool:
    """Whether a study finds any difference; there is none."""
    part = draw.normal(0, NOISE, seeds)
    groups = []
    for count in counts:
        scores = 0.8 + part + draw.normal(0, NOISE, (count, seeds))
        runs = [
            Run(value, seed, round(float(scores[value, seed]) * tweets) / tweets, 3, "", "")
            for value in range(count)
            for seed in range(seeds)
        ]
        groups.append(levels(runs, range(count), 0, grain=1 / tweets))
    return any(level.survives for group in holm(groups) for level in group)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--studies", type=int, default=400)
    studies = parser.parse_args().studies
    draw = np.random.default_rng(0)
    print("values      seeds  tweets  false alarms (5 % allowed)")
    for name, counts in COUNTS.items():
        for seeds in (2, 3):
            for tweets in (64, 128, 400, 10**9):
                share = np.mean([alarm(counts, tweets, seeds, draw) for _ in range(studies)])
                print(f"{name:10}  {seeds:5}  {tweets:6}  {share:6.1%}", flush=True)


if __name__ == "__main__":
    main()
