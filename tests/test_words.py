"""Words of texts as people write them, and the entities among them."""

import pytest

from muse.config import DataConfig, MuseConfig
from muse.words import Entity, entities, joined_spans, word_spans

TWITTER = MuseConfig(task="mner", data=DataConfig(name="twitter2015"))
PRODUCTS = MuseConfig(task="mner", data=DataConfig(name="mt_product"))
SENTIMENT = MuseConfig(task="msa", data=DataConfig(name="mvsa_single"))


def words(text: str, config: MuseConfig = TWITTER) -> list[str]:
    return [text[begin:end] for begin, end in word_spans(text, config)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # As Twitter-2015's own files have it, but for the names.
        ("RT @Ada_L: where Bob got shot.", "RT @Ada_L : where Bob got shot ."),
        ("Bob's in the U.S. today!", "Bob ' s in the U . S . today !"),
        (
            "(Lima) wins 3-1, same-sex w/o #Cairo2015!",
            "( Lima ) wins 3-1 , same-sex w/o #Cairo2015 !",
        ),
        ("see http://t.co/Ab.c?d=1, or", "see http://t.co/Ab.c?d=1, or"),
        ("(HTTPS://t.co/a) www.a.b", "( HTTPS://t.co/a) www.a.b"),
        ("so... “Ada”", "so ... “ Ada ”"),
        ("हिन्दी में।", "हिन्दी में ।"),
        ("محمد زار القاهرة؟", "محمد زار القاهرة ؟"),
        ("【东京】和『大阪』", "【 东京 】 和 『 大阪 』"),
        ("go 🏀💯 \n\t now", "go 🏀💯 now"),
    ],
)
def test_a_text_is_split_as_its_corpus_is(text: str, expected: str) -> None:
    assert words(text) == expected.split()


def test_a_product_has_a_character_a_word() -> None:
    assert words("新款 手机壳", PRODUCTS) == ["新", "款", "手", "机", "壳"]


def test_a_full_width_blank_is_a_word_of_a_product_as_it_is_in_its_corpus() -> None:
    assert words("手\u3000壳", PRODUCTS) == ["手", "\u3000", "壳"]


def test_a_text_with_a_sentiment_is_one_word() -> None:
    assert words("  what a day! \n really ", SENTIMENT) == ["what a day! \n really"]
    assert words(" ! ", SENTIMENT) == ["!"]


def test_words_that_were_given_stay_as_they_are() -> None:
    given = ["New York,", "x"]
    text = " ".join(given)

    assert [text[begin:end] for begin, end in joined_spans(given)] == given


def test_an_entity_is_its_text_its_type_and_its_places() -> None:
    text = "in  New York, with Jo"
    spans = word_spans(text, TWITTER)

    found = entities(text, spans, ["O", "B-LOC", "I-LOC", "O", "O", "B-PER"])

    assert found == [
        Entity("New York", "LOC", (4, 12), (1, 2)),
        Entity("Jo", "PER", (19, 21), (5, 5)),
    ]


def test_words_that_were_cut_off_are_in_no_entity() -> None:
    assert entities("a b c", joined_spans(["a", "b", "c"]), ["B-PER"])[0].text == "a"
