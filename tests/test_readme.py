"""What the documents say to type and to open is there."""

import re
import shlex
from pathlib import Path

import pytest

from muse import predict
from search.cli import QUICKSTART
from search.experiment import read_study
from search.options import build_parser

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def blocks(text: str) -> list[str]:
    """The lines of all fenced blocks, continued lines joined."""
    fenced = re.findall(r"```\w*\n(.*?)```", text, flags=re.DOTALL)
    return [line for block in fenced for line in block.replace("\\\n", " ").splitlines()]


def searches() -> list[str]:
    """Every command of the documents that starts a search."""
    lines = [line for document in DOCUMENTS for line in blocks(document.read_text())]
    found = [line.split("python search/run.py", 1) for line in lines]
    # Inside `ray exec '...'` the last quote belongs to the whole.
    return sorted({parts[1].removesuffix("'") for parts in found if len(parts) == 2})


def test_the_first_screen_has_exactly_the_two_commands() -> None:
    first = [line for line in blocks(README) if line.startswith("pip install")][:2]
    assert first == [
        "pip install -e . && python search/run.py",
        "pip install -e '.[test]' && pytest",
    ]


@pytest.mark.parametrize("arguments", searches())
def test_a_command_of_the_documents_names_a_file_and_options_that_are_there(arguments: str) -> None:
    options = build_parser().parse_args(shlex.split(arguments, comments=True))
    experiment = ROOT / (options.experiment or QUICKSTART)
    below = experiment.relative_to(ROOT / "experiments").with_suffix("")
    assert read_study(experiment).name == "-".join(below.parts)


def lines_with(words: str) -> list[str]:
    """What stands after some words in any command of the documents."""
    lines = [line for document in DOCUMENTS for line in blocks(document.read_text())]
    return sorted({line.split(words, 1)[1] for line in lines if line.startswith(words)})


@pytest.mark.parametrize("arguments", lines_with("python -m muse.predict"))
def test_a_prediction_of_the_documents_has_options_that_are_there(arguments: str) -> None:
    options = predict.build_parser().parse_args(shlex.split(arguments))
    assert (options.text is None) != (options.tweets is None)


def test_the_programs_that_the_documents_start_are_there() -> None:
    files = [line.split()[0] for line in lines_with("python ") if not line.startswith("-")]
    assert len(files) > 5
    assert [file for file in files if not (ROOT / file).is_file()] == []


@pytest.mark.parametrize("line", lines_with("python benchmarks/"))
def test_a_benchmark_of_the_documents_has_options_that_are_there(line: str) -> None:
    file, *words = shlex.split(line, comments=True)
    source = (ROOT / "benchmarks" / file).read_text(encoding="utf-8")
    missing = [word for word in words if word.startswith("--") and f'"{word}"' not in source]
    assert missing == []


def test_what_the_documents_make_is_a_target() -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    assert {line.split()[0] for line in lines_with("make ")} <= set(targets)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda file: file.name)
def test_what_a_document_links_to_is_there(document: Path) -> None:
    targets = re.findall(r"\]\(([^)#]+)\)", document.read_text(encoding="utf-8"))
    for target in targets:
        assert target.startswith("http") or (document.parent / target).exists(), target
