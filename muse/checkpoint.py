"""A trained model as one folder that loads anywhere.

The folder: `model.safetensors`, `muse.json` (settings and labels), `text.json` (the text
encoder's architecture) and the tokeniser. Nothing in it executes code when it is read.
"""

import json
import re
import shutil
from pathlib import Path
from uuid import uuid4

import torch
from safetensors import SafetensorError
from safetensors.torch import load_model, save_file
from transformers import AutoModel, PreTrainedTokenizerBase

from muse.config import MuseConfig
from muse.durable import to_disk
from muse.errors import UserError
from muse.model import Muse
from muse.pretrained import text_config
from muse.tokenizer import load_tokenizer, save_tokenizer

FORMAT = 3

Weights = dict[str, torch.Tensor]
"""By the names of a model's `state_dict`."""


def replace_folder(new: Path, folder: Path) -> None:
    """Put a finished folder in the place of an older one."""
    old = folder.with_name(f".{folder.name}-old-{uuid4().hex}")
    if folder.exists():
        folder.rename(old)
    try:
        new.rename(folder)
    except OSError:
        if old.exists():
            old.rename(folder)
        raise
    shutil.rmtree(old, ignore_errors=True)


def save_weights(weights: Weights, file: Path) -> None:
    """Write all weights, those that two parts share once.

    Raises:
        OSError: no space left, or the file cannot be written.
    """
    names: dict[tuple[int, ...], str] = {}
    for name, tensor in weights.items():
        names.setdefault((tensor.data_ptr(), *tensor.shape, *tensor.stride()), name)
    try:
        save_file({name: weights[name].contiguous() for name in names.values()}, file)
    except SafetensorError as error:  # how its compiled part reports a full disk
        number = re.search(r"os error (\d+)", str(error))
        raise OSError(*([int(number[1])] if number else []), str(error)) from error


def export(
    model: Muse,
    tokenizer: PreTrainedTokenizerBase,
    folder: Path,
    weights: Weights | None = None,
) -> None:
    """Write the model so that nobody ever sees half of it.

    Args:
        model: whose settings and labels are written.
        tokenizer: of its texts.
        folder: where to; an older model there is replaced.
        weights: as the model's `state_dict`, of an earlier moment; None: as they are now.

    Raises:
        OSError: no space left, or the folder cannot be written.
    """
    new = folder.with_name(f".{folder.name}-{uuid4().hex}")
    new.mkdir(parents=True)
    try:
        save_weights(weights or model.state_dict(), new / "model.safetensors")
        model.text_encoder.model.config.to_json_file(new / "text.json", use_diff=False)
        about = {
            "format": FORMAT,
            "labels": model.labels,
            "config": model.config.model_dump(mode="json"),
        }
        (new / "muse.json").write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
        save_tokenizer(tokenizer, new)
        to_disk(new)
        replace_folder(new, folder)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def read_about(folder: Path) -> tuple[MuseConfig, list[str]]:
    """Settings and labels of an exported model.

    Raises:
        UserError: the folder is no exported model, or one of another version.
    """
    file = folder / "muse.json"
    if not file.is_file():
        raise UserError(
            f"{folder}: no exported model here (no muse.json); give results/<name>/best."
        )
    try:
        about = json.loads(file.read_text(encoding="utf-8"))
        if about.get("format") != FORMAT:
            raise UserError(
                f"{file}: format {about.get('format')}, but this version reads {FORMAT}."
            )
        return MuseConfig.model_validate(about["config"]), list(about["labels"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:  # whatever else it holds
        reason = str(error).splitlines()[0]
        raise UserError(f"{file}: not written by this version of muse ({reason}).") from error


def load(folder: Path) -> tuple[Muse, PreTrainedTokenizerBase]:
    """The model of an exported folder, in eval mode on the CPU, and its tokeniser.

    Raises:
        UserError: the folder is no exported model, is damaged, or is of another version.
        PermissionError: a file of it may not be read.
    """
    config, labels = read_about(folder)
    for file in folder.iterdir():
        if file.is_file():
            file.open("rb").close()  # a forbidden one is not damaged
    try:
        text = text_config(str(folder / "text.json"))
        text_model = AutoModel.from_config(text, trust_remote_code=False, dtype=torch.float32)
        model = Muse(config, text_model, labels, pretrained=False)
        load_model(model, str(folder / "model.safetensors"))
    except Exception as error:  # whatever the readers raise on what they did not write
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise UserError(f"{folder}: the exported model is damaged ({reason}).") from error
    return model.eval(), load_tokenizer(str(folder))
