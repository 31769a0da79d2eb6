"""Reading a corpus's files, with errors that name the file."""

from pathlib import Path

from muse.config import DataConfig
from muse.errors import UserError


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
    """Every `<id>.jpg` in the folder of pictures, by id.

    Args:
        config: `data.images` replaces the corpus's own folder.
        default: that folder; it may be absent, then no tweet has a picture.

    Raises:
        UserError: `data.images` is no folder.
    """
    if config.images is not None and not config.images.is_dir():
        raise UserError(f"data.images: no folder '{config.images}'; give one with <id>.jpg files.")
    folder = config.images or default
    return {path.stem: path for path in folder.glob("*.jpg")} if folder.is_dir() else {}


def read_utf8(path: Path) -> str:
    """The text of a file, without a byte order mark.

    Raises:
        UserError: there is no such file, it cannot be read, or it is not UTF-8.
    """
    try:
        return path.read_bytes().decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path}: byte {error.start} is not UTF-8 ({error.reason}); convert the file to UTF-8."
        ) from error
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}).") from error


def read_lines(path: Path) -> list[tuple[int, str]]:
    """The lines of a UTF-8 file, numbered from 1.

    Only line feeds end a line: `str.splitlines` would also cut at separators inside tweets.
    """
    lines = read_utf8(path).split("\n")
    return [(number, line.removesuffix("\r")) for number, line in enumerate(lines, start=1)]
