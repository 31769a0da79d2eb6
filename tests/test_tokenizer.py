import errno
import json
from pathlib import Path

import pytest
from transformers import PreTrainedTokenizerFast

from muse.errors import UserError
from muse.text_source import MINILM_PACKAGE, text_source
from muse.tokenizer import build_tokenizer, load_tokenizer, save_tokenizer

TEXTS = ["The cat, the dog", "the cat"]


def test_minilm_tokeniser_neither_cuts_nor_pads() -> None:
    pytest.importorskip(MINILM_PACKAGE)
    backend = load_tokenizer(text_source("minilm")).backend_tokenizer

    long, short = backend.encode_batch(["cat " * 600, "cat"], add_special_tokens=False)

    assert (len(long.ids), len(short.ids)) == (600, 1)


def test_a_tokeniser_without_special_tokens_is_refused(tmp_path: Path) -> None:
    whole = build_tokenizer(TEXTS, 16).backend_tokenizer
    PreTrainedTokenizerFast(tokenizer_object=whole, unk_token="[UNK]").save_pretrained(tmp_path)

    with pytest.raises(UserError, match="no BERT-like tokeniser"):
        load_tokenizer(str(tmp_path))


def test_a_folder_without_a_tokeniser_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert"}))

    with pytest.raises(UserError, match="tokeniser"):
        load_tokenizer(str(tmp_path))


def test_a_folder_of_sentencepiece_alone_names_the_package_that_reads_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "spm.model").write_bytes(b"\n")
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)

    with pytest.raises(UserError, match="pip install sentencepiece, or give a folder with a"):
        load_tokenizer(str(tmp_path))


# --- a tokeniser of our own ----------------------------------------------------------------


def test_frequent_words_come_first_and_ties_by_the_alphabet() -> None:
    tokenizer = build_tokenizer(TEXTS, 100)

    assert tokenizer.convert_ids_to_tokens(range(len(tokenizer))) == [
        *["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"],
        *["the", "cat", ",", "dog"],
    ]


def test_rare_words_beyond_the_size_are_unknown() -> None:
    tokenizer = build_tokenizer(TEXTS, 7)

    assert len(tokenizer) == 7
    assert tokenizer.tokenize("The cat, the bird") == ["the", "cat", "[UNK]", "the", "[UNK]"]


def test_the_order_of_the_texts_does_not_matter() -> None:
    forth, back = build_tokenizer(TEXTS, 100), build_tokenizer(TEXTS[::-1], 100)

    assert forth.get_vocab() == back.get_vocab()


def test_chinese_characters_are_words() -> None:
    assert build_tokenizer(["蜂蜜茶"], 100).tokenize("蜜蜂") == ["蜜", "蜂"]


def test_a_saved_tokeniser_is_the_same_when_loaded(tmp_path: Path) -> None:
    tokenizer = build_tokenizer(TEXTS, 100)
    save_tokenizer(tokenizer, tmp_path)

    loaded = load_tokenizer(str(tmp_path))

    assert loaded("the cat")["input_ids"] == tokenizer("the cat")["input_ids"]
    assert (loaded.cls_token_id, loaded.pad_token_id) == (2, 0)


def test_a_full_disk_is_an_os_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def full(*_: object) -> None:
        raise Exception(f"No space left on device (os error {errno.ENOSPC})")  # as in Rust

    monkeypatch.setattr(PreTrainedTokenizerFast, "save_pretrained", full)

    with pytest.raises(OSError, match="No space left"):
        save_tokenizer(build_tokenizer(TEXTS, 100), tmp_path)
