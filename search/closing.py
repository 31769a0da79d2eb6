"""What a study says at its end: the best settings, the files, and what to type next."""

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.text import Text

from muse.yardstick import trivial_score
from search.best import read_best
from search.board import VIEW
from search.view import clock, settings, several
from search.work import Work


def tell(work: Work) -> None:
    """The best settings, the files, and what to type next."""
    study, root, view = work.study, work.place.root, work.view
    if study.compare is not None:
        view.say(f"\ntable {root}/comparison/summary.csv, report {root}/report.html")
        view.say(tensorboard(root))
        return
    about = read_best(root)
    if not about:
        return
    tell_best(work, about)
    spent = sum(entry.device_seconds for entry in work.entries())
    view.say(f"trained for {clock(spent)} of device time in all")
    view.say(f"settings {root}/best.yaml, model {root}/best, trials {root}/trials.csv")
    if (root / "report.html").exists():
        view.say(f"report {root}/report.html, curves {root}/sensitivity/<knob>.png")
    view.say(tensorboard(root))
    view.say(f"  (curves, pictures, texts: end its page's address with {VIEW})")


def tensorboard(root: Path) -> str:
    """The command that shows a study, as a shell reads it."""
    return f"tensorboard --logdir {shlex.quote(f'{root}/tensorboard')}"


def tell_best(work: Work, about: Mapping[str, Any]) -> None:
    """The best settings and how good they are; `about` is `best.yaml`."""
    study, view = work.study, work.view
    value, what = about["value"], "in the search"
    if "confirmed" in about:
        value, seeds = about["confirmed"]["mean"], len(about["confirmed"]["by_seed"])
        what = f"mean of {several(seeds, 'seed')} that confirmed it"
    best = f"best: {study.base.metric} {value:.4f}"
    view.say(Text.assemble("\n", (best, "bold"), f" ({what})  {settings(about['settings'])}"))
    if value <= (nothing := trivial_score(work.tensors, study.base)):
        more = "more epochs, more tweets or a higher learning rate may help"
        view.say(f"  no better than without any learning ({nothing:.4f}): {more}")
