"""The planted truth itself; workers import nothing else, so that they start at once."""

from hashlib import sha256
from math import exp, log10
from typing import Any

import numpy as np
from ray import tune

QUALITY, SPEED, DEAD = "cross.dropout", "train.learning_rate", "cross.theta"
EPOCHS = 9
NOISE, SEED_EFFECT = 0.02, 0.01
"""Standard deviations: of a run, and of what all runs with one seed share."""


def true_score(point: dict[str, Any], epoch: int = EPOCHS) -> float:
    """Score without noise after an epoch."""
    quality = 0.8 - 5.0 * (float(point[QUALITY]) - 0.2) ** 2
    slowness = 1.0 - 0.4 * (log10(float(point[SPEED])) + 3)  # 0.6 to 1.4 epochs
    return quality * (1 - exp(-epoch / slowness))


def draw_from(*what: object) -> float:
    """A standard normal number that depends on nothing but its arguments."""
    digest = sha256(repr(what).encode()).digest()
    return float(np.random.default_rng(int.from_bytes(digest[:8])).standard_normal())


def score(settings: dict[str, Any], number: int, epoch: int) -> float:
    """What a run of a study reports after an epoch; noise depends on study, seed and settings."""
    names = (name.split(".") for name in (QUALITY, SPEED, DEAD))
    point = {f"{section}.{key}": settings[section][key] for section, key in names}
    seed = settings["train"]["seed"]
    shared = SEED_EFFECT * draw_from(number, seed)
    own = NOISE * draw_from(number, seed, sorted(point.items()))
    return true_score(point, epoch) + shared + own


def figures(settings: dict[str, Any], number: int, epoch: int) -> dict[str, Any]:
    """What a trial of a study reports after an epoch."""
    value = score(settings, number, epoch)
    return {"epoch": epoch, "value": value, "best": value, "elapsed": epoch}


def planted(config: dict[str, Any], desk: int) -> None:
    """A Tune function that pretends to train; it reports once where nobody may stop it.

    Args:
        config: as `search.trial.drive` gets it.
        desk: number of the study; other studies have other noise.
    """
    task = config["task"]
    stoppable = task["trial_id"].startswith("search-") and task["trial_id"].count("-") == 1
    for epoch in range(1, EPOCHS + 1):
        if epoch > config["seen"] and (stoppable or epoch == EPOCHS):
            tune.report(figures(task["config"], desk, epoch))
