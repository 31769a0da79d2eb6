"""What lies on the desk: tasks, how far each is, and the worker groups (pools) that take them."""

from dataclasses import dataclass, field
from typing import Any

from search.fault import Fault

Message = dict[str, Any]
"""What a trial's workers report and its driver reads."""


@dataclass(frozen=True)
class Task:
    """One trial, as its workers get it."""

    trial_id: str
    config: dict[str, Any]
    """A MuseConfig as plain data."""

    folder: str
    """Where its checkpoints go."""

    work: str = "train"
    """What to do: train, score (read `folder/best` and score it on the test split), or any function
    of `search.worker.Work`'s form as `module:function`."""

    fingerprint: str = ""
    """Of the configuration, taken by whoever asked for the trial."""

    export: bool = True
    """Whether its best model is wanted in `folder/best`."""

    test: bool = False
    """Whether its best model is scored on the test split, once, with the report of its last
    epoch."""

    rungs: tuple[int, ...] = ()
    """Epochs after which it may be stopped: its checkpoint is on storage before each is told."""


@dataclass(frozen=True)
class Patience:
    """How long workers may be silent before they count as hung, in seconds."""

    factor: float = 20.0
    """In units of a trial's usual epoch."""

    first: float = 3600.0
    """Until the first report of a trial after its workers took it: data are prepared, too."""

    least: float = 120.0
    """However short an epoch is: a busy machine or storage that is away is not a hang."""

    idle: float = 300.0
    """Without work for so long, a pool gives its machine back."""


@dataclass
class Job:
    """A task and how far it is."""

    task: Task
    pool: int | None = None
    attempts: int = 0
    """Times that it was taken up again."""

    taken: float = 0.0
    """When its workers took it, on the desk's clock."""

    spent: float = 0.0
    """Seconds of earlier attempts."""

    paid: float = 0.0
    """Device-seconds of earlier attempts, each by what its pool held."""

    heard: float = 0.0
    """When its workers were last known to be at work."""

    answering: bool = False
    """They wait for its driver, which may take its time."""

    epoch: int = 0
    paces: list[float] = field(default_factory=list)
    """Seconds of each epoch."""

    told: bool = False
    """Its workers have reported since they took it."""

    about: Message = field(default_factory=dict)
    """Where it runs and what was built: goes with every message."""

    fault: Fault | None = None
    """Why its workers are about to be lost, where that is known beforehand."""

    messages: list[Message] = field(default_factory=list)
    answered: int = 0
    """Messages that the driver has read and answered."""

    ended: bool = False
    """Its workers have left it."""

    unwanted: bool = False
    """The driver wants no more of it."""


@dataclass
class Pool:
    """A worker group, as the desk knows it."""

    handles: list[Any] = field(default_factory=list)
    """Its workers' actors, by which they can be killed."""

    able: bool = False
    """It has asked for work at least once."""

    devices: float = 1.0
    """What it holds: GPUs, or CPUs where trials have no GPU."""

    shares: bool = False
    """Others use its GPU as well."""

    retired: bool = False
    """It takes no more trials."""
