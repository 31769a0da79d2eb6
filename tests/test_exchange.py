"""The exchange's parts under other number types, under autocast and under gradients."""

import pytest
import torch
from torch import Tensor

from muse.exchange import (
    MANY_TOKENS,
    Mask,
    Stream,
    changed,
    cls_weights,
    exchange,
    mean_token,
    random_weights,
)

in_bf16 = torch.autocast("cpu", torch.bfloat16)
both_ways = pytest.mark.parametrize("residual", [True, False])


def numbers(*shape: int) -> Tensor:
    """Random ones that bf16 cannot hold."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def all_tokens(batch: int, tokens: int) -> Mask:
    return Mask(torch.ones(batch, tokens).bool())


def test_the_lent_mean_is_added_unless_told() -> None:
    own, picked = torch.full((1, 2, 2), 3.0), torch.tensor([[False, True]])

    mixed = exchange(own, picked, torch.tensor([[1.0, 2.0]]))

    assert mixed[0].tolist() == [[3, 3], [4, 5]]


@both_ways
def test_what_is_lent_learns_from_every_token_it_changes(residual: bool) -> None:
    lent = numbers(2, 3).requires_grad_()
    picked = torch.tensor([[False, True, True, False], [False, False, False, True]])

    exchange(numbers(2, 4, 3), picked, lent, residual).sum().backward()

    assert lent.grad is not None
    assert lent.grad.tolist() == [[2, 2, 2], [1, 1, 1]]


def test_every_token_of_a_mean_learns_from_it_alike() -> None:
    tokens = numbers(1, 4, 2).requires_grad_()
    is_token = torch.tensor([[True, True, True, False]])

    mean_token(Stream(tokens, Mask(is_token)), with_cls=False).sum().backward()

    assert tokens.grad is not None
    assert tokens.grad[0].tolist() == [[0, 0], [0.5, 0.5], [0.5, 0.5], [0, 0]]


def test_ranking_keeps_nothing_for_gradients() -> None:
    query, key = numbers(1, 2, 3, 4).requires_grad_(), numbers(1, 2, 3, 4).requires_grad_()

    assert not cls_weights(query, key, all_tokens(1, 3)).requires_grad


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float64])
@both_ways
def test_a_stream_keeps_its_number_type(kind: torch.dtype, residual: bool) -> None:
    own, lent = numbers(1, 3, 2).to(kind), numbers(1, 2)
    picked = torch.tensor([[False, True, False]])

    mixed = exchange(own, picked, lent, residual)

    assert mixed.dtype == kind
    assert torch.equal(mixed[:, 1], lent.to(kind) + own[:, 1] * residual)
    assert mean_token(Stream(own, all_tokens(1, 3)), with_cls=False).dtype == kind


@both_ways
def test_an_exchange_is_exact_under_autocast(residual: bool) -> None:
    own, picked = numbers(2, 5, 3), numbers(2, 5) > 0
    lent = mean_token(Stream(own, all_tokens(2, 5)), with_cls=False)
    expected = exchange(own, picked, lent, residual)

    with in_bf16:
        assert torch.equal(mean_token(Stream(own, all_tokens(2, 5)), with_cls=False), lent)
        assert torch.equal(exchange(own, picked, lent, residual), expected)


def test_the_weights_that_rank_are_exact_under_autocast() -> None:
    query, key, mask = numbers(2, 2, 5, 4), numbers(2, 2, 5, 4).flip(2), all_tokens(2, 5)
    expected = cls_weights(query, key, mask)

    with in_bf16:
        assert torch.equal(cls_weights(query, key, mask), expected)


def test_a_token_is_changed_where_any_of_its_numbers_is() -> None:
    before, mask = torch.zeros(1, 3, 2), all_tokens(1, 3)
    after = torch.tensor([[[0.0, 0.0], [0.0, 1.0], [1.0, 1.0]]])

    assert changed(Stream(before, mask), Stream(after, mask)).tolist() == [[False, True, True]]


def test_random_choice_in_use_ranks_a_stream_of_any_length() -> None:
    longer = torch.ones(2, MANY_TOKENS + 1).bool()

    weights = random_weights(longer, training=False)

    assert weights.shape == longer.shape
    assert len(weights[0].unique()) > MANY_TOKENS / 2
