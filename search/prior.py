"""What earlier studies of the same space found out, given to a new one before it begins."""

from muse.config import Frozen
from search.space import Point


class Known(Frozen):
    """A trial that another study trained in full."""

    trial_id: str
    point: Point
    value: float
    epochs: int


class Prior(Frozen):
    """The trials of an earlier study; `study.yaml` keeps them, so a resume knows them too."""

    folder: str
    trials: list[Known]
