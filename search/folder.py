"""One folder a study: made once, resumed when it was interrupted, never overwritten."""

import fcntl
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Self
from uuid import uuid4

from muse.errors import UserError
from search.ledger import Address, Ledger
from search.ledger_files import check, take_copy
from search.prior import Prior
from search.provenance import provenance
from search.schema import read_url, sqlite_file
from search.stored import ABOUT_NEW, Stored, address, describe, write_about
from search.study import Study


@dataclass(frozen=True)
class StudyFolder:
    """`results/<name>/`, held while this process works on the study. Use it in a `with`."""

    root: Path
    lock: IO[str]
    ledger: Address
    """Every trial."""

    priors: Sequence[Prior] = field(default=())
    """What earlier studies found out."""

    storage: str = ""
    """Address of the folder's twin in a bucket; none: all nodes see the folder itself."""

    @property
    def shared(self) -> str:
        """What all nodes see: the twin, or the folder."""
        return self.storage or str(self.root.resolve())

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
        """Whether any trial was asked for. True too where the ledger cannot say."""
        if (self.root / "trials.csv").exists():
            return True
        file = sqlite_file(self.ledger.url)
        if file is not None and not file.exists():
            return False
        try:
            ledger = Ledger(self.ledger)
            found = bool(ledger.entries())
            ledger.close()
        except UserError:
            return True
        return found

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


@dataclass(frozen=True)
class Places:
    """Where a study is kept beside its folder."""

    ledger: str = ""
    """URL of the database that keeps its trials; none: a file in the folder."""

    storage: str = ""
    """Address of the folder's twin in a bucket; none: all nodes see the folder itself."""


def new_folder(
    root: Path,
    study: Study,
    data_hash: str,
    places: Places = Places(),
    priors: Sequence[Prior] = (),
) -> StudyFolder:
    """Make a study's folder.

    Args:
        root: where.
        study: what it holds.
        data_hash: of its corpus.
        places: where else it is kept.
        priors: what earlier studies found out.

    Raises:
        UserError: a study of this name stands there already.
    """
    if why := taken(root):
        raise UserError(why)
    kept = {"study": f"{study.name}-{uuid4().hex[:12]}"}  # two studies may bear one name
    if places.ledger:
        kept["url"] = read_url(places.ledger).render_as_string()
    place = StudyFolder(root, hold(root), address(root, kept), priors, places.storage)
    about = {
        **describe(study),
        "ledger": kept,
        "storage": places.storage,
        "warm_start": [prior.model_dump(mode="json") for prior in priors],
        "provenance": provenance(data_hash),
        "resumed": [],
    }
    write_about(root, about)
    return place


def taken(root: Path) -> str:
    """Why no new study can begin in a folder; nothing where one can."""
    try:
        return stands_in(root)
    except OSError as error:
        return unusable(root, error)


def unusable(root: Path, error: OSError) -> str:
    """What is said of a folder whose name is too long, or that is closed to this user."""
    return f"{root}: cannot be used ({error.strerror}); give another --output."


def stands_in(root: Path) -> str:
    """What hinders a new study in a folder that can be read."""
    if (root / ".finished").exists():
        return f"{root}: a finished study stands here; give another --name."
    if (root / "study.yaml").exists():
        return f"{root}: an interrupted study stands here; --resume it or give a --name."
    begun = {".lock", ABOUT_NEW}  # all that a kill at the very start leaves
    if root.is_dir() and {file.name for file in root.iterdir()} - begun:
        return f"{root}: holds files that are no study; give another --name."
    return ""


def check_owner(root: Path, *more: Path) -> None:
    """Checkpoints and tables of a stranger may be made to harm.

    Raises:
        UserError: the folder, what a resume reads first, or another file belongs to somebody else.
    """
    for file in (root, root / "study.yaml", root / "ledger.db", *more):
        if file.exists() and file.stat().st_uid != os.geteuid():
            raise UserError(
                f"{file}: belongs to another user (number {file.stat().st_uid}), and what a study "
                "stores could be made to harm; if you trust it, copy the folder and resume that."
            )


def old_folder(root: Path, found: Stored, ledger: str = "") -> StudyFolder:
    """Take up an interrupted study.

    Args:
        root: its folder.
        found: what the folder says.
        ledger: URL of the database that keeps its trials now; none: where it was.

    Raises:
        UserError: another search is at work on it, or its ledger is gone or damaged.
    """
    check_owner(root)
    where = moved(root, found, ledger) if ledger else found.ledger
    lock = hold(root)
    try:
        file = sqlite_file(where.url)
        if file is not None:
            check_owner(root, file)
            if where.copy is not None:
                take_copy(file, where.copy, where.study)
        check_there(root, where)
    except BaseException:
        lock.close()
        raise
    return StudyFolder(root, lock, where, found.priors, found.storage)


def moved(root: Path, found: Stored, ledger: str) -> Address:
    """Another address of the same ledger.

    Raises:
        UserError: its trials would stay behind.
    """
    where = address(root, {"study": found.ledger.study, "url": ledger})
    before, now = found.ledger.url.get_backend_name(), where.url.get_backend_name()
    if before != now:
        raise UserError(
            f"--ledger {ledger}: a ledger in {before} does not move to {now}; leave --ledger out."
        )
    found.about["ledger"] = {"study": where.study, "url": where.url.render_as_string()}
    return where


def check_there(root: Path, where: Address) -> None:
    """Whether a ledger is where it should be, and whole.

    Raises:
        UserError: it is not.
    """
    file = sqlite_file(where.url)
    if file is not None and file.exists():
        check(file)
    if not (root / "trials.csv").exists():
        return  # no trial has ended yet
    known = False
    if file is None or file.exists():
        ledger = Ledger(where)
        known = bool(ledger.entries())
        ledger.close()
    if not known:
        raise UserError(
            f"{file or where.url}: the ledger is gone, and nothing else tells how to go on; "
            "restore it from a copy, or start the study under another --name."
        )
