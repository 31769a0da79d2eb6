"""The whole model: its losses, what must not matter to it, and each departure of the authors."""

from dataclasses import replace
from itertools import product
from math import log
from typing import Any

import pytest
import torch
from small_muse import small_batch, small_config, small_muse, weights, without_dropout
from torch.nn import functional

from muse.batch import Batch
from muse.errors import UserError
from muse.logistic_mixture import bits_per_dim
from muse.model import Embedding, Fusion, Muse

TASKS = ("mner", "msa")
PARITY = (
    "shared_projection",
    "condition_on_pooler",
    "mean_with_cls",
    "strict_quantile",
    "summed_losses",
)
both_tasks = pytest.mark.parametrize("task", TASKS)


def build(task: str = "mner", **parts: dict[str, Any]) -> Muse:
    return small_muse(small_config(task, **parts)).eval()


@both_tasks
def test_the_total_weighs_the_three_losses(task: str) -> None:
    losses = build(task, loss={"alpha": 0.3, "beta": 0.7})(small_batch(task))

    total = losses.task + 0.3 * losses.caption + 0.7 * losses.image
    torch.testing.assert_close(losses.total, total)
    assert min(losses.task, losses.caption, losses.image) > 0


def test_only_the_total_carries_a_gradient() -> None:
    losses = build()(small_batch())

    assert losses.total.requires_grad
    assert not any(x.requires_grad for x in (losses.task, losses.caption, losses.image))


@both_tasks
def test_the_task_loss_is_the_mean_of_the_head(task: str) -> None:
    model, batch = build(task), small_batch(task)

    expected = model.head.loss(model.task_scores(batch), batch).mean()

    torch.testing.assert_close(model(batch).task, expected.detach())


@pytest.mark.parametrize(
    ("weight", "loss", "part"), [("alpha", "caption", "captioner"), ("beta", "image", "painter")]
)
def test_a_weight_of_zero_builds_no_decoder(weight: str, loss: str, part: str) -> None:
    model = build(loss={weight: 0.0})

    losses = model(small_batch())

    assert getattr(model, part) is None
    assert not any(part in name for name in model.state_dict())
    assert getattr(losses, loss) == 0


@pytest.mark.parametrize("without", [{"alpha": 0.0}, {"beta": 0.0}, {"alpha": 0.0, "beta": 0.0}])
def test_a_decoder_does_not_move_the_start_of_any_other_part(without: dict[str, float]) -> None:
    whole, part = weights(build()), weights(build(loss=without))

    assert all(torch.equal(whole[name], value) for name, value in part.items())
    assert len(part) > 50


def padded(batch: Batch, tokens: int, words: int) -> Batch:
    """The same tweets with columns of padding, which hold nonsense where they can."""
    more = {
        "token_ids": functional.pad(batch.token_ids, (0, tokens), value=9),
        "is_token": functional.pad(batch.is_token, (0, tokens)),
    }
    if batch.word_starts.shape[1]:
        more["word_starts"] = functional.pad(batch.word_starts, (0, words))
        more["is_word"] = functional.pad(batch.is_word, (0, words))
        more["target"] = functional.pad(batch.target, (0, words))
    return replace(batch, **more)


@both_tasks
@pytest.mark.parametrize("parity", [None, "mean_with_cls", "strict_quantile", "summed_losses"])
def test_padding_changes_no_loss(task: str, parity: str | None) -> None:
    model = build(task, parity={parity: True} if parity else {})
    batch = small_batch(task)

    plain, longer = model(batch), model(padded(batch, tokens=5, words=4))

    for name in ("total", "task", "caption", "image"):
        torch.testing.assert_close(getattr(longer, name), getattr(plain, name), atol=1e-5, rtol=0)


@both_tasks
def test_padding_changes_no_score(task: str) -> None:
    model, batch = build(task), small_batch(task)

    plain = model.task_scores(batch)
    longer = model.task_scores(padded(batch, tokens=5, words=4))

    if task == "mner":
        plain, longer = plain[batch.is_word], longer[:, : plain.shape[1]][batch.is_word]
    torch.testing.assert_close(longer, plain, atol=1e-5, rtol=0)


def rows(batch: Batch, order: list[int]) -> Batch:
    return Batch(**{name: value[order] for name, value in vars(batch).items()})


@both_tasks
def test_the_order_of_the_tweets_does_not_matter(task: str) -> None:
    model, batch, order = build(task), small_batch(task), [2, 0, 3, 1]
    turned = rows(batch, order)

    torch.testing.assert_close(model.task_scores(turned), model.task_scores(batch)[order])
    torch.testing.assert_close(model(turned).total, model(batch).total)


@both_tasks
def test_a_tweet_does_not_depend_on_its_neighbours(task: str) -> None:
    model, batch = build(task), small_batch(task)

    together, alone = model.task_scores(batch), model.task_scores(rows(batch, [1]))

    torch.testing.assert_close(alone[0], together[1])


@both_tasks
@pytest.mark.parametrize("lengths", [(12, 9), (5, 5), (4, 3)])  # the picture has 4 tokens and cls
def test_text_may_be_longer_or_shorter_than_the_grid(task: str, lengths: tuple[int, ...]) -> None:
    losses = build(task)(small_batch(task, lengths))

    assert losses.total.isfinite()


def test_text_beyond_the_picture_is_paired_with_the_pictures_cls() -> None:
    fusion, text, image = Fusion(3), torch.randn(2, 5, 3), torch.randn(2, 3, 3)

    fused = fusion(text, image)

    for row, token in product(range(2), range(5)):
        pair = torch.cat([text[row, token], image[row, token if token < 3 else 0]])
        torch.testing.assert_close(fused[row, token], fusion.linear(pair))


def test_a_picture_beyond_the_text_is_cut_off() -> None:
    fusion, text, image = Fusion(3), torch.randn(2, 2, 3), torch.randn(2, 5, 3)

    torch.testing.assert_close(fusion(text, image), fusion(text, image[:, :2]))


@both_tasks
@pytest.mark.parametrize("field", ["token_ids", "image"])
def test_the_scores_depend_on_text_and_picture(task: str, field: str) -> None:
    model, batch = build(task), small_batch(task)
    other = replace(batch, **{field: getattr(batch, field).flip(0)})

    assert not torch.allclose(model.task_scores(other), model.task_scores(batch), atol=1e-4)


@pytest.mark.parametrize(("task", "matters"), [("msa", False), ("mner", True)])
def test_an_exchange_in_the_last_layer_comes_too_late_for_sentiment(
    task: str, matters: bool
) -> None:
    batch = small_batch(task)
    cross = {"layers": 3, "mu": 2, "eta": 3}
    without, late = (build(task, cross={**cross, "theta": theta}) for theta in (0.0, 0.5))

    same = torch.equal(without.task_scores(batch), late.task_scores(batch))

    assert same is not matters


def test_noise_is_added_only_while_training() -> None:
    model, batch = build(loss={"noise_std": 1.0}), small_batch()
    without_dropout(model)
    first, second = model(batch), model(batch)

    model.train()
    noisy, noisier = model(batch), model(batch)

    assert torch.equal(first.total, second.total)
    assert noisy.caption != noisier.caption
    assert noisy.image != noisier.image
    assert noisy.task == noisier.task


def test_without_noise_and_dropout_training_repeats_itself() -> None:
    model, batch = build(loss={"noise_std": 0.0}).train(), small_batch()
    without_dropout(model)

    assert torch.equal(model(batch).total, model(batch).total)


def test_the_noise_has_the_standard_deviation_asked_for() -> None:
    torch.manual_seed(0)
    noise = Embedding(100, 0.5, torch.nn.Identity()).train()(torch.zeros(200, 100))

    assert noise.std().item() == pytest.approx(0.5, rel=0.02)
    assert noise.mean().item() == pytest.approx(0, abs=0.02)


@both_tasks
@pytest.mark.parametrize("parity", [None, *PARITY])
@pytest.mark.parametrize(("alpha", "beta"), [(0.1, 0.1), (0, 0.1), (0.1, 0), (0, 0)])
def test_every_trained_weight_gets_a_gradient(
    task: str, parity: str | None, alpha: float, beta: float
) -> None:
    loss = {"alpha": alpha, "beta": beta}
    model = build(task, loss=loss, parity={parity: True} if parity else {}).train()

    model(small_batch(task)).total.backward()

    idle = [name for name, p in model.named_parameters() if p.requires_grad and p.grad is None]
    assert idle == []


def test_frozen_stages_stay_frozen_inside_the_model() -> None:
    model = build(image={"stages": 2, "frozen_stages": 1}).train()

    model(small_batch()).total.backward()

    frozen = list(model.image_encoder.stages[0].parameters())
    assert not any(parameter.requires_grad for parameter in frozen)
    assert all(parameter.grad is None for parameter in frozen)


def test_the_mlps_are_two_and_not_linear() -> None:
    model = build()
    ones = torch.ones(1, 16)

    assert not torch.allclose(model.image_embedding(ones), model.text_embedding(ones))
    assert not torch.allclose(bend(model.image_embedding), torch.zeros(1, 16), atol=1e-4)


def bend(embedding: Embedding) -> torch.Tensor:
    """How far a map is from a straight line, 0 for a linear layer."""
    torch.manual_seed(2)
    here, there = torch.randn(1, 16), torch.randn(1, 16)
    return (embedding(here) + embedding(there)) / 2 - embedding((here + there) / 2)


def test_parity_one_linear_layer_serves_both_ways() -> None:
    model = build(parity={"shared_projection": True})
    tokens = torch.randn(2, 16)

    torch.testing.assert_close(model.image_embedding(tokens), model.text_embedding(tokens))
    torch.testing.assert_close(bend(model.image_embedding), torch.zeros(1, 16))


def test_the_picture_is_painted_from_the_mean_of_the_embedded_text() -> None:
    model, batch = build(), small_batch()
    text, _ = model.text_encoder(batch.token_ids, batch.is_token)
    embedded = model.text_embedding(text)

    means = [
        tokens[kept].mean(dim=0) for tokens, kept in zip(embedded, batch.is_token, strict=True)
    ]

    torch.testing.assert_close(model(batch).image, painted(model, batch, torch.stack(means)))


def test_parity_the_picture_is_painted_from_the_embedded_pooler() -> None:
    model, batch = build(parity={"condition_on_pooler": True}), small_batch()
    text, _ = model.text_encoder(batch.token_ids, batch.is_token)
    pooled = model.text_encoder.model.pooler.dense(text[:, 0]).tanh()

    expected = painted(model, batch, model.text_embedding(pooled))

    torch.testing.assert_close(model(batch).image, expected)


def painted(model: Muse, batch: Batch, condition: torch.Tensor) -> torch.Tensor:
    """Mean bits per dimension of the small pictures given a condition."""
    small = batch.small_image / 255 * 2 - 1
    return bits_per_dim(model.painter(small, condition), small).mean().detach()


@pytest.mark.parametrize("flag", ["mean_with_cls", "strict_quantile"])
def test_parity_of_the_exchange_changes_the_scores(flag: str) -> None:
    batch = small_batch()
    ours, theirs = (
        build(cross={"theta": 0.3}, parity={flag: on}).task_scores(batch) for on in (False, True)
    )

    assert not torch.allclose(ours, theirs, atol=1e-4)


def test_parity_losses_have_the_scales_of_the_authors() -> None:
    batch = small_batch(lengths=(8, 8, 8))  # alike, so that token means and sample means agree
    ours, theirs = (build(parity={"summed_losses": on})(batch) for on in (False, True))

    torch.testing.assert_close(theirs.task, 3 * ours.task / 16)  # 16 sub-words at most
    torch.testing.assert_close(theirs.caption, ours.caption / 16)
    nats_a_tweet = ours.image * 3 * 4 * 4 * log(2)
    torch.testing.assert_close(theirs.image, 3 * nats_a_tweet / (4 * 4))


@both_tasks
def test_predictions_are_the_names_of_the_decoded_labels(task: str) -> None:
    model, batch = build(task), small_batch(task)
    scores = model.task_scores(batch)

    found = model.predict(batch)

    if task == "msa":
        assert found == [model.labels[k] for k in scores.argmax(dim=1).tolist()]
    else:
        assert [len(tags) for tags in found] == batch.is_word.sum(dim=1).tolist()
        assert found == [[model.labels[k] for k in t] for t in model.head.decode(scores, batch)]


def test_predicting_needs_no_decoder() -> None:
    model, batch = build(), small_batch()
    expected = model.predict(batch)

    model.captioner = model.painter = None

    assert model.predict(batch) == expected


@both_tasks
def test_bf16_stays_close_to_float32(task: str) -> None:
    model, batch = build(task, cross={"theta": 0}), small_batch(task)
    exact = model(batch)
    with torch.autocast("cpu", torch.bfloat16):
        narrow = model(batch)

    for name in ("task", "caption", "image"):
        torch.testing.assert_close(
            getattr(narrow, name).float(), getattr(exact, name), rtol=0.05, atol=0.05
        )


def test_heads_that_do_not_divide_the_width_are_a_one_line_error() -> None:
    with pytest.raises(UserError, match=r"cross.heads=3 must divide .* 16") as error:
        build(cross={"heads": 3})

    assert len(str(error.value).splitlines()) == 1
