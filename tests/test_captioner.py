"""The captioner against a plain version that reads one word after another."""

from itertools import pairwise
from math import log

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from muse.captioner import Captioner
from muse.config import CaptionerConfig

WIDTH, VOCABULARY, START, END = 6, 11, 1, 2


def build(**changes: object) -> Captioner:
    torch.manual_seed(0)
    small = {"width": 5, "embedding": 4, "attention": 7} | changes
    captioner = Captioner(CaptionerConfig.model_validate(small), WIDTH, VOCABULARY).eval()
    for parameter in captioner.parameters():
        nn.init.normal_(parameter, std=0.5)
    return captioner


def captions() -> tuple[Tensor, Tensor, Tensor]:
    """Three captions of 6, 4 and 2 sub-words with their image tokens."""
    torch.manual_seed(1)
    ids = torch.randint(3, VOCABULARY, (3, 6))
    ids[:, 0] = START
    is_token = torch.arange(6) < torch.tensor([6, 4, 2])[:, None]
    return torch.randn(3, 8, WIDTH), ids, is_token


def lstm_cell(captioner: Captioner) -> nn.LSTMCell:
    """torch's own cell with our weights."""
    cell = nn.LSTMCell(4 + WIDTH, 5)
    word, image = captioner.gates_of_word, captioner.gates_of_image
    cell.weight_ih.data = torch.cat([word.weight, image.weight], dim=1).detach()
    cell.weight_hh.data = captioner.of_state.weight[-4 * 5 :].detach()
    cell.bias_ih.data = captioner.of_state.bias[-4 * 5 :].detach()
    nn.init.zeros_(cell.bias_hh)
    return cell


def loss_by_hand(captioner: Captioner, image: Tensor, ids: list[int]) -> tuple[float, float]:
    """Mean nats per sub-word and the overlooked term of one caption."""
    cell = lstm_cell(captioner)
    hidden, memory = captioner.first_state(image.mean(dim=0)).split(5)
    nats, seen = [], torch.zeros(len(image))
    for word, following in pairwise(ids):
        state_key, f_beta, _ = captioner.of_state(hidden).split(captioner.sizes)
        scores = [
            captioner.score(torch.relu(captioner.image_key(patch) + state_key)).item()
            for patch in image
        ]
        look = torch.tensor(scores).softmax(dim=0)
        seen += look
        context = sum(alpha * patch for alpha, patch in zip(look, image, strict=True))
        context = torch.sigmoid(f_beta) * context
        entry = torch.cat([captioner.embedding.weight[word], context])
        hidden, memory = cell(entry[None], (hidden[None], memory[None]))
        hidden, memory = hidden[0], memory[0]
        logits = captioner.to_vocabulary(hidden)
        nats.append(-logits.log_softmax(dim=0)[following].item())
    return sum(nats) / len(nats), (1 - seen).square().mean().item()


@pytest.mark.parametrize("weight", [0.0, 1.0, 2.5])
def test_the_loss_equals_a_plain_loop(weight: float) -> None:
    captioner, (image, ids, is_token) = build(doubly_stochastic=weight), captions()

    losses = captioner(image, ids, is_token)

    for row, length in enumerate([6, 4, 2]):
        nats, overlooked = loss_by_hand(captioner, image[row], ids[row, :length].tolist())
        assert losses[row].item() == pytest.approx(nats + weight * overlooked, abs=1e-5)


def test_the_authors_mean_weighs_every_sub_word_alike() -> None:
    captioner, (image, ids, is_token) = build(), captions()
    parts = [
        loss_by_hand(captioner, image[row], ids[row, :length].tolist())
        for row, length in enumerate([6, 4, 2])
    ]
    nats = (5 * parts[0][0] + 3 * parts[1][0] + 1 * parts[2][0]) / 9
    overlooked = sum(part[1] for part in parts) / 3

    found = captioner.token_mean(image, ids, is_token)

    assert found.item() == pytest.approx(nats + overlooked, abs=1e-5)


def test_a_later_word_never_changes_an_earlier_ones_likelihood() -> None:
    captioner, (image, ids, _) = build(), captions()
    everywhere = torch.ones_like(ids).bool()
    before = captioner.read(image, ids, everywhere).nats

    for position in range(1, 6):
        changed = ids.clone()
        changed[:, position] = (ids[:, position] + 1) % VOCABULARY
        after = captioner.read(image, changed, everywhere).nats

        assert torch.equal(after[:, : position - 1], before[:, : position - 1])
        assert (after[:, position - 1 :] != before[:, position - 1 :]).all()


def test_padding_changes_nothing() -> None:
    captioner, (image, ids, is_token) = build(), captions()
    longer = torch.cat([torch.where(is_token, ids, 7), torch.full((3, 4), 9)], dim=1)

    with_more = captioner(image, longer, functional.pad(is_token, (0, 4)))

    assert torch.allclose(with_more, captioner(image, ids, is_token), atol=1e-6)


@pytest.mark.parametrize("length", [0, 1])
def test_a_caption_without_words_to_foretell_costs_nothing(length: int) -> None:
    captioner, (image, ids, is_token) = build(), captions()
    is_token[1, length:] = False

    losses = captioner(image, ids, is_token)
    losses.sum().backward()

    assert losses[1] == 0
    assert (losses[[0, 2]] > 0).all()
    assert all(parameter.grad.isfinite().all() for parameter in captioner.parameters())


def test_a_batch_without_any_word_is_zero_with_a_gradient() -> None:
    captioner, (image, ids, is_token) = build(), captions()

    loss = captioner(image, ids, torch.zeros_like(is_token)).mean()
    loss.backward()

    assert loss == 0


def test_all_positions_cost_the_same_as_the_real_ones_alone() -> None:
    captioner, (image, ids, is_token) = build(), captions()
    hidden, _ = captioner._unroll(image, ids[:, :-1])

    everything = captioner._cross_entropy(hidden, ids[:, 1:]) * is_token[:, 1:]  # as on a GPU

    assert torch.allclose(captioner.read(image, ids, is_token).nats, everything, atol=1e-6)


def test_the_picture_matters() -> None:
    captioner, (image, ids, is_token) = build(), captions()

    assert (captioner(image, ids, is_token) != captioner(-image, ids, is_token)).all()


def test_a_new_captioner_is_near_a_uniform_guess() -> None:
    torch.manual_seed(0)
    captioner = Captioner(CaptionerConfig(width=16, doubly_stochastic=0), WIDTH, 1000)
    image, ids, is_token = captions()

    assert captioner(image, ids, is_token).mean().item() == pytest.approx(log(1000), rel=0.03)


def test_it_learns_two_captions_and_writes_them() -> None:
    torch.manual_seed(0)
    small = CaptionerConfig(width=32, embedding=16, attention=16, dropout=0)
    captioner = Captioner(small, WIDTH, VOCABULARY)
    image = torch.randn(2, 4, WIDTH)
    ids = torch.tensor([[START, 5, 6, 7, END], [START, 8, 5, END, 0]])
    is_token = torch.tensor([[True] * 5, [True] * 4 + [False]])
    optimizer = torch.optim.Adam(captioner.parameters(), lr=2e-2)

    for _ in range(60):
        loss = captioner(image, ids, is_token).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    written = captioner.generate(image, START, END, longest=5)

    assert captioner.read(image, ids, is_token).nats.max() < 0.1
    assert written.tolist() == [[5, 6, 7, END, END], [8, 5, END, END, END]]
    assert written.dtype == torch.int64


def test_greedy_writing_takes_the_likeliest_sub_word_each_time() -> None:
    captioner, (image, _, _) = build(), captions()
    written = captioner.generate(image, START, END, longest=4)
    ids = torch.cat([torch.full((3, 1), START), written], dim=1)

    first = []
    for candidate in range(VOCABULARY):
        ids[:, 1] = candidate
        first.append(captioner.read(image, ids, torch.ones_like(ids).bool()).nats[:, 0])

    assert torch.stack(first).argmin(dim=0).tolist() == written[:, 0].tolist()


def test_bf16_is_finite_and_near_float32() -> None:
    captioner, inputs = build(), captions()

    with torch.autocast("cpu", torch.bfloat16):
        low = captioner(*inputs)
    low.sum().backward()

    assert low.dtype == torch.float32
    assert torch.allclose(low, captioner(*inputs), rtol=0.05)
