"""The line from here to a cluster's head: Ray's command line, over ssh."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

from muse.errors import UserError
from search.marks import ANSWER, ERROR, LINE

COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def quoted(path: str) -> str:
    """A path for a shell, which still reads a leading tilde."""
    home, slash, inside = path.partition("/")
    if not home.startswith("~"):
        return shlex.quote(path)
    return home + slash + (shlex.quote(inside) if inside else "")


class Line:
    """Asks `search/head.py` on the head of a cluster."""

    def __init__(self, file: Path, checkout: str) -> None:
        """Nothing is called yet.

        Args:
            file: the cluster's.
            checkout: folder of this code on the head, begun with a tilde.
        """
        self.file, self.checkout = file, checkout

    def ask(self, *words: str) -> dict[str, Any]:
        """Make a request, print what it tells and wait for its answer.

        Raises:
            UserError: the head refuses it, or there is no head.
            ConnectionError: the line broke before the answer.
        """
        there = f"cd {quoted(self.checkout)} && python -m search.head {shlex.join(words)}"
        said = ["no answer"]
        with self.ray("exec", str(self.file), there) as process:
            try:
                for line in process.stdout or ():
                    text = COLOURS.sub("", line).strip("\r\n")
                    mark = next(filter(text.startswith, (LINE, ERROR, ANSWER)), "")
                    rest = text.removeprefix(mark)
                    if mark == LINE:
                        print(rest, flush=True)
                    elif mark == ERROR:
                        raise UserError(f"{self.file}: {rest}")
                    elif mark == ANSWER:
                        answer: dict[str, Any] = json.loads(rest)
                        return answer
                    elif rest.strip():
                        said.append(rest.strip())  # Ray's, or ssh's
            except BaseException:
                process.terminate()
                raise
        raise self.broken(said)

    def broken(self, said: list[str]) -> Exception:
        """Why there was no answer."""
        for line in said:
            if "Head node of cluster" in line and "not found" in line:
                return UserError(f"{self.file}: no such cluster is up; ray up {self.file}")
            if "No module named search" in line or re.match("bash: .*No such file", line):
                return UserError(
                    f"{self.file}: the head lacks this code ({line}); ray up {self.file} brings it"
                )
        return ConnectionError(f"{self.file}: the connection was lost ({said[-1]})")

    def ray(self, *words: str) -> subprocess.Popen[str]:
        """Start Ray's command line."""
        return subprocess.Popen(
            [sys.executable, "-m", "ray.scripts.scripts", *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )

    def fetch(self, there: str, here: Path) -> None:
        """Bring a file from the head.

        Raises:
            ConnectionError: it did not come.
        """
        with self.ray("rsync-down", str(self.file), there, str(here)) as process:
            said = process.communicate()[0].strip().splitlines()
        if process.returncode or not here.is_file():
            raise ConnectionError(f"{self.file}: {there} did not come ({said[-1:]})")

    def stop_with(self) -> str:
        """What ends the search over there."""
        return f"to end it: ray exec {self.file} 'ray job stop JOB'"
