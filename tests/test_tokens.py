"""Texts to sub-words with tokenisers of other kinds than BERT's."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from muse.config import Task
from muse.look import pieces_of
from muse.mistakes import words_of
from muse.tokenizer import SPECIAL
from muse.tokens import Encoded, encode

BLANK = "\u0120"
"""How a byte-level vocabulary writes one."""


def byte_level() -> PreTrainedTokenizerFast:
    """RoBERTa's way: bytes, of which two make the beginning of a word."""
    signs = [*SPECIAL.values(), *sorted(pre_tokenizers.ByteLevel.alphabet()), f"{BLANK}A"]
    vocabulary = {sign: number for number, sign in enumerate(signs)}
    tokenizer = Tokenizer(models.BPE(vocabulary, [(BLANK, "A")], unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **SPECIAL)


def split_of(row: Encoded) -> Any:
    """A split of one tweet, as far as its text goes."""
    return SimpleNamespace(
        token_ids=np.array([row.ids]),
        lengths=np.array([len(row.ids)]),
        word_starts=np.array([row.starts]),
        words_kept=np.array([len(row.starts)]),
    )


def test_a_byte_level_tokeniser_sees_a_blank_before_each_word() -> None:
    tokenizer = byte_level()
    (row,) = encode([("Ab", "A")], "mner", tokenizer, limit=9)
    (text,) = encode([(" Ab A",)], "msa", tokenizer, limit=9)
    assert tokenizer.convert_ids_to_tokens(row.ids)[1:-1] == [f"{BLANK}A", "b", f"{BLANK}A"]
    assert row.ids == text.ids
    assert row.starts == [1, 3]


def test_sub_words_of_bytes_are_shown_as_letters() -> None:
    tokenizer = byte_level()
    (row,) = encode([("Ab", "ß")], "mner", tokenizer, limit=9)
    half = "\ufffd"
    shown = ["[CLS]", " A", "b", " ", half, half, "[SEP]"]
    assert pieces_of(split_of(row), 0, tokenizer) == shown
    assert words_of(split_of(row), 0, tokenizer) == ["Ab", "ß"]


def test_a_sign_of_the_tokeniser_in_a_tweet_is_an_unknown_word() -> None:
    vocabulary = {sign: number for number, sign in enumerate([*SPECIAL.values(), "a"])}
    whole = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))  # knows "[SEP]" as a word
    whole.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=whole, **SPECIAL)
    (row,) = encode([("a", "[SEP]", "[PAD]")], "mner", tokenizer, limit=9)
    assert tokenizer.convert_ids_to_tokens(row.ids) == ["[CLS]", "a", "[UNK]", "[UNK]", "[SEP]"]
    assert row.unknown == 2


@pytest.mark.parametrize("task", ["mner", "msa"])
def test_a_tokeniser_that_frames_texts_itself_frames_them_once(task: Task) -> None:
    vocabulary = {sign: number for number, sign in enumerate([*SPECIAL.values(), "a"])}
    bert = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    bert.post_processor = processors.BertProcessing(
        ("[SEP]", vocabulary["[SEP]"]), ("[CLS]", vocabulary["[CLS]"])
    )
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=bert, **SPECIAL)
    (row,) = encode([("a",)], task, tokenizer, limit=9)
    assert tokenizer.convert_ids_to_tokens(row.ids) == ["[CLS]", "a", "[SEP]"]
