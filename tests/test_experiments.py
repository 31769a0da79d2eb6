"""Every experiment file loads and says how it is run."""

from pathlib import Path

import pytest

from search.experiment import read_study
from search.space import SEVEN
from search.study import Study

FOLDER = Path(__file__).parents[1] / "experiments"
FILES = sorted(FOLDER.rglob("*.yaml"))
PAPER = ("main", "ablation", "figure4")
CORPORA = {
    "synthetic_mner",
    "synthetic_msa",
    "twitter2015",
    "twitter2017",
    "mvsa_single",
    "mvsa_multiple",
    "mt_product",
}
every_file = pytest.mark.parametrize(
    "file", FILES, ids=lambda file: "-".join(file.relative_to(FOLDER).with_suffix("").parts)
)


def in_folder(name: str) -> list[Study]:
    return [read_study(file) for file in sorted((FOLDER / name).glob("*.yaml"))]


def test_there_are_experiments() -> None:
    assert FOLDER / "quickstart.yaml" in FILES


@pytest.mark.parametrize("folder", PAPER)
def test_each_experiment_of_the_paper_is_there_for_each_corpus(folder: str) -> None:
    assert {file.stem for file in (FOLDER / folder).glob("*.yaml")} == CORPORA


@every_file
def test_an_experiment_searches_or_fixes_all_seven_settings(file: Path) -> None:
    study = read_study(file)
    assert study.name == "-".join(file.relative_to(FOLDER).with_suffix("").parts)
    assert set(SEVEN) <= study.space.keys() | study.fixed.keys()


@every_file
def test_an_experiment_opens_with_its_command(file: Path) -> None:
    opening = file.read_text(encoding="utf-8").splitlines()[:2]  # the second where one is full
    command = next(line for line in opening if "python search/run.py" in line)
    assert command.startswith("#")
    given = command.split("python search/run.py")[1].split()[:1]
    path = f"experiments/{file.relative_to(FOLDER)}"
    assert given == ([] if file.stem == "quickstart" else [path])


@pytest.mark.parametrize("name", ["mvsa_single_laptop", "twitter2015_laptop"])
def test_a_laptops_experiment_goes_with_the_smallest_model(name: str) -> None:
    read_study(FOLDER / f"{name}.yaml", {"preset": "tiny"})  # as docs/own-data.md has it


@every_file
def test_the_index_names_an_experiment(file: Path) -> None:
    index = (FOLDER / "README.md").read_text(encoding="utf-8")
    inside = file.parent.name if file.parent != FOLDER else file.name
    assert f"`{inside}" in index


@pytest.mark.parametrize("folder", ["main", "ablation"])
def test_all_corpora_are_compared_in_the_same_way(folder: str) -> None:
    studies = in_folder(folder)
    names = {tuple(study.compare.named) for study in studies if study.compare}
    assert len(names) == 1
    assert {study.compare.seeds for study in studies if study.compare} == {5}


def test_the_ablations_take_away_what_they_say() -> None:
    for study in in_folder("ablation"):
        assert study.compare is not None
        made = {name: study.config(point) for name, point in study.compare.named.items()}
        whole = made["muse"]
        everywhere = made["exchange-in-all-layers"].cross
        assert made["no-captioning"].loss.alpha == made["no-decoders"].loss.alpha == 0
        assert made["no-painting"].loss.beta == made["no-decoders"].loss.beta == 0
        assert made["no-exchange"].cross.theta == 0 < whole.cross.theta
        assert (everywhere.mu, everywhere.eta) == (0, whole.cross.layers)
        assert whole.cross.residual != made["no-residual"].cross.residual
        assert made["random-tokens"].cross.choose == "random"
        assert made["no-noise"].loss.noise_std == 0 < whole.loss.noise_std
        assert made["text-shown-alone"].data.inputs == "text"
        assert made["picture-shown-alone"].data.inputs == "image"


def test_figure_4_is_drawn_around_one_point_without_a_search() -> None:
    for study in in_folder("figure4"):
        assert study.budget.trials == len(study.first_points) == study.sensitivity.candidates == 1
        assert set(SEVEN) == study.space.keys() == study.first_points[0].keys()


@pytest.mark.parametrize("corpus", sorted(CORPORA - {"synthetic_mner", "synthetic_msa"}))
def test_the_authors_setting_is_where_the_real_corpora_start(corpus: str) -> None:
    study = read_study(FOLDER / "main" / f"{corpus}.yaml")
    cross, loss = study.base.cross, study.base.loss
    assert (cross.theta, cross.mu, cross.eta) == (0.1, 1, 4)
    assert loss.alpha == loss.beta == study.base.train.learning_rate == 1e-4


def test_the_authors_files_switch_every_departure_on() -> None:
    for study in in_folder("authors"):
        assert all(study.base.parity.model_dump().values())
        assert study.base.loss.noise_std == 0
        assert study.compare is not None
        paper = study.config(study.compare.variants["paper"])
        assert not any(paper.parity.model_dump().values())
