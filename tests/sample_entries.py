"""A small study and entries of its ledger, for the tests of several files."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from search.entry import Entry
from search.searcher import Proposal
from search.study import Study

POINT: dict[str, Any] = {
    "cross.theta": 0.1,
    "cross.mu": 1,
    "cross.eta": 3,
    "loss.alpha": 1e-3,
}
"""The incumbent's settings."""

SPACE: dict[str, Any] = {
    "cross.theta": {"low": 0.0, "high": 0.5},
    "cross.mu": {"low": 0, "high": 3},
    "cross.eta": {"low": 1, "high": 4},
    "loss.alpha": {"low": 1e-5, "high": 1e-1, "log": True},
}

EPOCHS = 2


def sample_study(**fields: Any) -> Study:
    """Four settings, five points, three seeds; with some fields changed."""
    asked = {"points": 5, "seeds": 3, **fields.pop("sensitivity", {})}
    budget = {"trials": 4, "epochs": EPOCHS}
    common: dict[str, Any] = {"preset": "tiny", "seed": 7, "space": SPACE, "budget": budget}
    return Study.model_validate({**common, "sensitivity": asked, **fields})


def sample_entry(
    trial_id: str, score: float | None = 0.5, epochs: int = EPOCHS, **fields: Any
) -> Entry:
    """A trial of the search that reported its score in its first epoch; without one it failed.

    Args:
        trial_id: its id.
        score: its best.
        epochs: that it was trained.
        fields: of the entry, where they differ.
    """
    told = {1: score, epochs: score / 2 if epochs > 1 else score} if score is not None else {}
    entry = Entry(
        trial_id=trial_id,
        phase="search",
        state="failed" if score is None else "completed",
        seed=7,
        point=POINT,
        seconds=10.0,
        device_seconds=20.0,
        reason="",
        reports=tuple({"epoch": epoch, "value": value} for epoch, value in told.items()),
    )
    return replace(entry, **fields)


def trained(
    phase: str, proposals: Iterable[Proposal], scores: dict[str, float | None] | float
) -> list[Entry]:
    """Entries of runs that have ended; scores by trial id, or the same for all."""
    return [
        sample_entry(
            run.trial_id,
            scores[run.trial_id] if isinstance(scores, dict) else scores,
            phase=phase,
            seed=run.seed,
            point=run.point,
        )
        for run in proposals
    ]


BEST = sample_entry("search-0003", 0.8)
