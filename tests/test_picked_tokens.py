"""Which tokens are exchanged: by attention, by the authors' rule, by chance."""

import pytest
import torch

from muse.exchange import Mask, below_quantile, least_attended, random_weights


@pytest.mark.parametrize("tokens", [1, 2, 5, 10, 25, 63, 64, 90, 95])  # of 95 tokens 0.3 are 28.5
@pytest.mark.parametrize("percent", range(0, 101, 5))
def test_exactly_round_theta_times_tokens_are_exchanged(tokens: int, percent: int) -> None:
    all_equal = torch.zeros(1, tokens + 1)

    picked = least_attended(all_equal, Mask(torch.ones(1, tokens + 1).bool()), percent / 100)

    assert int(picked.sum()) == round(percent / 100 * tokens)


def test_the_authors_rule_takes_7_of_64_and_none_under_ties() -> None:
    is_token = torch.ones(2, 70).bool()
    is_token[:, 65:] = False
    weights = torch.zeros(2, 70)  # the padding's weights are lowest, and must not count
    weights[0, 1:65] = torch.randperm(64) / 64 + 0.5

    picked = below_quantile(weights, Mask(is_token), share=0.1)

    assert picked.sum(dim=1).tolist() == [7, 0]


def test_the_authors_rule_is_a_quantile_over_the_valid_tokens() -> None:
    weights = torch.tensor([[0.0, 0.4, 0.1, 0.3, 0.2, 0.0]])
    is_token = torch.tensor([[True, True, True, True, True, False]])

    picked = below_quantile(weights, Mask(is_token), share=0.5)  # median 0.25

    assert picked[0].tolist() == [False, False, True, False, True, False]


@pytest.mark.parametrize("training", [True, False])
def test_random_choice_picks_as_many_and_never_padding_or_cls(training: bool) -> None:
    is_token = torch.arange(65) < torch.tensor([[65], [30], [5], [1]])
    torch.manual_seed(3)

    picked = least_attended(random_weights(is_token, training), Mask(is_token), 0.3)

    assert picked.sum(dim=1).tolist() == [round(0.3 * n) for n in (64, 29, 4, 0)]
    assert not (picked & ~is_token).any()
    assert not picked[:, 0].any()


def test_random_choice_falls_on_every_token_alike_and_again_with_the_same_seed() -> None:
    is_token = torch.ones(4000, 11).bool()
    torch.manual_seed(3)
    picked = least_attended(random_weights(is_token, training=True), Mask(is_token), 0.3)
    torch.manual_seed(3)
    again = least_attended(random_weights(is_token, training=True), Mask(is_token), 0.3)

    assert torch.equal(picked, again)
    shares = picked[:, 1:].double().mean(dim=0)
    assert (shares - 0.3).abs().max() < 5 * (0.3 * 0.7 / 4000) ** 0.5  # five standard errors


def test_random_choice_in_use_depends_on_neither_the_seed_nor_padding() -> None:
    short, long = torch.ones(2, 9).bool(), torch.ones(3, 40).bool()
    first = random_weights(short, training=False)
    torch.manual_seed(99)
    assert torch.equal(random_weights(long, training=False)[:2, :9], first)
