"""Load a pretrained text encoder, and refuse what is none.

Only safetensors are read; no code comes with the weights.
"""

from collections.abc import Collection
from pathlib import Path

import torch
from transformers import AutoConfig, AutoModel, PreTrainedConfig, PreTrainedModel
from transformers.models.auto.modeling_auto import MODEL_FOR_MASKED_LM_MAPPING_NAMES

from muse.errors import UserError
from muse.text_source import loading


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
