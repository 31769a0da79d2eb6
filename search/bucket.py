"""Folders in a bucket (s3://...), for clusters whose nodes share no disk.

Files go there and come back through pyarrow, which Ray brings along. It takes its keys from where
AWS's own tools do (environment, profile, the machine's role), never from an address.
"""

import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from pyarrow import fs

from muse.durable import atomically
from muse.errors import UserError
from search.scratch import scratch

HERE = fs.LocalFileSystem()

ADDRESS = re.compile(r"s3://[\w.-]+(/[^/@#?%\s]+)*/?")
"""Without what reads otherwise than it stands: a key, a fragment, a question, an escape."""

Stamp = tuple[int, int]
"""Size and time of the last change of a file."""

UNKNOWN: Stamp = (-1, -1)


def is_bucket(place: str) -> bool:
    """Whether a place is in a bucket; else it is a path."""
    return "://" in place


def check_bucket(url: str) -> None:
    """Make sure that a place in a bucket can be written.

    Raises:
        UserError: it cannot, or the address is none, or holds a key.
    """
    if not ADDRESS.fullmatch(url):
        shown = url.rpartition("@")[2].partition("?")[0]  # a key may stand before or behind it
        raise UserError(
            f"--storage {shown!r}: give s3://BUCKET/FOLDER without '#', '?', '%', blanks or keys; "
            "these come from the environment, ~/.aws or the machine's role."
        )
    try:
        probe(url)
    except (OSError, ValueError) as error:  # pyarrow's word for what it takes for no address
        raise UserError(
            f"--storage {url}: cannot be written ({first_words(error)}); make the bucket, or give "
            "this machine's role the right to list, read, write and delete there."
        ) from error


def first_words(error: Exception) -> str:
    """What an error of a bucket says, in one line."""
    return " ".join(str(error).split()).partition(" (Request ID")[0]


def opened(place: str) -> tuple[fs.FileSystem, str]:
    """The files of a folder or a bucket, and the path in there.

    The path is taken as it stands: an address would end at a '#', which a trial's id may hold.
    """
    if not is_bucket(place):
        return HERE, place
    kind, _, path = place.partition("://")
    bucket, _, inside = path.rstrip("/").partition("/")
    there, root = fs.FileSystem.from_uri(f"{kind}://{bucket}")
    return there, f"{root}/{inside}" if inside else root


def probe(place: str) -> None:
    """Write a file in a folder or a bucket, and remove it.

    Raises:
        OSError: that failed.
    """
    there, root = opened(place)
    if not is_bucket(place):
        there.create_dir(root)
    file = f"{root}/.probe-{uuid4().hex}"
    there.open_output_stream(file).close()
    there.delete_file(file)


def remove(place: str) -> None:
    """Remove a folder, here or in a bucket, as far as that is possible."""
    there, root = opened(place)
    with suppress(OSError):
        there.delete_dir(root)


def copy(source: fs.FileSystem, what: str, target: fs.FileSystem, where: str) -> None:
    """Copy a file, or all that a folder holds."""
    fs.copy_files(what, where, source_filesystem=source, destination_filesystem=target)


class Twin:
    """A folder on this machine and its twin in a bucket."""

    def __init__(self, folder: Path, url: str, leave_out: Collection[str] = ()) -> None:
        """Nothing is copied yet.

        Args:
            folder: on this machine.
            url: in the bucket.
            leave_out: names at the top of the folder that stay on this machine.
        """
        self.folder, self.leave_out = folder, leave_out
        self.there, self.root = opened(url)
        self.known: dict[str, Stamp] | None = None
        """What the bucket was last seen to hold; None: nobody has looked yet."""

    def pull(self, last: str = "") -> None:
        """Bring what the bucket holds to this machine.

        Args:
            last: name of the file that says that all others are here.
        """
        for name in sorted(self.names(), key=lambda name: name == last):
            self.take(name)
        self.known = self.stamps()

    def take(self, name: str) -> None:
        """Bring one file."""
        file = self.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        atomically(file, lambda new: copy(self.there, f"{self.root}/{name}", HERE, str(new)))

    def names(self) -> list[str]:
        """The files that the bucket holds, a probe of another process apart."""
        everything = fs.FileSelector(self.root, allow_not_found=True, recursive=True)
        files = [found for found in self.there.get_file_info(everything) if found.is_file]
        names = [Path(found.path).relative_to(self.root) for found in files]
        return [str(name) for name in names if self.goes(name)]

    def goes(self, name: Path) -> bool:
        """Whether a file belongs here and there."""
        return name.parts[0] not in self.leave_out and not is_half(name)

    def push(self) -> None:
        """Make the bucket's folder what this one is; only what has changed since is sent."""
        now = self.stamps()
        if self.known is None:  # what earlier processes sent may be gone here since
            self.known = dict.fromkeys(self.names(), UNKNOWN)
        for name in (name for name, stamp in now.items() if self.known.get(name) != stamp):
            self.put(name, self.folder / name)
        for name in self.known.keys() - now.keys():
            with suppress(FileNotFoundError):
                self.there.delete_file(f"{self.root}/{name}")
        self.known = now

    def put(self, name: str, file: Path) -> None:
        """Send one file."""
        copy(HERE, str(file), self.there, f"{self.root}/{name}")

    def stamps(self) -> dict[str, Stamp]:
        """The files of the folder, those that are half written apart."""
        files = (file for file in sorted(self.folder.rglob("*")) if file.is_file())
        names = {file.relative_to(self.folder): file for file in files}
        return {
            str(name): (file.stat().st_size, file.stat().st_mtime_ns)
            for name, file in names.items()
            if self.goes(name)
        }


def is_half(name: Path) -> bool:
    """Whether a file is being written: its name, or its folder's, begins with a dot until then."""
    return any(part.startswith(".") and part != ".finished" for part in name.parts)


@contextmanager
def at_hand(place: str) -> Iterator[tuple[Path, Twin | None]]:
    """A trial's folder on this machine, and its twin to push to where it lives in a bucket."""
    if not is_bucket(place):
        yield Path(place), None
        return
    with scratch() as root:
        folder = root / place.rpartition("/")[2]
        folder.mkdir()
        twin = Twin(folder, place)
        twin.pull()
        yield folder, twin


class Checkpoints:
    """What the trials of a study leave behind, in a folder that all nodes see or in a bucket."""

    def __init__(self, base: str) -> None:
        """Nothing is made yet.

        Args:
            base: an absolute path, or an address in a bucket.
        """
        self.base = base
        self.files, self.root = opened(base)

    def folder(self, trial_id: str) -> str:
        """Where a trial keeps its checkpoints."""
        return f"{self.base}/{trial_id}"

    def drop(self, trial_id: str) -> None:
        """Remove all that a trial left behind."""
        with suppress(OSError):
            self.files.delete_dir(f"{self.root}/{trial_id}")

    def drop_file(self, trial_id: str, name: str) -> None:
        """Remove one file of a trial."""
        with suppress(FileNotFoundError):
            self.files.delete_file(f"{self.root}/{trial_id}/{name}")

    def has(self, trial_id: str, name: str) -> bool:
        """Whether a trial has left a file, or a folder with files."""
        found = self.files.get_file_info(f"{self.root}/{trial_id}/{name}")
        return bool(found.type != fs.FileType.NotFound)
