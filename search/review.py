"""The best model reviewed: what it does with some validation tweets, and where it errs.

Nothing is trained. The pictures and texts go to `review/` and to TensorBoard's run of that name.
"""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from matplotlib.figure import Figure

from muse.checkpoint import load
from muse.errors import UserError
from muse.look import TweetSight, choose, look
from muse.mistakes import Floats, Mistakes, Subject, mistakes, transitions
from muse.tensors import Tensors
from search.best import REVIEW, read_best
from search.letters import all_letters, told_missing
from search.review_drawing import (
    draw_confusion,
    draw_transitions,
    draw_tweet,
    in_words,
)
from search.tables import escaped, markdown
from search.work import Work

SHOWN, WORST = 8, 20
"""Tweets shown in pictures, and wrong ones told in words."""

PAINT_SECONDS = 60.0
"""No painting from a text is begun after so long: at the authors' sizes one takes minutes."""

DOTS_PER_INCH = 110


@dataclass(frozen=True)
class Review:
    """What was seen of a model."""

    mistakes: Mistakes
    transitions: Floats | None
    """Of the CRF, for named entities."""

    tweets: list[TweetSight]
    """Empty where no content of the corpus may be shown."""


def review(work: Work) -> None:
    """Review the model in `best/`, if there is one."""
    root = work.place.root
    if not (root / "best" / "muse.json").is_file():
        return
    try:
        seen = see(root / "best", work.tensors, samples=work.study.samples)
    except UserError as error:
        work.view.say(f"no review: {error}")
        return
    texts = tell(seen, str(read_best(root).get("model")))
    with all_letters() as missing:
        pictures = draw(seen)
        write_review(root, pictures, texts)
    files = {name: root / REVIEW / f"{name}.png" for name in pictures}
    work.keeper.board.review(files, texts)
    right = f"{seen.mistakes.tweets - seen.mistakes.wrong} of {seen.mistakes.tweets}"
    work.view.say(f"review of the model: {root / REVIEW}, {right} validation tweets all right")
    if missing:
        work.view.say(told_missing(missing))


def files_of(root: Path) -> list[str]:
    """The files of a study's review, relative to its folder; the text first."""
    files = sorted((root / REVIEW).glob("*.png"))
    return [f"{REVIEW}/{file.name}" for file in [root / REVIEW / "review.md", *files] if files]


def see(folder: Path, tensors: Tensors, *, samples: bool) -> Review:
    """Look at an exported model with the validation split.

    Args:
        folder: the model's.
        tensors: the corpus.
        samples: whether tweets may be shown.

    Raises:
        UserError: the model cannot be read.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model, _ = load(folder)
    subject = Subject(model.to(device), tensors.splits["valid"], tensors.tokenizer, device)
    found = mistakes(subject, WORST if samples else 0)
    chosen = choose(subject.split, SHOWN) if samples else []
    tweets = look(subject, chosen, PAINT_SECONDS) if chosen else []
    return Review(found, transitions(model), tweets)


def draw(seen: Review) -> dict[str, Figure]:
    """Every picture by its name."""
    found = seen.mistakes
    what = "words" if seen.transitions is not None else "tweets"
    pictures = {"confusion": draw_confusion(found.confusion, found.labels, what)}
    if seen.transitions is not None:
        pictures["transitions"] = draw_transitions(seen.transitions, found.labels)
    for number, sight in enumerate(seen.tweets, start=1):
        pictures[f"tweet-{number}"] = draw_tweet(sight)
    return pictures


def tell(seen: Review, model: str) -> dict[str, str]:
    """What was seen in words, as Markdown by its name."""
    found = seen.mistakes
    summary = [
        f"Model {escaped(model)}: {found.wrong} of {found.tweets} validation tweets are not all "
        "right.",
    ]
    if not seen.tweets:
        summary.append("No tweets are shown (`samples: false`).")
    painted = sum(sight.painted is not None for sight in seen.tweets)
    if 0 < painted < len(seen.tweets):
        summary.append(
            f"Painted from the text: {painted} of {len(seen.tweets)}; "
            f"after {PAINT_SECONDS:.0f} s no more are begun."
        )
    texts = {"summary": "\n\n".join(summary)}
    if found.worst:
        texts["worst-errors"] = worst(found)
    for number, sight in enumerate(seen.tweets, start=1):
        texts[f"tweet-{number}"] = tweet(sight)
    return texts


def worst(found: Mistakes) -> str:
    """The wrong tweets with the largest loss, as a table."""
    rows = [["tweet", "loss (nats)", "text", "found", "true"]]
    for one in found.worst:
        labels = (in_words(one.words, one.found), in_words(one.words, one.gold))
        rows.append([one.id, f"{one.loss:.2f}", " ".join(one.words), *labels])
    return markdown(rows)


def tweet(sight: TweetSight) -> str:
    """One tweet: its labels, its caption, and which sub-words each layer exchanged, in bold."""
    rows = [
        ["what", "text"],
        ["tweet", sight.id],
        ["found", in_words(sight.words, sight.found)],
        ["true", in_words(sight.words, sight.gold)],
        ["written from the picture", sight.caption or "(no captioner)"],
        ["text", " ".join(sight.words)],
    ]
    lines = [markdown(rows)]
    for layer in sight.layers:
        pieces = [
            f"**{escaped(piece)}**" if swapped else escaped(piece)
            for piece, swapped in zip(sight.pieces, layer.text_exchanged, strict=True)
        ]
        lines.append(f"| layer {layer.layer}, exchanged in bold | {' '.join(pieces)} |")
    return "\n".join(lines)


def write_review(root: Path, pictures: Mapping[str, Figure], texts: Mapping[str, str]) -> None:
    """Write `review/` in the place of an earlier one."""
    new = root / f".{REVIEW}"
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir()
    lines = ["# Review of the best model"]
    for name, figure in pictures.items():
        figure.savefig(new / f"{name}.png", dpi=DOTS_PER_INCH)
    for name, text in texts.items():
        lines += ["", f"## {name}", "", text]
        if name in pictures:
            lines += ["", f"![{name}]({name}.png)"]
    lines += ["", *(f"![{name}]({name}.png)" for name in pictures if name not in texts)]
    (new / "review.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    shutil.rmtree(root / REVIEW, ignore_errors=True)
    new.rename(root / REVIEW)
