"""What a reader is told of a setting: verdict, safe range, alarm, rank."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from sample_entries import POINT, SPACE, sample_study

from search.findings import Curve, Level, fair_means
from search.space import Point, Value
from search.spread import Spread
from search.study import Study
from search.verdict import effect, excluded_above, falls, judge, safe, verdict

GAIN, FLOOR = 0.6, 0.02
NOISE = Spread(FLOOR**2, 6)


def level(
    value: Value, mean: float | None, difference: float | None = None, **fields: Any
) -> Level:
    """A level with three scores, or none; a difference has p = 1 where none is given."""
    scores = () if mean is None else (mean - 0.01, mean, mean + 0.01)
    p = None if difference is None else 1.0
    known: dict[str, Any] = {"failed": 0, "low": None, "high": None, "p": p, **fields}
    half = None if difference is None or known["p"] is None else 0.05
    ends = {
        "difference_low": None if half is None else difference - half,
        "difference_high": None if half is None else difference + half,
    }
    pairs = () if difference is None else (difference,) * 3
    own = {"seeds": (0, 1, 2)[: len(scores)], "pairs": pairs}
    return Level(value, scores, mean=mean, difference=difference, **{**ends, **own, **known})


def told(
    levels: Sequence[Level],
    incumbent: Value,
    gain: float,
    noise: Spread | None,
    chance: float = 0.05,
) -> str:
    """The verdict on levels of which nobody has said yet where a cliff lies."""
    marked = [
        replace(v, falls=v.value != incumbent and falls(v, gain, noise, chance)) for v in levels
    ]
    return verdict(marked, incumbent, gain)


def curve(name: str, means: dict[Value, float | None], p: float = 1e-6) -> Curve:
    """A setting with these means; the incumbent has the value of POINT."""
    centre = means[POINT[name]]
    assert centre is not None
    levels = tuple(
        level(value, mean)
        if value == POINT[name] or mean is None
        else level(value, mean, mean - centre, p=p)
        for value, mean in means.items()
    )
    knob = sample_study().space[name]
    return Curve(name, knob, POINT[name], (), levels, "unjudged", None, None, ())


def judged(*curves: Curve, study: Study | None = None, point: Point | None = None) -> list[Curve]:
    return judge(curves, GAIN, NOISE, point or POINT, study or sample_study())


def test_no_difference_that_survives_is_flat() -> None:
    assert told([level(1, 0.6), level(2, 0.58, -0.02)], 1, GAIN, NOISE) == "flat"


def test_a_difference_that_survives_is_sensitive() -> None:
    levels = [level(1, 0.6), level(2, 0.55, -0.05, p=1e-4, survives=True)]
    assert told(levels, 1, GAIN, NOISE) == "sensitive"


def test_a_gain_that_survives_is_sensitive_however_large() -> None:
    levels = [level(1, 0.3), level(2, 0.9, 0.6, p=1e-4, survives=True)]
    assert told(levels, 1, GAIN, NOISE) == "sensitive"


@pytest.mark.parametrize(("loss", "expected"), [(0.29, "sensitive"), (0.31, "cliff")])
def test_losing_more_than_half_of_the_gain_is_a_cliff(loss: float, expected: str) -> None:
    levels = [level(1, 0.6), level(2, 0.6 - loss, -loss, p=1e-4, survives=True)]
    assert told(levels, 1, GAIN, NOISE) == expected


def test_a_loss_far_beyond_the_noise_floor_is_a_cliff_though_wide_intervals_hide_it() -> None:
    levels = [level(1, 0.6), level(2, 0.1, -0.5)]
    assert told(levels, 1, GAIN, NOISE) == "cliff"
    assert told(levels, 1, GAIN, NOISE, chance=1e-9) == "unjudged"
    assert told(levels, 1, GAIN, Spread(FLOOR**2, 1)) == "cliff"
    assert told(levels, 1, GAIN, Spread(FLOOR**2, 1), chance=0.01) == "unjudged"  # few runs
    assert told(levels, 1, GAIN, Spread(0.3**2, 6)) == "unjudged"
    assert told(levels, 1, GAIN, Spread(0.0, 6)) == "unjudged"  # ties tell of no noise


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [((-0.9, -0.01), "unjudged"), ((-0.5, -0.4), "cliff"), ((-0.9, -0.01, -0.01), "unjudged")],
)
def test_one_wild_run_is_no_cliff_and_hides_in_no_flat_curve(
    pairs: tuple[float, ...], expected: str
) -> None:
    difference = sum(pairs) / len(pairs)
    fallen = level(2, 0.6 + difference, difference, pairs=pairs)
    assert told([level(1, 0.6), fallen], 1, GAIN, NOISE) == expected


def test_a_loss_is_judged_by_the_pairs_that_there_are() -> None:
    fallen = level(2, 0.25, -0.35, pairs=(-0.35, -0.35))
    levels, noise = [level(1, 0.6), fallen], Spread(0.1**2, 6)  # by 3 pairs p is 0.005
    assert told(levels, 1, GAIN, noise, chance=0.01) == "unjudged"
    assert told(levels, 1, GAIN, noise, chance=0.02) == "cliff"


@pytest.mark.parametrize("score", [1.0, 0.0])
def test_runs_that_are_all_perfect_or_all_without_success_tell_nothing(score: float) -> None:
    same = level(2, score, 0.0, difference_low=0.0, difference_high=0.0)
    levels = [replace(one, scores=(score,) * 3) for one in (level(1, score), same)]
    assert told(levels, 1, GAIN, NOISE) == "unjudged"
    assert excluded_above(levels, 1) is None


def test_a_setting_that_does_nothing_at_all_is_flat_where_seeds_differ() -> None:
    scores = (0.6, 0.7, 0.65)
    same = level(2, 0.65, 0.0, difference_low=0.0, difference_high=0.0)
    levels = [replace(one, scores=scores) for one in (level(1, 0.65), same)]
    assert told(levels, 1, GAIN, NOISE) == "flat"


@pytest.mark.parametrize(("half", "expected"), [(0.29, "flat"), (0.31, "unjudged")])
def test_intervals_in_which_a_cliff_has_room_are_not_called_flat(
    half: float, expected: str
) -> None:
    wide = level(2, 0.6, 0.0, difference_low=-half, difference_high=half)
    assert told([level(1, 0.6), wide], 1, GAIN, NOISE) == expected


def test_where_nothing_is_gained_nothing_can_be_lost() -> None:
    assert told([level(1, 0.6), level(2, 0.1, -0.5)], 1, 0.0, NOISE) == "unjudged"
    assert told([level(1, 0.6), level(2, 0.1, -0.5)], 1, -0.1, NOISE) == "unjudged"


def test_a_large_loss_that_survives_is_a_cliff_however_wild_the_noise_elsewhere() -> None:
    levels = [level(1, 0.6), level(2, 0.25, -0.35, p=1e-4, survives=True)]
    assert told(levels, 1, GAIN, Spread(0.5**2, 6)) == "cliff"


@pytest.mark.parametrize("failed", [2, 3])
@pytest.mark.parametrize("noise", [NOISE, None])
def test_a_value_all_of_whose_runs_failed_is_a_cliff(noise: Spread | None, failed: int) -> None:
    assert told([level(1, 0.6), level(2, None, failed=failed)], 1, GAIN, noise) == "cliff"


@pytest.mark.parametrize(("failed", "lost"), [(1, 0), (3, 3), (3, 2)])
def test_one_failure_and_those_of_machines_make_no_cliff(failed: int, lost: int) -> None:
    levels = [level(1, 0.6), level(2, None, failed=failed, lost=lost)]
    assert told(levels, 1, GAIN, NOISE) == "unjudged"


def test_an_incumbent_that_failed_makes_no_cliff_of_its_setting() -> None:
    levels = [level(1, None, failed=3), level(2, 0.6), level(3, None, failed=3)]
    assert told(levels, 1, GAIN, NOISE) == "unjudged"


@pytest.mark.parametrize("failed", [3, 6])
def test_where_half_of_the_runs_failed_nothing_is_called_flat(failed: int) -> None:
    levels = [level(1, 0.6), level(2, 0.6, 0.0, failed=failed), level(3, 0.6, 0.0)]
    assert told(levels, 1, GAIN, NOISE) == "unjudged"


def test_where_a_value_has_no_interval_nothing_is_called_flat() -> None:
    levels = [level(1, 0.6), level(2, 0.1), level(3, 0.6, 0.0)]
    assert told(levels, 1, GAIN, NOISE) == "unjudged"


@pytest.mark.parametrize("noise", [NOISE, None])
def test_one_seed_is_unjudged(noise: Spread | None) -> None:
    assert told([level(1, 0.6), level(2, 0.1, -0.5, p=None)], 1, GAIN, noise) == "unjudged"


def test_a_setting_without_runs_is_unjudged() -> None:
    assert told([], 1, GAIN, NOISE) == "unjudged"
    assert effect([], 1) is None
    assert excluded_above([], 1) is None


def test_the_effect_spans_the_means_and_leaves_out_what_failed() -> None:
    levels = [level(1, 0.6), level(2, None, failed=3), level(3, 0.2)]
    assert effect(levels, 1) == pytest.approx(0.4)


def test_a_failed_run_makes_no_effect_out_of_the_seeds_that_are_left() -> None:
    """At 2 the hardest seed failed: the mean of the others is high, and pairs say the same."""
    own, other = level(1, 0.55), level(3, 0.54, -0.01)
    lucky = replace(level(2, 0.60, 0.001, failed=1), scores=(0.6, 0.6), seeds=(0, 1))
    assert effect([own, lucky, other], 1) == pytest.approx(0.011)
    assert fair_means([own, lucky, other], 1) == pytest.approx({1: 0.55, 2: 0.551, 3: 0.54})
    assert fair_means([own, other], 1) == {1: 0.55, 3: 0.54}


def test_what_a_curve_excludes_is_the_farthest_end_of_its_intervals() -> None:
    wide = level(3, 0.5, -0.1, difference_low=-0.3, difference_high=0.1)
    narrow = level(2, 0.6, 0.0, difference_low=-0.1, difference_high=0.1)
    assert excluded_above([level(1, 0.6), narrow, wide], 1) == pytest.approx(0.3)
    dead = level(4, None, failed=3)  # of which nothing is known
    assert excluded_above([level(1, 0.6), narrow, dead], 1) is None


def test_the_safe_range_is_contiguous_around_the_incumbent() -> None:
    means = {1: 0.7, 2: 0.5, 3: 0.59, 4: 0.6, 5: 0.65, 6: 0.57, 7: 0.6}
    levels = [level(value, mean) for value, mean in means.items()]
    assert safe(levels, 4, FLOOR) == (3, 4, 5)


def test_a_failed_run_bounds_the_safe_range() -> None:
    levels = [level(1, 0.6), level(2, 0.6, failed=1), level(3, 0.6)]
    assert safe(levels, 1, FLOOR) == (1,)


def test_a_value_that_is_worse_beyond_chance_is_not_safe() -> None:
    worse = level(2, 0.59, -0.01, p=1e-6, survives=True)
    assert safe([level(1, 0.6), worse], 1, FLOOR) == (1,)


def test_a_value_that_is_better_beyond_chance_is_safe() -> None:
    better = level(2, 0.7, 0.1, p=1e-6, survives=True)
    assert safe([level(1, 0.6), better], 1, FLOOR) == (1, 2)


def test_without_a_noise_floor_or_a_score_nothing_is_called_safe() -> None:
    levels = [level(1, 0.6), level(2, 0.6)]
    assert safe(levels, 1, None) == ()
    assert safe([level(1, None, failed=3), level(2, 0.6)], 1, FLOOR) == ()
    assert safe(levels, 9, FLOOR) == ()


@pytest.mark.parametrize("gain", [0.0, -0.1])
def test_beside_an_incumbent_that_has_learnt_nothing_no_value_is_called_safe(gain: float) -> None:
    tried = curve("cross.theta", {0.0: 0.5, POINT["cross.theta"]: 0.5})
    (found,) = judge([tried], gain, NOISE, POINT, sample_study())
    assert found.safe == ()


def test_where_each_value_lost_another_seed_pairs_are_compared() -> None:
    """As many runs of each, but not the same ones: of the incumbent the easy seed is lost."""
    own = replace(level(1, 0.5, failed=1, lost=1), scores=(0.5, 0.5), seeds=(0, 1))
    other = replace(level(2, 0.55, -0.1, failed=1, lost=1), scores=(0.4, 0.7), seeds=(1, 2))
    assert effect([own, other], 1) == pytest.approx(0.1)
    assert safe([own, other], 1, FLOOR) == (1,)


def test_a_value_whose_machines_were_lost_may_be_safe_and_the_incumbent_always_is() -> None:
    lost, diverged = level("b", 0.6, 0.0, failed=1, lost=1), level("c", 0.6, 0.0, failed=1)
    assert safe([level("a", 0.6, failed=1), lost, diverged], "a", FLOOR) == ("a", "b")


def test_the_safe_range_of_choices_is_every_good_one() -> None:
    levels = [level("a", 0.6), level("b", 0.1), level("c", 0.6)]
    assert safe(levels, "a", FLOOR) == ("a", "c")


ALARMS = [
    ("cross.theta", {0.0: 0.5, 0.1: 0.6, 0.5: 0.8}, "try 0 to 0.75"),
    ("loss.alpha", {1e-5: 0.5, 1e-3: 0.6, 1e-1: 0.8}, "try 1e-05 to 1"),
    ("loss.alpha", {1e-5: 0.8, 1e-3: 0.6, 1e-1: 0.5}, "try 1e-06 to 0.1"),
    ("cross.theta", {0.0: 0.8, 0.1: 0.6, 0.5: 0.5}, "none beyond it is legal"),
    ("cross.mu", {0: 0.8, 1: 0.6, 2: 0.5}, "none beyond it is legal"),
]


@pytest.mark.parametrize(("name", "means", "said"), ALARMS)
def test_a_best_value_at_an_edge_is_an_alarm_with_a_wider_range(
    name: str, means: dict[Value, float | None], said: str
) -> None:
    (found,) = judged(curve(name, means))
    assert said in found.alarm


def test_a_whole_range_is_widened_by_one() -> None:
    study = sample_study(fixed={"cross.layers": 6})
    (found,) = judged(curve("cross.eta", {2: 0.5, 3: 0.6, 4: 0.8}), study=study)
    assert "try 1 to 5" in found.alarm


def test_a_wider_range_stops_short_of_what_is_not_legal() -> None:
    space = {**SPACE, "cross.theta": {"low": 0.0, "high": 0.8}}
    made = curve("cross.theta", {0.0: 0.5, 0.1: 0.6, 0.8: 0.8})
    (found,) = judged(made, study=sample_study(space=space))
    assert "try 0 to 1" in found.alarm  # 1.2 is no share


def test_a_wider_range_may_be_an_eighth_of_a_step() -> None:
    space = {**SPACE, "cross.theta": {"low": 0.0, "high": 0.9}}
    made = curve("cross.theta", {0.0: 0.5, 0.1: 0.6, 0.9: 0.8})
    (found,) = judged(made, study=sample_study(space=space))
    assert "try 0 to 0.95625" in found.alarm


def test_a_share_of_a_decade_is_taken_in_the_logarithm() -> None:
    space = {**SPACE, "cross.theta": {"low": 0.01, "high": 0.5, "log": True}}
    made = curve("cross.theta", {0.01: 0.5, 0.1: 0.6, 0.5: 0.8})
    (found,) = judged(made, study=sample_study(space=space))
    assert "try 0.01 to 0.889" in found.alarm  # a quarter of a decade; half of one is no share


def test_where_runs_diverge_at_the_edge_is_no_best_value_and_no_alarm() -> None:
    made = curve("cross.theta", {0.0: 0.5, 0.1: 0.6, 0.5: 0.8})
    for failed, best in ((1, 0.5), (3, 0.1)):
        levels = tuple(replace(v, failed=failed) if v.value == 0.5 else v for v in made.levels)
        (found,) = judged(replace(made, levels=levels))
        assert found.best is not None
        assert (found.best.value, found.alarm) == (best, "")


def test_choices_have_no_edge_and_no_alarm() -> None:
    name = "train.batch_size"
    study = sample_study(space={**SPACE, name: {"choices": [4, 8, 16]}})
    levels = (level(4, 0.6), level(8, 0.7, 0.1, p=1e-6), level(16, 0.8, 0.2, p=1e-6))
    made = Curve(name, study.space[name], 4, (), levels, "unjudged", None, None, ())
    (found,) = judged(made, study=study, point={**POINT, name: 4})
    assert (found.verdict, found.alarm) == ("sensitive", "")


def test_a_setting_that_nothing_reads_is_unjudged_excludes_nothing_and_is_no_alarm() -> None:
    made = replace(curve("cross.theta", {0.0: 0.5, 0.1: 0.6, 0.5: 0.8}), inert=True)
    (found,) = judged(made)
    assert (found.verdict, found.excluded_above, found.alarm) == ("unjudged", None, "")


def test_a_wider_range_does_not_cross_zero() -> None:
    space = {**SPACE, "cross.theta": {"low": 0.1, "high": 0.7}}
    made = curve("cross.theta", {0.1: 0.8, 0.4: 0.6, 0.7: 0.5})
    (found,) = judged(made, study=sample_study(space=space))
    assert "try 0 to 0.7" in found.alarm


def test_a_best_value_inside_is_no_alarm() -> None:
    (found,) = judged(curve("cross.theta", {0.0: 0.5, 0.1: 0.6, 0.5: 0.5}))
    assert found.alarm == ""


def test_a_best_value_at_an_edge_is_no_alarm_where_one_inside_does_as_well() -> None:
    (found,) = judged(curve("cross.theta", {0.0: 0.81, 0.1: 0.8, 0.25: 0.6, 0.5: 0.5}))
    assert (found.verdict, found.alarm) == ("cliff", "")


def test_of_several_best_values_the_incumbent_is_the_best() -> None:
    made = curve("cross.theta", {0.0: 0.8, 0.1: 0.8, 0.5: 0.8})
    assert made.best is not None
    assert made.best.value == made.incumbent


def test_of_several_best_values_beside_the_incumbent_one_is_the_best() -> None:
    made = curve("cross.theta", {0.0: 0.8, 0.1: 0.6, 0.5: 0.8})
    assert made.best is not None
    assert made.best.value == 0.0


def test_a_flat_curve_is_no_alarm() -> None:
    (found,) = judged(curve("cross.theta", {0.0: 0.5, 0.1: 0.6, 0.5: 0.61}, p=0.9))
    assert (found.verdict, found.alarm) == ("flat", "")


def test_the_end_of_what_eta_leaves_of_mu_is_no_alarm() -> None:
    (found,) = judged(curve("cross.mu", {0: 0.5, 1: 0.6, 2: 0.8}))  # eta is 3, the range ends at 3
    assert (found.verdict, found.alarm) == ("sensitive", "")


def test_settings_are_ranked_by_their_effect() -> None:
    small = curve("cross.theta", {0.0: 0.55, 0.1: 0.6})
    large = curve("loss.alpha", {1e-5: 0.3, 1e-3: 0.6})
    none = Curve("cross.mu", SAMPLE_MU, 1, (), (), "unjudged", None, None, ())
    assert [c.name for c in judged(none, small, large)] == ["loss.alpha", "cross.theta", "cross.mu"]


SAMPLE_MU = sample_study().space["cross.mu"]


def test_the_correction_runs_over_all_settings_together() -> None:
    alone = curve("cross.theta", {0.0: 0.55, 0.1: 0.6}, p=0.03)
    other = curve("loss.alpha", {1e-5: 0.55, 1e-3: 0.6}, p=0.9)
    assert judged(alone)[0].verdict == "sensitive"
    assert {c.verdict for c in judged(alone, other)} == {"flat"}


def test_a_cliff_by_the_noise_of_other_runs_is_corrected_for_all_comparisons_too() -> None:
    wild = Spread(0.14**2, 6)  # by which a loss as large comes in 3 of 100 cases
    fallen = curve("cross.theta", {0.0: 0.29, 0.1: 0.6}, p=0.9)
    other = curve("loss.alpha", {1e-5: 0.59, 1e-3: 0.6}, p=0.9)
    (alone,) = judge([fallen], GAIN, wild, POINT, sample_study())
    beside = judge([fallen, other], GAIN, wild, POINT, sample_study())
    assert alone.verdict == "cliff"
    assert "cliff" not in {c.verdict for c in beside}
