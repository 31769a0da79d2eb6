"""Tagged tweets, one token a line: Twitter-2015 and Twitter-2017.

A tweet is a line `IMGID:<id>`, then `token<TAB>tag` lines, then an empty line. Its picture is
`images/<id>.jpg`. An I- without a B- before it is noise of these corpora and is kept.
"""

from pathlib import Path

from muse.config import DataConfig
from muse.corpora.files import corpus_folder, picture_files, quoted, read_lines, split_files
from muse.corpora.tweet import Corpus, Tweet, entity_labels
from muse.errors import UserError

TYPES = ("LOC", "MISC", "ORG", "PER")
HEADER = "IMGID:"


def read_twitter(config: DataConfig) -> Corpus:
    """Read Twitter-2015 or Twitter-2017."""
    return read_tagged(config, TYPES)


def read_tagged(config: DataConfig, types: tuple[str, ...]) -> Corpus:
    """Read any corpus of this format.

    Args:
        config: names the folders.
        types: of its entities.

    Raises:
        UserError: a folder or file is missing, or a line is not of the format.
    """
    root = corpus_folder(config)
    pictures = picture_files(config, root / "images")
    labels = entity_labels(types)
    splits = {name: read_split(file, labels, pictures) for name, file in split_files(root).items()}
    return Corpus(task="mner", labels=labels, splits=splits)


def read_split(path: Path, labels: tuple[str, ...], pictures: dict[str, Path]) -> tuple[Tweet, ...]:
    """Read the tweets of one file."""
    tweets: list[Tweet] = []
    for first, header, block in blocks(path):
        if not block:
            raise UserError(
                f"{path}, line {first}: tweet '{quoted(header)}' has no words; it needs one."
            )
        words, tags = zip(*(parse(path, row, line, labels) for row, line in block), strict=True)
        tweets.append(Tweet(header, words, pictures.get(header), tags))
    return tuple(tweets)


def blocks(path: Path) -> list[tuple[int, str, list[tuple[int, str]]]]:
    """Each tweet's first line, its id and its numbered token lines."""
    found: list[tuple[int, str, list[tuple[int, str]]]] = []
    inside = False
    for number, line in read_lines(path):
        if line.startswith(HEADER):
            found.append((number, line.removeprefix(HEADER).strip(), []))
            inside = True
        elif not line.strip():
            inside = inside and not found[-1][2]  # between header and words it ends nothing
        elif inside:
            found[-1][2].append((number, line))
        else:
            raise UserError(
                f"{path}, line {number}: '{quoted(line)}' belongs to no tweet; each begins with a "
                f"line '{HEADER}<id>' and ends with an empty one."
            )
    return found


def parse(path: Path, number: int, line: str, labels: tuple[str, ...]) -> tuple[str, str]:
    """One line as word and tag. OTHER and MISC are two names of one type."""
    word, tab, tag = line.rpartition("\t")
    tag = tag.strip().replace("OTHER", "MISC")
    here = f"{path}, line {number}: '{quoted(line)}'"
    if "\t" in word:
        raise UserError(f"{here} has more columns than token<TAB>tag.")
    if tab and not word:
        raise UserError(f"{here} has no token before its tag.")
    if tag not in labels or not tab:
        raise UserError(f"{here} is not token<TAB>tag; a tag is one of {', '.join(labels)}.")
    return word, tag
