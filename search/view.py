"""One calm, live view of a search; plain lines where there is no terminal."""

import time
from types import TracebackType
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from search.entry import Entry
from search.space import Point, short

LAST = 6
"""Ended trials shown."""


def number(value: object) -> str:
    """A value as short as it can be read."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def settings(point: Point) -> str:
    """A point on one line."""
    return "  ".join(f"{short(name)}={number(value)}" for name, value in point.items())


def several(count: int, what: str) -> str:
    """A number of things, as in `1 trial` and `2 trials`."""
    return f"{count} {what}{'' if count == 1 else 's'}"


def clock(seconds: float) -> str:
    """Hours and minutes, or seconds where they are few."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"


class View:
    """What the console shows while a study runs. Use it in a `with`."""

    def __init__(self, name: str, metric: str, console: Console | None = None) -> None:
        self.name, self.metric = name, metric
        self.console = console or Console()
        self.live = Live(console=self.console, refresh_per_second=2, transient=True)
        self.phase, self.total = "", 0
        self.counts = dict.fromkeys(("completed", "stopped", "failed"), 0)
        self.running: set[str] = set()
        self.ends: list[Entry] = []
        self.best: Entry | None = None
        self.began = time.monotonic()
        self.earlier = 0

    def __enter__(self) -> Self:
        if self.console.is_terminal:
            self.live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.live.stop()

    def say(self, text: str | Text) -> None:
        """A line that stays, letter by letter: paths and reasons may hold brackets."""
        plain = Text(text) if isinstance(text, str) else text
        self.console.print(plain, highlight=False, soft_wrap=True)

    def start(self, phase: str, total: int, earlier: list[Entry]) -> None:
        """A phase begins; `earlier` are its trials from before an interruption."""
        self.phase, self.total, self.began = phase, total, time.monotonic()
        self.counts = dict.fromkeys(self.counts, 0)
        self.running.clear()
        for entry in earlier:
            if entry.state in self.counts:
                self.counts[entry.state] += 1
        self.earlier = sum(self.counts.values())
        self.say(Text.assemble((phase, "bold"), f": {several(total, 'trial')}"))
        self.draw()

    def begun(self, trial_id: str) -> None:
        """A trial is asked for."""
        self.running.add(trial_id)
        self.draw()

    def ended(self, entry: Entry, best: Entry | None) -> None:
        """A trial has ended."""
        self.running.discard(entry.trial_id)
        self.counts[entry.state] += 1
        self.ends, self.best = [*self.ends, entry][-LAST:], best
        if not self.console.is_terminal:
            self.say(self.line(entry))
        self.draw()

    def line(self, entry: Entry) -> str:
        """One trial as a line of text."""
        value = "-" if entry.value is None else f"{entry.value:.4f}"
        end = f"{entry.state} after {several(entry.epochs, 'epoch')}, {self.metric} {value}"
        why = f" ({entry.reason})" if entry.state == "failed" else ""
        return f"{self.done}/{self.total} {entry.trial_id} {end}{why}  {settings(entry.point)}"

    @property
    def done(self) -> int:
        """Trials of this phase that have ended."""
        return sum(self.counts.values())

    def left(self) -> str:
        """Time left in this phase, if trials go on as they went."""
        new = self.done - self.earlier
        if not new:
            return "-"
        return clock((time.monotonic() - self.began) / new * max(0, self.total - self.done))

    def draw(self) -> None:
        """Show everything anew."""
        if not self.console.is_terminal:
            return
        bar = Progress(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        bar.add_task(f"{self.name}, {self.phase}", total=self.total, completed=self.done)
        counts = ", ".join(f"{n} {state}" for state, n in self.counts.items())
        now = Text(f"running {len(self.running)}, {counts}; about {self.left()} left", "dim")
        self.live.update(Group(bar, now, self.best_line(), self.table()))

    def best_line(self) -> Text:
        """The best trial so far."""
        if self.best is None:
            return Text("best so far: none yet")
        return Text(
            f"best so far: {self.metric} {self.best.value:.4f}  {settings(self.best.point)}"
        )

    def table(self) -> Table:
        """The trials that ended last."""
        table = Table(box=None, pad_edge=False, header_style="dim")
        for column in ("trial", "state", "epochs", self.metric):
            table.add_column(column)
        for e in self.ends:
            value = "-" if e.value is None else f"{e.value:.4f}"
            table.add_row(e.trial_id, e.state, str(e.epochs), value)
        return table
