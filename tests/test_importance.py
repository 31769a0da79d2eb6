"""Shares of variance: what they find, what they refuse, and where they contradict a curve."""

import math
import random
from dataclasses import replace
from typing import Any

import pytest
from sample_findings import curve_of

from search.entry import Entry
from search.findings import Importance
from search.importance import (
    LEAST_TRIALS,
    both,
    disagreements,
    fanova,
    importances,
    interval,
    ped_anova,
)
from search.study import Study

SPACE = {
    "cross.theta": {"low": 0.0, "high": 0.5},
    "cross.mu": {"low": 0, "high": 3},
    "cross.eta": {"low": 1, "high": 4},
    "loss.alpha": {"low": 1e-5, "high": 1e-1, "log": True},
    "loss.beta": {"low": 1e-5, "high": 1e-1, "log": True},
    "train.learning_rate": {"low": 1e-5, "high": 1e-4, "log": True},
    "cross.dropout": {"low": 0.1, "high": 0.4},
}


def study() -> Study:
    return Study.model_validate({"preset": "tiny", "space": SPACE})


def entry(number: int, value: float | None = None, **fields: Any) -> Entry:
    """A random trial; alpha's logarithm decides its score, unless one is given."""
    draw = random.Random(number)
    mu = draw.randint(0, 3)
    point: dict[str, Any] = {
        "cross.theta": draw.uniform(0, 0.5),
        "cross.mu": mu,
        "cross.eta": draw.randint(mu + 1, 4),
        "loss.alpha": 10 ** draw.uniform(-5, -1),
        "loss.beta": 10 ** draw.uniform(-5, -1),
        "train.learning_rate": 10 ** draw.uniform(-5, -4),
        "cross.dropout": draw.uniform(0.1, 0.4),
    }
    point |= fields.pop("point", {})
    score = -math.log10(point["loss.alpha"]) / 10 if value is None else value
    made = Entry(f"search-{number:04d}", "search", "completed", 0, point, 1, 1, "", ())
    return replace(made, reports=({"epoch": 4, "value": score},), **fields)


def entries(count: int = 30, **fields: Any) -> list[Entry]:
    return [entry(number, **fields) for number in range(count)]


def test_the_setting_that_decides_has_the_greatest_share() -> None:
    for evaluator in (ped_anova(30), fanova(0)):
        found = importances(study(), entries(), evaluator, 2, 0)
        assert max(found, key=lambda name: found[name].share) == "loss.alpha"


def test_shares_add_up_and_lie_in_their_intervals() -> None:
    found = importances(study(), entries(), ped_anova(30), 20, 0)
    assert set(found) == set(SPACE)  # eta too, whose range follows mu
    assert sum(share.share for share in found.values()) == pytest.approx(1)
    assert all(0 <= i.low <= i.share <= i.high <= 1 for i in found.values())
    assert found["loss.alpha"].low < found["loss.alpha"].high


def test_the_same_seed_gives_the_same_shares() -> None:
    first, second = (importances(study(), entries(12), fanova(3), 2, 3) for _ in range(2))
    assert first == second


def test_only_full_budget_trials_of_the_search_count() -> None:
    others = [
        *(entry(n, 9.0, state="stopped") for n in range(100, 105)),
        *(entry(n, 9.0, state="failed") for n in range(105, 110)),
        *(entry(n, 9.0, phase="sensitivity") for n in range(110, 115)),
    ]
    without = importances(study(), entries(12), ped_anova(12), 2, 0)
    assert importances(study(), [*others, *entries(12)], ped_anova(12), 2, 0) == without


def test_a_score_of_zero_counts() -> None:
    """Training collapses where theta is high, and only there."""
    found = [entry(n, 0.0 if entry(n).point["cross.theta"] > 0.25 else 0.5) for n in range(30)]
    for evaluator in (ped_anova(30), fanova(0)):
        shares = importances(study(), found, evaluator, 2, 0)
        assert max(shares, key=lambda name: shares[name].share, default="") == "cross.theta"


def test_ten_trials_with_two_scores_are_enough() -> None:
    found = [entry(n, 0.5 + n % 2 / 10) for n in range(10)]
    assert importances(study(), found, ped_anova(10), 2, 0).keys() == SPACE.keys()


def test_an_interval_is_the_middle_95_of_100_resamples() -> None:
    found = interval(0.5, [k / 1000 for k in range(1001)])
    assert (found.low, found.high) == pytest.approx((0.025, 0.975), abs=0.002)


@pytest.mark.parametrize("point", [{"cross.eta": 5}, {"cross.theta": 0.9}])
def test_trials_outside_a_space_that_was_narrowed_do_not_count(point: dict[str, Any]) -> None:
    outside = [entry(n, 9.0, point=point) for n in range(100, 105)]
    without = importances(study(), entries(12), ped_anova(12), 2, 0)
    assert importances(study(), [*outside, *entries(12)], ped_anova(12), 2, 0) == without
    assert both(study(), [*outside, *entries(12)], 0) == both(study(), entries(12), 0)


@pytest.mark.parametrize(
    "found",
    [
        pytest.param([], id="none"),
        pytest.param(entries(LEAST_TRIALS - 1), id="too few"),
        pytest.param(entries(12, value=0.5), id="all scores equal"),
        pytest.param(entries(12, point={"cross.theta": 0.2}), id="a setting never varied"),
    ],
)
def test_trials_that_say_nothing_give_no_shares(found: list[Entry]) -> None:
    for evaluator in (ped_anova(12), fanova(0)):
        assert importances(study(), found, evaluator, 2, 0) == {}


@pytest.mark.slow
def test_both_take_seconds() -> None:
    first, second = both(study(), entries(), 0)
    assert first["loss.alpha"].low > 1 / 7
    assert second["loss.alpha"].low > 1 / 7


LARGE, SMALL, WIDE = Importance(0.5, 0.4, 0.6), Importance(0.02, 0.0, 0.1), Importance(0.3, 0, 1)


@pytest.mark.parametrize(
    ("verdict", "first", "second", "named"),
    [
        ("flat", LARGE, SMALL, True),
        ("flat", WIDE, SMALL, False),
        ("flat", SMALL, SMALL, False),
        ("sensitive", SMALL, SMALL, True),
        ("cliff", SMALL, SMALL, True),
        ("sensitive", SMALL, WIDE, False),
        ("cliff", LARGE, LARGE, False),
        ("unjudged", LARGE, LARGE, False),
    ],
)
def test_a_curve_and_its_shares_may_disagree(
    verdict: Any, first: Importance, second: Importance, named: bool
) -> None:
    curve = curve_of("cross.theta", verdict, effect=0.2)
    other = curve_of("cross.mu", "flat", effect=0.01)
    shares = {"cross.theta": first, "cross.mu": SMALL, "c": SMALL, "d": SMALL}
    again = {**shares, "cross.theta": second}
    assert disagreements([curve, other], shares, again) == (("cross.theta",) if named else ())


def test_a_weak_setting_may_have_a_small_share() -> None:
    strong = curve_of("cross.theta", "cliff", effect=0.5)
    weak = curve_of("cross.mu", "sensitive", effect=0.02)
    shares = {"cross.theta": LARGE, "cross.mu": SMALL}
    assert disagreements([strong, weak], shares, shares) == ()


def test_the_stronger_half_of_the_settings_may_not_have_small_shares() -> None:
    names = ("cross.theta", "cross.mu", "cross.eta", "loss.alpha")
    curves = [curve_of(name, "sensitive", effect=0.1 * k) for k, name in enumerate(names)]
    shares = dict.fromkeys(names, SMALL)
    assert set(disagreements(curves, shares, shares)) == {"cross.eta", "loss.alpha"}


def test_without_shares_nothing_disagrees() -> None:
    assert disagreements([curve_of("cross.theta", "cliff", effect=0.5)], {}, {}) == ()
