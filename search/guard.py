"""What survives a killed search for a minute, Ray's agents, ends with it.

The kernel ends Ray's servers with the process that started them, and they end their workers; but
the agents of a raylet try to report its death to a server that is gone as well. So a small process
waits on a pipe for the search's death and then ends them. Run as a file, it is that process.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path


def parent_and_birth(pid: int) -> tuple[int, str]:
    """A process's parent, and when it was started, in the kernel's ticks; 0 and "" if it is gone.

    A number alone is no name: it may be another process's by now.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return 0, ""
    return int(fields[1]), fields[19]


def children(pid: int) -> dict[int, str]:
    """The processes that a process has started, and when."""
    numbers = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    found = {number: parent_and_birth(number) for number in numbers}
    return {number: birth for number, (parent, birth) in found.items() if parent == pid}


def agents() -> dict[int, str]:
    """The agents of the raylet that this process has started."""
    raylets = [pid for pid in children(os.getpid()) if "raylet" in name(pid)]
    return {
        pid: birth
        for raylet in raylets
        for pid, birth in children(raylet).items()
        if "agent" in name(pid).lower()
    }


def name(pid: int) -> str:
    """How a process was called."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8").split("\0")
    except OSError:
        return ""
    return words[0] + " " + " ".join(Path(word).name for word in words[1:3])


def stand_guard() -> subprocess.Popen[bytes] | None:
    """Start the process that ends the agents when this one dies; only where there is `/proc`."""
    if not Path("/proc/self/stat").exists():
        return None
    watched = [f"{pid}:{birth}" for pid, birth in agents().items()]
    return subprocess.Popen(
        [sys.executable, "-I", "-S", __file__, *watched],
        stdin=subprocess.PIPE,
        start_new_session=True,  # what is sent to the search's group is not for it
    )


def wait_and_end(watched: list[str]) -> None:
    """Wait for the end of the standard input, then end the processes that are still the same."""
    sys.stdin.read()
    for text in watched:
        number, _, birth = text.partition(":")
        if parent_and_birth(int(number))[1] == birth:
            os.kill(int(number), signal.SIGKILL)


if __name__ == "__main__":
    wait_and_end(sys.argv[1:])
