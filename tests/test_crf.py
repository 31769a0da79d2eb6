"""The CRF against the library that it builds on; tests/test_heads.py has sums over all paths."""

import pytest
import torch
import torchcrf
from torch import Tensor

from muse.crf import CRF

TAGS = 4


def both() -> tuple[CRF, torchcrf.CRF]:
    """Ours and theirs, with the same transitions."""
    torch.manual_seed(0)
    theirs = torchcrf.CRF(TAGS, batch_first=True)
    for parameter in theirs.parameters():
        torch.nn.init.normal_(parameter)
    ours = CRF(TAGS)
    ours.load_state_dict(theirs.state_dict())
    return ours, theirs


def sequences(*words: int) -> tuple[Tensor, Tensor, Tensor]:
    """Scores, tags and mask of rows with so many words."""
    torch.manual_seed(1)
    is_word = torch.arange(max(words)) < torch.tensor(words)[:, None]
    return torch.randn(*is_word.shape, TAGS), torch.randint(TAGS, is_word.shape), is_word


@pytest.mark.parametrize("words", [(1,), (1, 1), (7, 3, 1), (5, 5)])
def test_likelihood_and_gradients_are_the_librarys(words: tuple[int, ...]) -> None:
    ours, theirs = both()
    scores, tags, is_word = sequences(*words)
    likelihoods, gradients = [], []
    for crf in (ours, lambda *a: theirs(*a, reduction="none")):
        own = scores.clone().requires_grad_()
        likelihood = crf(own, tags, is_word)
        (likelihood * torch.arange(1, len(words) + 1)).sum().backward()
        likelihoods.append(likelihood.detach())
        gradients.append(own.grad)

    torch.testing.assert_close(likelihoods[0], likelihoods[1])
    torch.testing.assert_close(gradients[0], gradients[1])
    for name, parameter in ours.named_parameters():
        grad = theirs.get_parameter(name).grad  # none where no row has two words
        torch.testing.assert_close(
            parameter.grad, torch.zeros_like(parameter) if grad is None else grad
        )


@pytest.mark.parametrize("words", [(1,), (7, 3, 1), (5, 5)])
def test_the_likeliest_tags_are_the_librarys(words: tuple[int, ...]) -> None:
    ours, theirs = both()
    scores, _, is_word = sequences(*words)

    assert ours.decode(scores, is_word) == theirs.decode(scores, is_word)


def test_padding_leads_no_tag_astray() -> None:
    ours, theirs = both()
    torch.nn.init.normal_(ours.transitions, std=5)  # so that a step more would change the tag
    theirs.load_state_dict(ours.state_dict())
    scores, _, is_word = sequences(*range(9, 0, -1))

    assert ours.decode(scores, is_word) == theirs.decode(scores, is_word)
