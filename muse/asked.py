"""The tweets that somebody wants labelled: a folder of them, or JSON lines.

A mistake in one of them is told with it; the others are labelled all the same.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from muse.corpora.files import pictures_in, read_utf8
from muse.errors import UserError

EMPTY = "text: is empty; give the tweet's words."


@dataclass(frozen=True)
class Asked:
    """One tweet to label, or what is wrong with it."""

    id: str
    text: str = ""
    words: tuple[str, ...] = ()
    """Of the text, joined by blanks in it; empty where it came as one."""

    image: Path | None = None
    """None: a blank picture is shown."""

    error: str = ""


def checked(asked: Asked) -> Asked:
    """The same, or its error where a model could not read the text.

    A tweet may be a picture alone; only for entities it needs words.
    """
    if not asked.text.split() and asked.image is None:
        return Asked(asked.id, error=EMPTY)
    try:
        asked.text.encode()
    except UnicodeEncodeError as error:
        reason = f"text: character {error.start} is half of one; write the text in UTF-8."
        return Asked(asked.id, error=reason)
    return asked


def asked_in_folder(folder: Path) -> list[Asked]:
    """Each `<id>.txt` of a folder, with the picture of that name beside it.

    Hidden files are none, as those that macOS puts beside others (`._<id>.txt`).

    Raises:
        UserError: there is none.
    """
    texts = sorted(path for path in folder.iterdir() if path.suffix.lower() == ".txt")
    texts = [path for path in texts if not path.name.startswith(".")]
    if not texts:
        raise UserError(f"{folder}: holds no <id>.txt; put each tweet's text in a file.")
    if {"train.txt", "valid.txt"} <= {text.name for text in texts}:
        own = f" of its tweets, {folder}/data" if (folder / "data").is_dir() else " of <id>.txt"
        raise UserError(f"{folder}: is a corpus; give the folder{own}.")
    pictures = pictures_in(folder)
    return [read_file(text, pictures.get(text.stem)) for text in texts]


def read_file(text: Path, image: Path | None) -> Asked:
    """One tweet of a folder, its line ends as Python's `open` gives them."""
    try:
        content = read_utf8(text).replace("\r\n", "\n").replace("\r", "\n")
        return checked(Asked(text.stem, content, image=image))
    except UserError as error:
        return Asked(text.stem, error=str(error))


def asked_in_lines(lines: Iterable[bytes], source: str, folder: Path) -> list[Asked]:
    """Each line `{"text": ..., "image": ..., "id": ...}`; the last two may be left out.

    The text may come as a list of its words.

    Args:
        lines: UTF-8; empty ones are passed over.
        source: where they are from, for errors.
        folder: what the paths of pictures are relative to.

    Raises:
        UserError: none could be such a line: it is something else, a CSV or plain text.
    """
    rows = [(number, line.strip()) for number, line in enumerate(lines, start=1) if line.strip()]
    if rows and not any(b"{" in line for _, line in rows):
        raise UserError(f'{source}: holds no JSON; give lines {{"text": "...", "image": "..."}}.')
    return [read_line(line, f"line {number}", folder) for number, line in rows]


def read_line(line: bytes, name: str, folder: Path) -> Asked:
    """One line; its number is its id where it gives none."""
    try:
        told: Any = json.loads(line)
    except (ValueError, RecursionError) as error:
        reason = str(error).partition("\n")[0]
        return Asked(name, error=f'is no JSON ({reason}); give {{"text": "..."}}.')
    given = told if isinstance(told, dict) else {}
    own = str(name if given.get("id") is None else given["id"])
    text: Any = given.get("text")
    words = tuple(text) if isinstance(text, list) else ()
    if not isinstance(text, str) and not are_words(words):
        return Asked(own, error='has no text; give {"text": "..."}, or its words as a list.')
    image = given.get("image")
    if image is not None and not isinstance(image, str):
        return Asked(own, error="image: is no path; give a file's, or leave it out.")
    place = folder / image if image else None
    return checked(Asked(own, " ".join(words) or text, words, place))


def are_words(words: Sequence[Any]) -> bool:
    """Whether a list holds words, none of them empty; one may be a blank, as in a corpus."""
    return bool(words) and all(isinstance(word, str) and word for word in words)
