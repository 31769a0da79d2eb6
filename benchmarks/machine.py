"""What a device is, how fast it multiplies, and how long something takes on it."""

import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode


def describe(device: torch.device) -> str:
    """Hardware and versions, for the head of a table."""
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
    else:
        lines = (
            Path("/proc/cpuinfo").read_text().splitlines() if platform.system() == "Linux" else []
        )
        names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
        name = f"{torch.get_num_threads()} threads of {(names or [platform.processor()])[0]}"
    return f"{name}, Python {platform.python_version()}, torch {torch.__version__}"


@dataclass(frozen=True)
class Stopwatch:
    """Measures on one device: the wall's time, or the CPU time of this process.

    The second is for a machine that others use too: with one thread it is what the wall's time
    would be alone.
    """

    device: torch.device
    cpu_time: bool = False

    def once(self, work: Callable[[], object]) -> float:
        """Seconds that something takes."""
        clock = time.process_time if self.cpu_time else time.perf_counter
        self.wait()
        began = clock()
        work()
        self.wait()
        return clock() - began

    def wait(self) -> None:
        """Let the device finish what it was given."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def alternately(self, works: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
        """Median seconds of several things, in turns because a machine's pace drifts.

        The first turn does not count.
        """
        turns = [
            {name: self.once(work) for name, work in works.items()} for _ in range(repeats + 1)
        ]
        return {name: median(turn[name] for turn in turns[1:]) for name in works}

    def matrix_rate(self, dtype: torch.dtype) -> float:
        """The best FLOP/s of a square matrix product on random numbers."""
        side = 8192 if self.device.type == "cuda" else 1024
        left, right = torch.randn(2, side, side, device=self.device).to(dtype)
        return 2 * side**3 / min(self.once(lambda: left @ right) for _ in range(20))


def stopwatch(device: torch.device, *, threads: int | None, cpu_time: bool) -> Stopwatch:
    """A stopwatch, torch's threads set as asked; CPU time is told with one thread only."""
    if threads or cpu_time:
        torch.set_num_threads(threads or 1)
    return Stopwatch(device, cpu_time)


class Operations(TorchDispatchMode):
    """Counts what torch computes inside a `with`; views of memory and empty memory do not count.

    On a GPU each is a kernel or a few, unless a compiled chain takes several together.
    """

    def __init__(self) -> None:
        super().__init__()
        self.number = 0

    def __torch_dispatch__(
        self, operation: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        aliases = [returned.alias_info for returned in operation._schema.returns]
        is_view = any(alias is not None and not alias.is_write for alias in aliases)
        if not (is_view or "empty" in str(operation) or "view" in str(operation)):
            self.number += 1
        return operation(*args, **(kwargs or {}))


def operations(work: Callable[[], object]) -> int:
    """How many operations something is, once what is made only at first is there."""
    work()
    with Operations() as counted:
        work()
    return counted.number


class Replay:
    """Work on the current GPU as a CUDA graph: what it takes without the start of each kernel."""

    def __init__(self, work: Callable[[], object]) -> None:
        for _ in range(3):  # libraries choose their kernels
            work()
        self.work = work  # kept, because the graph reads what it holds
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph):
            work()

    def __call__(self) -> None:
        self.graph.replay()
