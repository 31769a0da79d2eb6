"""A corpus as arrays: batches of entities and of sentiments, and pictures."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from small_corpora import (  # noqa: F401
    CLS,
    MASK,
    PAD,
    SEP,
    left_in,
    own_cache,
    sentiments,
    tagged,
    tokens,
    two_tweets,
)

from muse.corpora import Corpus, Tweet
from muse.errors import UserError
from muse.pictures import BLANK
from muse.prepare import prepare, refuse_missing
from muse.tokenizer import build_tokenizer
from muse.tokens import encode

# --- batches of entities -------------------------------------------------------------------


def test_a_text_stands_between_cls_and_sep_and_is_padded(root: Path) -> None:
    prepared = prepare(tagged(root))

    batch = prepared.splits["train"].batch([1, 0])

    assert tokens(prepared, batch.token_ids[0]) == [
        *["[CLS]", "hello", "ada", "[SEP]"],
        *["[PAD]"] * 4,
    ]
    assert batch.is_token.sum(dim=1).tolist() == [4, 8]


def test_a_batch_is_as_long_as_its_longest_text(root: Path) -> None:
    batch = prepare(tagged(root)).splits["train"].batch([1])

    assert batch.token_ids.shape == (1, 4)
    assert batch.word_starts.shape == batch.is_word.shape == batch.target.shape == (1, 2)


def test_words_and_tags_stay_side_by_side_where_a_word_has_no_subword(root: Path) -> None:
    prepared = prepare(tagged(root))

    batch = prepared.splits["train"].batch([0])

    first = batch.token_ids[0, batch.word_starts[0]]
    assert tokens(prepared, first) == ["ada", "lovelace", "visits", "paris", "[UNK]", "today"]
    assert [prepared.labels[tag] for tag in batch.target[0]] == [
        *["B-PER", "I-PER", "O", "B-LOC", "O", "O"]
    ]


def test_padding_is_no_word(root: Path) -> None:
    batch = prepare(tagged(root)).splits["train"].batch([0, 1])

    assert batch.is_word[1].tolist() == [True] * 2 + [False] * 4
    assert batch.target[1].tolist()[2:] == batch.word_starts[1].tolist()[2:] == [0] * 4


def test_every_field_has_the_type_its_reader_asks_for(root: Path) -> None:
    batch = prepare(tagged(root)).splits["train"].batch(np.array([0, 1]))

    assert {batch.token_ids.dtype, batch.word_starts.dtype, batch.target.dtype} == {torch.int64}
    assert {batch.is_token.dtype, batch.is_word.dtype} == {torch.bool}
    assert {batch.image.dtype, batch.small_image.dtype} == {torch.uint8}
    assert (batch.image.shape, batch.small_image.shape) == ((2, 3, 16, 16), (2, 3, 4, 4))


def test_a_word_starts_at_its_first_subword() -> None:
    tokenizer = build_tokenizer(["a b ' s"], 64)  # splits at punctuation

    (row,) = encode([("a", "b's", "a")], "mner", tokenizer, limit=10)

    assert row.ids[1:-1] == tokenizer.convert_tokens_to_ids(["a", "b", "'", "s", "a"])
    assert row.starts == [1, 2, 5]


def test_words_that_do_not_fit_are_cut_and_counted(root: Path) -> None:
    prepared = prepare(tagged(root, text_tokens=5))
    split = prepared.splits["train"]

    assert split.batch([0]).target.shape == (1, 3)
    assert split.words_kept.tolist() == [3, 2]
    assert split.targets[0] == ["B-PER", "I-PER", "O", "B-LOC", "O", "O"]
    assert prepared.counts["train"] == {
        "tweets": 2,
        "missing_images": 1,
        "cut_texts": 1,
        "cut_words": 3,
    }


@pytest.mark.parametrize(
    ("limit", "starts", "ids"), [(6, [1, 2], 6), (4, [1, 2], 4), (7, [1, 2], 6)]
)
def test_a_word_is_kept_while_its_first_subword_fits(
    limit: int, starts: list[int], ids: int
) -> None:
    tokenizer = build_tokenizer(["a b ' s"], 64)

    (row,) = encode([("a", "b's")], "mner", tokenizer, limit)

    assert (row.starts, len(row.ids), row.cut) == (starts, ids, limit < 6)


def test_pieces_are_the_subwords_of_each_kept_word(root: Path) -> None:
    (root / "train.txt").write_text("IMGID:1\nAda\tO\nx-y\tO\nlost\tO\n", encoding="utf-8")

    whole = prepare(tagged(root)).splits["train"]
    cut = prepare(tagged(root, text_tokens=5)).splits["train"]

    assert whole.pieces == [[1, 3, 1]]
    assert cut.pieces == [[1, 2]]


def test_special_tokens_in_a_tweet_are_text(tmp_path: Path) -> None:
    prepared = prepare(sentiments(tmp_path, ["a [SEP] b"]))

    batch = prepared.splits["train"].batch([0])

    assert tokens(prepared, batch.token_ids[0]) == [*["[CLS]", "a", "[", "sep", "]", "b", "[SEP]"]]


# --- batches of sentiments -----------------------------------------------------------------


def test_a_sentiment_batch_has_classes_and_no_words(tmp_path: Path) -> None:
    prepared = prepare(sentiments(tmp_path, ["good day", "no"]))

    batch = prepared.splits["train"].batch([0, 1])

    assert prepared.labels == ("negative", "neutral", "positive")
    assert batch.target.tolist() == [1, 1]
    assert batch.word_starts.shape == batch.is_word.shape == (2, 0)
    assert prepared.splits["train"].targets == ["neutral", "neutral"]


def test_a_long_text_is_cut_and_counted(tmp_path: Path) -> None:
    prepared = prepare(sentiments(tmp_path, ["one two three four five six seven", "no"]))

    row = prepared.splits["train"].batch([0]).token_ids[0]

    assert tokens(prepared, row)[-2:] == ["six", "[SEP]"]
    assert prepared.counts["train"]["cut_texts"] == 1
    assert prepared.splits["train"].lengths.tolist() == [8, 3]


def test_an_empty_text_is_only_cls_and_sep_and_is_counted(tmp_path: Path) -> None:
    prepared = prepare(sentiments(tmp_path, ["", "no"]))

    assert prepared.splits["train"].batch([0]).token_ids.tolist() == [[CLS, SEP]]
    assert prepared.counts["train"]["empty_texts"] == 1


def test_words_that_the_vocabulary_does_not_have_are_counted(root: Path) -> None:
    (root / "valid.txt").write_text("IMGID:1\nzyx\tO\nAda\tB-PER\n", encoding="utf-8")

    counts = prepare(tagged(root)).counts

    assert counts["valid"]["unknown_words"] == 1


def test_tweets_that_are_in_train_too_are_counted(root: Path) -> None:
    train = (root / "train.txt").read_text(encoding="utf-8")
    (root / "valid.txt").write_text(f"{train}\nIMGID:1\nAda\tO\n", encoding="utf-8")

    counts = prepare(tagged(root)).counts

    assert counts["valid"]["in_train_too"] == 2  # and not the other one of the same number
    assert "in_train_too" not in counts["train"]


# --- pictures ------------------------------------------------------------------------------


def test_a_picture_is_resized_whole_and_a_missing_one_is_blank(root: Path) -> None:
    batch = prepare(tagged(root)).splits["train"].batch([0, 1])

    assert batch.image[0, 0].min() > 250
    assert batch.image[0, 1:].max() < 5
    assert batch.small_image[0, 0].min() > 250
    assert batch.image[1].unique().tolist() == batch.small_image[1].unique().tolist() == [BLANK]


def test_a_small_picture_is_the_mean_of_its_area(root: Path) -> None:
    pixels = np.zeros((8, 8, 3), dtype=np.uint8)
    pixels[:, ::2] = 200  # stripes, which a nearest-neighbour copy would keep
    Image.fromarray(pixels).save(root / "images" / "1.jpg", format="PNG")

    batch = prepare(tagged(root)).splits["train"].batch([0])

    assert batch.small_image.unique().tolist() == [100]


def test_equal_pictures_are_stored_once(root: Path) -> None:
    (root / "images" / "2.jpg").write_bytes((root / "images" / "1.jpg").read_bytes())

    split = prepare(tagged(root)).splits["train"]

    assert split.picture.tolist() == [1, 1]
    assert len(split.pixels) == 2  # the blank and the red one


def test_a_corpus_without_pictures_stores_only_the_blank(root: Path) -> None:
    (root / "images" / "1.jpg").unlink()

    prepared = prepare(tagged(root))

    assert len(prepared.splits["train"].pixels) == 1
    assert prepared.counts["train"]["missing_images"] == 2


def test_pictures_are_memory_mapped(root: Path) -> None:
    assert isinstance(prepare(tagged(root)).splits["train"].pixels, np.memmap)


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "CMYK"])
def test_every_kind_of_picture_becomes_rgb(root: Path, mode: str) -> None:
    kind = "TIFF" if mode == "CMYK" else "PNG"
    Image.new("RGB", (9, 9), (255, 255, 255)).convert(mode).save(root / "images" / "1.jpg", kind)

    batch = prepare(tagged(root)).splits["train"].batch([0])

    assert batch.image.min() > 250


def test_too_many_missing_pictures_are_refused_with_their_count(root: Path) -> None:
    with pytest.raises(UserError, match=r"train 1 of 2, valid 1 of 2") as caught:
        prepare(tagged(root, max_missing_images=0.4))

    assert str(caught.value).startswith("data.max_missing_images: ")
    prepare(tagged(root, max_missing_images=0.5))


def test_a_share_of_missing_pictures_at_the_bound_is_taken() -> None:
    pictured = np.zeros((9, 9, 3), dtype=np.uint8)
    pictures = [None] * 116 + [pictured] * 84
    tweets = tuple(Tweet("1", ("a",), picture, ("O",)) for picture in pictures)
    refuse_missing(Corpus("mner", ("O",), {"train": tweets}), 0.58)
    refuse_missing(Corpus("mner", ("O",), {"train": ()}), 0.0)


@pytest.mark.parametrize("damage", ["truncated", "empty", "no picture"])
def test_a_broken_picture_is_named_and_nothing_is_left(
    root: Path, cache: Path, damage: str
) -> None:
    file = root / "images" / "1.jpg"
    whole = file.read_bytes()
    content = {"truncated": whole[: len(whole) - 40], "empty": b"", "no picture": b"<html>"}
    file.write_bytes(content[damage])

    with pytest.raises(UserError) as caught:
        prepare(tagged(root))

    assert str(caught.value).startswith(f"{file}: is a broken picture")
    assert "\n" not in str(caught.value)
    assert left_in(cache) == []


def test_a_picture_of_too_many_pixels_is_not_decoded(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 150)  # the picture has 200

    with pytest.raises(UserError, match=r"1\.jpg: too many pixels"):
        prepare(tagged(root))


# --- one stream blanked --------------------------------------------------------------------


def test_text_alone_sees_only_blank_pictures(root: Path) -> None:
    batch = prepare(tagged(root, inputs="text")).splits["train"].batch([0])

    assert batch.image.unique().tolist() == batch.small_image.unique().tolist() == [BLANK]
    assert batch.token_ids[0, 1] != MASK


def test_picture_alone_keeps_the_positions_of_words(root: Path) -> None:
    seen = prepare(tagged(root)).splits["train"].batch([1, 0])
    batch = prepare(tagged(root, inputs="image")).splits["train"].batch([1, 0])

    assert batch.token_ids[0].tolist() == [CLS, MASK, MASK, SEP, PAD, PAD, PAD, PAD]
    assert torch.equal(batch.word_starts, seen.word_starts)
    assert torch.equal(batch.image, seen.image)


def test_picture_alone_has_no_text_for_a_sentiment(tmp_path: Path) -> None:
    split = prepare(sentiments(tmp_path, ["good day", "no"], inputs="image")).splits["train"]

    assert split.batch([0, 1]).token_ids.tolist() == [[CLS, SEP]] * 2
    assert split.batch([0, 1]).is_token.all()
    assert split.lengths.tolist() == [2, 2]


def test_blanking_prepares_nothing_anew(root: Path) -> None:
    keys = {prepare(tagged(root, inputs=inputs)).key for inputs in ("both", "text", "image")}

    assert len(keys) == 1
