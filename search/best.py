"""The best configuration so far: `best.yaml` for people and programs, `best/` the model."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from statistics import mean
from typing import Any

import yaml

from muse.durable import put_text
from search.entry import Entry
from search.plan import confirmed_runs
from search.study import Study

REVIEW = "review"
"""What was seen of `best/`, inside the study's folder."""


def put_model(trial_folder: Path, root: Path) -> None:
    """Put a trial's model at `best/`, if it still has one, and say in `best.yaml` whose it is."""
    made = trial_folder / "best"
    if made.exists():
        new = root / ".best-new"
        shutil.rmtree(new, ignore_errors=True)
        shutil.copytree(made, new)
        shutil.rmtree(root / "best", ignore_errors=True)
        new.rename(root / "best")
        about = read_best(root)
        if about.get("model") != trial_folder.name:  # the report reviews the new one
            shutil.rmtree(root / REVIEW, ignore_errors=True)
        store({**about, "model": trial_folder.name}, root)


def read_best(root: Path) -> dict[str, Any]:
    """What `best.yaml` says; nothing where there is none."""
    file = root / "best.yaml"
    return yaml.safe_load(file.read_text(encoding="utf-8")) if file.exists() else {}


def store(about: dict[str, Any], root: Path) -> None:
    """Write `best.yaml`, so that a reader never finds half of it."""
    put_text(root / "best.yaml", yaml.safe_dump(about, sort_keys=False))


def final_part(root: Path, trial_id: str) -> dict[str, Any] | None:
    """What is on record of a final training with this id; None before it is scored."""
    found: dict[str, Any] | None = read_best(root).get("final")
    return found if found and found["trial_id"] == trial_id else None


def write_best(
    study: Study,
    entries: Sequence[Entry],
    best: Entry,
    root: Path,
    final: dict[str, Any] | None = None,
) -> None:
    """The best settings and their scores.

    Args:
        study: what was searched.
        entries: all trials on record.
        best: the search's trial with these settings.
        root: the study's folder.
        final: id, validation score and test scores of the final training; None keeps those that
            stand there for the same settings.
    """
    again = confirmed_runs(study, entries, best.point)
    scores = {e.seed: e.value for e in again if e.state == "completed" and e.value is not None}
    about: dict[str, Any] = {
        "trial_id": best.trial_id,
        "metric": study.base.metric,
        "settings": best.point,
        "value": best.value,
        "seed": best.seed,
        "epochs": best.epochs,
    }
    if scores:
        about["confirmed"] = {"mean": mean(scores.values()), "by_seed": scores}
    kept = final or final_part(root, f"final-{best.trial_id}")
    about["model"] = read_best(root).get("model")
    if kept:
        about["final"] = kept
    store(about, root)
