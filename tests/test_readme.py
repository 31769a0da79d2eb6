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


def test_the_cluster_file_passes_rays_own_checks() -> None:
    import yaml
    from ray.autoscaler._private.util import prepare_config, validate_config

    cluster = yaml.safe_load((ROOT / "cluster.yaml").read_text(encoding="utf-8"))
    validate_config(prepare_config(cluster))
    head = cluster["available_node_types"][cluster["head_node_type"]]
    assert head["resources"] == {"CPU": 0, "GPU": 0}  # no trial lands there
    for node in cluster["available_node_types"].values():
        assert {"ImageId", "KeyName", "IamInstanceProfile"} <= node["node_config"].keys()


def test_the_cluster_runs_the_ray_that_the_project_asks_for() -> None:
    import tomllib

    asked = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    minimum = next(line for line in asked if line.startswith("ray[")).partition(">=")[2]
    pinned = re.search(
        r"ray\[default,tune,train\]==(\d+\.\d+)", (ROOT / "cluster.yaml").read_text()
    )
    assert pinned is not None
    assert pinned[1] == minimum
