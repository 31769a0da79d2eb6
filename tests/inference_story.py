"""Runs at several values of one setting: what tests of their intervals share."""

from collections.abc import Sequence

from search.findings import Run
from search.space import Value


def runs_at(scores: dict[Value, Sequence[float | None]]) -> list[Run]:
    """Runs with the seeds 0, 1, 2 and so on; None is one that failed."""
    return [
        Run(value, seed, score, 6, f"{value}-{seed}", "sensitivity")
        for value, row in scores.items()
        for seed, score in enumerate(row)
    ]
