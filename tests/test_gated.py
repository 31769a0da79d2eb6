"""What is made for all gated blocks at once is what each would have made for itself."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import weight_norm

from muse.config import PainterConfig
from muse.gated import Causal, Given, normalised
from muse.pixelcnn import PixelCNN

CONDITION, SAMPLES = 5, 64


def painter(dropout: float) -> PixelCNN:
    torch.manual_seed(0)
    config = PainterConfig(blocks=1, resolutions=2, filters=4, mixtures=1, dropout=dropout)
    return PixelCNN(config, CONDITION)


def givens(made: PixelCNN) -> list[Given]:
    return list(made.prepare(made.blocks, torch.randn(SAMPLES, CONDITION)).values())


def choices(made: PixelCNN) -> Tensor:
    """What dropout leaves of each channel in each block, (blocks, B, 2 F)."""
    kept = [given.kept for given in givens(made)]
    return torch.stack([choice[..., 0, 0] for choice in kept if choice is not None])


def test_kernels_of_mixed_shapes_are_those_of_torchs_weight_norm() -> None:
    shapes = [(4, 3, (2, 3)), (4, 3, (1, 1)), (6, 3, (2, 2)), (4, 3, (2, 3)), (6, 3, (2, 2))]
    shapes += [(5, 3, (2, 3)), (4, 6, (2, 3))]  # others than the first in one number of channels
    bias = [True, True, False, True, True, True, True]  # the fifth is the third with a bias
    made = [
        weight_norm(nn.Conv2d(*sizes, bias=has)) for sizes, has in zip(shapes, bias, strict=True)
    ]
    for convolution in made:  # training may make a length negative
        nn.init.normal_(convolution.get_parameter("parametrizations.weight.original0"))
    kernels = normalised(made)
    for convolution in made:
        kernel = kernels[convolution]
        assert torch.equal(kernel.weight, convolution.weight)
        if convolution.bias is None:
            assert kernel.bias is None
        else:
            assert torch.equal(kernel.bias, convolution.bias)


def test_kernels_are_rounded_once_under_autocast() -> None:
    made = painter(dropout=0.0)
    with torch.autocast("cpu", torch.bfloat16):
        kernels = givens(made)[0].kernels
    convolution = made.blocks[0].enter.convolution
    assert torch.equal(kernels[convolution].weight, convolution.weight.bfloat16())
    assert torch.equal(kernels[convolution].bias, convolution.bias.bfloat16())


def test_the_condition_shifts_each_block_in_its_own_way() -> None:
    shifts = torch.stack([given.shift for given in givens(painter(dropout=0.0))])

    assert shifts.shape == (10, SAMPLES, 8)
    assert len(shifts.flatten(1).unique(dim=0)) == 10


def test_dropout_drops_whole_channels_and_scales_the_others() -> None:
    kept = choices(painter(dropout=0.25))

    assert kept.unique().tolist() == pytest.approx([0, 4 / 3])
    assert (kept == 0).float().mean().item() == pytest.approx(0.25, abs=0.03)


def test_dropout_chooses_anew_for_each_block_and_sample() -> None:
    kept = choices(painter(dropout=0.5))

    assert len(kept.flatten(0, 1).unique(dim=0)) > 200  # of 640 draws from 256 patterns
    assert len(kept.flatten(1).unique(dim=0)) == 10


@pytest.mark.parametrize(("dropout", "training"), [(0.5, False), (0.0, True)])
def test_nothing_is_dropped_in_evaluation_or_without_dropout(
    dropout: float, training: bool
) -> None:
    made = painter(dropout).train(training)

    assert all(given.kept is None for given in givens(made))


def elu_of_both(features: Tensor) -> Tensor:
    return functional.elu(torch.cat([features, -features], dim=1))


def test_a_block_is_its_paper_written_out() -> None:
    """Figure 2 of PixelCNN++ and its gate: enter, the second input's share, leave, result by gate.

    Dropout lies between enter and leave alone, and the condition joins at the gate.
    """
    made = painter(dropout=0.5)
    block = made.descent[0][0].before  # looks at `above`, too
    given = made.prepare(made.blocks, torch.randn(3, CONDITION))[block]
    features, above = torch.randn(2, 3, 4, 5, 6).unbind()

    left_top = (1, 0, 1, 0)
    enter, leave = block.enter.convolution, block.leave.convolution
    inner = enter(functional.pad(elu_of_both(features), left_top)) + block.skip(elu_of_both(above))
    dropped = elu_of_both(inner) * given.kept
    result, through = leave(functional.pad(dropped, left_top)).chunk(2, dim=1)
    shift, shift_of_gate = given.shift[..., None, None].chunk(2, dim=1)

    expected = features + (result + shift) * (through + shift_of_gate).sigmoid()
    torch.testing.assert_close(block(features, given, above), expected)


def test_the_condition_brings_the_bias_of_what_leaves_a_block() -> None:
    block = painter(dropout=0.0).descent[0][0].before

    biases = [name for name, _ in block.named_parameters() if name.endswith("bias")]

    assert biases == ["enter.convolution.bias", "skip.bias"]


def test_the_condition_starts_with_small_weights() -> None:
    assert painter(dropout=0.0).prepare.condition.weight.std().item() == pytest.approx(0.05, 0.15)


def test_outside_the_picture_there_is_nothing() -> None:
    convolution = nn.Conv2d(1, 1, (2, 3), bias=False)
    nn.init.ones_(convolution.weight)

    seen = Causal(convolution, (1, 1, 1, 0))(torch.ones(1, 1, 2, 4))

    rows = [[2, 3, 3, 2], [4, 6, 6, 4]]
    torch.testing.assert_close(seen[0, 0], torch.tensor(rows).float())
