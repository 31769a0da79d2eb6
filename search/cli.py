"""Arguments in, exit status out: 0, 2 for a user's mistake, 130 after Ctrl-C, 143 after SIGTERM."""

import argparse
import signal
import sys
from pathlib import Path
from typing import Any

import yaml

from muse.errors import UserError
from search.quiet import be_quiet
from search.study import read_study

QUICKSTART = Path(__file__).parents[1] / "experiments" / "quickstart.yaml"


def build_parser() -> argparse.ArgumentParser:
    """Every option, with what it does."""
    parser = argparse.ArgumentParser(
        prog="run.py", description="Search MuSE's settings and record how much each matters."
    )
    add = parser.add_argument
    add("experiment", nargs="?", type=Path, default=QUICKSTART, help="a YAML file (quickstart)")
    add("--data", metavar="DIR", help="folder of the corpus")
    add("--output", type=Path, default=Path("results"), metavar="DIR", help="where studies go")
    add("--name", help="folder of this study inside the output folder (the experiment's name)")
    add("--trials", type=int, metavar="N", help="configurations to try")
    add("--epochs", type=int, metavar="N", help="epochs of a trial that is not stopped")
    add("--limit", type=int, metavar="N", help="at most N tweets of each split")
    add("--seed", type=int, metavar="N", help="of the proposals and of the training runs")
    add("--set", action="append", default=[], metavar="KEY=VALUE", help="any field, repeatable")
    add("--address", help="a Ray cluster, e.g. auto on its head node (this machine)")
    add("--resume", action="store_true", help="go on with an interrupted study of this name")
    add("--dry-run", action="store_true", help="print the checked study and what it may cost")
    add("--yes", action="store_true", help="start without asking, however long it takes")
    return parser


SHORTCUTS = {
    "data": "data.root",
    "name": "name",
    "trials": "budget.trials",
    "epochs": "budget.epochs",
    "limit": "data.limit",
    "seed": "seed",
}
"""Options that set a field of the study."""


def overrides(options: argparse.Namespace) -> dict[str, Any]:
    """The fields that the command line sets, by dotted name.

    Raises:
        UserError: a `--set` that is no KEY=VALUE.
    """
    fields: dict[str, Any] = {}
    for text in options.set:
        key, equals, value = text.partition("=")
        if not equals:
            raise UserError(f"--set {text}: give KEY=VALUE, as in --set cross.theta=0.2")
        fields[key.strip()] = yaml.safe_load(value)
    for option, key in SHORTCUTS.items():
        given = getattr(options, option)
        if given is not None:
            fields[key] = given
    return fields


class Ending:
    """How the search was asked to end, if it was: by Ctrl-C, or by SIGTERM, which does the same."""

    status = 130

    def terminate(self, *_: object) -> None:
        """Take SIGTERM."""
        self.status = 143
        raise KeyboardInterrupt


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    options = build_parser().parse_args(arguments)
    ending = Ending()
    before = signal.signal(signal.SIGTERM, ending.terminate)
    try:
        return command(options)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\ninterrupted; the same command with --resume goes on", file=sys.stderr)
        return ending.status
    finally:
        signal.signal(signal.SIGTERM, before)


def command(options: argparse.Namespace) -> int:
    """Do what the options say."""
    study = read_study(options.experiment, overrides(options))
    be_quiet()
    # Imported only now: a mistake in the study is told at once, not after torch and Ray.
    from search import start  # noqa: PLC0415

    if options.dry_run:
        print(yaml.safe_dump(study.model_dump(mode="json", exclude_defaults=True), sort_keys=False))
        print(start.preview(study))
        return 0
    if options.resume:
        extended: int | None = options.trials
        start.resume(options.output / study.name, extended, options.address)
    else:
        ask = sys.stdin.isatty() and not options.yes
        start.fresh(study, options.output / study.name, options.address, confirm if ask else None)
    return 0


def confirm(question: str) -> bool:
    """Ask the user."""
    return input(f"{question} [y/N] ").strip().lower() in ("y", "yes")
