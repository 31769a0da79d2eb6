"""An experiment file becomes one checked Study, or one line that says what to mend."""

from pathlib import Path
from typing import Any

import optuna
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from muse.errors import UserError
from search.experiment import read_study
from search.space import suggest
from search.study import Study

SPACE = {
    "cross.theta": {"low": 0.0, "high": 0.5},
    "cross.mu": {"low": 0, "high": 3},
    "cross.eta": {"low": 1, "high": 4},
    "loss.alpha": {"low": 1e-5, "high": 1e-1, "log": True},
    "loss.beta": {"low": 1e-5, "high": 1e-1, "log": True},
    "train.learning_rate": {"low": 1e-4, "high": 1e-2, "log": True},
    "cross.dropout": {"low": 0.0, "high": 0.4},
}
FULL = {"preset": "tiny", "space": SPACE, "budget": {"trials": 3, "epochs": 2}}


def write(folder: Path, content: dict[str, Any] | str) -> Path:
    file = folder / "mine.yaml"
    file.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    return file


def mistake(folder: Path, content: dict[str, Any] | str, **overrides: Any) -> str:
    """The one line that a user is shown, without the folder."""
    with pytest.raises(UserError) as caught:
        read_study(write(folder, content), overrides)
    text = str(caught.value)
    assert len(text.splitlines()) == 1
    return text.replace(f"{folder}/", "")


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ({"budgett": {}}, "mine.yaml: unknown key 'budgett'; did you mean 'budget'?"),
        (
            {"budget": {"trails": 3}},
            "mine.yaml, budget: unknown key 'trails'; did you mean 'trials'?",
        ),
        (
            {"data": {"limits": 3}},
            "mine.yaml, data: unknown key 'limits'; did you mean 'limit'?",
        ),
        (
            {"space": {"cross.theta": {"low": 0, "hihg": 1}}},
            "mine.yaml, space.cross.theta: unknown key 'hihg'; did you mean 'high'?",
        ),
        (
            {"space": {"cross.theta": {"low": 0}}},
            "mine.yaml, space.cross.theta.high: is missing",
        ),
        (
            {"space": {"cross.thetta": {"low": 0, "high": 1}}},
            "mine.yaml: space: unknown setting 'cross.thetta'; did you mean 'cross.theta'?",
        ),
        (
            {"fixed": {"mu": 1}},
            "mine.yaml: fixed: unknown setting 'mu'; did you mean 'cross.mu'?",
        ),
        (
            {"fixed": {"cross.mu": 4, "cross.eta": 4}},
            "mine.yaml, cross: mu=4, eta=4, layers=6: "
            "layers mu+1..eta exchange, so mu < eta <= layers; raise cross.layers, or lower eta, "
            "in a study also in its space.",
        ),
        (
            {"space": {"cross.theta": {"low": 0, "high": 1.5}}},
            "mine.yaml: space, cross.theta: 1.5 is not legal: "
            "cross.theta: Input should be less than or equal to 1, given 1.5",
        ),
        (
            {"space": {"cross.dropout": {"low": 0.4, "high": 0.1}}},
            "mine.yaml, space.cross.dropout: low=0.4, high=0.1: low < high, and above 0 if log.",
        ),
        (
            {"space": {"cross.mu": {"low": 0, "high": 2.5}}},
            "mine.yaml, space.cross.mu.high: Input should be a valid integer, "
            "got a number with a fractional part, given 2.5",
        ),
        (
            {"fixed": {"cross.theta": 0.1}, "space": SPACE},
            "mine.yaml: 'cross.theta' stands in fixed and in space; keep one",
        ),
        (
            {"fixed": {"train.epochs": 3}},
            "mine.yaml: fixed: 'train.epochs' is given by 'budget.epochs'",
        ),
        (
            {"space": {"train.seed": {"low": 0, "high": 3}}},
            "mine.yaml: space: 'train.seed' is given by 'seed'",
        ),
        (
            {"budget": {"trials": 0}},
            "mine.yaml, budget.trials: Input should be greater than 0, given 0",
        ),
        (
            {"scheduler": {"reduction": 1.0000001}},  # millions of rungs
            "mine.yaml, scheduler.reduction: "
            "Input should be greater than or equal to 1.1, given 1.0000001",
        ),
        ({"task": "ner"}, "mine.yaml, task: Input should be 'mner' or 'msa', given 'ner'"),
        (
            {"metric": "valid_accuracy"},
            "mine.yaml, train.metric=valid_accuracy is no score of mner: "
            "choose from valid_f1, valid_f1_official.",
        ),
        (
            {"space": {"parity.mean_with_cls": {"low": 0, "high": 1}}},
            "mine.yaml: space, parity.mean_with_cls: 0.5 is not legal: "
            "parity.mean_with_cls: Input should be a valid boolean, given 0.5",
        ),
        (
            {"space": {"cross.mu": {"choice": [0, 1]}}},
            "mine.yaml, space.cross.mu: unknown key 'choice'; did you mean 'choices'?",
        ),
        (
            {"space": {"cross.mu": {"choices": [0, 1, 1]}}},
            "mine.yaml, space.cross.mu: choices: 1 stands twice; name each value once.",
        ),
        (
            {"space": {"cross.theta": {"choices": [0.1]}}},
            "mine.yaml, space.cross.theta.choices: "
            "List should have at least 2 items after validation, not 1, given [0.1]",
        ),
        (
            {"space": {"cross.mu": {"choices": [0, "two"]}}},
            "mine.yaml: space, cross.mu: two is not legal: cross.mu: Input should be a valid "
            "integer, unable to parse string as an integer, given 'two'",
        ),
    ],
)
def test_a_mistake_is_told_with_its_place_and_remedy(
    tmp_path: Path, content: dict[str, Any], line: str
) -> None:
    assert mistake(tmp_path, content) == line


@pytest.mark.parametrize(
    ("point", "part"),
    [
        ({"cross.theta": 0.9}, "cross.theta=0.9 lies outside the space"),
        ({"cross.mu": 1.5}, "cross.mu=1.5 lies outside the space"),
        ({"cross.mu": 3, "cross.eta": 2}, "mu=3, eta=2, layers=4: layers mu+1..eta exchange"),
        ({"cross.thetta": 0.1}, "'cross.thetta' is not searched; did you mean 'cross.theta'?"),
        ({"cross.eta": 1}, "'cross.eta' without 'cross.mu'"),  # mu may be drawn above it
    ],
)
def test_a_first_point_that_cannot_be_tried_is_refused(
    tmp_path: Path, point: dict[str, Any], part: str
) -> None:
    assert f"first_points: {part}" in mistake(tmp_path, {**FULL, "first_points": [point]}).replace(
        "first_points: cross: ", "first_points: "
    )


def test_the_published_learning_rate_may_be_written_as_people_write_it(tmp_path: Path) -> None:
    text = yaml.safe_dump(FULL) + "first_points: [{train.learning_rate: 1e-4}]\n"
    assert read_study(write(tmp_path, text)).first_points == [{"train.learning_rate": 1e-4}]


@pytest.mark.parametrize("choices", [[3, 0], [0, 3]])
def test_the_order_of_the_choices_of_mu_does_not_matter(choices: list[int]) -> None:
    space = {"cross.mu": {"choices": choices}, "cross.eta": {"low": 2, "high": 4}}
    study = Study.model_validate({"preset": "tiny", "space": space})
    assert study.base.cross.mu == 0


def test_a_choice_of_eta_that_some_mu_would_exceed_is_refused(tmp_path: Path) -> None:
    space = {"cross.mu": {"low": 0, "high": 3}, "cross.eta": {"choices": [4, 2]}}
    line = mistake(tmp_path, {"preset": "tiny", "space": space})
    assert line.startswith("mine.yaml: space, cross.mu: 2 is not legal: cross: mu=2, eta=2")


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("task: [mner", "mine.yaml: no valid YAML: while parsing a flow sequence"),
        ("task: mner\nseed: 1\ntask: msa", "mine.yaml: no valid YAML: 'task' stands twice in"),
        ("fixed: {a.b: 1, a.b: 2}", "mine.yaml: no valid YAML: 'a.b' stands twice"),
        ("- task", "mine.yaml: holds no settings"),
        ("", "mine.yaml: holds no settings"),
        ("mner", "mine.yaml: holds no settings"),
        ("3: 4", "mine.yaml, 3: Keys should be strings, given 3"),
        ("space: 3", "mine.yaml, space: Input should be a valid dictionary, given 3"),
        ("budget: 5", "mine.yaml, budget: Input should be a valid dictionary"),
        ("first_points: 5", "mine.yaml, first_points: Input should be a valid list, given 5"),
    ],
)
def test_a_file_that_holds_no_study_is_refused(tmp_path: Path, text: str, part: str) -> None:
    assert mistake(tmp_path, text).startswith(part)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"name: \xff\xfe", r"is not UTF-8 \(byte 6: "),
        (b"\x00\x01", "no valid YAML: "),
        (b"name: caf\xe9", r"is not UTF-8 \(byte 9: "),
    ],
)
def test_a_file_that_is_no_text_is_refused(tmp_path: Path, content: bytes, told: str) -> None:
    file = tmp_path / "mine.yaml"
    file.write_bytes(content)
    with pytest.raises(UserError, match=rf"mine\.yaml: {told}[^\n]*$"):
        read_study(file)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none\.yaml: cannot be read \(No such file"):
        read_study(tmp_path / "none.yaml")


def test_a_folder_is_no_experiment(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"cannot be read \(Is a directory\)"):
        read_study(tmp_path)


def test_a_study_is_named_after_its_file(tmp_path: Path) -> None:
    assert read_study(write(tmp_path, FULL)).name == "mine"


@pytest.mark.parametrize(
    ("key", "value", "found"),
    [
        ("budget.trials", 7, lambda study: study.budget.trials),
        ("budget.epochs", 7, lambda study: study.budget.epochs),
        ("train.epochs", 7, lambda study: study.budget.epochs),
        ("train.seed", 7, lambda study: study.seed),
        ("seed", 7, lambda study: study.seed),
        ("name", "other", lambda study: study.name),
        ("data.limit", 7, lambda study: study.base.data.limit),
        ("metric", "valid_f1_official", lambda study: study.base.metric),
        ("searcher.name", "random", lambda study: study.searcher.name),
        ("scheduler.name", "none", lambda study: study.scheduler.name),
        ("sensitivity.points", 0, lambda study: study.sensitivity.points),
        ("resources.workers", 2, lambda study: study.resources.workers),
        ("text.layers", 1, lambda study: study.base.text.layers),
        ("cross.theta", 0.3, lambda study: study.base.cross.theta),
    ],
)
def test_an_option_sets_its_field(tmp_path: Path, key: str, value: Any, found: Any) -> None:
    assert found(read_study(write(tmp_path, FULL), {key: value})) == value


def test_an_option_leaves_the_rest_of_its_section(tmp_path: Path) -> None:
    study = read_study(write(tmp_path, FULL), {"budget.epochs": 7})
    assert (study.budget.trials, study.budget.epochs) == (3, 7)


@pytest.mark.parametrize(
    ("key", "value"), [("cross.theta", 0.3), ("cross.mu", 2), ("cross.eta", 2)]
)
def test_a_searched_setting_that_is_set_is_searched_no_more(
    tmp_path: Path, key: str, value: float
) -> None:
    point = {"cross.theta": 0.1, "cross.mu": 1, "cross.eta": 4}

    study = read_study(write(tmp_path, {**FULL, "first_points": [point]}), {key: value})

    assert study.fixed == {key: value}
    assert study.space.keys() == SPACE.keys() - {key}
    assert study.first_points == [{k: v for k, v in point.items() if k != key}]


@pytest.mark.parametrize(
    ("overrides", "line"),
    [
        ({"theta": 1}, "--set theta: unknown field; did you mean 'cross.theta'?"),
        ({"budgett.trials": 1}, "--set budgett.trials: unknown field; did you mean 'budget'?"),
        ({"budget.trails": 1}, "mine.yaml, budget: unknown key 'trails'; did you mean 'trials'?"),
        ({"name.x": 1}, "name: give names and values below it, not 'mine'"),
        (
            {"cross.mu": 4},
            "the command line with mine.yaml, cross: mu=4, eta=4, layers=4: "
            "layers mu+1..eta exchange, so mu < eta <= layers; raise cross.layers, or lower eta, "
            "in a study also in its space.",
        ),
    ],
)
def test_an_option_that_fits_nothing_is_refused(
    tmp_path: Path, overrides: dict[str, Any], line: str
) -> None:
    assert mistake(tmp_path, FULL, **overrides) == line


def test_an_option_does_not_trip_over_a_section_that_is_wrong_already(tmp_path: Path) -> None:
    assert "budget: give names and values" in mistake(tmp_path, "budget: 5", **{"budget.trials": 3})
    assert "space: give names and values" in mistake(tmp_path, "space: 5", **{"cross.theta": 0.1})
    assert "first_points" in mistake(tmp_path, "first_points: 5", **{"cross.theta": 0.1})


@settings(max_examples=50)
@given(seed=st.integers(0, 2**32 - 1), run_seed=st.integers(0, 9))
def test_a_trial_is_configured_with_every_value_of_its_point(seed: int, run_seed: int) -> None:
    study = Study.model_validate(FULL)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    drawn = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    point = suggest(study.space, study.fixed, drawn.ask())

    config = study.config(point, run_seed)

    for name, value in point.items():
        section, _, key = name.partition(".")
        assert getattr(getattr(config, section), key) == value
    assert (config.train.epochs, config.train.seed) == (2, run_seed)
    assert config.text.width == 64  # the preset's


def test_fixed_settings_stand_above_the_preset_and_points_above_both() -> None:
    study = Study.model_validate({**FULL, "fixed": {"text.width": 32}})
    assert study.config({"cross.mu": 2}).text.width == 32
    assert study.config({"text.width": 16}).text.width == 16


def test_two_trials_share_no_state() -> None:
    study = Study.model_validate(FULL)
    study.config({"cross.theta": 0.4, "cross.layers": 5})
    assert study.config({}).cross.layers == 4


def test_a_study_survives_being_written_as_yaml() -> None:
    study = Study.model_validate({**FULL, "first_points": [{"cross.theta": 0.1}]})
    text = yaml.safe_dump(study.model_dump(mode="json"))
    assert Study.model_validate(yaml.safe_load(text)) == study


def test_relative_folders_are_written_out_for_workers_that_run_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "encoder").mkdir()
    monkeypatch.chdir(tmp_path)
    fields = {
        "data.name": "twitter2015",
        "data.root": "tweets",
        "data.images": 2024,
        "text.weights": "encoder",
        "image.weights": "imagenet",
    }
    experiment = Path(__file__).parents[1] / "experiments" / "quickstart.yaml"
    study = read_study(experiment, fields)
    assert study.data["root"] == str(tmp_path / "tweets")
    assert study.data["images"] == str(tmp_path / "2024")
    assert study.fixed["text.weights"] == str(tmp_path / "encoder")
    assert study.fixed["image.weights"] == "imagenet"
