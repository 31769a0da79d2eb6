"""What a study's folder says of it: `study.yaml`."""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from muse.durable import put_text
from muse.errors import UserError
from search.ledger import Address
from search.prior import Prior
from search.problems import one_line
from search.schema import read_url, sqlite_file, sqlite_url
from search.study import Study

ABOUT_NEW = ".study.yaml.new"
"""`study.yaml` until it is whole."""


def address(root: Path, kept: dict[str, str]) -> Address:
    """Where the ledger of a study is.

    Args:
        root: the study's folder.
        kept: `ledger` of study.yaml: the study's key, and a URL unless it is in the folder.
    """
    inside = root / "ledger.db"
    if "url" not in kept:
        return Address(sqlite_url(inside), kept["study"])
    url = read_url(kept["url"])
    file = sqlite_file(url)
    elsewhere = file is not None and file.resolve() != inside.resolve()
    return Address(url, kept["study"], inside if elsewhere else None)


def about_of(root: Path) -> dict[str, Any]:
    """What `study.yaml` says; nothing where there is none, or none that can be read."""
    with suppress(OSError, yaml.YAMLError):
        about = yaml.safe_load((root / "study.yaml").read_text(encoding="utf-8"))
        return about if isinstance(about, dict) else {}
    return {}


def key_of(root: Path) -> str:
    """What tells a study from others of its name; nothing where there is none."""
    with suppress(KeyError, TypeError):
        return str(about_of(root)["ledger"]["study"])
    return ""


def resumes(root: Path) -> int:
    """How often a study has been gone on with, by whatever head; 0 where nothing says it."""
    return len(about_of(root).get("resumed", []))


def describe(study: Study) -> dict[str, Any]:
    """The study, all settings of a trial, and what its value is."""
    return {
        "study": study.model_dump(mode="json"),
        "settings": study.base.model_dump(mode="json"),
        "value": f"best {study.base.metric} over a trial's epochs; it chooses the checkpoint too",
    }


def provenance_of(root: Path) -> dict[str, Any]:
    """Where the figures of a study come from, as its `study.yaml` says."""
    about = yaml.safe_load((root / "study.yaml").read_text(encoding="utf-8"))
    found: dict[str, Any] = {**about["provenance"], "metric rule": about["value"]}
    changed = [each for resume in about.get("resumed", []) for each in resume["changed"]]
    return found | ({"changed since": list(dict.fromkeys(changed))} if changed else {})


def write_about(root: Path, about: dict[str, Any]) -> None:
    """Write `study.yaml`; a kill leaves the one before.

    Raises:
        UserError: it cannot be written.
    """
    file = root / "study.yaml"
    try:
        put_text(file, yaml.safe_dump(about, sort_keys=False, allow_unicode=True))
    except OSError as error:
        raise UserError(f"{file}: cannot be written ({error.strerror}).") from error


@dataclass(frozen=True)
class Stored:
    """What a study's folder says of it."""

    study: Study
    ledger: Address
    priors: list[Prior]
    storage: str
    """Address of its twin in a bucket, if it has one."""

    latest: dict[str, Any]
    """Code and data of the process that worked on it last."""

    about: dict[str, Any]
    """All of `study.yaml`."""


def stored(root: Path) -> Stored:
    """Read a study's folder.

    Raises:
        UserError: there is none, or it is not readable.
    """
    file = root / "study.yaml"
    if not file.is_file():
        raise UserError(f"{root}: no study to resume here; leave --resume out to start one.")
    try:
        about = yaml.safe_load(file.read_text(encoding="utf-8"))
        kept = about.get("ledger", {"study": ""})
        latest = [about["provenance"], *about.get("resumed", [])][-1]
        priors = [Prior.model_validate(prior) for prior in about.get("warm_start", [])]
        study = Study.model_validate(about["study"])
        latest["data_hash"]  # an older one than what this tool writes has none
        storage = about.get("storage", "")
        return Stored(study, address(root, kept), priors, storage, latest, about)
    except ValidationError as error:
        raise UserError(one_line(error, Study, str(file))) from error
    except OSError as error:
        raise UserError(f"{file}: cannot be read ({error.strerror}).") from error
    except (yaml.YAMLError, AttributeError, KeyError, TypeError, UnicodeDecodeError) as error:
        raise UserError(f"{file}: not written by this tool; restore it from a copy.") from error
