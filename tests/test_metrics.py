"""Scores worked out by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muse.metrics import class_scores, official_f1, official_spans, span_scores, with_subwords


def test_an_entity_runs_from_its_b_to_its_last_i() -> None:
    assert official_spans(["O", "B-PER", "I-PER", "I-PER", "O"]) == [("PER", 1, 3)]


def test_an_entity_may_end_with_the_tweet() -> None:
    assert official_spans(["O", "B-LOC"]) == [("LOC", 1, 1)]
    assert official_spans(["B-LOC", "I-LOC"]) == [("LOC", 0, 1)]


def test_a_b_ends_the_entity_before_it() -> None:
    assert official_spans(["B-PER", "B-PER", "B-LOC"]) == [
        ("PER", 0, 0),
        ("PER", 1, 1),
        ("LOC", 2, 2),
    ]


def test_an_i_without_its_b_is_no_entity() -> None:
    assert official_spans(["I-PER", "O", "I-LOC", "I-LOC"]) == []


def test_an_x_ends_an_entity_and_orphans_what_follows() -> None:
    assert official_spans(["B-PER", "X", "I-PER"]) == [("PER", 0, 0)]


def test_an_i_of_another_type_is_passed_over() -> None:
    assert official_spans(["B-PER", "I-LOC", "I-PER"]) == [("PER", 0, 2)]
    assert official_spans(["B-PER", "I-LOC", "O"]) == [("PER", 0, 0)]


def test_a_tweet_without_tags_has_no_entity() -> None:
    assert official_spans([]) == []


def test_a_word_hands_its_tag_to_its_first_subword_only() -> None:
    tags = with_subwords(["B-PER", "I-PER", "O"], [2, 1, 3])

    assert tags == ["B-PER", "X", "I-PER", "O", "X", "X"]


def test_official_f1_counts_entities_over_all_tweets() -> None:
    gold = [["B-PER", "I-PER", "O", "B-LOC"], ["B-ORG"]]
    found = [["B-PER", "I-PER", "O", "O"], ["B-LOC"]]

    score = official_f1(gold, found, [[1, 1, 1, 1], [1]])

    assert score == pytest.approx(2 * 1 / (3 + 2))  # one right of 3 true and 2 told


def test_official_f1_forgives_what_follows_a_word_of_several_subwords() -> None:
    gold, found = [["B-PER", "I-PER"]], [["B-PER", "O"]]

    assert official_f1(gold, found, [[1, 1]]) == 0
    assert official_f1(gold, found, [[2, 1]]) == 1


def test_official_f1_leaves_out_words_that_were_cut_off() -> None:
    gold, found = [["B-PER", "O", "B-LOC"]], [["B-PER", "O", "O"]]

    assert official_f1(gold, found, [[1, 1]]) == 1


def test_tweets_and_words_without_a_counterpart_are_refused() -> None:
    with pytest.raises(ValueError, match=r"zip\(\) argument"):
        official_f1([["O", "O"]], [["O"]], [[1, 1]])
    with pytest.raises(ValueError, match=r"zip\(\) argument"):
        official_f1([["O"], ["O"]], [["O"]], [[1]])


def test_official_f1_of_nothing_is_zero() -> None:
    assert official_f1([["O", "O"]], [["O", "O"]], [[1, 1]]) == 0


def test_span_scores_by_hand() -> None:
    gold = [["B-PER", "I-PER", "O", "B-LOC"], ["B-ORG", "O"]]
    found = [["B-PER", "I-PER", "O", "O"], ["B-ORG", "B-ORG"]]

    scores = span_scores(gold, found)  # 2 right of 3 true and 3 told

    assert scores == pytest.approx({"precision": 2 / 3, "recall": 2 / 3, "f1": 2 / 3})


def test_a_span_that_is_too_short_or_of_another_type_is_wrong() -> None:
    gold = [["B-PER", "I-PER", "O", "B-LOC", "B-ORG"]]
    found = [["B-PER", "O", "O", "B-PER", "B-ORG"]]

    scores = span_scores(gold, found)

    assert scores == pytest.approx({"precision": 1 / 3, "recall": 1 / 3, "f1": 1 / 3})


def test_an_i_without_its_b_counts_as_a_span() -> None:
    scores = span_scores([["O", "I-ORG"], ["B-PER", "O"]], [["O", "B-ORG"], ["O", "O"]])

    assert scores == pytest.approx({"precision": 1, "recall": 1 / 2, "f1": 2 / 3})


def test_tags_need_not_be_lists_and_scores_are_plain_numbers() -> None:
    gold, found = (("B-PER", "I-PER", "B-LOC"),), (("B-PER", "I-PER", "O"),)

    scores = span_scores(gold, found)

    assert scores == span_scores([list(tags) for tags in gold], [list(tags) for tags in found])
    assert scores["precision"] == 1
    assert {type(score) for score in scores.values()} == {float}  # as YAML writes them


def test_finding_nothing_scores_zero_without_a_warning() -> None:
    assert span_scores([["B-PER"]], [["O"]]) == {"f1": 0, "precision": 0, "recall": 0}
    assert span_scores([["O"]], [["O"]]) == {"f1": 0, "precision": 0, "recall": 0}


@st.composite
def clean_tags(draw: st.DrawFn, length: int = 8) -> list[str]:
    """Tags in which every entity begins with a B-."""
    tags: list[str] = []
    while len(tags) < length:
        kind = draw(st.sampled_from(["", "PER", "LOC"]))
        more = draw(st.integers(0, 2)) if kind else 0
        tags += [f"B-{kind}"] + [f"I-{kind}"] * more if kind else ["O"]
    return tags[:length]


@given(clean_tags(), clean_tags())
def test_both_scorers_agree_on_clean_tags_of_whole_words(gold: list[str], found: list[str]) -> None:
    assert official_f1([gold], [found], [[1] * 8]) == pytest.approx(
        span_scores([gold], [found])["f1"]
    )


def test_class_scores_by_hand() -> None:
    scores = class_scores(["a", "a", "a", "b"], ["a", "a", "b", "b"])

    # F1 of a: 2 * 2 / (3 + 2) = 0.8, of b: 2 * 1 / (1 + 2) = 2/3; three and one of four.
    assert scores == pytest.approx({"accuracy": 0.75, "weighted_f1": 0.75 * 0.8 + 0.25 * 2 / 3})


def test_a_class_that_is_never_found_scores_zero() -> None:
    scores = class_scores(["a", "b"], ["a", "a"])

    assert scores == pytest.approx({"accuracy": 0.5, "weighted_f1": 0.5 * 2 / 3})


def test_a_class_that_never_occurs_weighs_nothing() -> None:
    scores = class_scores(["a", "a"], ["a", "c"])

    assert scores == pytest.approx({"accuracy": 0.5, "weighted_f1": 2 / 3})
