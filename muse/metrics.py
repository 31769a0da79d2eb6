"""How predictions are scored: span F1 for entities, accuracy and weighted F1 for sentiment."""

import warnings
from collections.abc import Sequence

from seqeval.metrics import f1_score, precision_score, recall_score
from seqeval.metrics.sequence_labeling import get_entities
from sklearn.metrics import accuracy_score
from sklearn.metrics import f1_score as class_f1_score

Tags = Sequence[str]
Span = tuple[str, int, int]


def span_scores(gold: Sequence[Tags], found: Sequence[Tags]) -> dict[str, float]:
    """Micro-averaged precision, recall and F1 over word-level entities, by seqeval's default rule.

    An I- without its B- starts an entity there, in the gold tags too (Twitter-2015 has such).
    """
    gold, found = [list(tags) for tags in gold], [list(tags) for tags in found]
    with warnings.catch_warnings():  # seqeval warns where nothing was found; 0 says it
        warnings.simplefilter("ignore")
        return {
            "f1": float(f1_score(gold, found)),
            "precision": float(precision_score(gold, found)),
            "recall": float(recall_score(gold, found)),
        }


def count_spans(tags: Sequence[Tags]) -> int:
    """How many entities `span_scores` sees."""
    return len(get_entities([list(own) for own in tags]))


def class_scores(gold: Sequence[str], found: Sequence[str]) -> dict[str, float]:
    """Accuracy, and F1 averaged over the classes by their share in the gold labels."""
    weighted = class_f1_score(gold, found, average="weighted", zero_division=0)
    return {"accuracy": float(accuracy_score(gold, found)), "weighted_f1": float(weighted)}


def official_spans(tags: Tags) -> list[Span]:
    """Entities as the authors' scorer reads them: only from a B-, up to the last I- of its type.

    Anything but an I- ends an entity, so a sub-word labelled X does; an I- of another type is
    passed over without ending it.
    """
    spans: list[Span] = []
    kind, start, end = "", 0, 0
    for i, tag in enumerate(tags):
        if tag.startswith("I-") and kind:
            end = i if tag[2:] == kind else end
            continue
        if kind:
            spans.append((kind, start, end))
        kind, start, end = (tag[2:], i, i) if tag.startswith("B-") else ("", 0, 0)
    if kind:
        spans.append((kind, start, end))
    return spans


def with_subwords(tags: Tags, pieces: Sequence[int]) -> list[str]:
    """A word's tag on its first sub-word and X on the others, as the authors label them."""
    return [label for tag, n in zip(tags, pieces, strict=True) for label in [tag] + ["X"] * (n - 1)]


def official_f1(
    gold: Sequence[Tags], found: Sequence[Tags], pieces: Sequence[Sequence[int]]
) -> float:
    """The authors' F1: their spans over sub-words, of the words that were not cut off.

    Args:
        gold: tags of every word of every tweet.
        found: predicted tags, as many.
        pieces: sub-words of each word that the model saw; shorter where words were cut off.
    """
    right = told = true = 0
    for gold_tags, found_tags, counts in zip(gold, found, pieces, strict=True):
        kept = len(counts)
        truth = official_spans(with_subwords(gold_tags[:kept], counts))
        guess = official_spans(with_subwords(found_tags[:kept], counts))
        right += len(set(truth) & set(guess))
        true, told = true + len(truth), told + len(guess)
    return 2 * right / (true + told) if true + told else 0.0
