"""A worker group of Ray Train with no more processes beside it than it needs."""

from typing import Any

from ray.train.torch import TorchTrainer

SPARE = {"DatasetsCallback", "PlacementGroupCleanerCallback"}
"""Each keeps a process for every group: to hand out Ray datasets, which we have none of, and to
give back the resources of a controller that died alone, which Ray's server does as well."""


class Group(TorchTrainer):  # type: ignore[misc] # Ray has no types
    """Starts its workers sooner and leaves them more of the processor.

    Where Ray calls these things otherwise some day, a group is again as Ray makes it.
    """

    def _create_default_callbacks(self) -> list[Any]:
        return [
            callback
            for callback in super()._create_default_callbacks()
            if type(callback).__name__ not in SPARE
        ]
