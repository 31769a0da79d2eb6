"""Arguments in, exit status out: 0, 2 for a user's mistake, 130 after Ctrl-C, 143 after SIGTERM."""

import argparse
import signal
import sys
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from muse.errors import UserError
from search.experiment import build_study, read_study
from search.importing import importing
from search.problems import did_you_mean
from search.quiet import be_quiet
from search.study import COMPARING, PHASES, Study

QUICKSTART = Path(__file__).parents[1] / "experiments" / "quickstart.yaml"


def build_parser() -> argparse.ArgumentParser:
    """Every option, with what it does."""
    parser = argparse.ArgumentParser(
        prog="run.py", description="Search MuSE's settings and record how much each matters."
    )
    add = parser.add_argument
    add("experiment", nargs="?", type=Path, help="a YAML file (quickstart)")
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
    add("--phases", metavar="A,B", help="some of search,confirm,sensitivity,final,report (all)")
    add("--max-hours", type=float, metavar="H", help="bound of the curves: fewer seeds, points")
    add("--allow-changed", action="store_true", help="resume although code, data or study changed")
    add(
        "--warm-start",
        action="append",
        default=[],
        type=Path,
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
    add("--no-samples", action="store_true", help="show no tweet of the corpus in the review")
    add("--dry-run", action="store_true", help="print the checked study and what it may cost")
    add("--yes", action="store_true", help="start what may take above an hour without asking")
    add("--cost", action="store_true", help="what a study has spent so far, at the named price")
    add_cluster_options(parser)
    return parser


def add_cluster_options(parser: argparse.ArgumentParser) -> None:
    """What a cluster that is reached over ssh wants to know."""
    add = parser.add_argument_group("on a cluster of 'ray up'").add_argument
    add(
        "--cluster",
        type=Path,
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


class Ending:
    """How the search was asked to end, if it was: by Ctrl-C, or by SIGTERM, which does the same."""

    status = 130
    study: Path | None = None
    """The folder of what it interrupted; None before it is known."""

    def terminate(self, *_: object) -> None:
        """Take SIGTERM."""
        self.status = 143
        raise KeyboardInterrupt

    def told(self) -> str:
        """What the user can do now."""
        if self.study is None:
            return ""
        if (self.study / "study.yaml").exists():
            return "; the same command with --resume goes on"
        return " before the study had begun"


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    options = build_parser().parse_args(arguments)
    ending = Ending()
    before = signal.signal(signal.SIGTERM, ending.terminate)
    try:
        return command(options, ending)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        if "No space left" not in str(error) and "quota" not in str(error):
            raise
        print(f"error: {' '.join(str(error).split())}; make room, then --resume", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"\ninterrupted{ending.told()}", file=sys.stderr)
        return ending.status
    finally:
        signal.signal(signal.SIGTERM, before)


def command(options: argparse.Namespace, ending: Ending) -> int:
    """Do what the options say."""
    phases = chosen_phases(options.phases)  # a mistake is told before anything is read
    if ":/" in str(options.output):  # a path folds the two strokes of an address into one
        raise UserError(
            f"--output {options.output}: is an address; give a folder, and the address to --storage"
        )
    given = overrides(options)
    if options.dry_run and options.resume:
        raise UserError("--dry-run: shows a study before it begins; leave out --resume.")
    check_cluster_options(options)
    if options.cluster is not None:
        from search import remote  # noqa: PLC0415 - here and below: what takes long comes late

        return remote.command(options, options.experiment or QUICKSTART, given)
    if options.cost:
        return tell_cost(options, given)
    if options.resume and options.experiment is None:  # the stored study rules, whatever it is
        study = read_study(QUICKSTART, {key: given[key] for key in ("name",) if key in given})
    else:
        study = read_study(options.experiment or QUICKSTART, given)
    be_quiet()
    # Imported only now: a mistake in the study is told at once, not after torch and Ray.
    with importing():
        from search import resume, start  # noqa: PLC0415

    way = start.Way(
        address=options.address,
        ledger=options.ledger,
        storage=options.storage,
        warm_start=options.warm_start,
        allow_changed=options.allow_changed,
        phases=phases,
        agree=confirm if sys.stdin.isatty() and not options.yes else None,
    )
    root = options.output / study.name
    if options.dry_run:
        return dry_run(study, root, way)
    ending.study = root
    if options.resume:
        resume.resume(root, partial(asked_for, options.experiment, given), way)
    else:
        start.fresh(study, root, way)
    return 0


def dry_run(study: Study, root: Path, way: Any) -> int:
    """Print a checked study, what it reads and may cost, and whether its folder is free."""
    from search import folder, preview, start  # noqa: PLC0415

    print(yaml.safe_dump(study.model_dump(mode="json", exclude_defaults=True), sort_keys=False))
    _, tensors = start.begin(study, root, way)
    print(preview.preview(study, tensors))
    if why := folder.taken(root):
        print(why)
    return 0


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


def tell_cost(options: argparse.Namespace, given: dict[str, Any]) -> int:
    """Print what a study in the output folder has spent."""
    from search.spent import spent  # noqa: PLC0415

    study = read_study(options.experiment or QUICKSTART, given)
    print(spent(options.output / study.name, study.resources.price_per_hour))
    return 0


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


def asked_for(experiment: Path | None, given: dict[str, Any], stored: Study) -> Study:
    """A stored study with what the user asks for now, in a file or in single fields.

    The number of trials is that of the stored study, which may have been extended, unless given.
    """
    if experiment is None:
        return build_study(stored.model_dump(mode="json"), given, "--resume")
    if "budget.trials" not in given and "budget" not in given:
        given = {**given, "budget.trials": stored.budget.trials}
    return read_study(experiment, given)


def confirm(question: str) -> bool:
    """Ask the user."""
    return input(f"{question} [y/N] ").strip().lower() in ("y", "yes")
