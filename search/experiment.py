"""An experiment file as it stands, before anything in it is checked."""

from pathlib import Path
from typing import Any

import yaml

from muse.errors import UserError

PATHS = ("text.weights", "image.weights")
"""Settings that may be a path, or the name of published weights."""


def absolute(raw: dict[str, Any]) -> None:
    """Write out the paths in an experiment, in place: workers run in folders of their own."""
    for section, keys in (("data", ("root", "images")), ("fixed", PATHS)):
        fields = raw.get(section)
        if not isinstance(fields, dict):
            continue  # nothing there, or a mistake that the check names
        for key in keys:
            value = fields.get(key)
            if isinstance(value, str) and (section == "data" or Path(value).exists()):
                fields[key] = str(Path(value).expanduser().resolve())


def read_yaml(path: Path) -> dict[str, Any]:
    """An experiment file as it stands.

    Raises:
        UserError: there is none, or it is no YAML mapping.
    """
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); give a YAML file.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{path}: no valid YAML: {reason}") from error
    if not isinstance(raw, dict):
        raise UserError(
            f"{path}: holds no settings; an experiment is a mapping of names to values."
        )
    return raw
