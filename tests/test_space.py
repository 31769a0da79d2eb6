"""Every point that is drawn is legal, and ranges are what they say."""

import math
from typing import Any

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from pydantic import ValidationError

from search.space import ETA, MU, Choice, Point, Range, Space, Whole, short, suggest, within

LAYERS = 6
SPACE: Space = {
    "cross.eta": Whole(low=1, high=LAYERS),  # stands before mu on purpose
    "cross.mu": Whole(low=0, high=LAYERS - 1),
    "cross.theta": Range(low=0.0, high=0.5),
    "loss.alpha": Range(low=1e-5, high=1e-1, log=True),
    "text.layers": Whole(low=1, high=3),
    "train.precision": Choice(choices=["auto", "float32"]),
}
SAMPLERS = {
    "random": RandomSampler,
    "tpe": lambda seed: TPESampler(seed=seed, n_startup_trials=10),
    "multivariate tpe": lambda seed: TPESampler(seed=seed, n_startup_trials=10, multivariate=True),
}


def draw_points(sampler: BaseSampler, space: Space, fixed: Point, count: int) -> list[Point]:
    """Points of a search that likes a mu near eta, where mistakes would show."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    points = []
    for _ in range(count):
        trial = study.ask()
        point = suggest(space, fixed, trial)
        whole = {**fixed, **point}
        study.tell(trial, whole["cross.mu"] - whole["cross.eta"] + whole["cross.theta"])
        points.append(point)
    return points


def check(point: Point, space: Space, fixed: Point) -> None:
    assert point.keys() == space.keys()
    whole = {**fixed, **point}
    assert 0 <= whole["cross.mu"] < whole["cross.eta"] <= LAYERS
    assert all(space[name].holds(value) for name, value in point.items())


@pytest.mark.parametrize("fixed", [{}, {"cross.mu": 2}, {"cross.eta": 3}], ids=str)
def test_a_thousand_random_points_are_legal(fixed: Point) -> None:
    space = {name: knob for name, knob in SPACE.items() if name not in fixed}
    for point in draw_points(SAMPLERS["random"](0), space, fixed, 1000):
        check(point, space, fixed)


@pytest.mark.slow
@pytest.mark.parametrize("fixed", [{}, {"cross.mu": 2}, {"cross.eta": 3}], ids=str)
@pytest.mark.parametrize("sampler", ["tpe", "multivariate tpe"])
def test_a_thousand_points_that_tpe_draws_are_legal(sampler: str, fixed: Point) -> None:
    space = {name: knob for name, knob in SPACE.items() if name not in fixed}
    for seed in range(4):  # each point costs more than the one before
        for point in draw_points(SAMPLERS[sampler](seed), space, fixed, 250):
            check(point, space, fixed)


@pytest.mark.parametrize("sampler", ["tpe", "multivariate tpe"])
def test_what_tpe_draws_is_legal_soon_after_its_start(sampler: str) -> None:
    for point in draw_points(SAMPLERS[sampler](0), SPACE, {}, 50):
        check(point, SPACE, {})


def test_every_legal_pair_of_mu_and_eta_can_be_drawn() -> None:
    points = draw_points(RandomSampler(seed=0), SPACE, {}, 1000)

    drawn = {(point["cross.mu"], point["cross.eta"]) for point in points}

    assert drawn == {(mu, eta) for eta in range(1, LAYERS + 1) for mu in range(eta)}


@given(
    low=st.floats(-1e3, 1e3),
    width=st.floats(1e-3, 1e3),
    count=st.integers(2, 12),
    log=st.booleans(),
)
def test_values_of_a_range_rise_from_its_low_to_its_high_end(
    low: float, width: float, count: int, log: bool
) -> None:
    low = abs(low) + 1e-6 if log else low
    knob = Range(low=low, high=low + width, log=log)

    values = knob.values(count)

    assert (values[0], values[-1], len(values)) == (low, low + width, count)
    assert values == sorted(values)


@given(low=st.integers(-5, 5), width=st.integers(0, 40), count=st.integers(2, 12))
def test_values_of_whole_numbers_cover_both_ends_and_do_not_repeat(
    low: int, width: int, count: int
) -> None:
    values = Whole(low=low, high=low + width).values(count)

    assert (values[0], values[-1]) == (low, low + width)
    assert len(set(values)) == len(values) == min(count, width + 1)


def test_values_of_a_log_range_have_equal_ratios() -> None:
    values = Range(low=1e-5, high=1e-1, log=True).values(5)
    assert values == pytest.approx([1e-5, 1e-4, 1e-3, 1e-2, 1e-1])


def test_values_of_a_plain_range_have_equal_steps() -> None:
    assert Range(low=0.0, high=0.5).values(3) == [0.0, 0.25, 0.5]


def test_a_single_value_is_the_low_end() -> None:
    assert Range(low=0.0, high=0.5).values(1) == [0.0]
    assert Whole(low=1, high=9).values(1) == [1]


def test_half_of_the_draws_from_a_log_range_lie_below_its_geometric_mean() -> None:
    points = draw_points(RandomSampler(seed=1), SPACE, {}, 1000)
    below = sum(math.log10(point["loss.alpha"]) < -3 for point in points)
    assert 450 < below < 550  # binomial: three standard deviations are 47


@pytest.mark.parametrize(
    ("name", "known", "ends"),
    [
        ("cross.eta", {}, (1, 6)),
        ("cross.eta", {"cross.mu": 0}, (1, 6)),
        ("cross.eta", {"cross.mu": 5}, (6, 6)),
        ("cross.eta", {"cross.mu": 1, "cross.layers": 3}, (2, 3)),
        ("cross.mu", {}, (0, 5)),
        ("cross.mu", {"cross.eta": 1}, (0, 0)),
        ("cross.mu", {"cross.eta": 6}, (0, 5)),
        ("cross.mu", {"cross.layers": 3}, (0, 2)),
        ("text.layers", {"cross.mu": 5}, (1, 3)),
    ],
)
def test_a_knob_is_narrowed_to_what_is_legal(
    name: str, known: Point, ends: tuple[int, int]
) -> None:
    knob = within(SPACE, name, known)
    assert (knob.low, knob.high) == ends


def test_ranges_of_real_numbers_are_never_narrowed() -> None:
    assert within(SPACE, "cross.theta", {"cross.mu": 3}) is SPACE["cross.theta"]


def test_a_choice_draws_and_lists_exactly_its_values() -> None:
    points = draw_points(RandomSampler(seed=0), SPACE, {}, 50)
    assert {point["train.precision"] for point in points} == {"auto", "float32"}
    assert SPACE["train.precision"].values(5) == ["auto", "float32"]


def test_a_choice_holds_only_its_values() -> None:
    knob = Choice(choices=[4, 8])
    assert knob.holds(8)
    assert not knob.holds(6)


def test_whole_numbers_hold_no_fraction_and_ranges_no_text() -> None:
    assert not Whole(low=0, high=3).holds(1.5)
    assert not Range(low=0, high=1).holds("a")
    assert Range(low=0, high=1).holds(1)


@pytest.mark.parametrize("ends", [(1.0, 1.0), (2.0, 1.0)])
def test_a_range_without_width_is_refused(ends: tuple[float, float]) -> None:
    with pytest.raises(ValidationError, match=r"low < high"):
        Range(low=ends[0], high=ends[1])


def test_a_log_range_from_zero_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"above 0 if log"):
        Range(low=0.0, high=1.0, log=True)


def test_numbers_that_yaml_takes_for_text_are_numbers() -> None:
    assert Choice(choices=["1e-4", "1e-3", "auto"]).choices == [1e-4, 1e-3, "auto"]


def test_only_the_seven_settings_have_short_names() -> None:
    assert short("cross.dropout") == "dropout"
    assert short("captioner.dropout") == "captioner.dropout"  # two settings, two names


@pytest.mark.parametrize("layers", [Choice(choices=[8, 10]), Whole(low=8, high=10)])
def test_where_the_layers_are_searched_every_mu_and_eta_below_them_is_drawn(layers: Any) -> None:
    space: Space = {MU: Whole(low=0, high=6), ETA: Whole(low=7, high=8), "cross.layers": layers}
    points = draw_points(RandomSampler(0), {**space}, {"cross.theta": 0.0}, 300)
    assert {point[MU] for point in points} == set(range(7))
    assert {point[ETA] for point in points} == {7, 8}
    assert all(point["cross.layers"] >= 8 for point in points)
    assert within(space, ETA, {}) == Whole(low=7, high=8)  # where nothing is known yet
