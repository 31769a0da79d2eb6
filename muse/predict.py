"""A trained folder and tweets: their entities or their sentiment, a line of JSON each.

python -m muse.predict results/quickstart/best --text "..." --image picture.jpg
python -m muse.predict results/quickstart/best tweets/         (<id>.txt and <id>.jpg)
python -m muse.predict results/quickstart/best tweets.jsonl    ({"text": "...", "image": "..."})
"""

import argparse
import io
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TextIO

from rich.console import Console
from rich.progress import track

from muse.asked import Asked, asked_in_folder, asked_in_lines, checked
from muse.errors import UserError
from muse.unread import write_no_more


def read_asked(options: argparse.Namespace) -> list[Asked]:
    """The tweets that the command names.

    Raises:
        UserError: none, or they cannot be read.
    """
    source: Path | None = options.tweets
    if (source is None) == (options.text is None):
        raise UserError("give --text, or a folder or a file of tweets; one of them.")
    if source is None:
        return [checked(Asked("--text", options.text, image=options.image))]
    if options.image is not None:
        raise UserError("--image: belongs to --text; in a file each line names its picture.")
    if str(source) == "-":
        return asked_in_lines(sys.stdin.buffer, "standard input", Path())
    if source.is_dir():
        return asked_in_folder(source)
    try:
        with source.open("rb") as lines:
            return asked_in_lines(lines, str(source), source.parent)
    except OSError as error:
        raise UserError(
            f"{source}: cannot be read ({error.strerror}); give a folder of <id>.txt and <id>.jpg, "
            "a file of JSON lines, or - for those on standard input."
        ) from error


def build_parser() -> argparse.ArgumentParser:
    """Every option, with what it does."""
    parser = argparse.ArgumentParser(
        prog="python -m muse.predict", description="Label tweets with a trained model."
    )
    add = parser.add_argument
    add("folder", type=Path, help="an exported model, results/<name>/best")
    add(
        "tweets",
        nargs="?",
        type=Path,
        help="<id>.txt and <id>.jpg in a folder, a file of "
        'lines {"text": ..., "image": ...}, or - for such lines on standard input',
    )
    add("--text", help="one tweet's words; --text='-...' where a - comes first")
    add("--image", type=Path, help="its picture (blank)")
    add("--output", type=Path, metavar="FILE", help="where the lines go (standard output)")
    add("--batch-size", type=int, default=32, metavar="N", help="tweets at once (32)")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run the command.

    Returns:
        Its exit status: 0, 1 where some tweets have an error, 2 for a mistake in the command, 130
        after Ctrl-C, 141 where nobody reads on.
    """
    options = build_parser().parse_intermixed_args(arguments)
    try:
        if options.batch_size < 1:
            raise UserError(f"--batch-size {options.batch_size}: give 1 or more.")
        return run(options)
    except UserError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    except PermissionError as error:
        sys.stderr.write(f"error: {error.filename}: cannot be read ({error.strerror})\n")
        return 2
    except KeyboardInterrupt:
        sys.stderr.write("\ninterrupted; the lines so far are whole\n")
        return 130
    except BrokenPipeError:  # who reads the lines has had enough
        write_no_more()
        return 141


def run(options: argparse.Namespace) -> int:
    """Do what the options say.

    Raises:
        UserError: a mistake in the command, or in its only tweet.
    """
    asked = read_asked(options)
    if options.tweets is None and asked[0].error:
        raise UserError(f"--{asked[0].error}")
    keep_the_tweets(options, asked)
    import torch  # noqa: PLC0415 - here and below: seconds, and a mistake is told before them

    from muse.checkpoint import load  # noqa: PLC0415
    from muse.labelling import label_all  # noqa: PLC0415

    model, tokenizer = load(options.folder)
    model.to("cuda" if torch.cuda.is_available() else "cpu")
    answers = label_all(model, tokenizer, asked, options.batch_size)
    if options.tweets is None:
        (found,) = answers
        if "error" in found:
            raise UserError(f"--{found['error']}")
        tell([found], options)
        return 0
    labelled = zip(asked, progress(answers, len(asked), options), strict=True)
    failed = tell(({"id": one.id, **found} for one, found in labelled), options)
    if failed:
        sys.stderr.write(f"{failed} of {len(asked)} tweets have an error, told in their lines\n")
    return int(failed > 0)


def keep_the_tweets(options: argparse.Namespace, asked: Sequence[Asked]) -> None:
    """Refuse to write the lines over the tweets that they are about.

    Raises:
        UserError: the file is the list of tweets, a text of their folder, or a picture of one.
    """
    tweets, file = options.tweets, options.output
    if file is None or not file.exists():
        return
    own = [path for path in (tweets, *(one.image for one in asked)) if path and path.exists()]
    is_text = tweets in own and file.suffix.lower() == ".txt" and file.parent.samefile(tweets)
    if is_text or any(map(file.samefile, own)):
        raise UserError(f"--output {file}: holds tweets to label; give another place.")


def tell(answers: Iterable[dict[str, Any]], options: argparse.Namespace) -> int:
    """Write a line for each answer.

    Returns:
        How many are errors.

    Raises:
        BrokenPipeError: nobody reads them.
        UserError: no space left, or the place cannot be written.
    """
    failed = 0
    try:
        with ExitStack() as stack:
            lines = output(options, stack)
            for found in answers:
                write(found, lines)
                failed += "error" in found
            lines.flush()  # here, where somebody who reads no more is expected
    except BrokenPipeError:
        raise
    except OSError as error:
        place = options.output or "standard output"
        if options.output is None:
            write_no_more()
        raise UserError(
            f"{place}: the lines cannot be written ({error.strerror}); make room, or give --output "
            "another place."
        ) from error
    return failed


def output(options: argparse.Namespace, stack: ExitStack) -> TextIO:
    """Where the lines go, in UTF-8 wherever that is.

    Raises:
        UserError: the file cannot be written.
    """
    if options.output is None:
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(encoding="utf-8")
        return sys.stdout
    try:
        file: TextIO = stack.enter_context(options.output.open("w", encoding="utf-8"))
    except OSError as error:
        raise UserError(
            f"--output {options.output}: cannot be written ({error.strerror}); give another place."
        ) from error
    return file


def write(found: dict[str, Any], lines: TextIO) -> None:
    """One line of JSON; what UTF-8 does not know, as in an odd path, becomes a question mark."""
    line = json.dumps(found, ensure_ascii=False)
    lines.write(line.encode(errors="replace").decode() + "\n")


def progress(
    answers: Iterator[dict[str, Any]], total: int, options: argparse.Namespace
) -> Iterator[dict[str, Any]]:
    """The answers, with a bar on a terminal that does not show the lines themselves."""
    console = Console(stderr=True)
    shown = console.is_terminal and not (options.output is None and sys.stdout.isatty())
    yield from track(
        answers, "labelling", total, console=console, disable=not shown, transient=True
    )


if __name__ == "__main__":
    raise SystemExit(main())
