"""Where the words of a text begin and end, and the entities among them.

The corpora of entities come as words. The rules for texts as people write them follow those of
Twitter-2015: a punctuation mark is a word of its own, inside of another too (`Obama's` is three,
`U.S.` four); names with @, tags with # and links stay whole. MT-Product has a character a word.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

from muse.config import MuseConfig

MARKS = re.escape(
    ".,!?:;'\"()[]{}<>|…“”‘’«»¡¿"  # noqa: RUF001
    "、。，！？：；（）「」『』《》〈〉【】"  # noqa: RUF001 - of Chinese and Japanese
    "،؛؟۔।॥"  # noqa: RUF001 - of Arabic, Urdu and Hindi
)
"""Words of their own wherever they stand."""

WORD = re.compile(rf"(?:https?:|www\.)\S*|\.{{2,}}|[{MARKS}]|[^\s{MARKS}]+", re.IGNORECASE)
CHARACTER = re.compile(r"[\S\u3000]")
"""MT-Product has tokens that are a full-width blank."""

WHOLE = re.compile(r"\S(?:.*\S)?", re.DOTALL)

Span = tuple[int, int]
"""The first character of something, and the one after its last."""


class Entity(NamedTuple):
    """One entity of a text."""

    text: str
    type: str
    characters: Span
    words: tuple[int, int]
    """The first and the last of them."""


def word_spans(text: str, config: MuseConfig) -> list[Span]:
    """The words of a text as people write it; for sentiment the whole text is one.

    Args:
        text: no list of words joined, see `joined_spans`.
        config: of the model that is to read it.
    """
    pattern = CHARACTER if config.data.name == "mt_product" else WORD
    found = (WHOLE if config.task == "msa" else pattern).finditer(text)
    return [match.span() for match in found]


def joined_spans(words: Sequence[str]) -> list[Span]:
    """The words of `" ".join(words)`, whatever they hold."""
    spans, begin = [], 0
    for word in words:
        spans.append((begin, begin + len(word)))
        begin += len(word) + 1
    return spans


def entities(text: str, spans: Sequence[Span], tags: Sequence[str]) -> list[Entity]:
    """The entities of a text, by the tags of its first words."""
    # Here: it brings scikit-learn, two seconds that labelling sentiment need not wait.
    from seqeval.metrics.sequence_labeling import get_entities  # noqa: PLC0415

    found = []
    for kind, first, last in get_entities(list(tags)):
        begin, end = spans[first][0], spans[last][1]
        found.append(Entity(text[begin:end], kind, (begin, end), (first, last)))
    return found
