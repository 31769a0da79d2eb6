"""The sections of a study's file: budget, searcher, scheduler, sensitivity, resources."""

from typing import Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from muse.config import Frozen

MOST_SEEDS = 100
"""Seeds of a phase; the next phase's begin after so many, however many are used, so that more of
them can be asked for later."""


class Budget(Frozen):
    """How much may be spent."""

    trials: PositiveInt = 20
    """Configurations that the search tries."""

    epochs: PositiveInt = 10
    """Epochs of a trial that is not stopped."""


class Proposals(Frozen):
    """Who proposes."""

    name: Literal["tpe", "random"] = "tpe"
    startup: PositiveInt = 8
    """Random proposals before TPE has something to learn from."""


class Stopping(Frozen):
    """Who stops a trial early."""

    name: Literal["asha", "none"] = "asha"
    grace_epochs: PositiveInt = 1
    """Epochs that every trial gets."""

    reduction: float = Field(default=3.0, ge=1.1)
    """Of this many trials that reach a rung, one goes on; nearer 1 there are too many rungs."""


class Curves(Frozen):
    """The confirmation of the best configurations and the sensitivity curves around the winner."""

    candidates: PositiveInt = 3
    """Best configurations of the search that are trained again to choose the incumbent."""

    points: NonNegativeInt = 5
    """Values of each setting over its range; 0 draws no curves. From 3 on whole numbers and choices
    are all tried where they are 11 at most, as mu's and eta's."""

    seeds: PositiveInt = Field(default=3, le=MOST_SEEDS)
    """Runs at each value, and of each candidate."""

    pairs: NonNegativeInt = 1
    """Pairs of settings, the strongest first, that are varied together."""

    max_hours: PositiveFloat | None = None
    """Most hours that the curves may take; pairs, seeds and points shrink to fit, in this order."""


class Resources(Frozen):
    """What one trial gets; how many run at once follows from what the cluster has."""

    workers: PositiveInt = 1
    """Ray Train workers of a trial (data parallel)."""

    cpus_per_worker: PositiveFloat = 1
    gpus_per_worker: NonNegativeFloat | None = None
    """None: one where the cluster has GPUs, else none; once a trial has shown how much memory it
    needs, as many trials share a GPU as that leaves room for, eight at most (not those of several
    workers)."""

    concurrent: PositiveInt | None = None
    """Trials at once; None: as many as fit now. Set it where a cluster grows on demand."""

    price_per_hour: NonNegativeFloat | None = None
    """Of one GPU, or of one CPU where trials hold no GPU; in whatever money you pay."""

    max_failures: NonNegativeInt = 2
    """Times that a trial is taken up again after its workers, their node or the storage was lost,
    or after they hung."""

    hang_factor: PositiveFloat = 20
    """Workers count as hung when they have been silent for so many usual epochs of their trial (and
    for two minutes), and are then replaced."""

    first_epoch_minutes: PositiveFloat = 60
    """How long workers may be silent before the first report of a trial they took: it includes the
    preparation of the data."""

    idle_minutes: PositiveFloat = 5
    """A worker group without work for so long gives its machine back."""

    together_minutes: NonNegativeFloat = 1
    """The final training takes the workers of all concurrent trials where the incumbent's own run
    took this long; a shorter one is over before so many have started together."""

    custom: dict[str, PositiveFloat] = Field(default={})
    """Other resources of each worker, by the names that the cluster's nodes give them."""
