"""The painter sees only earlier pixels, and its likelihood is one."""

from math import exp, log

import pytest
import torch
from torch import Tensor

from muse.config import PainterConfig
from muse.logistic_mixture import bits_per_dim, log_likelihood, sample, to_pixels, to_unit_range
from muse.pixelcnn import PixelCNN

CONDITION = 3
EVERY_VALUE = torch.arange(256)


def build(blocks: int = 1, mixtures: int = 2, resolutions: int = 3) -> PixelCNN:
    torch.manual_seed(0)
    sizes = {"blocks": blocks, "resolutions": resolutions, "filters": 4, "mixtures": mixtures}
    return PixelCNN(PainterConfig.model_validate({**sizes, "dropout": 0.0}), CONDITION).eval()


def reads(painter: PixelCNN, size: int) -> Tensor:
    """Whether parameters at i depend on the pixel at j, (size * size, size * size), by gradient."""
    torch.manual_seed(1)
    image = torch.randn(1, 3, size, size, dtype=torch.float64, requires_grad=True)
    condition = torch.randn(1, CONDITION, dtype=torch.float64)
    # The last layer is kept in float32; its gradient is taken in random directions.
    parameters = painter.double()
    parameters.out.float()
    summed = parameters(image, condition).mul(torch.randn(1, 1, 1, 1)).sum(dim=(0, 1)).flatten()
    rows = [
        torch.autograd.grad(value, image, retain_graph=True)[0].abs().sum(dim=(0, 1)).flatten() > 0
        for value in summed
    ]
    return torch.stack(rows)


@pytest.mark.parametrize("resolutions", [1, 2, 3])
def test_no_pixel_sees_itself_or_a_later_one(resolutions: int) -> None:
    assert not reads(build(resolutions=resolutions), 8).triu().any()


def test_with_fewer_resolutions_a_pixel_sees_fewer_before_it() -> None:
    one, three = (reads(build(resolutions=resolutions), 8) for resolutions in (1, 3))

    assert three[one].all()
    assert one.sum() < three.sum()


def test_every_earlier_pixel_reaches_every_later_one() -> None:
    seen = reads(build(blocks=2), 8)  # deep enough to see all of so small a picture

    assert torch.equal(seen, torch.ones(64, 64).tril(-1).bool())


def test_changed_pixels_leave_every_earlier_parameter_the_same() -> None:
    painter = build(blocks=2)
    image, condition = torch.rand(2, 3, 8, 12) * 2 - 1, torch.randn(2, CONDITION)
    before = painter(image, condition).flatten(2)

    for pixel in (0, 11, 12, 50, 95):
        changed = image.flatten(2).clone()
        changed[:, :, pixel:] = torch.rand(2, 3, 96 - pixel) * 2 - 1
        after = painter(changed.view_as(image), condition).flatten(2)

        assert torch.allclose(after[..., : pixel + 1], before[..., : pixel + 1], atol=1e-6)


def test_the_first_pixel_knows_the_condition_alone() -> None:
    painter, condition = build(), torch.randn(2, CONDITION)
    one, two = torch.rand(2, 3, 8, 8), torch.rand(2, 3, 8, 8)

    first = painter(one, condition)[..., 0, 0]

    assert torch.allclose(first, painter(two, condition)[..., 0, 0], atol=1e-6)
    assert not torch.allclose(first, painter(one, -condition)[..., 0, 0], atol=1e-3)


def test_the_condition_matters_everywhere_and_to_its_own_sample_only() -> None:
    painter, image = build(), torch.rand(2, 3, 8, 8)
    condition = torch.randn(2, CONDITION)
    other = torch.cat([condition[:1], -condition[1:]])

    change = (painter(image, condition) - painter(image, other)).abs().amax(dim=1)

    assert (change[0] < 1e-6).all()
    assert (change[1] > 0).all()


@pytest.mark.parametrize("shape", [(1, 4, 4), (3, 8, 4), (2, 4, 12)])
def test_any_batch_and_any_side_divisible_by_four(shape: tuple[int, int, int]) -> None:
    batch, height, width = shape

    parameters = build()(torch.zeros(batch, 3, height, width), torch.zeros(batch, CONDITION))

    assert parameters.shape == (batch, 20, height, width)


def mixture_by_hand(parameters: list[float], pixel: list[int], mixtures: int) -> float:
    """Probability of one pixel, from the paper's formulas with plain numbers."""

    def sigmoid(value: float) -> float:
        return 1 / (1 + exp(-value))

    def part(number: int, mixture: int) -> float:
        return parameters[number * mixtures + mixture]

    red, green, blue = (value / 127.5 - 1 for value in pixel)
    shares = [exp(part(0, m)) for m in range(mixtures)]
    total = 0.0
    for m in range(mixtures):
        a, b, c = (torch.tensor(part(7 + k, m)).tanh().item() for k in range(3))
        means = [part(1, m), part(2, m) + a * red, part(3, m) + b * red + c * green]
        probability = shares[m] / sum(shares)
        for colour, value in enumerate((red, green, blue)):
            scale = exp(part(4 + colour, m))
            upper = (
                1.0 if pixel[colour] == 255 else sigmoid((value + 1 / 255 - means[colour]) / scale)
            )
            lower = (
                0.0 if pixel[colour] == 0 else sigmoid((value - 1 / 255 - means[colour]) / scale)
            )
            probability *= upper - lower
        total += probability
    return total


def random_parameters(mixtures: int = 2, seed: int = 0) -> Tensor:
    torch.manual_seed(seed)
    parameters = torch.randn(1, 10 * mixtures, 1, 1)
    parameters[:, 4 * mixtures : 7 * mixtures] -= 2  # scales that tell values apart
    return parameters


def of_pixels(parameters: Tensor, pixels: Tensor) -> Tensor:
    """Log-likelihood of many one-pixel pictures (N, 3)."""
    image = to_unit_range(pixels)[..., None, None]
    return log_likelihood(parameters.expand(len(pixels), -1, -1, -1), image)


@pytest.mark.parametrize("pixel", [[0, 0, 0], [255, 255, 255], [0, 128, 255], [100, 90, 30]])
def test_the_likelihood_equals_the_papers_formula(pixel: list[int]) -> None:
    parameters = random_parameters()

    found = of_pixels(parameters, torch.tensor([pixel]))

    expected = log(mixture_by_hand(parameters.flatten().tolist(), pixel, 2))
    assert found.item() == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("mixtures", [1, 3])
@pytest.mark.parametrize("red", [0, 77, 255])
def test_green_and_blue_sum_to_one_given_red(mixtures: int, red: int) -> None:
    parameters = random_parameters(mixtures)
    pixels = torch.cartesian_prod(torch.tensor([red]), EVERY_VALUE, EVERY_VALUE)

    total = of_pixels(parameters, pixels).double().exp().sum().item()

    assert total == pytest.approx(red_by_hand(parameters.flatten().tolist(), red, mixtures), 1e-4)


@pytest.mark.parametrize("green", [0, 200])
def test_blue_sums_to_one_given_red_and_green(green: int) -> None:
    parameters = random_parameters(mixtures=1)  # of one logistic, so p(red, green) is a product
    pixels = torch.cartesian_prod(torch.tensor([30]), torch.tensor([green]), EVERY_VALUE)
    red_share = red_by_hand(parameters.flatten().tolist(), 30, 1)
    as_red = parameters.clone()  # green's own logistic in red's place, moved by red
    as_red[:, 1] = parameters[:, 2] + parameters[:, 7].tanh() * (30 / 127.5 - 1)
    as_red[:, 4] = parameters[:, 5]
    green_share = red_by_hand(as_red.flatten().tolist(), green, 1)

    total = of_pixels(parameters, pixels).double().exp().sum().item()

    assert total == pytest.approx(red_share * green_share, rel=1e-4)


def red_by_hand(numbers: list[float], red: int, mixtures: int) -> float:
    """p(red), whatever the other colours."""
    value = red / 127.5 - 1
    shares = torch.tensor(numbers[:mixtures], dtype=torch.float64).softmax(0)
    mean = torch.tensor(numbers[mixtures : 2 * mixtures], dtype=torch.float64)
    scale = torch.tensor(numbers[4 * mixtures : 5 * mixtures], dtype=torch.float64).exp()
    upper = torch.ones_like(mean) if red == 255 else ((value + 1 / 255 - mean) / scale).sigmoid()
    lower = torch.zeros_like(mean) if red == 0 else ((value - 1 / 255 - mean) / scale).sigmoid()
    return float((shares * (upper - lower)).sum())


def test_red_sums_to_one_over_all_its_values() -> None:
    numbers = random_parameters().flatten().tolist()

    assert sum(red_by_hand(numbers, red, 2) for red in range(256)) == pytest.approx(1)


@pytest.mark.parametrize("scale", [-7.0, -3.0, 0.0, 5.0])
@pytest.mark.parametrize("mean", [-1.2, 0.3, 2.0])
def test_one_colour_sums_to_one_at_any_scale(scale: float, mean: float) -> None:
    parameters = torch.zeros(1, 10, 1, 1)
    parameters[:, 1:4], parameters[:, 4:7] = mean, scale
    pixels = torch.stack([EVERY_VALUE] * 3, dim=1)
    equal_colours = of_pixels(parameters, pixels)  # three times the same distribution

    assert (equal_colours / 3).double().exp().sum().item() == pytest.approx(1, abs=1e-4)


def test_extreme_parameters_give_finite_values_and_gradients() -> None:
    parameters = torch.randn(4, 20, 4, 4) * 1000
    parameters.requires_grad_()
    image = to_unit_range(torch.randint(256, (4, 3, 4, 4)))

    found = log_likelihood(parameters, image)
    found.sum().backward()

    assert found.isfinite().all()
    assert parameters.grad is not None
    assert parameters.grad.isfinite().all()


def test_bits_per_dim_of_a_flat_start_are_about_eight() -> None:
    image = to_unit_range(torch.randint(256, (2, 3, 8, 8)))
    flat = torch.zeros(2, 20, 8, 8)
    flat[:, 8:14] = -1.0

    assert bits_per_dim(flat, image).tolist() == pytest.approx([8.3, 8.3], abs=0.5)
    assert bits_per_dim(build()(image, torch.randn(2, CONDITION)), image).mean() < 12


def test_bits_per_dim_are_log_likelihood_in_another_unit() -> None:
    parameters, image = torch.randn(2, 20, 4, 4), to_unit_range(torch.randint(256, (2, 3, 4, 4)))

    bits = bits_per_dim(parameters, image)

    assert torch.allclose(bits * 48 * log(2), -log_likelihood(parameters, image))


def test_pixels_survive_the_way_to_the_unit_range_and_back() -> None:
    pixels = EVERY_VALUE.to(torch.uint8)

    assert torch.equal(to_pixels(to_unit_range(pixels)), pixels)


def test_samples_follow_the_likelihood() -> None:
    torch.manual_seed(0)
    parameters = random_parameters(seed=4)
    many = sample(parameters.expand(-1, -1, 200, 200))
    red = to_pixels(many[0, 0]).flatten()
    numbers = parameters.flatten().tolist()
    cumulative = torch.tensor([red_by_hand(numbers, value, 2) for value in range(256)]).cumsum(0)

    found = torch.bincount(red.long(), minlength=256).cumsum(0) / red.numel()

    assert (found - cumulative).abs().max() < 0.015  # Kolmogorov-Smirnov at 40 000 draws


def test_a_sampled_green_moves_with_red() -> None:
    torch.manual_seed(0)
    parameters = torch.zeros(1, 10, 100, 100)
    parameters[:, 4:7] = torch.tensor([-1.5, -7, -7])[:, None, None]  # red spreads, others do not
    parameters[:, 7] = 20.0  # green follows red, tanh(20) = 1
    image = sample(parameters)

    assert torch.allclose(image[0, 0], image[0, 1], atol=0.05)
    assert image[0, 2].abs().max() < 0.05


def test_it_learns_a_picture_of_one_colour_and_paints_it() -> None:
    torch.manual_seed(0)
    painter = PixelCNN(PainterConfig(blocks=1, filters=8, mixtures=1, dropout=0.0), CONDITION)
    colour = torch.tensor([200, 60, 20], dtype=torch.uint8)[:, None, None]
    image = to_unit_range(colour.expand(2, 3, 4, 4))
    condition = torch.randn(2, CONDITION)
    optimizer = torch.optim.Adam(painter.parameters(), lr=1e-2)
    start = bits_per_dim(painter(image, condition), image).mean().item()

    for _ in range(50):
        loss = bits_per_dim(painter(image, condition), image).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    assert loss.item() < start - 4
    painted = painter.eval().paint(condition, size=4)
    assert (painted.float() - colour).abs().mean() < 25


def test_painting_gives_pictures_of_bytes_that_depend_on_the_seed() -> None:
    painter, condition = build(), torch.randn(2, CONDITION)

    torch.manual_seed(1)
    one = painter.paint(condition, size=4)
    torch.manual_seed(1)
    again = painter.paint(condition, size=4)

    assert one.dtype == torch.uint8
    assert one.shape == (2, 3, 4, 4)
    assert torch.equal(one, again)
    assert not torch.equal(one, painter.paint(condition, size=4))


def test_painting_draws_from_the_network_given_what_is_painted() -> None:
    """With scales at their least, a picture painted from anything else costs many bits."""
    painter, condition = build(mixtures=1), torch.randn(1, CONDITION)
    with torch.no_grad():
        painter.out.bias[4:7] = -50
    painted = painter.paint(condition, size=8)

    bits = bits_per_dim(painter(to_unit_range(painted), condition), to_unit_range(painted))

    assert bits < 1


def test_bf16_is_finite_and_near_float32() -> None:
    painter, condition = build(), torch.randn(2, CONDITION)
    image = to_unit_range(torch.randint(256, (2, 3, 8, 8)))

    with torch.autocast("cpu", torch.bfloat16):
        parameters = painter(image, condition)
        low = bits_per_dim(parameters, image)

    assert parameters.dtype == low.dtype == torch.float32
    assert torch.allclose(low, bits_per_dim(painter(image, condition), image), rtol=0.02)


def test_the_published_size_builds() -> None:
    with torch.device("meta"):
        painter = PixelCNN(PainterConfig(), condition=768)
    counts = [len(pairs) for pairs in [*painter.descent, *painter.ascent]]

    assert counts == [5, 5, 5, 5, 6, 6]
    assert 2e7 < sum(parameter.numel() for parameter in painter.parameters()) < 2.3e7


def test_every_parameter_is_trained() -> None:
    painter, condition = build(), torch.randn(2, CONDITION)
    image = to_unit_range(torch.randint(256, (2, 3, 8, 8)))

    bits_per_dim(painter(image, condition), image).mean().backward()

    idle = [name for name, weight in painter.named_parameters() if weight.grad is None]
    assert idle == []
