import os
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from muse.config import DataConfig, Task
from muse.corpora import Corpus, Tweet, read_corpus, sample
from muse.corpora.mvsa import draw_splits, majority, merge
from muse.errors import UserError

DATA = Path(os.environ.get("MUSE_TEST_DATA") or Path(__file__).parents[2] / "shared" / "data")
TAGGED = "IMGID:17_06_1\nAda\tB-PER\nLovelace\tI-PER\nwon\tO\n\nIMGID:O_9\nOscar\tB-OTHER\n"


def tagged_corpus(root: Path, train: str = TAGGED, valid: str = TAGGED) -> DataConfig:
    (root / "train.txt").write_text(train, encoding="utf-8")
    (root / "valid.txt").write_text(valid, encoding="utf-8")
    return DataConfig(name="twitter2017", root=root)


def sentiment_corpus(root: Path, train: str = "guid,tag\n1,positive\n") -> DataConfig:
    (root / "train.txt").write_text(train, encoding="utf-8")
    (root / "valid.txt").write_text("guid,tag\n2,neutral\n", encoding="utf-8")
    (root / "data").mkdir()
    for guid in ("1", "2", "3"):
        (root / "data" / f"{guid}.txt").write_text(f"  tweet {guid}\nmore \n", encoding="utf-8")
    return DataConfig(name="mvsa_single", root=root)


def annotated_corpus(root: Path, rows: list[str], votes: int = 1) -> DataConfig:
    header = "ID" + "\ttext,image" * votes
    (root / "labelResultAll.txt").write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    (root / "data").mkdir()
    for row in rows:
        guid = row.partition("\t")[0]
        (root / "data" / f"{guid}.txt").write_text(f"tweet {guid}", encoding="utf-8")
    return DataConfig(name="mvsa_multiple" if votes == 3 else "mvsa_single", root=root)


def save_picture(path: Path) -> Path:
    path.parent.mkdir(exist_ok=True)
    Image.new("RGB", (8, 6), (200, 0, 0)).save(path)
    return path


def error_of(config: DataConfig, task: Task) -> str:
    with pytest.raises(UserError) as caught:
        read_corpus(config, task)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# --- tagged tweets -------------------------------------------------------------------------


def test_words_and_tags_stand_side_by_side(tmp_path: Path) -> None:
    first = read_corpus(tagged_corpus(tmp_path), "mner").splits["train"][0]

    assert (first.id, first.words) == ("17_06_1", ("Ada", "Lovelace", "won"))
    assert first.target == ("B-PER", "I-PER", "O")


def test_other_and_misc_are_one_type(tmp_path: Path) -> None:
    corpus = read_corpus(tagged_corpus(tmp_path), "mner")

    assert corpus.splits["train"][1].target == ("B-MISC",)
    assert corpus.labels[:5] == ("O", "B-LOC", "I-LOC", "B-MISC", "I-MISC")


def test_an_orphan_inside_tag_is_kept(tmp_path: Path) -> None:
    corpus = read_corpus(tagged_corpus(tmp_path, train="IMGID:1\na\tO\nb\tI-ORG\n"), "mner")

    assert corpus.splits["train"][0].target == ("O", "I-ORG")


@pytest.mark.parametrize("tag", ["PER", "X-PER", "B-FOO", "S-PER", ""])
def test_a_tag_that_is_not_bio_is_named_with_file_and_line(tmp_path: Path, tag: str) -> None:
    config = tagged_corpus(tmp_path, valid=f"IMGID:1\na\tO\nb\t{tag}\n")

    message = error_of(config, "mner")

    assert message.startswith(f"{tmp_path / 'valid.txt'}, line 3: ")
    assert "B-PER" in message


@pytest.mark.parametrize(
    ("train", "place"),
    [
        ("IMGID:1\nno tab here\n", "line 2"),
        ("lost\tO\nIMGID:1\na\tO\n", "line 1: 'lost\tO' belongs to no tweet"),
        ("IMGID:1\na\tO\n\nb\tO\n", "line 4: 'b\tO' belongs to no tweet"),
        ("IMGID:1\n\nIMGID:2\na\tO\n", "tweet '1'"),
    ],
)
def test_a_malformed_file_is_refused(tmp_path: Path, train: str, place: str) -> None:
    assert place in error_of(tagged_corpus(tmp_path, train=train), "mner")


def test_separators_inside_a_tweet_do_not_end_its_line(tmp_path: Path) -> None:
    config = tagged_corpus(tmp_path, train="IMGID:1\r\na\u2028b\tO\r\n\x85\tO\r\n\u3000\tO\r\n")

    assert read_corpus(config, "mner").splits["train"][0].words == ("a\u2028b", "\x85", "\u3000")


def test_pictures_are_found_by_id_and_others_are_none(tmp_path: Path) -> None:
    config = tagged_corpus(tmp_path)
    picture = save_picture(tmp_path / "images" / "17_06_1.jpg")

    tweets = read_corpus(config, "mner").splits["train"]

    assert [tweet.picture for tweet in tweets] == [picture, None]


def test_an_empty_line_before_the_words_ends_nothing(tmp_path: Path) -> None:
    corpus = read_corpus(tagged_corpus(tmp_path, train="\nIMGID:1\n\na\tO\n\n\n"), "mner")

    assert [tweet.words for tweet in corpus.splits["train"]] == [("a",)]


def test_pictures_may_end_in_another_way(tmp_path: Path) -> None:
    config = tagged_corpus(tmp_path)
    save_picture(tmp_path / "images" / "17_06_1.PNG")
    first = save_picture(tmp_path / "images" / "O_9.JPG")
    save_picture(tmp_path / "images" / "O_9.png")
    (tmp_path / "images" / "O_9.txt").touch()

    tweets = read_corpus(config, "mner").splits["train"]

    assert [tweet.picture for tweet in tweets] == [tmp_path / "images" / "17_06_1.PNG", first]


def test_pictures_may_lie_elsewhere(tmp_path: Path) -> None:
    picture = save_picture(tmp_path / "elsewhere" / "O_9.jpg")
    config = tagged_corpus(tmp_path).model_copy(update={"images": picture.parent})

    assert read_corpus(config, "mner").splits["train"][1].picture == picture


def test_test_split_is_there_only_where_its_file_is(tmp_path: Path) -> None:
    config = tagged_corpus(tmp_path)
    before = set(read_corpus(config, "mner").splits)
    (tmp_path / "test.txt").write_text(TAGGED, encoding="utf-8")

    assert before == {"train", "valid"}
    assert set(read_corpus(config, "mner").splits) == {"train", "valid", "test"}


def test_mt_product_has_one_type_and_keeps_blank_characters(tmp_path: Path) -> None:
    text = "IMGID:5\n茶\tB-MISC\n\u3000\tO\n叶\tI-MISC\n"
    config = tagged_corpus(tmp_path, text, text).model_copy(update={"name": "mt_product"})

    corpus = read_corpus(config, "mner")

    assert corpus.labels == ("O", "B-MISC", "I-MISC")
    assert corpus.splits["train"][0].words == ("茶", "\u3000", "叶")


def test_mt_product_knows_no_persons(tmp_path: Path) -> None:
    config = tagged_corpus(tmp_path).model_copy(update={"name": "mt_product"})

    assert "line 2" in error_of(config, "mner")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("Ada\tNNP\tB-PER", "more columns than token<TAB>tag"),
        ("\tB-PER", "no token before its tag"),
    ],
)
def test_columns_that_are_none_of_the_form_are_refused(
    line: str, said: str, tmp_path: Path
) -> None:
    config = tagged_corpus(tmp_path, train=f"IMGID:1\n{line}\n")

    assert f"line 2: '{line}' has {said}" in error_of(config, "mner")


@pytest.mark.parametrize("name", ["train", "valid"])
def test_a_split_that_is_not_there_is_named(name: str, tmp_path: Path) -> None:
    config = tagged_corpus(tmp_path)
    (tmp_path / f"{name}.txt").unlink()

    told = f"{name}.txt: is not there; a corpus needs train.txt and valid.txt"
    assert told in error_of(config, "mner")


# --- sentiments ----------------------------------------------------------------------------


def test_the_whole_text_is_one_element(tmp_path: Path) -> None:
    tweet = read_corpus(sentiment_corpus(tmp_path), "msa").splits["train"][0]

    assert (tweet.id, tweet.words, tweet.target) == ("1", ("tweet 1\nmore",), "positive")
    assert tweet.picture is None


def test_a_sentiment_picture_lies_beside_its_text(tmp_path: Path) -> None:
    config = sentiment_corpus(tmp_path)
    picture = save_picture(tmp_path / "data" / "1.jpg")

    assert read_corpus(config, "msa").splits["train"][0].picture == picture


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


def test_a_missing_text_is_named(tmp_path: Path) -> None:
    config = sentiment_corpus(tmp_path, train="guid,tag\n77,positive\n")

    assert str(tmp_path / "data" / "77.txt") in error_of(config, "msa")


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


@pytest.mark.parametrize("votes", ["neutral", "neutral,happy", "neutral,neutral\tneutral", ""])
def test_a_malformed_annotation_is_named_with_its_line(tmp_path: Path, votes: str) -> None:
    config = annotated_corpus(tmp_path, ["1\tneutral,neutral", f"2\t{votes}"])

    assert "labelResultAll.txt, line 3" in error_of(config, "msa")


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


# --- any corpus ----------------------------------------------------------------------------


def test_a_limit_keeps_so_many_tweets_in_their_order(tmp_path: Path) -> None:
    config = tagged_corpus(tmp_path)
    whole = [tweet.id for tweet in read_corpus(config, "mner").splits["train"]]

    splits = read_corpus(config.model_copy(update={"limit": 1}), "mner").splits

    assert all(len(tweets) == 1 for tweets in splits.values())
    assert splits["train"][0].id in whole


def test_a_limit_draws_from_all_of_a_split_that_is_sorted_by_class() -> None:
    tweets = [
        Tweet(f"{i}", ("a",), None, "positive" if i < 300 else "negative") for i in range(600)
    ]

    drawn = sample(tweets, 200)

    share = sum(tweet.target == "positive" for tweet in drawn) / len(drawn)
    assert 0.4 < share < 0.6
    assert [int(tweet.id) for tweet in drawn] == sorted(int(tweet.id) for tweet in drawn)


def test_a_corpus_of_the_other_task_is_refused(tmp_path: Path) -> None:
    message = error_of(tagged_corpus(tmp_path), "msa")

    assert message == "task: 'msa' does not fit corpus 'twitter2017', which is mner."


def test_a_corpus_without_a_folder_is_refused() -> None:
    assert error_of(DataConfig(name="mvsa_single"), "msa").startswith("data.root: ")


@pytest.mark.parametrize("name", ["twitter2015", "mt_product"])
def test_a_missing_folder_is_named(tmp_path: Path, name: str) -> None:
    config = DataConfig.model_validate({"name": name, "root": tmp_path / "nowhere"})

    assert str(tmp_path / "nowhere") in error_of(config, "mner")


def test_a_missing_folder_of_pictures_is_named(tmp_path: Path) -> None:
    config = tagged_corpus(tmp_path).model_copy(update={"images": tmp_path / "none"})

    assert error_of(config, "mner").startswith(f"data.images: no folder '{tmp_path / 'none'}'")


def test_a_missing_split_is_named(tmp_path: Path) -> None:
    (tmp_path / "train.txt").write_text(TAGGED, encoding="utf-8")

    message = error_of(DataConfig(name="twitter2015", root=tmp_path), "mner")

    assert message.startswith(str(tmp_path / "valid.txt"))


def test_an_empty_split_is_refused(tmp_path: Path) -> None:
    assert "split 'valid'" in error_of(tagged_corpus(tmp_path, valid=""), "mner")
    assert "split 'train'" in error_of(tagged_corpus(tmp_path, train="\n\n"), "mner")


# --- the real corpora, where they are ------------------------------------------------------


def real(name: str) -> Path:
    if not (DATA / name).is_dir():
        pytest.skip(f"no {name} in {DATA}; set MUSE_TEST_DATA to a folder that holds it")
    return DATA / name


def entities(corpus: Corpus, split: str) -> Counter[str]:
    """Mentions by type, as the readme counts them: each B- is one."""
    tweets = {str(name): tweets for name, tweets in corpus.splits.items()}[split]
    return Counter(tag[2:] for tweet in tweets for tag in tweet.target if tag.startswith("B-"))


def test_twitter2015_has_the_published_counts() -> None:
    corpus = read_corpus(DataConfig(name="twitter2015", root=real("twitter2015")), "mner")

    sizes = {name: len(tweets) for name, tweets in corpus.splits.items()}
    words = [sum(len(tweet.words) for tweet in tweets) for tweets in corpus.splits.values()]
    assert sizes == {"train": 4000, "valid": 1000, "test": 3257}
    assert words == [64439, 16178, 52822]
    assert entities(corpus, "train") == {"PER": 2217, "LOC": 2091, "ORG": 927, "MISC": 931}
    assert entities(corpus, "test") == {"PER": 1816, "LOC": 1697, "ORG": 839, "MISC": 720}


def test_mvsa_single_has_the_published_counts() -> None:
    corpus = read_corpus(DataConfig(name="mvsa_single", root=real("mvsa-single")), "msa")

    classes = {name: Counter(t.target for t in some) for name, some in corpus.splits.items()}
    assert classes == {
        "train": {"positive": 2147, "neutral": 376, "negative": 1088},
        "valid": {"positive": 268, "neutral": 47, "negative": 135},
    }
    assert all(tweet.picture for tweets in corpus.splits.values() for tweet in tweets)
