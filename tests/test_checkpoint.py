"""A trained model as a folder: whole, or not there at all."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from disk_story import content, no_file_above
from small_muse import small_batch, small_config, small_muse, weights
from transformers import PreTrainedTokenizerFast

from muse import checkpoint
from muse.checkpoint import FORMAT, export, load, read_about
from muse.config import MuseConfig
from muse.encoders import build_text_model
from muse.errors import UserError
from muse.last import clear_halves
from muse.model import Muse
from muse.tokenizer import build_tokenizer


def tokenizer() -> PreTrainedTokenizerFast:
    return build_tokenizer(["we saw the loud sunny day again"], 64)


def exported(folder: Path, task: str = "mner", **parts: dict[str, Any]) -> Muse:
    """A model, already written into the folder."""
    model = small_muse(small_config(task, **parts)).eval()
    export(model, tokenizer(), folder)
    return model


@pytest.mark.parametrize("task", ["mner", "msa"])
@pytest.mark.parametrize(
    "parts",
    [
        {},
        {"loss": {"alpha": 0.0, "beta": 0.0}},
        {"parity": {"shared_projection": True}},
        {"parity": {"condition_on_pooler": True}},
        {"parity": {"mean_with_cls": True, "strict_quantile": True, "summed_losses": True}},
    ],
)
def test_a_loaded_model_predicts_what_the_exported_one_did(
    tmp_path: Path, task: str, parts: dict[str, Any]
) -> None:
    model, batch = exported(tmp_path / "best", task, **parts), small_batch(task)

    loaded, _ = load(tmp_path / "best")

    assert torch.equal(loaded.task_scores(batch), model.task_scores(batch))
    assert loaded.predict(batch) == model.predict(batch)
    assert torch.equal(loaded(batch).total, model(batch).total)


def test_a_loaded_model_holds_every_weight_and_setting(tmp_path: Path) -> None:
    model = exported(tmp_path / "best", cross={"theta": 0.25})

    loaded, _ = load(tmp_path / "best")

    assert loaded.config == model.config
    assert loaded.labels == model.labels
    before, after = weights(model), weights(loaded)
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert not loaded.training


def test_a_shared_projection_is_shared_again_after_loading(tmp_path: Path) -> None:
    exported(tmp_path / "best", parity={"shared_projection": True})

    loaded, _ = load(tmp_path / "best")

    with torch.no_grad():
        loaded.image_embedding.layers.weight.zero_()
    assert not loaded.text_embedding.layers.weight.any()


def test_the_folder_holds_the_tokeniser(tmp_path: Path) -> None:
    exported(tmp_path / "best")

    _, loaded = load(tmp_path / "best")

    text = "the loud unheard-of day"
    assert loaded(text)["input_ids"] == tokenizer()(text)["input_ids"]


def test_loading_needs_none_of_the_sources_of_the_weights(tmp_path: Path) -> None:
    config = small_config(image={"weights": "nowhere.pt"})
    text_model = build_text_model(config.text, 30)
    config = small_config(text={"weights": "nowhere"}, image={"weights": "nowhere.pt"})
    export(Muse(config, text_model, ["O"], pretrained=False), tokenizer(), tmp_path / "best")

    loaded, _ = load(tmp_path / "best")

    assert loaded.text_encoder.width == 16


def test_the_folder_can_be_moved(tmp_path: Path) -> None:
    model = exported(tmp_path / "best")
    (tmp_path / "best").rename(tmp_path / "elsewhere")

    loaded, _ = load(tmp_path / "elsewhere")

    assert loaded.predict(small_batch()) == model.predict(small_batch())


def test_an_export_replaces_the_older_one_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    exported(tmp_path / "best", cross={"theta": 0.1})

    exported(tmp_path / "best", cross={"theta": 0.9})

    assert read_about(tmp_path / "best")[0].cross.theta == 0.9
    assert [path.name for path in tmp_path.iterdir()] == ["best"]


def test_a_full_disk_leaves_no_folder(tmp_path: Path) -> None:
    with no_file_above(100_000), pytest.raises(OSError, match="too large"):
        exported(tmp_path / "best")

    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_the_older_export_as_it_was(tmp_path: Path) -> None:
    exported(tmp_path / "best")
    before = content(tmp_path)

    with no_file_above(100_000), pytest.raises(OSError, match="too large"):
        exported(tmp_path / "best", cross={"theta": 0.9})

    assert content(tmp_path) == before


def test_a_tokeniser_that_cannot_be_written_leaves_the_older_export_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: object) -> None:
        raise Exception("No space left on device")  # as its compiled part does

    exported(tmp_path / "best")
    before = content(tmp_path)
    monkeypatch.setattr(PreTrainedTokenizerFast, "save_pretrained", fail)

    with pytest.raises(OSError, match="No space left"):
        exported(tmp_path / "best", cross={"theta": 0.9})

    assert content(tmp_path) == before


def test_a_new_folder_that_cannot_take_the_name_leaves_the_older_export_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exported(tmp_path / "best")
    before = content(tmp_path)
    rename = Path.rename

    def refuse_the_new(path: Path, target: Path) -> Path:
        if (path / "muse.json").read_bytes() != before["best/muse.json"]:
            raise OSError("stale file handle")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", refuse_the_new)

    with pytest.raises(OSError, match="stale file handle"):
        exported(tmp_path / "best", cross={"theta": 0.9})

    assert content(tmp_path) == before


def one_line(error: pytest.ExceptionInfo[UserError]) -> str:
    text = str(error.value)
    assert len(text.splitlines()) == 1
    return text


def test_a_folder_without_a_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError) as error:
        load(tmp_path / "best")

    assert one_line(error).startswith(f"{tmp_path / 'best'}: no exported model here")


def test_a_model_of_another_format_says_both_numbers(tmp_path: Path) -> None:
    (tmp_path / "muse.json").write_text('{"format": 99}', encoding="utf-8")

    with pytest.raises(UserError, match=f"format 99, but this version reads {FORMAT}") as error:
        read_about(tmp_path)

    one_line(error)


@pytest.mark.parametrize(
    "about",
    [
        b"",
        b"no json",
        b"\xff\xfe",
        b"[]",
        b'"text"',
        b'{"format": %d}' % FORMAT,
        b'{"format": %d, "config": {}, "labels": null}' % FORMAT,
        b'{"format": %d, "config": {"cross": {"thetta": 1}}, "labels": []}' % FORMAT,
        b'{"format": %d, "config": {"cross": {"mu": 9}, "loss": {"alpha": -1}}, "labels": []}'
        % FORMAT,
    ],
)
def test_damaged_settings_are_a_one_line_error(tmp_path: Path, about: bytes) -> None:
    (tmp_path / "muse.json").write_bytes(about)

    with pytest.raises(UserError, match=r"muse\.json") as error:
        read_about(tmp_path)

    one_line(error)


@pytest.mark.parametrize("name", ["model.safetensors", "text.json", "tokenizer.json"])
@pytest.mark.parametrize("damage", ["missing", "empty", "cut", "nonsense"])
def test_a_damaged_file_is_a_one_line_error(tmp_path: Path, name: str, damage: str) -> None:
    exported(tmp_path / "best")
    file = tmp_path / "best" / name
    whole = file.read_bytes()
    if damage == "missing":
        file.unlink()
    else:
        file.write_bytes({"empty": b"", "cut": whole[: len(whole) // 2], "nonsense": b"?"}[damage])

    with pytest.raises(UserError, match="best") as error:
        load(tmp_path / "best")

    one_line(error)


@pytest.mark.parametrize(
    "more", [{"attn_implementation": "some/kernel"}, {"dtype": "float16"}], ids=str
)
def test_a_text_encoder_is_torchs_own_in_float32_whatever_its_file_says(
    more: dict[str, str], tmp_path: Path
) -> None:
    exported(tmp_path / "best")
    file = tmp_path / "best" / "text.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **more}))
    model, _ = load(tmp_path / "best")
    assert model.text_encoder.model.config._attn_implementation == "sdpa"
    assert {weight.dtype for weight in model.parameters()} == {torch.float32}


def test_a_text_encoder_with_settings_of_the_wrong_kind_is_a_one_line_error(
    tmp_path: Path,
) -> None:
    exported(tmp_path / "best")
    file = tmp_path / "best" / "text.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "hidden_size": "12"}))
    with pytest.raises(UserError, match="damaged") as error:
        load(tmp_path / "best")
    one_line(error)


def test_weights_of_another_model_are_a_one_line_error(tmp_path: Path) -> None:
    exported(tmp_path / "other", cross={"feedforward": 32})
    exported(tmp_path / "best")
    (tmp_path / "other" / "model.safetensors").replace(tmp_path / "best" / "model.safetensors")

    with pytest.raises(UserError, match="damaged") as error:
        load(tmp_path / "best")

    one_line(error)


def test_weights_that_may_not_be_read_are_not_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exported(tmp_path / "best")
    read = Path.open

    def refuse(path: Path, *how: Any, **named: Any) -> Any:  # nothing is forbidden to root
        if path.suffix == ".safetensors":
            raise PermissionError(13, "Permission denied", str(path))
        return read(path, *how, **named)

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(PermissionError):
        load(tmp_path / "best")


def test_the_settings_in_the_folder_are_readable_json(tmp_path: Path) -> None:
    model = exported(tmp_path / "best")

    about = json.loads((tmp_path / "best" / "muse.json").read_text(encoding="utf-8"))

    assert MuseConfig.model_validate(about["config"]) == model.config


def test_a_best_model_whose_replacement_was_killed_is_put_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object, **__: object) -> Path:
        raise KeyboardInterrupt

    folder = tmp_path / "best"
    model = exported(folder)
    before = weights(model)
    move, moves = Path.rename, []

    def rename(self: Path, target: Path) -> Path:
        moves.append(target)
        return move(self, target) if len(moves) == 1 else killed()

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", rename)
        patch.setattr(checkpoint.shutil, "rmtree", killed)  # nor does anything else happen
        with pytest.raises(KeyboardInterrupt):
            export(small_muse(model.config), tokenizer(), folder)
    assert not folder.exists()

    clear_halves(tmp_path)

    assert [path.name for path in tmp_path.iterdir()] == ["best"]
    kept = weights(load(folder)[0])
    assert all(torch.equal(kept[name], value) for name, value in before.items())
