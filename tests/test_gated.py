"""What is made for all gated blocks at once is what each would have made for itself."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from muse.config import PainterConfig
from muse.gated import Given, normalised
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
    bias = [True, True, False, True, True]  # the last differs from the third in its bias alone
    made = [
        weight_norm(nn.Conv2d(*sizes, bias=has)) for sizes, has in zip(shapes, bias, strict=True)
    ]
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
