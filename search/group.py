"""Worker groups of Ray Train with no more processes and imports beside them than they need."""

from typing import Any

from ray.train.torch import TorchTrainer
from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer

from search.enter import nothing

SPARE = {"DatasetsCallback", "PlacementGroupCleanerCallback"}
"""Each keeps a process for every group: to hand out Ray datasets, which we have none of, and to
give back the resources of a controller that died alone, which Ray's server does as well."""


FORETOLD = ("_send_resource_request", "_maybe_send_resource_request", "_cancel_resource_request")
"""What a policy tells an actor that plans for several runs and for Ray's datasets. A group's
placement group asks for its machines itself, and holds them no longer than the group lives."""


class Lean:
    """Starts its workers sooner and leaves them more of the processor.

    Where Ray calls these things otherwise some day, a group is again as Ray makes it.
    """

    def _create_default_callbacks(self) -> list[Any]:
        callbacks = super()._create_default_callbacks()  # type: ignore[misc]
        return [callback for callback in callbacks if type(callback).__name__ not in SPARE]

    def _initialize_and_run_controller(self, **given: Any) -> Any:
        policy = given.get("scaling_policy")
        for name in FORETOLD:
            if hasattr(policy, name):
                setattr(policy, name, nothing)
        return super()._initialize_and_run_controller(**given)  # type: ignore[misc]


class Single(Lean, DataParallelTrainer):  # type: ignore[misc] # Ray has no types
    """One worker, which exchanges nothing: Ray's controller of it need not import torch."""


class Several(Lean, TorchTrainer):  # type: ignore[misc]
    """Workers in one process group."""


Group = Single | Several
