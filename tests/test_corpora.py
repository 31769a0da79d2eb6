import os
from collections import Counter
from pathlib import Path

import pytest
from corpus_story import (
    TAGGED,
    error_of,
    save_picture,
    tagged_corpus,
)

from muse.config import DataConfig
from muse.corpora import Corpus, Tweet, read_corpus, sample

DATA = Path(os.environ.get("MUSE_TEST_DATA") or Path(__file__).parents[2] / "shared" / "data")


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
        ("IMGID:1\nAda B-PER\n", "line 2: 'Ada B-PER' is not token<TAB>tag"),
        ("IMGID:1\n\tB-PER\n", "line 2: '\tB-PER' has no token before its tag"),
        ("IMGID:1\rAda\tO\r\rIMGID:2\rb\tO\r" * 99, "line 1: tweet '1 Ada"),
        ("lost\tO\nIMGID:1\na\tO\n", "line 1: 'lost\tO' belongs to no tweet"),
        ("IMGID:1\na\tO\n\nb\tO\n", "line 4: 'b\tO' belongs to no tweet"),
        ("IMGID:2\na\tO\n\nIMGID:1\n\nIMGID:2\na\tO\n", "line 4: tweet '1' has no words"),
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


def test_blanks_around_ids_and_tags_and_on_empty_lines_do_not_matter(tmp_path: Path) -> None:
    config = tagged_corpus(tmp_path, train="IMGID: 17 \nAda\tB-PER \n \t\nIMGID:2\nb\tO\n")

    tweets = read_corpus(config, "mner").splits["train"]

    assert [(tweet.id, tweet.words, tweet.target) for tweet in tweets] == [
        ("17", ("Ada",), ("B-PER",)),
        ("2", ("b",), ("O",)),
    ]


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
