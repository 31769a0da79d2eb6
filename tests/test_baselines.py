"""Each baseline uses what it should, ignores what it must, and learns."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from small_muse import TAGS, small_batch, small_config, small_muse, without_dropout
from torch import Tensor, nn

from muse.batch import Batch
from muse.encoders import ImageEncoder
from muse.errors import UserError
from muse.model import Muse

TASKS = ("mner", "msa")
KINDS = ("text", "concatenation", "cross_attention")
both_tasks = pytest.mark.parametrize("task", TASKS)
NO_DECODERS = {"alpha": 0.0, "beta": 0.0}


def build(kind: str, task: str = "mner", **parts: dict[str, Any]) -> Muse:
    config = small_config(task, fusion={"kind": kind}, **{"loss": NO_DECODERS, **parts})
    return small_muse(config).eval()


def other_picture(batch: Batch) -> Batch:
    return replace(batch, image=255 - batch.image, small_image=255 - batch.small_image)


@both_tasks
@pytest.mark.parametrize("kind", KINDS)
def test_only_the_text_baseline_is_blind_to_the_picture(kind: str, task: str) -> None:
    model, batch = build(kind, task), small_batch(task)
    scores, other = model.task_scores(batch), model.task_scores(other_picture(batch))
    assert torch.equal(scores, other) == (kind == "text")


def test_the_text_baseline_builds_no_image_encoder_and_no_cross_transformer() -> None:
    model = build("text")
    assert not any(isinstance(m, ImageEncoder | nn.Conv2d) for m in model.modules())
    assert {name.partition(".")[0] for name in model.state_dict()} == {"text_encoder", "head"}


@both_tasks
def test_the_text_baseline_is_the_head_on_the_text_encoder(task: str) -> None:
    model, batch = build("text", task), small_batch(task)
    tokens, _ = model.text_encoder(batch.token_ids, batch.is_token)
    read = tokens[:, 0] if task == "msa" else words_of(tokens, batch)
    torch.testing.assert_close(model.task_scores(batch), model.head.linear(read))


def words_of(tokens: Tensor, batch: Batch) -> Tensor:
    return torch.stack([row[starts] for row, starts in zip(tokens, batch.word_starts, strict=True)])


def test_concatenation_is_one_linear_layer_over_a_token_and_the_mean_picture() -> None:
    model, batch = build("concatenation"), small_batch()
    tokens, _ = model.text_encoder(batch.token_ids, batch.is_token)
    mean = model.image_encoder(batch.image).mean(dim=1)
    row, word = 0, 2
    both = torch.cat([tokens[row, batch.word_starts[row, word]], mean[row]])
    expected = model.head.linear(model.fusion.linear(both))
    torch.testing.assert_close(model.task_scores(batch)[row, word], expected)


def test_cross_attention_has_the_depth_and_heads_of_the_cross_transformer() -> None:
    model = build("cross_attention", cross={"layers": 3, "heads": 4, "dropout": 0.2})
    assert len(model.cross.layers) == 3
    assert all(layer.multihead_attn.num_heads == 4 for layer in model.cross.layers)
    assert {m.p for m in model.cross.modules() if isinstance(m, nn.Dropout)} == {0.2}


@both_tasks
@pytest.mark.parametrize("kind", KINDS)
def test_a_tweet_scores_the_same_alone_and_beside_longer_ones(kind: str, task: str) -> None:
    model, batch = build(kind, task), small_batch(task)
    last = Batch(**{name: value[3:] for name, value in vars(batch).items()})
    words = 1 if task == "mner" else 3
    alone, beside = model.task_scores(last)[0, :words], model.task_scores(batch)[3, :words]
    torch.testing.assert_close(alone, beside)


@pytest.mark.parametrize("kind", KINDS)
def test_every_weight_of_a_baseline_is_trained(kind: str) -> None:
    model = build(kind).train()
    model(small_batch()).total.backward()
    assert [name for name, p in model.named_parameters() if p.grad is None] == []


@both_tasks
@pytest.mark.parametrize("kind", KINDS)
def test_a_baseline_learns_a_batch_by_heart(kind: str, task: str) -> None:
    model, batch = build(kind, task), small_batch(task)
    without_dropout(model)
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), 1e-2)
    before = model(batch).total.item()
    for _ in range(40):
        optimizer.zero_grad()
        model(batch).total.backward()
        optimizer.step()
    assert model(batch).total.item() < 0.1 * before


@pytest.mark.parametrize("kind", ["concatenation", "cross_attention"])
def test_a_baseline_that_sees_the_picture_can_have_both_decoders(kind: str) -> None:
    losses = build(kind, loss={"alpha": 0.1, "beta": 0.1})(small_batch())
    assert min(losses.caption, losses.image) > 0


def test_text_alone_with_a_decoder_is_refused_in_one_line() -> None:
    with pytest.raises(ValueError, match="without a picture there is none to describe or paint"):
        small_config(fusion={"kind": "text"}, loss={"alpha": 0.1, "beta": 0.0})


def test_cross_attention_refuses_heads_that_do_not_divide_the_width() -> None:
    with pytest.raises(UserError, match=r"cross\.heads=3 must divide"):
        build("cross_attention", cross={"heads": 3})


def test_the_tags_of_a_baseline_are_the_corpus_own() -> None:
    assert {tag for tags in build("text").predict(small_batch()) for tag in tags} <= set(TAGS)


@torch.no_grad()
def interplay(model: Muse, task: str) -> float:
    """How much of the scores is no sum of what the text and what the picture say."""
    batch = small_batch(task, lengths=(8, 8, 8, 8))
    every = replace(
        batch,
        token_ids=batch.token_ids[[0, 0, 1, 1]],  # two texts, each
        image=batch.image[[0, 1, 0, 1]],  # with two pictures
    )
    one, two, three, four = model.eval().task_scores(every)
    return float(((one - two) - (three - four)).abs().max())


@both_tasks
def test_without_exchange_scores_are_a_sum_of_what_text_and_picture_say(task: str) -> None:
    """Why neither can solve the made-up tweets of the rule `interaction`."""
    assert interplay(small_muse(small_config(task, cross={"theta": 0.0})), task) < 1e-6
    assert interplay(build("concatenation", task), task) < 1e-6


@both_tasks
def test_the_exchange_and_cross_attention_let_text_and_picture_meet(task: str) -> None:
    assert interplay(small_muse(small_config(task)), task) > 1e-4
    assert interplay(build("cross_attention", task), task) > 1e-4
