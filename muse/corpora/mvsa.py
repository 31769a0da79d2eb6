"""Tweets with a sentiment: MVSA-Single and MVSA-Multiple, in two forms.

Both keep a text in `data/<id>.txt` and its picture in `data/<id>.jpg`.

* Given splits: `train.txt`, `valid.txt` and perhaps `test.txt`, rows `guid,tag` below a header.
* As published: `labelResultAll.txt`, where each annotator gives a sentiment for the text and one
  for the picture. They are merged by the published rule (`majority`, `merge`), and the tweets
  are split 8:1:1 by `draw_splits`.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from muse.config import DataConfig
from muse.corpora.files import (
    corpus_folder,
    is_file,
    picture_files,
    quoted,
    read_lines,
    read_utf8,
    split_files,
)
from muse.corpora.tweet import SENTIMENTS, Corpus, SplitName, Tweet
from muse.errors import UserError

ANNOTATIONS = "labelResultAll.txt"
SPLIT_SEED = 0
SHARES = 10
"""Parts of a corpus of which valid and test get one each."""

Tagged = tuple[str, str]


def read_mvsa(config: DataConfig) -> Corpus:
    """Read MVSA in the form that the folder holds; given splits come first.

    Raises:
        UserError: a folder or file is missing, a row is not of the format, a text is not UTF-8.
    """
    root = corpus_folder(config)
    if (root / "train.txt").is_file():
        tagged = read_given_splits(root)
    elif (root / ANNOTATIONS).is_file():
        tagged = draw_splits(read_annotations(root / ANNOTATIONS))
    else:
        raise UserError(f"{root}: holds neither train.txt nor {ANNOTATIONS}; one is needed.")
    pictures = picture_files(config, root / "data")
    splits = {
        name: tuple(read_tweet(root, row, pictures) for row in rows)
        for name, rows in tagged.items()
    }
    return Corpus(task="msa", labels=SENTIMENTS, splits=splits)


def read_tweet(root: Path, row: Tagged, pictures: dict[str, Path]) -> Tweet:
    """The whole text of one tweet, with its picture and class."""
    guid, sentiment = row
    text = read_utf8(text_file(root, guid)).strip()
    return Tweet(guid, (text,), pictures.get(guid), sentiment)


def text_file(root: Path, guid: str) -> Path:
    """Where a tweet's text lies."""
    return root / "data" / f"{guid}.txt"


def read_given_splits(root: Path) -> dict[SplitName, list[Tagged]]:
    """Rows of train.txt, valid.txt and, where there is one, test.txt."""
    return {name: read_tags(file) for name, file in split_files(root).items()}


def read_tags(path: Path) -> list[Tagged]:
    """Rows `guid,tag` below their header."""
    rows: list[Tagged] = []
    lines: dict[str, int] = {}
    for number, line in below_header(path, "guid,tag"):
        guid, comma, tag = (part.strip() for part in line.partition(","))
        if not comma:
            raise UserError(
                f"{path}, line {number}: '{quoted(line)}' has no comma; a row is guid,tag."
            )
        if not guid or "," in tag:
            raise UserError(
                f"{path}, line {number}: '{quoted(line)}'; a row is an id, a comma, a tag."
            )
        if '"' in tag:
            raise UserError(f"{path}, line {number}: {quoted(line)}; write it without quotes.")
        check_sentiments(path, number, [tag])
        check_tweet(path, number, guid, lines)
        rows.append((guid, tag))
    return rows


def below_header(path: Path, header: str) -> list[tuple[int, str]]:
    """The numbered rows of a file below its first line, which must not be one of them."""
    first, *rows = read_lines(path)
    guid = re.split("[,\t]", first[1])[0].strip(' "')
    if first[1].strip().lower().endswith(SENTIMENTS) or is_file(text_file(path.parent, guid)):
        raise UserError(
            f"{path}, line 1: '{quoted(first[1])}' is a tweet; the first line is {header}."
        )
    return [(number, line.strip()) for number, line in rows if line.strip()]


def read_annotations(path: Path) -> list[Tagged]:
    """Tweets whose annotators agree: rows `ID<TAB>text,image`, one pair for each annotator."""
    rows: list[Tagged] = []
    lines: dict[str, int] = {}
    given = below_header(path, "ID<TAB>text,image")
    for number, line in given:
        guid, *pairs = line.split("\t")
        votes = [[vote.strip() for vote in pair.split(",")] for pair in pairs]
        if not votes or any(len(vote) != 2 for vote in votes):
            raise UserError(
                f"{path}, line {number}: '{quoted(line)}' is not an id, then for each annotator a "
                "tab and text,image."
            )
        check_sentiments(path, number, [one for vote in votes for one in vote])
        of_text, of_image = zip(*votes, strict=True)
        sentiment = merge(majority(of_text), majority(of_image))
        if sentiment is not None:
            check_tweet(path, number, guid, lines)
            rows.append((guid, sentiment))
    if len(rows) < SHARES:
        raise UserError(
            f"{path}: of {len(given)} tweets {len(rows)} have annotators who agree; to be split "
            f"8:1:1 there must be {SHARES}."
        )
    return rows


def check_tweet(path: Path, number: int, guid: str, lines: dict[str, int]) -> None:
    """Refuse a tweet without a text, or that stands in a list twice and so would count twice.

    Args:
        path: the list.
        number: of this line.
        guid: of its tweet.
        lines: where each tweet so far stands; gets this one.
    """
    if guid in lines:
        raise UserError(
            f"{path}, line {number}: tweet '{guid}' stands in line {lines[guid]} already; keep one."
        )
    lines[guid] = number
    if not is_file(file := text_file(path.parent, guid)):
        raise UserError(
            f"{path}, line {number}: tweet '{quoted(guid)}' has no text; it would be "
            f"{file.parent / quoted(file.name)}."
        )


def check_sentiments(path: Path, number: int, given: Sequence[str]) -> None:
    """Refuse a row with anything but the three sentiments."""
    for sentiment in given:
        if sentiment not in SENTIMENTS:
            raise UserError(
                f"{path}, line {number}: '{quoted(sentiment)}' is no sentiment; "
                f"it is one of {', '.join(SENTIMENTS)}."
            )


def majority(votes: Sequence[str]) -> str | None:
    """The sentiment that more than half of the annotators give, or None."""
    sentiment, count = Counter(votes).most_common(1)[0]
    return sentiment if 2 * count > len(votes) else None


def merge(of_text: str | None, of_image: str | None) -> str | None:
    """One sentiment for the pair: neutral gives way, positive against negative is dropped."""
    if of_text is None or of_image is None:
        return None
    if of_image in (of_text, "neutral"):
        return of_text
    return of_image if of_text == "neutral" else None


def draw_splits(rows: Sequence[Tagged], seed: int = SPLIT_SEED) -> dict[SplitName, list[Tagged]]:
    """Split 8:1:1 by the order of SHA-256 over `<seed>:<id>`.

    No generator is asked, so the split is the same on every machine and in every version, and
    does not depend on the order of the rows. Inside a split the file's order is kept.
    """

    def place(row: Tagged) -> bytes:
        return hashlib.sha256(f"{seed}:{row[0]}".encode()).digest()

    tenth = len(rows) // SHARES
    drawn = sorted(rows, key=place)
    valid, test = set(drawn[:tenth]), set(drawn[tenth : 2 * tenth])
    return {
        "train": [row for row in rows if row not in valid and row not in test],
        "valid": [row for row in rows if row in valid],
        "test": [row for row in rows if row in test],
    }
