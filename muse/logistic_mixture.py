"""The likelihood of 8-bit pixels under a mixture of discretised logistics.

"PixelCNN++" (Salimans et al., arXiv 1701.05517), sections 2.1 and 2.2. A pixel picks one of M
logistics for all three colours; green's mean moves with red, blue's with red and green.

Shapes: B batch, M mixtures, h x w pixels. Parameters are (B, 10 M, h, w), in the order
M logits, 3 M means, 3 M log scales, 3 M coefficients (green on red, blue on red, blue on green).
"""

from math import log
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

HALF_STEP = 1 / 255
"""Half the distance of two neighbouring pixel values on [-1, 1]."""


class Mixture(NamedTuple):
    """The parameters taken apart, in float32 also under bf16, whose steps exceed a pixel's."""

    logits: Tensor
    """(B, M, h, w)."""

    means: Tensor
    """Before red and green move them, (B, 3, M, h, w)."""

    log_scales: Tensor
    """(B, 3, M, h, w)."""

    coefficients: Tensor
    """In (-1, 1), (B, 3, M, h, w)."""


def to_unit_range(pixels: Tensor) -> Tensor:
    """Map 0..255 to [-1, 1], the range that network and likelihood see."""
    return pixels.float() / 127.5 - 1


def to_pixels(values: Tensor) -> Tensor:
    """Map [-1, 1] to the nearest of 0..255, uint8."""
    return ((values + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)


def split(parameters: Tensor) -> Mixture:
    """Name the parts of (B, 10 M, h, w)."""
    batch, channels, *size = parameters.shape
    parts = parameters.float().view(batch, 10, channels // 10, *size)  # (B, 10, M, h, w)
    return Mixture(
        logits=parts[:, 0],
        means=parts[:, 1:4],
        # Below -7 a logistic fits in one pixel value; above 7 it is flat over all of them.
        log_scales=parts[:, 4:7].clamp(-7, 7),
        coefficients=parts[:, 7:10].tanh(),
    )


def moved_means(means: Tensor, coefficients: Tensor, image: Tensor) -> Tensor:
    """Move green's mean with red, blue's with red and green (equation 3): (B, 3, M, h, w).

    Args:
        means: (B, 3, M, h, w).
        coefficients: (B, 3, M, h, w).
        image: on [-1, 1], (B, 3, h, w); blue is not looked at.
    """
    red, green = image[:, 0, None], image[:, 1, None]  # (B, 1, h, w)
    green_red, blue_red, blue_green = coefficients.unbind(dim=1)  # (B, M, h, w)
    red_mean, green_mean, blue_mean = means.unbind(dim=1)
    moved = [
        red_mean,
        green_mean + green_red * red,
        blue_mean + blue_red * red + blue_green * green,
    ]
    return torch.stack(moved, dim=1)


def log_likelihood(parameters: Tensor, image: Tensor) -> Tensor:
    """Compute log p(image) in nats, summed over pixels and colours (B,), float32.

    Args:
        parameters: (B, 10 M, h, w).
        image: pixels as `to_unit_range` gives them, (B, 3, h, w).
    """
    mixture = split(parameters)
    image = image.float()
    means = moved_means(mixture.means, mixture.coefficients, image)
    colours = log_bin(image[:, :, None] - means, mixture.log_scales, image[:, :, None])
    joint = mixture.logits.log_softmax(dim=1) + colours.sum(dim=1)  # (B, M, h, w)
    return joint.logsumexp(dim=1).sum(dim=(1, 2))


def log_bin(distance: Tensor, log_scales: Tensor, image: Tensor) -> Tensor:
    """Compute the log mass of a logistic within half a step of a pixel value (equation 2).

    sigmoid(u) - sigmoid(l) = sigmoid(u) * sigmoid(-l) * (1 - exp(l - u)) holds exactly and its
    logarithm never underflows. At value 0 the bin reaches down to minus infinity, where only the
    first factor is left; at 255 up to infinity, where only the second is.

    Args:
        distance: pixel minus mean, (B, 3, M, h, w).
        log_scales: (B, 3, M, h, w).
        image: on [-1, 1], (B, 3, 1, h, w).
    """
    steepness = (-log_scales).exp()
    upper = functional.logsigmoid(steepness * (distance + HALF_STEP))
    lower = functional.logsigmoid(-steepness * (distance - HALF_STEP))
    inside = (-torch.expm1(-2 * HALF_STEP * steepness)).log()
    darkest, brightest = image < HALF_STEP - 1, image > 1 - HALF_STEP
    return torch.where(darkest, upper, torch.where(brightest, lower, upper + lower + inside))


def bits_per_dim(parameters: Tensor, image: Tensor) -> Tensor:
    """Compute L_ti, -log2 p(image) per colour of a pixel (B,); arguments as in log_likelihood."""
    return log_likelihood(parameters, image) / (-log(2) * image[0].numel())


def sample(parameters: Tensor) -> Tensor:
    """Draw every pixel from (B, 10 M, h, w): values on [-1, 1] that 8 bits hold (B, 3, h, w)."""
    mixture = split(parameters)
    gumbel = -torch.empty_like(mixture.logits).exponential_().log()
    chosen = (mixture.logits + gumbel).argmax(dim=1)[:, None, None]  # (B, 1, 1, h, w)
    index = chosen.expand(-1, 3, -1, -1, -1)  # (B, 3, 1, h, w)
    means, log_scales, coefficients = (part.gather(2, index) for part in mixture[1:])
    even = torch.rand_like(means).clamp(1e-5, 1 - 1e-5)  # the logit of 0 or 1 is infinite
    noise = (log_scales.exp() * even.logit()).squeeze(2)  # (B, 3, h, w)
    image = torch.zeros_like(noise)
    for colour in range(3):  # red first: the means of the later colours move with it
        drawn = moved_means(means, coefficients, image).squeeze(2) + noise
        image[:, colour] = to_unit_range(to_pixels(drawn[:, colour]))
    return image
