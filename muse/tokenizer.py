"""The text encoder's tokeniser: loaded with it, or made of the corpus's own words.

Only a tokeniser's data is read; no code comes with it.
"""

import importlib.util
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
from transformers import AutoTokenizer, PreTrainedTokenizerBase, PreTrainedTokenizerFast

from muse.errors import UserError
from muse.text_source import loading

SPECIAL = {
    "pad_token": "[PAD]",
    "unk_token": "[UNK]",
    "cls_token": "[CLS]",
    "sep_token": "[SEP]",
    "mask_token": "[MASK]",
}


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
