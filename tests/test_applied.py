"""What was built is read back from the objects, and compared with what was asked."""

from pathlib import Path
from typing import Any

import pytest
from small_muse import small_config, small_tensors
from torch import nn

from muse.applied import MisappliedError, applied, difference, verify
from muse.config import MuseConfig
from muse.device import Worker
from muse.fingerprint import fingerprint
from muse.train import Run, run_epoch, start_run

ASKED: dict[str, dict[str, Any]] = {
    "cross": {"layers": 4, "mu": 1, "eta": 3, "theta": 0.3, "dropout": 0.25},
    "loss": {"alpha": 0.02, "beta": 0.03},
    "train": {"learning_rate": 2e-3, "crf_learning_rate": 3e-3, "seed": 7},
}
both_tasks = pytest.mark.parametrize("task", ["mner", "msa"])


def built(config: MuseConfig, folder: Path) -> Run:
    return start_run(config, small_tensors(config, folder / "cache"), Worker())


def data(config: MuseConfig) -> dict[str, Any]:
    return config.model_dump(mode="json")


@both_tasks
@pytest.mark.parametrize(
    "parts",
    [
        ASKED,
        {"cross": {"theta": 0.0}, "loss": {"alpha": 0.0, "beta": 0.0}},
        {"cross": {"dropout": 0.0}, "train": {"learning_rate": 1e-3, "crf_learning_rate": 1e-3}},
        {"parity": {"mean_with_cls": True, "strict_quantile": True}, "train": {"weight_decay": 0}},
        {"cross": {"choose": "random", "residual": False}, "loss": {"noise_std": 0.0}},
        {"fusion": {"kind": "text"}, "loss": {"alpha": 0.0, "beta": 0.0}},
        {"fusion": {"kind": "concatenation"}},
        {"fusion": {"kind": "cross_attention"}, "cross": {"layers": 3, "dropout": 0.3}},
    ],
)
def test_what_a_faithful_builder_builds_is_what_was_asked(
    task: str, parts: dict[str, Any], tmp_path: Path
) -> None:
    config = small_config(task, **parts)
    assert applied(built(config, tmp_path)) == data(config)


@pytest.mark.parametrize(
    ("section", "name", "value"),
    [
        ("cross", "theta", 0.4),
        ("cross", "mu", 2),
        ("cross", "eta", 4),
        ("cross", "dropout", 0.1),
        ("cross", "choose", "random"),
        ("cross", "residual", False),
        ("fusion", "kind", "concatenation"),
        ("loss", "noise_std", 0.0),
        ("loss", "alpha", 0.5),
        ("loss", "alpha", 0.0),
        ("loss", "beta", 0.5),
        ("train", "learning_rate", 1e-3),
        ("train", "crf_learning_rate", 1e-3),
        ("train", "seed", 8),
    ],
)
def test_a_builder_that_loses_a_setting_is_caught_by_its_name(
    section: str, name: str, value: float | str, tmp_path: Path
) -> None:
    asked = data(small_config(**ASKED))
    wrong = {**ASKED, section: {**ASKED.get(section, {}), name: value}}
    run = built(small_config(**wrong), tmp_path)
    run.config = small_config(**ASKED)  # it says that it did as it was told

    with pytest.raises(MisappliedError) as caught:
        verify(run, asked, fingerprint(asked))

    given = asked[section][name]
    assert str(caught.value) == (f"{section}.{name} was asked to be {given}, but {value} was built")


def test_one_layer_with_another_dropout_is_caught(tmp_path: Path) -> None:
    config = small_config(**ASKED)
    run = built(config, tmp_path)
    dropouts = [m for m in run.model.cross.layers[2].modules() if isinstance(m, nn.Dropout)]
    dropouts[0].p = 0.9
    with pytest.raises(MisappliedError, match=r"cross.dropout .* \[0.25, 0.9\] was built"):
        verify(run, data(config), fingerprint(data(config)))


def test_a_layer_between_mu_and_eta_that_does_not_exchange_is_caught(tmp_path: Path) -> None:
    config = small_config(cross={"layers": 4, "mu": 0, "eta": 3})
    run = built(config, tmp_path)
    run.model.cross.layers[1].exchanges = False
    with pytest.raises(MisappliedError, match=r"cross.eta was asked to be 3, but \[1, 3\]"):
        verify(run, data(config), fingerprint(data(config)))


def test_no_exchange_where_some_was_asked_is_caught(tmp_path: Path) -> None:
    config = small_config(**ASKED)
    run = built(config, tmp_path)
    for layer in run.model.cross.layers:
        layer.exchanges = False
    with pytest.raises(MisappliedError, match=r"cross\.eta"):
        verify(run, data(config), fingerprint(data(config)))


def test_a_state_of_other_settings_is_caught_after_it_was_taken_up(tmp_path: Path) -> None:
    other = built(small_config(**ASKED), tmp_path)
    run_epoch(other)
    asked = small_config(**{**ASKED, "train": {**ASKED["train"], "learning_rate": 5e-3}})
    run = built(asked, tmp_path)

    run.restore(other.state())

    with pytest.raises(
        MisappliedError, match=r"train\.learning_rate was asked to be 0\.005, but 0\.0"
    ):
        verify(run, data(asked), fingerprint(data(asked)))


def test_a_configuration_that_changed_on_its_way_is_caught(tmp_path: Path) -> None:
    arrived = data(small_config(**ASKED))
    sent = data(small_config(**{**ASKED, "loss": {"alpha": 0.5}}))
    with pytest.raises(MisappliedError, match="changed on its way"):
        verify(built(small_config(**ASKED), tmp_path), arrived, fingerprint(sent))


def test_the_fingerprint_of_a_faithful_run_is_that_of_the_question(tmp_path: Path) -> None:
    asked = data(small_config(**ASKED))
    assert verify(built(small_config(**ASKED), tmp_path), asked, fingerprint(asked)) == (
        fingerprint(asked)
    )


def test_a_fingerprint_knows_values_and_not_their_order() -> None:
    assert fingerprint({"a": 1, "b": {"c": 0.1}}) == fingerprint({"b": {"c": 0.1}, "a": 1})
    assert fingerprint({"a": 1}) != fingerprint({"a": 2})


def test_the_first_difference_is_named_also_where_a_setting_is_missing() -> None:
    assert difference({"a": {"b": 1, "c": 2}}, {"a": {"b": 1}}) == (
        "a.c was asked to be 2, but None was built"
    )
    assert difference({"a": 1}, {"a": 1}) == ""
