"""The exchange against a loop over single tokens; a layer against torch's own attention."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from muse.config import CrossConfig, ParityConfig
from muse.cross_transformer import (
    CrossLayer,
    CrossTransformer,
    Exchanged,
)
from muse.errors import UserError
from muse.exchange import Mask, Stream, cls_weights, exchange, least_attended, mean_token

WIDTH, HEADS = 8, 2


def cross_config(**changes: object) -> CrossConfig:
    small = {"layers": 3, "heads": HEADS, "feedforward": 12, "mu": 0, "eta": 3, "theta": 0.4}
    return CrossConfig.model_validate(small | changes)


def build(width: int = WIDTH, parity: ParityConfig | None = None, **changes: object):
    torch.manual_seed(0)
    return CrossTransformer(cross_config(**changes), width, parity or ParityConfig()).eval()


def streams(
    batch: int = 3, words: int = 6, patches: int = 4, seed: int = 1
) -> tuple[Tensor, Tensor, Tensor]:
    """Text, its mask with one full row, one half full and one almost empty, and image."""
    torch.manual_seed(seed)
    lengths = torch.tensor([words, words // 2, 2])[:batch]
    is_token = torch.arange(words) < lengths[:, None]
    return torch.randn(batch, words, WIDTH), is_token, torch.randn(batch, patches, WIDTH)


def exchanged_by_hand(
    own: Tensor, weights: Tensor, is_token: Tensor, lent: Tensor, share: float
) -> Tensor:
    """One sample, one token at a time."""
    mixed = own.clone()
    for row in range(len(own)):
        tokens = [t for t in range(1, own.shape[1]) if is_token[row, t]]
        count = round(share * len(tokens))
        by_weight = sorted(tokens, key=lambda t: (weights[row, t].item(), t))
        for token in by_weight[:count]:
            mixed[row, token] = own[row, token] + lent[row]
    return mixed


def test_only_the_least_attended_token_changes() -> None:
    own, lent = torch.zeros(1, 5, 2), torch.ones(1, 2)
    weights = torch.tensor([[0.0, 0.1, 0.4, 0.3, 0.0]])  # cls, three words, padding
    is_token = torch.tensor([[True, True, True, True, False]])

    picked = least_attended(weights, Mask(is_token), share=0.34)  # one of three words
    mixed = exchange(own, picked, lent)

    assert mixed.any(dim=-1).tolist() == [[False, True, False, False, False]]


@settings(max_examples=60)
@given(
    seed=st.integers(0, 10_000),
    length=st.integers(1, 9),
    share=st.sampled_from([0.0, 0.1, 0.25, 0.3, 0.5, 0.7, 0.9, 1.0]),
    distinct=st.sampled_from([1, 2, 1000]),  # 1 and 2: weights full of ties
    residual=st.booleans(),
)
def test_exchange_equals_a_loop_over_tokens(
    seed: int, length: int, share: float, distinct: int, residual: bool
) -> None:
    make = torch.Generator().manual_seed(seed)
    own, lent = torch.randn(2, length, 3, generator=make), torch.randn(2, 3, generator=make)
    weights = torch.randint(distinct, (2, length), generator=make) / distinct
    is_token = torch.rand(2, length, generator=make) < 0.7  # padding anywhere
    is_token[:, 0] = True
    before = own.clone()

    mixed = exchange(own, least_attended(weights, Mask(is_token), share), lent, residual)

    kept = own if residual else torch.zeros_like(own)
    added = exchanged_by_hand(kept, weights, is_token, lent, share)
    by_hand = torch.where(added == kept, own, added)  # nobody is lent a zero
    assert torch.equal(mixed, by_hand)
    assert torch.equal(own, before)


def test_random_choice_asks_nothing_of_attention() -> None:
    text, is_token, image = streams()
    picks = []
    for scale in (1.0, 3.0):
        cross, trace = build(choose="random"), []
        for layer in cross.layers:
            layer.query_key_value.weight.data *= scale
        cross(text, is_token, image, trace)
        picks.append(trace[0])
    assert torch.equal(picks[0].text, picks[1].text)
    assert torch.equal(picks[0].image, picks[1].image)


def test_without_the_residual_a_layer_forgets_the_exchanged_tokens() -> None:
    text, is_token, image = streams()
    layer = build(residual=False, theta=1.0, layers=1, eta=1).layers[0]
    text_stream = Stream(text, Mask(is_token))
    mixed, _ = layer(text_stream, Stream(image, Mask(torch.ones(3, 4).bool())))
    words = mixed.tokens[0, 1:]  # all are now the same mean
    torch.testing.assert_close(words, words[:1].expand_as(words))


def test_the_lent_mean_leaves_out_padding_and_cls_unless_told() -> None:
    tokens = torch.tensor([[[9.0], [1.0], [3.0], [100.0]]])
    stream = Stream(tokens, Mask(torch.tensor([[True, True, True, False]])))

    assert mean_token(stream, with_cls=False).item() == 2
    assert mean_token(stream, with_cls=True).item() == pytest.approx(13 / 3)


def test_a_stream_of_cls_alone_lends_nothing() -> None:
    alone = Stream(torch.ones(1, 1, 2), Mask(torch.ones(1, 1).bool()))

    assert mean_token(alone, with_cls=False).tolist() == [[0, 0]]


def torch_attention(layer: CrossLayer) -> nn.MultiheadAttention:
    attention = nn.MultiheadAttention(WIDTH, HEADS, batch_first=True).eval()
    attention.in_proj_weight.data = layer.query_key_value.weight.data
    attention.in_proj_bias.data = layer.query_key_value.bias.data
    attention.out_proj.weight.data = layer.attention_output.weight.data
    attention.out_proj.bias.data = layer.attention_output.bias.data
    return attention


def random_layer(exchanges: bool, parity: ParityConfig | None = None) -> CrossLayer:
    torch.manual_seed(3)
    layer = CrossLayer(cross_config(), WIDTH, parity or ParityConfig(), exchanges).eval()
    for parameter in layer.parameters():
        nn.init.normal_(parameter, std=0.5)  # biases and norms too
    return layer


def layer_by_hand(layer: CrossLayer, text: Stream, image: Stream) -> tuple[Tensor, Tensor]:
    attention = torch_attention(layer)
    mixed, weights = [], []
    for stream in (text, image):
        x = stream.tokens
        update, attended = attention(x, x, x, key_padding_mask=~stream.mask.is_token)
        mixed.append(layer.norm1(x + update))
        weights.append(attended[:, 0])
    if layer.exchanges:
        lent = []
        for stream, x in zip((text, image), mixed, strict=True):
            rows = [x[b, 1:][stream.mask.is_token[b, 1:]].mean(dim=0) for b in range(len(x))]
            lent.append(torch.stack(rows))
        mixed = [
            exchanged_by_hand(mixed[0], weights[0], text.mask.is_token, lent[1], layer.theta),
            exchanged_by_hand(mixed[1], weights[1], image.mask.is_token, lent[0], layer.theta),
        ]
    first, second = layer.feedforward[0], layer.feedforward[3]
    done = [layer.norm2(x + second(torch.relu(first(x)))) for x in mixed]
    return done[0], done[1]


def two_streams() -> tuple[Stream, Stream]:
    text, is_token, image = streams()
    return Stream(text, Mask(is_token)), Stream(image, Mask(torch.ones(image.shape[:2]).bool()))


@pytest.mark.parametrize("exchanges", [False, True])
def test_a_layer_equals_torch_attention_and_the_loop(exchanges: bool) -> None:
    layer, (text, image) = random_layer(exchanges), two_streams()

    ours = layer(text, image)
    expected = layer_by_hand(layer, text, image)

    assert torch.allclose(
        ours[0].tokens[text.mask.is_token], expected[0][text.mask.is_token], atol=1e-5
    )
    assert torch.allclose(ours[1].tokens, expected[1], atol=1e-5)


def test_cls_weights_are_torch_attentions_first_row() -> None:
    layer, (text, _) = random_layer(exchanges=True), two_streams()
    x = text.tokens

    _, weights = torch_attention(layer)(x, x, x, key_padding_mask=~text.mask.is_token)
    query, key, _ = layer.project(text)

    assert torch.allclose(cls_weights(query, key, text.mask), weights[:, 0], atol=1e-6)


def test_the_same_tokens_rank_last_in_training_and_in_use() -> None:
    cross, inputs = build(dropout=0.3, eta=1), streams()
    still: list[Exchanged] = []
    training: list[Exchanged] = []

    cross(*inputs, still)
    cross.train()(*inputs, training)

    assert torch.equal(still[0].text, training[0].text)


@pytest.mark.parametrize(
    ("mu", "eta", "expected"),
    [(0, 1, [1]), (0, 4, [1, 2, 3, 4]), (1, 3, [2, 3]), (3, 4, [4]), (2, 3, [3])],
)
def test_layers_mu_plus_1_to_eta_exchange(mu: int, eta: int, expected: list[int]) -> None:
    trace: list[Exchanged] = []

    build(layers=4, mu=mu, eta=eta)(*streams(), trace)

    assert [entry.layer for entry in trace] == expected


def test_the_trace_shows_as_many_tokens_as_theta_says() -> None:
    trace: list[Exchanged] = []

    build(theta=0.5)(*streams(), trace)

    assert trace[0].text.sum(dim=1).tolist() == [3, 2, 1]  # of 6, 3 and 2 tokens; 1.5 is even 2
    assert trace[0].image.sum(dim=1).tolist() == [2, 2, 2]
    assert not trace[0].text[:, 0].any()


def test_without_theta_no_layer_exchanges() -> None:
    trace: list[Exchanged] = []
    cross = build(theta=0.0)

    cross(*streams(), trace)

    assert trace == []
    assert not any(layer.exchanges for layer in cross.layers)


def test_without_theta_the_streams_never_meet() -> None:
    cross, (text, is_token, image) = build(theta=0.0), streams()

    assert torch.equal(
        cross(text, is_token, image).text, cross(text, is_token, torch.randn_like(image)).text
    )


@pytest.mark.parametrize("parity", [{}, {"mean_with_cls": True}, {"strict_quantile": True}])
def test_values_in_padding_reach_no_output(parity: dict[str, bool]) -> None:
    cross, (text, is_token, image) = build(parity=ParityConfig(**parity)), streams()
    other = torch.where(is_token[..., None], text, torch.full_like(text, 50.0))

    one, two = cross(text, is_token, image), cross(other, is_token, image)

    assert torch.allclose(one.text[:, 1:][is_token], two.text[:, 1:][is_token], atol=1e-5)
    assert torch.allclose(one.text[:, 0], two.text[:, 0], atol=1e-5)
    assert torch.allclose(one.image, two.image, atol=1e-5)


@pytest.mark.parametrize("parity", [{}, {"mean_with_cls": True}, {"strict_quantile": True}])
def test_more_padding_changes_no_output(parity: dict[str, bool]) -> None:
    cross, (text, is_token, image) = build(parity=ParityConfig(**parity)), streams()
    longer = torch.cat([text, torch.randn(3, 5, WIDTH)], dim=1)
    more = nn.functional.pad(is_token, (0, 5))

    one, two = cross(text, is_token, image), cross(longer, more, image)

    assert torch.allclose(one.text[:, 1:][is_token], two.text[:, 1:][more], atol=1e-5)
    assert torch.allclose(one.image, two.image, atol=1e-5)


def test_each_parity_option_changes_the_result() -> None:
    inputs = streams()
    results = [
        build(parity=ParityConfig(**options), theta=0.1)(*inputs).text  # 0 or 1 of 4 patches
        for options in ({}, {"mean_with_cls": True}, {"strict_quantile": True})
    ]

    assert not torch.allclose(results[0], results[1])
    assert not torch.allclose(results[0], results[2])


def test_shapes_and_gradients_reach_every_parameter() -> None:
    cross, (text, is_token, image) = build(), streams()

    crossed = cross(text, is_token, image)
    (crossed.text[:, 0].sum() + crossed.image.square().sum()).backward()

    assert crossed.text.shape == (3, 7, WIDTH)
    assert crossed.image.shape == (3, 5, WIDTH)
    assert all(parameter.grad is not None for parameter in cross.parameters())


def test_cls_starts_as_large_as_a_normalised_token() -> None:
    cls = build(width=1000, layers=1, eta=1).text_cls

    assert cls.std().item() == pytest.approx(2**0.5, rel=0.1)  # Kaiming over a fan-out of 1


def test_heads_that_do_not_divide_the_width_are_refused_in_one_line() -> None:
    with pytest.raises(UserError, match=r"cross\.heads=3 must divide .* 8") as error:
        build(heads=3)

    assert "\n" not in str(error.value)


def test_bf16_stays_near_float32() -> None:
    cross, inputs = build(theta=0.0), streams()

    with torch.autocast("cpu", torch.bfloat16):
        low = cross(*inputs).text.float()

    assert torch.allclose(low[:, 0], cross(*inputs).text[:, 0], atol=0.1)


def test_bf16_with_an_exchange_is_finite() -> None:
    with torch.autocast("cpu", torch.bfloat16):
        crossed = build()(*streams())

    assert crossed.text[:, 0].isfinite().all()
    assert crossed.image.isfinite().all()


def test_the_exchange_helps_to_learn_what_only_the_other_stream_knows() -> None:
    torch.manual_seed(0)
    text, is_token = torch.randn(16, 4, WIDTH), torch.ones(16, 4).bool()
    target = torch.randint(2, (16,)).float()
    image = torch.randn(16, 4, WIDTH) + 2 * target[:, None, None]
    cross = build(layers=2, eta=1, theta=0.5)
    head = nn.Linear(WIDTH, 1)
    optimizer = torch.optim.Adam([*cross.parameters(), *head.parameters()], lr=1e-2)

    for _ in range(60):
        logits = head(cross(text, is_token, image).text[:, 0]).squeeze(1)
        loss = nn.functional.binary_cross_entropy_with_logits(logits, target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    assert loss.item() < 0.1
