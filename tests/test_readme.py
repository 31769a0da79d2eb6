"""What the documents say to type and to open is there."""

import re
import shlex
from pathlib import Path

import pytest

from search.cli import QUICKSTART, build_parser
from search.study import read_study

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
    assert read_study(experiment).name == experiment.stem


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda file: file.name)
def test_what_a_document_links_to_is_there(document: Path) -> None:
    targets = re.findall(r"\]\(([^)#]+)\)", document.read_text(encoding="utf-8"))
    for target in targets:
        assert target.startswith("http") or (document.parent / target).exists(), target
