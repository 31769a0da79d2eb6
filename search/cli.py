"""Arguments in, exit status out.

0, 2 for a user's mistake, 130 after Ctrl-C, 141 where nobody reads on, 143 after SIGTERM.
"""

import argparse
import io
import signal
import sys
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from muse.errors import UserError
from muse.unread import write_no_more
from search.experiment import build_study, read_study
from search.importing import importing
from search.options import check_cluster_options, chosen_phases, overrides, read_options
from search.problems import way_out
from search.quiet import be_quiet
from search.study import Study

QUICKSTART = Path(__file__).parents[1] / "experiments" / "quickstart.yaml"


class Ending:
    """How the search was asked to end, if it was: by Ctrl-C, or by SIGTERM, which does the same."""

    status = 130
    study: Path | None = None
    """The folder of what it interrupted; None before it is known, and on a cluster's head."""

    def terminate(self, *_: object) -> None:
        """Take SIGTERM."""
        self.status = 143
        raise KeyboardInterrupt

    def has_begun(self) -> bool:
        """Whether there is a study to resume."""
        return self.study is not None and (self.study / "study.yaml").exists()

    def told(self) -> str:
        """What the user can do now."""
        if self.study is None:
            return ""
        if self.has_begun():
            return "; the same command with --resume goes on"
        return " before the study had begun"


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    if isinstance(sys.stdout, io.TextIOWrapper):  # a terminal without Greek ends no study
        sys.stdout.reconfigure(errors="replace")
    ending = Ending()
    before = signal.signal(signal.SIGTERM, ending.terminate)
    try:
        status = command(read_options(arguments), ending)
        sys.stdout.flush()  # here, where somebody who reads no more is expected
        return status
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        return unread(ending)
    except OSError as error:
        if not (remedy := way_out(error)):
            raise
        again = ", then --resume" if ending.has_begun() else ""
        print(f"error: {' '.join(str(error).split())}; {remedy}{again}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"\ninterrupted{ending.told()}", file=sys.stderr)
        return ending.status
    except SystemExit as error:  # rich's own, where nobody reads the view's lines any more
        if not isinstance(error.__context__, BrokenPipeError):
            raise
        return unread(ending)
    finally:
        signal.signal(signal.SIGTERM, before)


def unread(ending: Ending) -> int:
    """End a command whose output nobody reads; returns its exit status."""
    write_no_more()
    with suppress(BrokenPipeError):
        print(f"nobody reads the output any more{ending.told()}", file=sys.stderr)
    return 141


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


def tell_cost(options: argparse.Namespace, given: dict[str, Any]) -> int:
    """Print what a study in the output folder has spent."""
    from search.spent import spent  # noqa: PLC0415

    study = read_study(options.experiment or QUICKSTART, given)
    print(spent(options.output / study.name, study.resources.price_per_hour))
    return 0


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
    """Ask the user; no answer, as after Ctrl-D, is no."""
    try:
        return input(f"{question} [y/N] ").strip().lower() in ("y", "yes")
    except EOFError:
        print()  # the question's line is still open
        return False
