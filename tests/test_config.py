"""What the configuration refuses, and what the presets build."""

from typing import Any

import pytest
import torch
from pydantic import ValidationError
from transformers import BertConfig, BertModel

from muse.captioner import Captioner
from muse.config import (
    METRICS,
    CrossConfig,
    DataConfig,
    ImageConfig,
    MuseConfig,
    TextConfig,
    TrainConfig,
)
from muse.encoders import build_text_model
from muse.model import Muse
from muse.presets import PRESETS


@pytest.mark.parametrize(("mu", "eta", "layers"), [(0, 1, 1), (0, 6, 6), (5, 6, 6), (1, 4, 6)])
def test_mu_below_eta_within_layers_is_taken(mu: int, eta: int, layers: int) -> None:
    assert CrossConfig(mu=mu, eta=eta, layers=layers).eta == eta


@pytest.mark.parametrize(("mu", "eta", "layers"), [(4, 4, 6), (5, 4, 6), (1, 7, 6), (1, 4, 3)])
def test_mu_and_eta_out_of_order_are_refused_with_all_three(mu: int, eta: int, layers: int) -> None:
    with pytest.raises(ValidationError, match=f"mu={mu}, eta={eta}, layers={layers}"):
        CrossConfig(mu=mu, eta=eta, layers=layers)


def test_a_text_width_that_heads_do_not_divide_is_refused() -> None:
    with pytest.raises(ValidationError, match="width=64 is no multiple of heads=5"):
        TextConfig(weights=None, width=64, heads=5)
    assert TextConfig(weights="minilm", width=64, heads=5)  # a pretrained encoder has its own


@pytest.mark.parametrize(
    ("part", "field", "value"),
    [
        ("cross", "theta", -0.1),
        ("cross", "theta", 1.1),
        ("cross", "theta", float("nan")),
        ("cross", "mu", -1),
        ("cross", "dropout", 1.0),
        ("loss", "alpha", -1e-9),
        ("loss", "noise_std", -1),
        ("loss", "alpha", float("inf")),
        ("loss", "beta", float("inf")),
        ("loss", "noise_std", float("inf")),
        ("train", "learning_rate", 0),
        ("train", "learning_rate", float("inf")),
        ("train", "crf_learning_rate", float("inf")),
        ("train", "weight_decay", float("inf")),
        ("data", "synthetic_seed", -1),
        ("train", "batch_size", 0),
        ("data", "small_image_size", 30),
        ("data", "text_tokens", 3),
        ("data", "text_tokens", 513),
        ("image", "depth", 34),
        ("image", "frozen_stages", 5),
    ],
)
def test_a_value_out_of_range_is_refused_by_name(part: str, field: str, value: Any) -> None:
    with pytest.raises(ValidationError) as refused:
        MuseConfig.model_validate({part: {field: value}})

    assert [error["loc"] for error in refused.value.errors()] == [(part, field)]


@pytest.mark.parametrize(
    ("part", "field", "value"),
    [
        ("cross", "theta", 0),
        ("cross", "theta", 1),
        ("loss", "alpha", 0),
        ("loss", "alpha", 1e3),
        ("data", "text_tokens", 4),
        ("data", "text_tokens", 512),
        ("image", "frozen_stages", 4),
        ("painter", "resolutions", 3),
        ("train", "seed", 2**32 - 1),
        ("train", "clip", float("inf")),
    ],
)
def test_the_ends_of_a_range_are_taken(part: str, field: str, value: float) -> None:
    config = MuseConfig.model_validate({part: {field: value}})

    assert getattr(getattr(config, part), field) == value


def test_an_unknown_key_is_refused_by_name() -> None:
    with pytest.raises(ValidationError) as refused:
        MuseConfig.model_validate({"cross": {"thetta": 0.1}})

    assert refused.value.errors()[0]["loc"] == ("cross", "thetta")
    assert refused.value.errors()[0]["type"] == "extra_forbidden"


def test_no_departure_of_the_authors_code_is_on_unasked() -> None:
    departures = MuseConfig().parity.model_dump()

    assert departures == dict.fromkeys(departures, False)


def test_more_frozen_stages_than_stages_are_refused() -> None:
    with pytest.raises(ValidationError, match="frozen_stages=3 is above stages=2"):
        ImageConfig(stages=2, frozen_stages=3)


@pytest.mark.parametrize(
    ("task", "metric"), [("mner", "valid_accuracy"), ("msa", "valid_f1"), ("msa", "valid_loss")]
)
def test_a_metric_of_another_task_is_refused(task: str, metric: str) -> None:
    with pytest.raises(ValidationError):
        MuseConfig.model_validate({"task": task, "train": {"metric": metric}})


@pytest.mark.parametrize(("task", "expected"), [("mner", "valid_f1"), ("msa", "valid_accuracy")])
def test_each_task_has_a_metric_of_its_own(task: str, expected: str) -> None:
    assert MuseConfig.model_validate({"task": task}).metric == expected


def test_the_metric_asked_for_is_used() -> None:
    config = MuseConfig(task="mner", train=TrainConfig(metric="valid_f1_official"))

    assert config.metric == "valid_f1_official"


@pytest.mark.parametrize(("side", "stages", "frozen"), [(33, 4, 1), (32, 4, 4), (32, 3, 1)])
def test_the_last_stage_sees_more_than_a_cell(side: int, stages: int, frozen: int) -> None:
    image = ImageConfig(stages=stages, frozen_stages=frozen)
    MuseConfig(data=DataConfig(image_size=side), image=image)


def test_a_picture_of_a_single_cell_is_refused() -> None:
    with pytest.raises(ValidationError, match="at least 33 pixels, or fewer stages"):
        MuseConfig(data=DataConfig(image_size=32))


def test_a_model_that_would_see_nothing_is_refused() -> None:
    alone = {"fusion": {"kind": "text"}, "loss": {"alpha": 0, "beta": 0}}
    assert MuseConfig.model_validate({**alone, "data": {"inputs": "text"}})
    with pytest.raises(ValidationError, match="would see neither text nor picture"):
        MuseConfig.model_validate({**alone, "data": {"inputs": "image"}})


def test_a_setting_never_changes() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        CrossConfig().theta = 0.5


def test_a_configuration_survives_json() -> None:
    config = MuseConfig(data=DataConfig(name="mvsa_single", root="data/mvsa"), task="msa")

    assert MuseConfig.model_validate_json(config.model_dump_json()) == config


def test_every_field_says_what_it_means() -> None:
    schema = MuseConfig.model_json_schema()["$defs"]

    silent = [
        f"{part}.{name}"
        for part, definition in schema.items()
        for name, field in definition["properties"].items()
        if not field.get("description")
    ]
    assert silent == []


@pytest.mark.parametrize("task", METRICS)
@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_validates_for_both_tasks(preset: Any, task: str) -> None:
    assert MuseConfig.model_validate({"task": task, **PRESETS[preset]}).task == task


@pytest.mark.parametrize("task", METRICS)
def test_the_tiny_preset_builds_a_model(task: str) -> None:
    config = MuseConfig.model_validate({"task": task, **PRESETS["tiny"]})

    model = Muse(config, build_text_model(config.text, 100), ["a", "b"])

    assert sum(parameter.numel() for parameter in model.parameters()) < 2e6


@pytest.mark.parametrize("task", METRICS)
def test_the_small_preset_builds_a_model(task: str) -> None:
    config = MuseConfig.model_validate({"task": task, **PRESETS["small"]})
    minilm = BertConfig(
        hidden_size=384, num_hidden_layers=6, num_attention_heads=12, intermediate_size=1536
    )
    with torch.device("meta"):
        model = Muse(config, BertModel(minilm), ["a", "b"])

    assert model.text_encoder.width == 384


def trained(model: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)


def test_the_full_preset_has_the_sizes_of_the_authors() -> None:
    config = MuseConfig.model_validate(PRESETS["full"])
    with torch.device("meta"):
        model = Muse(config, BertModel(BertConfig()), ["O"] * 9, pretrained=False)
        model.captioner = Captioner(config.captioner, 768, vocabulary=4736)  # theirs, of captions

    assert trained(model) == pytest.approx(236e6, rel=0.01)  # as their log says


def test_the_full_preset_without_decoders_has_the_size_of_the_authors() -> None:
    config = MuseConfig.model_validate({**PRESETS["full"], "loss": {"alpha": 0, "beta": 0}})
    with torch.device("meta"):
        model = Muse(config, BertModel(BertConfig()), ["O"] * 9, pretrained=False)

    assert trained(model) == pytest.approx(204e6, rel=0.01)
