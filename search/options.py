"""Every option of the command line, and what may be wrong with what is given."""

import argparse
import re
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NoReturn

import yaml

from muse.errors import UserError
from search.problems import did_you_mean
from search.study import COMPARING, PHASES


def place(text: str) -> Path:
    """A path, `~` written out: a shell leaves it as it is in `--output=~/results`.

    Raises:
        argparse.ArgumentTypeError: it begins with the home of a user who is not there.
    """
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise argparse.ArgumentTypeError(f"{text}: no such user is known here") from error


class Parser(argparse.ArgumentParser):
    """Tells a mistake in one line as all others are told, without every option before it."""

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message}; --help shows every option.")


def read_options(given: Sequence[str] | None) -> argparse.Namespace:
    """The command line; None stands for this process's.

    Raises:
        UserError: an option is unknown, or is given what it does not take.
    """
    parser = build_parser()
    options, unknown = parser.parse_known_args(given)
    if unknown and not unknown[0].startswith("-"):
        raise UserError(f"{unknown[0]}: stands beside {options.experiment}; give one experiment.")
    if unknown:
        known = re.findall(r"--[a-z-]+", parser.format_usage())
        near = get_close_matches(unknown[0].partition("=")[0], known, n=1)
        meant = f"; did you mean {near[0]}?" if near else "; --help shows every option."
        raise UserError(f"{unknown[0]}: is no option{meant}")
    return options


def build_parser() -> argparse.ArgumentParser:
    """Every option, with what it does."""
    parser = Parser(
        prog="run.py", description="Search MuSE's settings and record how much each matters."
    )
    add = parser.add_argument
    add("experiment", nargs="?", type=place, help="a YAML file (quickstart)")
    add("--data", metavar="DIR", help="folder of the corpus")
    add("--output", type=place, default=Path("results"), metavar="DIR", help="where studies go")
    add("--name", help="folder of this study inside the output folder (the experiment's name)")
    add("--trials", type=int, metavar="N", help="configurations to try")
    add("--epochs", type=int, metavar="N", help="epochs of a trial that is not stopped")
    add("--limit", type=int, metavar="N", help="at most N tweets of each split")
    add("--seed", type=int, metavar="N", help="of the proposals and of the training runs")
    add("--set", action="append", default=[], metavar="KEY=VALUE", help="any field, repeatable")
    add("--address", help="a Ray cluster, e.g. auto on its head node (this machine)")
    add("--resume", action="store_true", help="go on with an interrupted study of this name")
    add(
        "--phases",
        metavar="A,B",
        help="some of search,confirm,sensitivity,final,report, or of compare,report (all)",
    )
    add(
        "--max-hours",
        type=float,
        metavar="H",
        help="bound of the curves: no pairs, then fewer seeds, points",
    )
    add("--allow-changed", action="store_true", help="resume although code, data or study changed")
    add("--no-samples", action="store_true", help="show no tweet of the corpus in the review")
    add("--dry-run", action="store_true", help="print the checked study and what it may cost")
    add("--yes", action="store_true", help="start what may take above an hour without asking")
    add("--cost", action="store_true", help="what a study has spent so far, at the named price")
    add_places(parser)
    add_cluster_options(parser)
    return parser


def add_places(parser: argparse.ArgumentParser) -> None:
    """Where earlier studies are, and what a study keeps outside of its folder."""
    add = parser.add_argument
    add(
        "--warm-start",
        action="append",
        default=[],
        type=place,
        metavar="STUDY_FOLDER",
        help="begin with what an earlier study of the same space found out, repeatable",
    )
    add(
        "--ledger",
        default="",
        metavar="URL",
        help="where trials go on record: sqlite:////local/ledger.db where results lie on a "
        "network disk, or postgresql+psycopg://user@host/database (a file in the study's folder)",
    )
    add(
        "--storage",
        default="",
        metavar="URL",
        help="s3://BUCKET/FOLDER for checkpoints and a copy of the study, where nodes share no "
        "disk (the output folder)",
    )


def add_cluster_options(parser: argparse.ArgumentParser) -> None:
    """What a cluster that is reached over ssh wants to know."""
    add = parser.add_argument_group("on a cluster of 'ray up'").add_argument
    add(
        "--cluster",
        type=place,
        metavar="FILE",
        help="search there, also while this machine sleeps; its results come here at the end",
    )
    add("--attach", action="store_true", help="watch a search that was started there")
    add("--shared", metavar="DIR", help="a folder that all its machines mount, for its studies")


SHORTCUTS = {
    "data": "data.root",
    "name": "name",
    "trials": "budget.trials",
    "epochs": "budget.epochs",
    "limit": "data.limit",
    "seed": "seed",
    "max_hours": "sensitivity.max_hours",
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
        if not equals or not key.strip():
            raise UserError(f"--set {text}: give KEY=VALUE, as in --set cross.theta=0.2")
        try:
            fields[key.strip()] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            reason = getattr(error, "problem", None) or "it cannot be read"
            raise UserError(f"--set {text}: the value is no YAML ({reason})") from error
    for option, key in SHORTCUTS.items():
        given = getattr(options, option)
        if given is not None:
            fields[key] = given
    if options.no_samples:
        fields["samples"] = False
    return fields


def check_cluster_options(options: argparse.Namespace) -> None:
    """Options that go together.

    Raises:
        UserError: they do not.
    """
    for name in ("attach", "shared"):
        if getattr(options, name) and options.cluster is None:
            raise UserError(f"--{name}: on which cluster? Add --cluster FILE.")
    for name in ("address", "dry_run"):
        if getattr(options, name) and options.cluster is not None:
            raise UserError(f"--{name.replace('_', '-')}: goes without --cluster only.")


def chosen_phases(text: str | None) -> tuple[str, ...]:
    """The phases named on the command line; none stands for all of the study's.

    Raises:
        UserError: a name that is no phase.
    """
    phases = () if text is None else tuple(phase.strip() for phase in text.split(","))
    for phase in phases:
        if phase not in (*PHASES, *COMPARING):
            known = did_you_mean(phase, {*PHASES, *COMPARING})
            raise UserError(f"--phases {text}: no phase '{phase}'; {known}")
    return phases
