"""One folder a study: made once, resumed when it was interrupted, never overwritten."""

import fcntl
import shutil
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import yaml
from pydantic import ValidationError

from muse.errors import UserError
from search.ledger import Ledger
from search.problems import one_line
from search.provenance import provenance
from search.study import Study


@dataclass(frozen=True)
class StudyFolder:
    """`results/<name>/`, held while this process works on the study. Use it in a `with`."""

    root: Path
    lock: IO[str]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Let go of it; a study that never began, for a mistake, leaves nothing."""
        if kind is not None and issubclass(kind, UserError) and not self.begun:
            shutil.rmtree(self.root, ignore_errors=True)
        self.lock.close()

    @property
    def begun(self) -> bool:
        """Whether any trial was asked for."""
        if not self.ledger.exists():
            return False
        ledger = Ledger(self.ledger)
        try:
            return bool(ledger.entries())
        finally:
            ledger.close()

    @property
    def ledger(self) -> Path:
        """Every trial, in SQLite."""
        return self.root / "ledger.db"

    def finish(self) -> None:
        """Say that nothing is left to do."""
        (self.root / ".finished").touch()


def hold(root: Path) -> IO[str]:
    """Keep other searches away from a study's folder.

    Raises:
        UserError: one is at work there, or the folder cannot be written.
    """
    try:
        root.mkdir(parents=True, exist_ok=True)
        lock = (root / ".lock").open("w")
    except OSError as error:
        raise UserError(
            f"{root}: cannot be written ({error.strerror}); give another --output."
        ) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        lock.close()
        raise UserError(f"{root}: another search is at work on this study.") from error
    return lock


def describe(study: Study, data_hash: str) -> dict[str, Any]:
    """The content of `study.yaml`: the study, all settings of a trial, and where it comes from."""
    return {
        "study": study.model_dump(mode="json"),
        "settings": study.base.model_dump(mode="json"),
        "value": f"best {study.base.metric} over a trial's epochs; it chooses the checkpoint too",
        "provenance": provenance(data_hash),
    }


def new_folder(root: Path, study: Study, data_hash: str) -> StudyFolder:
    """Make a study's folder.

    Raises:
        UserError: a study of this name stands there already.
    """
    if (root / ".finished").exists():
        raise UserError(f"{root}: a finished study stands here; give another --name.")
    if (root / "study.yaml").exists():
        raise UserError(f"{root}: an interrupted study stands here; --resume it or give a --name.")
    if root.is_dir() and {file.name for file in root.iterdir()} - {".lock"}:
        raise UserError(f"{root}: holds files that are no study; give another --name.")
    place = StudyFolder(root, hold(root))
    text = yaml.safe_dump(describe(study, data_hash), sort_keys=False, allow_unicode=True)
    try:
        (root / "study.yaml").write_text(text, encoding="utf-8")
    except OSError as error:
        raise UserError(f"{root}/study.yaml: cannot be written ({error.strerror}).") from error
    return place


def provenance_of(root: Path) -> dict[str, Any]:
    """Where the figures of a study come from, as its `study.yaml` says."""
    about = yaml.safe_load((root / "study.yaml").read_text(encoding="utf-8"))
    found: dict[str, Any] = {**about["provenance"], "metric rule": about["value"]}
    return found


def stored_study(root: Path) -> tuple[Study, str]:
    """The study that a folder holds, and the hash of its data.

    Raises:
        UserError: there is none, or it is not readable.
    """
    file = root / "study.yaml"
    if not file.is_file():
        raise UserError(f"{root}: no study to resume here; leave --resume out to start one.")
    try:
        about = yaml.safe_load(file.read_text(encoding="utf-8"))
        return Study.model_validate(about["study"]), about["provenance"]["data_hash"]
    except ValidationError as error:
        raise UserError(one_line(error, Study, str(file))) from error
    except (yaml.YAMLError, KeyError, TypeError, UnicodeDecodeError) as error:
        raise UserError(f"{file}: not written by this tool; restore it from a copy.") from error


def old_folder(root: Path, data_hash: str, stored_hash: str) -> StudyFolder:
    """Take up an interrupted study.

    Raises:
        UserError: its data changed, or another search is at work on it.
    """
    if data_hash != stored_hash:
        raise UserError(
            f"{root}: the data changed since this study began (hash {stored_hash}, now "
            f"{data_hash}); restore the data, or start anew under another --name."
        )
    return StudyFolder(root, hold(root))
