"""How many trials the machines of a cluster have room for."""

from collections.abc import Sequence

from muse.errors import UserError
from search.study import Study

Resources = dict[str, float]
"""What a machine has, or a worker asks for, by Ray's names."""

ROUNDING = 1e-9
"""1 / 0.1 is ten, though ten times the float 0.1 may be a little more than 1."""


def gpus_per_worker(study: Study, have: Sequence[Resources]) -> float:
    """GPUs of each worker: as the study says, else one where there are any."""
    asked = study.resources.gpus_per_worker
    return asked if asked is not None else float(any(one.get("GPU", 0) >= 1 for one in have))


def whole_gpus(gpus: float) -> float:
    """The GPUs of a worker if it shares none."""
    return 1.0 if 0 < gpus < 1 else gpus


def each_worker(study: Study, gpus: float) -> Resources:
    """What a worker asks of Ray."""
    wanted = study.resources
    asked = {"CPU": wanted.cpus_per_worker, "GPU": gpus, **wanted.custom}
    return {name: amount for name, amount in asked.items() if amount}


def workers_on(machine: Resources, needs: Resources) -> int:
    """Workers that one machine has room for: none is spread over two, nor over two GPUs."""
    return min(shares(name, machine.get(name, 0.0), amount) for name, amount in needs.items())


def shares(name: str, there: float, amount: float) -> int:
    """How often an amount is there."""
    if name == "GPU" and amount < 1:
        return int(there) * int(1 / amount + ROUNDING)
    return int(there / amount + ROUNDING)


def fitting(study: Study, have: Sequence[Resources], gpus: float) -> int:
    """Trials for which the cluster has room as it stands, no more than the study wants at once."""
    needs = each_worker(study, gpus)
    fits = sum(workers_on(machine, needs) for machine in have) // study.resources.workers
    return min(fits, study.resources.concurrent or fits)


def concurrent_trials(study: Study, have: Sequence[Resources], gpus: float) -> int:
    """Trials that run at once at the start.

    Raises:
        UserError: not even one fits, and the study does not say that the cluster grows.
    """
    fits = fitting(study, have, gpus)
    if fits < 1 and study.resources.concurrent is None:
        needs = each_worker(study, gpus)
        wants = ", ".join(f"{study.resources.workers * n:g} {name}" for name, n in needs.items())
        there = "; ".join(
            ", ".join(f"{machine.get(name, 0):g} {name}" for name in needs) for machine in have
        )
        raise UserError(
            f"resources: a trial wants {wants}, the cluster has {there}; ask for less, or set "
            "resources.concurrent where it grows on demand."
        )
    return max(1, fits)
