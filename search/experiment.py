"""An experiment file, and what the command line sets on top, as one checked study."""

from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from muse.errors import UserError
from search.problems import did_you_mean, one_line
from search.study import OWN, Study, settings

PATHS = ("text.weights", "image.weights")
"""Settings that may be a path, or the name of published weights."""


def read_study(path: Path, overrides: dict[str, Any] | None = None) -> Study:
    """Read and check an experiment file.

    Args:
        path: the YAML file; its stem is the study's name where it gives none.
        overrides: fields to set on top, by dotted name.

    Raises:
        UserError: one line with the place, what was given and what would be right.
    """
    return build_study({"name": path.stem, **read_yaml(path)}, overrides or {}, str(path))


def build_study(raw: dict[str, Any], overrides: dict[str, Any], where: str) -> Study:
    """Check a study.

    Args:
        raw: its fields, which are changed in place.
        overrides: fields to set on top, by dotted name.
        where: what errors name as their place.

    Raises:
        UserError: one line with the place, what was given and what would be right.
    """
    for key, value in overrides.items():
        override(raw, key, value)
    absolute(raw)
    try:
        return Study.model_validate(raw)
    except ValidationError as error:
        raise UserError(one_line(error, Study, where, overrides)) from error
    except UserError as error:  # begins with its field
        typed = str(error).partition(":")[0] in overrides
        both = f"the command line with {where}" if overrides else where
        raise UserError(f"{'the command line' if typed else both}, {error}") from error


def mapping(raw: dict[str, Any], field: str) -> dict[str, Any]:
    """A field of an experiment that holds names and values."""
    found = raw.get(field) or {}
    if not isinstance(found, dict):
        raise UserError(f"{field}: give names and values below it, not {found!r}")
    return found


def without(fields: dict[str, Any], key: str) -> dict[str, Any]:
    """The same fields but one."""
    return {name: value for name, value in fields.items() if name != key}


def override(raw: dict[str, Any], key: str, value: Any) -> None:
    """Set one field of an experiment by its dotted name, in place.

    A setting of the trials becomes fixed, and is searched no more.

    Raises:
        UserError: no field has this name.
    """
    head, _, rest = key.partition(".")
    if head in Study.model_fields:
        raw[head] = {**mapping(raw, head), rest: value} if rest else value
    elif key in OWN:
        override(raw, OWN[key], value)
    elif key in settings():
        raw["fixed"] = {**mapping(raw, "fixed"), key: value}
        raw["space"] = without(mapping(raw, "space"), key)
        points = raw.get("first_points")
        if isinstance(points, list):
            raw["first_points"] = [without(p, key) if isinstance(p, dict) else p for p in points]
    else:
        known = [*settings(), *Study.model_fields]
        raise UserError(f"--set {key}: unknown field; {did_you_mean(key, known)}")


def absolute(raw: dict[str, Any]) -> None:
    """Write out the paths in an experiment, in place: workers run in folders of their own."""
    for section, keys in (("data", ("root", "images")), ("fixed", PATHS)):
        fields = raw.get(section)
        if not isinstance(fields, dict):
            continue  # nothing there, or a mistake that the check names
        for key in keys:
            value = fields.get(key)
            if section == "data" and type(value) is int:
                value = str(value)
            if isinstance(value, str) and (section == "data" or Path(value).exists()):
                fields[key] = written_out(value)


def written_out(path: str) -> str:
    """A path from the root of the file system.

    Raises:
        UserError: it begins with the home of a user who is not there.
    """
    try:
        return str(Path(path).expanduser().resolve())
    except RuntimeError as error:
        raise UserError(f"{path}: no such user is known here; give a folder.") from error


class Once(yaml.SafeLoader):
    """YAML in which no key stands twice: the last would win in silence."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                told = f"'{key}' stands twice"
                raise yaml.constructor.ConstructorError(None, None, told, node.start_mark)
        made: dict[Any, Any] = super().construct_mapping(node, deep)
        return made


def read_yaml(path: Path) -> dict[str, Any]:
    """An experiment file as it stands, before anything in it is checked.

    Raises:
        UserError: there is none, or it is no YAML mapping.
    """
    try:
        raw = Once(path.read_text(encoding="utf-8")).get_single_data()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); give a YAML file.") from error
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path}: is not UTF-8 (byte {error.start}: {error.reason}); save it as UTF-8."
        ) from error
    except yaml.YAMLError as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{path}: no valid YAML: {reason}") from error
    if not isinstance(raw, dict):
        raise UserError(
            f"{path}: holds no settings; an experiment is a mapping of names to values."
        )
    return raw
