"""A cluster file as it stands, what is still to be filled in, and the Ray that it must name."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from packaging.requirements import Requirement
from packaging.version import InvalidVersion, Version

from muse.errors import UserError

PROJECT = Path(__file__).parents[2] / "pyproject.toml"

MARK = re.compile(r"^\s*[^#\s].*# CHANGE\b")
"""A line that must be filled in, and whose mark goes when that is done."""

PLACEHOLDER = re.compile(r"-0{17}\b|\b192\.0\.2\.\d|\b[\w.-]+\.example\b")
"""Values that cannot be right anywhere: they are kept for documents, or are all zeros."""


def read(file: Path) -> tuple[str, dict[str, Any]]:
    """A file's text and content.

    Raises:
        UserError: there is none, or it is no YAML mapping.
    """
    try:
        text = file.read_text(encoding="utf-8")
        content = yaml.safe_load(text)
    except OSError as error:
        raise UserError(f"{file}: cannot be read ({error.strerror}); give a YAML file.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{file}: no valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise UserError(f"{file}: holds no mapping; give a file for 'ray up' or a RayJob.")
    return text, content


def unfilled(text: str) -> Iterator[str]:
    """Lines that the user has still to fill in."""
    for number, line in enumerate(text.splitlines(), start=1):
        if line.lstrip().startswith("#"):
            continue
        if MARK.search(line):
            given = line.partition("# CHANGE")[0].strip()
            yield f"line {number}: '{given}' is still marked; fill it in and delete the mark"
        elif found := PLACEHOLDER.search(line):
            yield f"line {number}: '{found[0]}' only holds the place; give your own value"


def absent(content: dict[str, Any]) -> Iterator[str]:
    """Files that a cluster should get, and that are not here."""
    mounts = content.get("file_mounts")
    for there, here in mounts.items() if isinstance(mounts, dict) else ():
        if not Path(str(here)).expanduser().exists():
            yield f"file_mounts.{there}: there is no '{here}' here"


def asked_ray() -> Version:
    """The version of Ray that the project asks for, the lowest that it allows."""
    project = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]
    asked = [Requirement(line) for line in project["dependencies"]]
    (ray,) = [requirement for requirement in asked if requirement.name == "ray"]
    return min(Version(bound.version) for bound in ray.specifier)


def is_allowed(given: str, asked: Version) -> bool:
    """Whether a version is the one asked for or a newer one."""
    try:
        return Version(given) >= asked
    except InvalidVersion:
        return False
