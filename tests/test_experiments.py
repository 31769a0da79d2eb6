"""Every experiment file loads and says how it is run."""

from pathlib import Path

import pytest

from search.space import SEVEN
from search.study import read_study

FOLDER = Path(__file__).parents[1] / "experiments"
FILES = sorted(FOLDER.glob("*.yaml"))


def test_there_are_experiments() -> None:
    assert FOLDER / "quickstart.yaml" in FILES


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_an_experiment_searches_or_fixes_all_seven_settings(file: Path) -> None:
    study = read_study(file)
    assert study.name == file.stem
    assert set(SEVEN) <= study.space.keys() | study.fixed.keys()


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_an_experiment_opens_with_its_command(file: Path) -> None:
    opening = file.read_text(encoding="utf-8").splitlines()[:2]  # the second where one is full
    command = next(line for line in opening if "python search/run.py" in line)
    assert command.startswith("#")
    given = command.split("python search/run.py")[1].split()[:1]
    assert given == ([] if file.stem == "quickstart" else [f"experiments/{file.name}"])
