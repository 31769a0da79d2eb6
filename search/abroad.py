"""A study whose folder has a twin in a bucket: a new head node takes it up from there."""

import time
from pathlib import Path

from sqlalchemy.engine import URL

from muse.errors import UserError
from search.bucket import Twin, check_bucket
from search.faults import wait_for_storage
from search.folder import hold
from search.ledger_files import knows_more, save_copy, take_copy
from search.schema import sqlite_file
from search.scratch import scratch
from search.stored import key_of, resumes

STAY = {"trials", ".ray", ".lock", "ledger.db", "ledger.db-wal", "ledger.db-shm"}
"""What is not sent as it stands: trials send theirs, the ledger may be in the midst of a line."""

SEND_AFTER = 30.0
"""Seconds between two looks at what else has changed than the ledger."""


class Abroad:
    """Keeps a study's twin up to date."""

    def __init__(self, root: Path, url: str, ledger: URL) -> None:
        """Nothing is sent yet.

        Args:
            root: the study's folder.
            url: of its twin.
            ledger: where its trials are on record.
        """
        self.url, self.file = url, sqlite_file(ledger)
        self.twin = Twin(root, url, STAY)
        self.sent = 0.0

    def send(self, everything: bool = False) -> None:
        """Send the ledger, and now and then the rest; a bucket that is away is waited for.

        Raises:
            OSError: it stayed away for a minute.
        """
        try:
            self.try_to_send(everything)
        except OSError:
            if not wait_for_storage(self.url):
                raise
            self.try_to_send(everything)

    def try_to_send(self, everything: bool) -> None:
        if self.file is not None:
            with scratch() as root:
                save_copy(self.file, root / "ledger.db")
                self.twin.put("ledger.db", root / "ledger.db")
        if everything or time.monotonic() - self.sent > SEND_AFTER:
            self.twin.push()
            self.sent = time.monotonic()


def check_free(url: str) -> None:
    """Refuse a place where a study stands already.

    Raises:
        UserError: one does, or other files, or nothing can be written there.
    """
    check_bucket(url)
    if has_study(url):
        raise UserError(f"{url}: a study stands here; --resume it or give another --name.")
    if Twin(Path(), url, STAY).names():  # what a folder lacks is removed from its twin
        raise UserError(f"{url}: holds files that are no study; give another --name.")


def has_study(url: str) -> bool:
    """Whether a place in a bucket holds a study."""
    twin = Twin(Path(), url)
    return bool(twin.there.get_file_info(f"{twin.root}/study.yaml").is_file)


def bring_back(root: Path, url: str) -> None:
    """Take a study from its twin where this machine has none, or an older one.

    Args:
        root: the study's folder here.
        url: of the twin.

    Raises:
        UserError: the bucket cannot be used, or holds another study, or a search is at work here.
    """
    check_bucket(url)
    if not has_study(url):
        return
    with hold(root):  # a search that is at work here writes on in what would be replaced
        if (root / "study.yaml").exists():
            take_newer(root, url)
        else:
            Twin(root, url, {"trials"}).pull(last="study.yaml")


def take_newer(root: Path, url: str) -> None:
    """Take a study from its twin where that knows more.

    Raises:
        UserError: it is another's.
    """
    with scratch() as here:
        twin = Twin(here, url)
        for name in ("study.yaml", "ledger.db"):
            if twin.there.get_file_info(f"{twin.root}/{name}").is_file:
                twin.take(name)
        key = key_of(root)
        if key != key_of(here):
            raise UserError(
                f"--storage: {url} holds another study than {root}; give another --name or "
                "--output, or the storage that this study began with."
            )
        copy_of_ledger = here / "ledger.db"
        if copy_of_ledger.is_file():
            newer = knows_more(copy_of_ledger, root / "ledger.db", key)
        else:  # all heads share a database
            newer = resumes(here) > resumes(root)
        if newer:  # all else is newer there, too; what says so comes last, for a kill may part them
            Twin(root, url, STAY).pull(last="study.yaml")
            take_copy(root / "ledger.db", copy_of_ledger, key)
