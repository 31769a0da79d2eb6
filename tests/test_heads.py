"""The heads against sums over all tag sequences, and softmax by hand."""

from dataclasses import replace
from itertools import pairwise, product

import pytest
import torch
from small_muse import small_batch
from torch import Tensor, nn

from muse.batch import Batch
from muse.heads import EntityHead, SentimentHead

WIDTH, LABELS = 5, 3
LENGTHS = (6, 4)  # 4 words and 2: the second tweet ends in padding


def entity_head() -> EntityHead:
    """A head whose transitions matter."""
    torch.manual_seed(0)
    head = EntityHead(WIDTH, LABELS, dropout=0.5).eval()
    for parameter in head.crf.parameters():
        nn.init.normal_(parameter)
    return head


def tweets() -> tuple[Batch, Tensor]:
    """Two tweets and a score for each tag of each word."""
    batch = small_batch(lengths=LENGTHS)
    return batch, 3 * torch.randn(2, batch.is_word.shape[1], LABELS)


def path_score(head: EntityHead, scores: Tensor, tags: tuple[int, ...]) -> Tensor:
    """Sum of emissions and transitions along one sequence of tags, in float64."""
    crf = head.crf
    total = crf.start_transitions[tags[0]].double() + crf.end_transitions[tags[-1]]
    for word, tag in enumerate(tags):
        total = total + scores[word, tag]
    for before, after in pairwise(tags):
        total = total + crf.transitions[before, after]
    return total


def all_paths(head: EntityHead, scores: Tensor, words: int) -> dict[tuple[int, ...], Tensor]:
    return {tags: path_score(head, scores, tags) for tags in product(range(LABELS), repeat=words)}


@pytest.mark.parametrize("tweet", [0, 1])
def test_the_loss_is_minus_the_log_share_of_the_true_tags(tweet: int) -> None:
    head, (batch, scores) = entity_head(), tweets()
    words = int(batch.is_word[tweet].sum())
    paths = all_paths(head, scores[tweet], words)
    truth = tuple(batch.target[tweet, :words].tolist())

    loss = head.loss(scores, batch)[tweet]

    every = torch.stack(list(paths.values())).logsumexp(dim=0)
    assert loss.item() == pytest.approx((every - paths[truth]).item(), abs=1e-4)


@pytest.mark.parametrize("tweet", [0, 1])
def test_decoding_finds_the_best_of_all_tag_sequences(tweet: int) -> None:
    head, (batch, scores) = entity_head(), tweets()
    paths = all_paths(head, scores[tweet], int(batch.is_word[tweet].sum()))

    best = head.decode(scores, batch)[tweet]

    assert tuple(best) == max(paths, key=lambda tags: paths[tags].item())


def test_padding_words_change_neither_loss_nor_tags() -> None:
    head, (batch, scores) = entity_head(), tweets()
    other = scores.clone()
    other[1, 2:] = 100.0

    assert torch.equal(head.loss(other, batch), head.loss(scores, batch))
    assert head.decode(other, batch) == head.decode(scores, batch)


def test_a_word_is_scored_at_its_first_subword_past_cls() -> None:
    head, (batch, _) = entity_head(), tweets()
    batch = replace(batch, word_starts=torch.tensor([[1, 3, 4, 5], [1, 2, 0, 0]]))
    fused = torch.randn(2, 1 + 6, WIDTH)

    scores = head.scores(fused, batch)

    torch.testing.assert_close(scores[0, 1], head.linear(fused[0, 1 + 3]))
    torch.testing.assert_close(scores[1, 1], head.linear(fused[1, 1 + 2]))


def test_the_crf_computes_in_float32_under_bf16() -> None:
    head, (batch, scores) = entity_head(), tweets()
    exact = head.loss(scores, batch)
    with torch.autocast("cpu", torch.bfloat16):
        emitted = head.scores(torch.randn(2, 7, WIDTH), batch)
        loss = head.loss(scores, batch)

    assert emitted.dtype == loss.dtype == torch.float32
    assert torch.equal(loss, exact)


def test_the_sentiment_loss_is_minus_the_log_probability_of_the_class() -> None:
    head = SentimentHead(WIDTH, LABELS, dropout=0.5).eval()
    batch = replace(small_batch("msa", LENGTHS), target=torch.tensor([2, 0]))
    scores = torch.tensor([[0.0, 1.0, 2.0], [0.5, 0.5, 0.5]])

    loss = head.loss(scores, batch)

    # -log(e^2 / (1 + e + e^2)) and log 3
    torch.testing.assert_close(loss, torch.tensor([0.4076059, 1.0986123]))


def test_the_sentiment_is_the_class_of_the_highest_score() -> None:
    head = SentimentHead(WIDTH, LABELS, dropout=0.5)

    found = head.decode(
        torch.tensor([[0.0, 1.0, 2.0], [5.0, 0.5, 0.5]]), small_batch("msa", (3, 3))
    )

    assert found == [2, 0]


def test_the_sentiment_head_sees_only_the_fused_cls() -> None:
    torch.manual_seed(0)
    head = SentimentHead(WIDTH, LABELS, dropout=0.5).eval()
    fused = torch.randn(2, 7, WIDTH)
    with torch.autocast("cpu", torch.bfloat16):
        narrow = head.scores(fused, small_batch("msa", LENGTHS))

    scores = head.scores(fused, small_batch("msa", LENGTHS))

    torch.testing.assert_close(scores, head.linear(fused[:, 0]))
    assert narrow.dtype == torch.float32


@pytest.mark.parametrize("kind", [EntityHead, SentimentHead])
def test_dropout_acts_only_while_training(kind: type[EntityHead] | type[SentimentHead]) -> None:
    torch.manual_seed(0)
    head = kind(64, LABELS, dropout=0.5)
    batch, fused = small_batch("mner", LENGTHS), torch.randn(2, 7, 64)

    assert not torch.equal(head.scores(fused, batch), head.scores(fused, batch))
    head.eval()
    assert torch.equal(head.scores(fused, batch), head.scores(fused, batch))
