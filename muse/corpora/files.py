"""Reading a corpus's files, with errors that name the file."""

import errno
from pathlib import Path

from muse.config import DataConfig
from muse.corpora.tweet import SplitName
from muse.errors import UserError

PICTURES = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp")
"""Endings of pictures, in capitals too; where one name has several, the first of these counts."""


def pictures_in(folder: Path) -> dict[str, Path]:
    """Every picture of a folder, by its name without the ending."""
    found = [path for path in folder.iterdir() if path.suffix.lower() in PICTURES]
    found.sort(key=lambda path: (PICTURES.index(path.suffix.lower()), path.name), reverse=True)
    return {path.stem: path for path in found}


def corpus_folder(config: DataConfig) -> Path:
    """The folder that `data.root` names.

    Raises:
        UserError: none is named, or there is none.
    """
    if config.root is None:
        raise UserError(
            f"data.root: '{config.name}' needs the folder of its files; give --data DIR."
        )
    if not config.root.is_dir():
        raise UserError(
            f"data.root: no folder '{config.root}'; give --data the one of {config.name}."
        )
    return config.root


def picture_files(config: DataConfig, default: Path) -> dict[str, Path]:
    """Every picture in their folder, by id.

    Args:
        config: `data.images` replaces the corpus's own folder.
        default: that folder; it may be absent, then no tweet has a picture.

    Raises:
        UserError: `data.images` is no folder.
    """
    if config.images is not None and not config.images.is_dir():
        raise UserError(f"data.images: no folder '{config.images}'; give one with <id>.jpg files.")
    folder = config.images or default
    return pictures_in(folder) if folder.is_dir() else {}


def split_files(root: Path) -> dict[SplitName, Path]:
    """The lists of a corpus's splits: train.txt, valid.txt and, where there is one, test.txt.

    Raises:
        UserError: one of the first two is missing.
    """
    files: dict[SplitName, Path] = {
        name: root / f"{name}.txt" for name in ("train", "valid", "test")
    }
    for name in ("train", "valid"):
        if not files[name].is_file():
            raise UserError(
                f"{files[name]}: is not there; a corpus needs train.txt and valid.txt, test.txt "
                "may be missing."
            )
    return {name: file for name, file in files.items() if file.is_file()}


def read_utf8(path: Path) -> str:
    """The text of a file, without a byte order mark.

    Raises:
        UserError: there is no such file, it cannot be read, or it is not UTF-8.
    """
    try:
        return (content := path.read_bytes()).decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise UserError(
            f"{path}, line {line}: is not UTF-8 (byte {error.start}: {error.reason}); convert the "
            "file, which may be Windows-1252 or UTF-16."
        ) from error
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}).") from error


def quoted(text: str, most: int = 80) -> str:
    """A text as an error quotes it: on one line, and where it is long its first signs."""
    text = text.replace("\r", " ")  # line ends of old Macs, where a whole file is one line
    return text if len(text) <= most else f"{text[:most]}..."


def is_file(path: Path) -> bool:
    """Whether a file is there; none is of a name that no disk takes."""
    try:
        return path.is_file()
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:  # as of a list with texts in place of ids
            raise
        return False


def read_lines(path: Path) -> list[tuple[int, str]]:
    """The lines of a UTF-8 file, numbered from 1.

    Only line feeds end a line: `str.splitlines` would also cut at separators inside tweets.
    """
    lines = read_utf8(path).split("\n")
    return [(number, line.removesuffix("\r")) for number, line in enumerate(lines, start=1)]
