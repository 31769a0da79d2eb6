"""The two MVSA corpora, as given splits and as annotations."""

from pathlib import Path

import pytest
from corpus_story import annotated_corpus, error_of, save_picture, sentiment_corpus

from muse.config import DataConfig
from muse.corpora import read_corpus
from muse.corpora.mvsa import draw_splits, majority, merge


def test_the_whole_text_is_one_element(tmp_path: Path) -> None:
    tweet = read_corpus(sentiment_corpus(tmp_path), "msa").splits["train"][0]

    assert (tweet.id, tweet.words, tweet.target) == ("1", ("tweet 1\nmore",), "positive")
    assert tweet.picture is None


def test_a_sentiment_picture_lies_beside_its_text(tmp_path: Path) -> None:
    config = sentiment_corpus(tmp_path)
    picture = save_picture(tmp_path / "data" / "1.jpg")

    assert read_corpus(config, "msa").splits["train"][0].picture == picture


@pytest.mark.parametrize("first", ["1,happy", '"1","positive"'])
def test_a_first_line_that_names_a_tweet_is_no_header(tmp_path: Path, first: str) -> None:
    config = sentiment_corpus(tmp_path, train=f"{first}\n2,neutral\n")

    assert "train.txt, line 1: " in error_of(config, "msa")
    assert "is a tweet; the first line is guid,tag" in error_of(config, "msa")


def test_an_unknown_sentiment_is_named_with_file_and_line(tmp_path: Path) -> None:
    config = sentiment_corpus(tmp_path, train="guid,tag\n1,positive\n2,happy\n")

    assert f"{tmp_path / 'train.txt'}, line 3: 'happy'" in error_of(config, "msa")


def test_a_first_line_that_is_a_tweet_is_refused(tmp_path: Path) -> None:
    config = sentiment_corpus(tmp_path, train="1,positive\n3,neutral\n")

    assert f"{tmp_path / 'train.txt'}, line 1: '1,positive' is a tweet" in error_of(config, "msa")


def test_blanks_around_a_comma_do_not_matter_and_its_lack_is_named(tmp_path: Path) -> None:
    config = sentiment_corpus(tmp_path, train="guid,tag\n1 , positive\n\n3\tneutral\n")
    assert "train.txt, line 4: '3\tneutral' has no comma" in error_of(config, "msa")

    (tmp_path / "train.txt").write_text("guid,tag\n1 , positive\n\n", encoding="utf-8")
    (tweet,) = read_corpus(config, "msa").splits["train"]
    assert (tweet.id, tweet.target) == ("1", "positive")


def test_a_missing_text_is_named_with_the_line_that_wants_it(tmp_path: Path) -> None:
    config = sentiment_corpus(tmp_path, train="guid,tag\n1,positive\n77,positive\n")

    said = f"train.txt, line 3: tweet '77' has no text; it would be {tmp_path / 'data' / '77.txt'}"
    assert said in error_of(config, "msa")


def test_a_list_with_texts_in_place_of_ids_is_told_in_short(tmp_path: Path) -> None:
    config = sentiment_corpus(tmp_path, train=f"guid,tag\n{'今日は' * 100},positive\n")

    said = error_of(config, "msa")
    assert "train.txt, line 2: tweet '今日は" in said
    assert len(said) < 500 + len(str(tmp_path))


def test_quotes_around_a_tag_are_named(tmp_path: Path) -> None:
    config = sentiment_corpus(tmp_path, train='guid,tag\n"1","positive"\n')

    assert 'train.txt, line 2: "1","positive"; write it without quotes.' in error_of(config, "msa")


def test_a_missing_text_of_an_annotation_is_named_with_its_line(tmp_path: Path) -> None:
    config = annotated_corpus(tmp_path, ["1\tneutral,neutral", "2\tneutral,neutral"])
    (tmp_path / "data" / "2.txt").unlink()

    assert "labelResultAll.txt, line 3: tweet '2' has no text" in error_of(config, "msa")


def test_a_text_that_is_not_utf8_is_named_with_the_byte(tmp_path: Path) -> None:
    config = sentiment_corpus(tmp_path)
    (tmp_path / "data" / "1.txt").write_bytes(b"hello\ncaf\xe9 ole")

    assert f"{tmp_path / 'data' / '1.txt'}, line 2: is not UTF-8 (byte 9" in error_of(config, "msa")


def test_a_byte_order_mark_is_no_text(tmp_path: Path) -> None:
    config = sentiment_corpus(tmp_path)
    (tmp_path / "data" / "1.txt").write_bytes(b"\xef\xbb\xbfhello")

    assert read_corpus(config, "msa").splits["train"][0].words == ("hello",)


@pytest.mark.parametrize("row", [",positive", "1,positive,0.9"])
def test_a_row_that_is_no_id_and_tag_is_named(row: str, tmp_path: Path) -> None:
    config = sentiment_corpus(tmp_path, train=f"guid,tag\n{row}\n")

    assert f"train.txt, line 2: '{row}'; a row is an id, a comma, a tag" in error_of(config, "msa")


def test_a_first_line_that_is_a_tweet_in_capitals_is_not_swallowed(tmp_path: Path) -> None:
    config = sentiment_corpus(tmp_path, train="1,Positive\n")

    assert "line 1: '1,Positive' is a tweet" in error_of(config, "msa")


def test_a_tweet_that_stands_in_a_list_twice_is_refused(tmp_path: Path) -> None:
    config = sentiment_corpus(tmp_path, train="guid,tag\n1,positive\n3,neutral\n1,negative\n")

    assert "train.txt, line 4: tweet '1' stands in line 2 already" in error_of(config, "msa")


def test_given_splits_come_before_annotations(tmp_path: Path) -> None:
    config = sentiment_corpus(tmp_path)
    (tmp_path / "labelResultAll.txt").write_text("ID\ttext,image\n3\tneutral,neutral\n")

    assert [tweet.id for tweet in read_corpus(config, "msa").splits["train"]] == ["1"]


def test_a_folder_in_neither_form_is_refused(tmp_path: Path) -> None:
    config = DataConfig(name="mvsa_single", root=tmp_path)

    assert "neither train.txt nor labelResultAll.txt" in error_of(config, "msa")


@pytest.mark.parametrize(
    ("of_text", "of_image", "merged"),
    [
        ("positive", "positive", "positive"),
        ("neutral", "neutral", "neutral"),
        ("neutral", "negative", "negative"),
        ("positive", "neutral", "positive"),
        ("positive", "negative", None),
        ("negative", "positive", None),
        (None, "positive", None),
        ("positive", None, None),
    ],
)
def test_text_and_picture_are_merged_by_the_published_rule(
    of_text: str | None, of_image: str | None, merged: str | None
) -> None:
    assert merge(of_text, of_image) == merged


def test_two_of_three_annotators_decide() -> None:
    assert majority(["positive", "neutral", "positive"]) == "positive"
    assert majority(["positive", "neutral", "negative"]) is None
    assert majority(["neutral"]) == "neutral"


def test_tweets_without_agreement_are_dropped(tmp_path: Path) -> None:
    agreed = [f"{i}\t" + "\t".join(["neutral,positive"] * 3) for i in range(20)]
    contrary = "90\t" + "\t".join(["negative,positive"] * 3)
    divided = "91\tneutral,neutral\tpositive,neutral\tnegative,neutral"

    corpus = read_corpus(annotated_corpus(tmp_path, [*agreed, contrary, divided], 3), "msa")

    assert sum(len(tweets) for tweets in corpus.splits.values()) == 20
    assert {tweet.target for tweets in corpus.splits.values() for tweet in tweets} == {"positive"}


def test_a_tweet_that_was_annotated_twice_is_refused(tmp_path: Path) -> None:
    config = annotated_corpus(tmp_path, ["1\tneutral,neutral", "1\tneutral,positive"])

    assert "labelResultAll.txt, line 3: tweet '1' stands in line 2 already" in error_of(
        config, "msa"
    )


@pytest.mark.parametrize(
    "votes",
    [
        *("neutral", "neutral,happy", "neutral,neutral\tneutral", ""),
        "neutral\tneutral\tneutral,neutral",  # as many votes as two pairs have
    ],
)
def test_a_malformed_annotation_is_named_with_its_line(tmp_path: Path, votes: str) -> None:
    config = annotated_corpus(tmp_path, ["1\tneutral,neutral", f"2\t{votes}"])

    assert "labelResultAll.txt, line 3" in error_of(config, "msa")


def test_blanks_and_tabs_around_an_annotation_do_not_matter(tmp_path: Path) -> None:
    config = annotated_corpus(tmp_path, [f"{i}\tneutral,neutral" for i in range(10)])
    file = tmp_path / "labelResultAll.txt"
    file.write_text(file.read_text().replace("neutral,neutral", "neutral, neutral \t"))

    assert sum(map(len, read_corpus(config, "msa").splits.values())) == 10


def test_annotations_apart_by_blanks_are_told_that_a_tab_is_wanted(tmp_path: Path) -> None:
    config = annotated_corpus(tmp_path, ["1 neutral,neutral"])

    told = error_of(config, "msa")
    assert "line 2: '1 neutral,neutral' is not an id, then for each annotator a tab" in told


def test_annotators_who_agree_on_too_few_tweets_are_counted(tmp_path: Path) -> None:
    agreed = [f"{i}\tneutral,neutral" for i in range(9)]
    config = annotated_corpus(tmp_path, [*agreed, "9\tpositive,negative"])

    assert "of 10 tweets 9 have annotators who agree" in error_of(config, "msa")


@pytest.mark.parametrize("file", ["train.txt", "labelResultAll.txt"])
def test_a_first_line_longer_than_any_name_of_a_file_is_a_header(tmp_path: Path, file: str) -> None:
    config = sentiment_corpus(tmp_path)
    (tmp_path / "train.txt").unlink()
    (tmp_path / file).write_text("x" * 300 + "\n1;positive\n", encoding="utf-8")

    assert f"{file}, line 2" in error_of(config, "msa")


def test_annotations_without_a_header_are_refused(tmp_path: Path) -> None:
    config = annotated_corpus(tmp_path, ["1\tneutral,neutral"])
    (tmp_path / "labelResultAll.txt").write_text("1\tneutral,neutral\n", encoding="utf-8")

    assert "labelResultAll.txt, line 1: " in error_of(config, "msa")


def test_drawn_splits_are_8_1_1_without_overlap() -> None:
    splits = draw_splits([(str(i), "neutral") for i in range(40)])

    assert [len(rows) for rows in splits.values()] == [32, 4, 4]
    assert len(set().union(*splits.values())) == 40


def test_drawn_splits_do_not_depend_on_the_order_of_the_rows() -> None:
    rows = [(str(i), "neutral") for i in range(40)]

    forth, back = draw_splits(rows), draw_splits(rows[::-1])

    assert {name: set(some) for name, some in forth.items()} == {
        name: set(some) for name, some in back.items()
    }


def test_drawn_splits_never_change() -> None:
    splits = draw_splits([(str(i), "neutral") for i in range(20)])

    assert [guid for guid, _ in splits["valid"] + splits["test"]] == ["15", "18", "4", "7"]
