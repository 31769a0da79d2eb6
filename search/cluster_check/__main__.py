"""Arguments in, a line a problem out: exit status 0, 1 with problems, 2 for no such file."""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from muse.errors import UserError
from search.cluster_check import launcher, rayjob
from search.cluster_check.aws import UNCHECKED, can_check_nodes
from search.cluster_check.cluster_file import absent, asked_ray, read, unfilled


def build_parser() -> argparse.ArgumentParser:
    """Every option, with what it does."""
    parser = argparse.ArgumentParser(
        prog="python -m search.cluster_check",
        description="Find mistakes in files for 'ray up' and in RayJobs, without any cloud.",
    )
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    parser.add_argument(
        "--template",
        action="store_true",
        help="the file is still to be filled in: marks may stand, what it mounts may be missing",
    )
    return parser


def problems(file: Path, *, template: bool) -> Iterator[str]:
    """All that is wrong with a file.

    Raises:
        UserError: there is no such file, or it is no YAML mapping.
    """
    text, content = read(file)
    if not template:
        yield from unfilled(text)
        yield from absent(content)
    find = rayjob.problems if "kind" in content else launcher.problems
    yield from find(content, asked_ray())


def unchecked(file: Path) -> str:
    """What cannot be checked of a file because a package is missing; nothing where all can."""
    provider = read(file)[1].get("provider")
    on_aws = isinstance(provider, dict) and provider.get("type") == "aws"
    return UNCHECKED if on_aws and not can_check_nodes() else ""


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    options = build_parser().parse_args(arguments)
    wrong = 0
    try:
        for file in options.files:
            for problem in problems(file, template=options.template):
                print(f"{file}, {problem}")
                wrong += 1
            if note := unchecked(file):
                print(f"{file}: {note}")
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if not wrong:
        print(f"no problem found in {', '.join(map(str, options.files))}")
    return min(wrong, 1)


if __name__ == "__main__":
    raise SystemExit(main())
