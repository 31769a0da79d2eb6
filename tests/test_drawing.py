"""What a picture of a curve shows, read back from its axes."""

from dataclasses import replace
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from sample_findings import (
    ALARM,
    SEEDS,
    build_curve,
    choice_curve,
    curve_of,
    failed_curve,
    findings,
    one_seed,
    run,
)

from search.colours import GREEN
from search.drawing import draw_curve, draw_overview
from search.findings import Curve
from search.scales import LEAST_SPAN, heights
from search.space import Choice, Range, Whole

FINDINGS = findings()


def rendered(figure: Figure) -> Any:
    """The axes of a figure that could be drawn without a warning."""
    file = BytesIO()
    figure.savefig(file, dpi=40)
    assert file.tell() > 1000
    return figure.axes[0]


def lines(axes: Any) -> dict[str, Any]:
    return {line.get_label(): line for line in axes.get_lines()}


def words(axes: Any) -> list[str]:
    return [text.get_text() for text in axes.texts if text.get_text()]


def curve(values: list[Any], metrics: list[float | None], knob: Any, incumbent: Any) -> Curve:
    runs = [run(v, 0, m) for v, m in zip(values, metrics, strict=True)]
    return build_curve("loss.beta", knob, incumbent, values, runs, "unjudged")


def test_every_run_is_a_dot_those_of_a_seed_are_joined_and_every_mean_is_on_the_line() -> None:
    theta = curve_of("cross.theta")
    axes = rendered(draw_curve(theta, FINDINGS))
    seeds = [list(x.get_ydata()) for x in axes.get_lines() if x.get_label() == "runs of one seed"]
    assert seeds == [[r.metric for r in theta.runs if r.seed == seed] for seed in SEEDS]
    drawn = lines(axes)
    assert list(drawn["mean"].get_xdata()) == [level.value for level in theta.levels]
    assert list(drawn["mean"].get_ydata()) == [level.mean for level in theta.levels]


def test_a_run_that_failed_is_a_gap_in_its_seeds_line() -> None:
    alpha = curve_of("loss.alpha", "flat")  # seed 2 failed at the highest value
    axes = rendered(draw_curve(alpha, FINDINGS))
    last = [x.get_ydata()[-1] for x in axes.get_lines() if x.get_label() == "runs of one seed"]
    assert np.isnan(last).tolist() == [False, False, True]


def test_a_mean_over_other_seeds_is_drawn_where_the_same_ones_would_have_it() -> None:
    theta = curve_of("cross.theta")
    own = next(level for level in theta.levels if level.value == theta.incumbent)
    levels = [replace(level, seeds=SEEDS) for level in theta.levels]
    levels[-1] = replace(levels[-1], scores=(0.6,), mean=0.6, difference=-0.02, seeds=(0,), lost=2)
    axes = rendered(draw_curve(replace(theta, levels=tuple(levels)), FINDINGS))
    assert lines(axes)["mean"].get_ydata()[-1] == pytest.approx((own.mean or 0.0) - 0.02)
    assert theta.levels[-1].value not in bars(axes, "mean")


def bars(axes: Any, label: str) -> dict[float, list[float]]:
    """Ends of the intervals of one kind, by value."""
    drawn = [line for line in axes.get_lines() if line.get_label() == f"95 % interval: {label}"]
    return {float(line.get_xdata()[0]): list(line.get_ydata()) for line in drawn}


def test_a_bold_bar_at_each_other_value_is_the_incumbents_mean_and_the_difference() -> None:
    theta = curve_of("cross.theta")
    axes = rendered(draw_curve(theta, FINDINGS))
    own = next(level.mean for level in theta.levels if level.value == theta.incumbent)
    assert own is not None
    others = [level for level in theta.levels if level.value != theta.incumbent]
    drawn = bars(axes, "difference")
    assert list(drawn) == [level.value for level in others]
    for level in others:
        ends = level.difference_low or 0.0, level.difference_high or 0.0
        assert drawn[float(level.value)] == pytest.approx([own + end for end in ends])
    assert list(bars(axes, "mean")) == [level.value for level in theta.levels]


def test_of_an_inert_setting_no_difference_is_doubted() -> None:
    inert = replace(curve_of("cross.theta", "unjudged"), inert=True)
    assert bars(rendered(draw_curve(inert, FINDINGS)), "difference") == {}


def test_a_difference_to_a_score_below_0_or_above_1_ends_there() -> None:
    theta = curve_of("cross.theta")
    wide = replace(theta.levels[0], difference_low=-1.0, difference_high=1.0)
    assert theta.beside(wide) == (0.0, 1.0)


def test_all_of_the_legend_is_inside_the_picture() -> None:
    beta = curve_of("loss.beta", "cliff")  # beside the trivial baseline: every mark there is
    figure = draw_curve(beta, findings(noise=0.00123, baseline=0.2345))
    rendered(figure)
    shown = figure.legends[0].get_window_extent()
    assert len(figure.legends[0].get_texts()) == 7
    assert figure.bbox.x0 <= shown.x0 < shown.x1 <= figure.bbox.x1


def test_the_verdict_the_axis_and_the_score_are_named() -> None:
    axes = rendered(draw_curve(curve_of("loss.alpha", "flat"), FINDINGS))
    assert axes.get_title(loc="left") == "α (alpha): flat"  # noqa: RUF001
    assert axes.get_xlabel().startswith("α (alpha), log scale")  # noqa: RUF001
    assert axes.get_ylabel() == "validation F1"


def test_each_value_tells_how_many_runs_it_has_and_failures_are_crosses() -> None:
    alpha = curve_of("loss.alpha", "flat")  # one run failed at the highest value
    axes = rendered(draw_curve(alpha, FINDINGS))
    assert {"2", "3", "failed", "safe", "n"} <= set(words(axes))
    (cross,) = [line for line in axes.get_lines() if line.get_marker() == "x"]
    assert list(cross.get_xdata()) == [0.1]


def green(verdict: Any) -> list[list[float]]:
    """What the foot of a picture says of three values, of which 0.1 and 0.2 are safe."""
    beta = curve([0.1, 0.2, 0.3], [0.5, 0.5, 0.4], Range(low=0.1, high=0.3), 0.1)
    axes = rendered(draw_curve(replace(beta, verdict=verdict, safe=(0.1, 0.2)), FINDINGS))
    return [list(line.get_xdata()) for line in axes.get_lines() if line.get_color() == GREEN]


def test_the_foot_marks_the_safe_values_and_of_a_flat_curve_all_that_was_tried_thinly() -> None:
    safe = [[0.1, 0.2], [0.1, 0.2]]  # the marks and the bar that joins them
    assert green("sensitive") == safe
    assert green("flat") == [[0.1, 0.3], *safe]


def test_two_failures_at_a_value_are_counted() -> None:
    beta = curve([0.1, 0.2, 0.2], [0.5, None, None], Range(low=0.1, high=0.2), 0.1)
    beta = replace(beta, levels=beta.levels[:2])
    assert "2" in words(rendered(draw_curve(beta, FINDINGS)))


def test_an_alarm_stands_in_the_picture() -> None:
    axes = rendered(draw_curve(curve_of("cross.eta", alarm=ALARM), FINDINGS))
    assert ALARM in words(axes)


def test_one_seed_has_no_interval_and_says_so() -> None:
    found = one_seed()
    figure = draw_curve(found.curves[0], found)
    axes = rendered(figure)
    assert not any("interval: " in label for label in lines(axes))
    assert any("one score a value: no interval" in text for text in words(axes))


def test_a_log_range_has_a_log_axis_with_powers_of_ten() -> None:
    axes = rendered(draw_curve(curve_of("loss.beta"), FINDINGS))
    assert axes.get_xscale() == "log"
    shown = [label.get_text() for label in axes.get_xticklabels()]
    assert "$10^{-3}$" in shown
    assert "$10^{-1}$" in shown


def test_a_narrow_log_range_has_ticks_too() -> None:
    beta = curve([0.02, 0.03], [0.5, 0.6], Range(low=0.02, high=0.03, log=True), 0.02)
    axes = rendered(draw_curve(beta, FINDINGS))
    assert [label.get_text() for label in axes.get_xticklabels()] == ["0.02", "0.0245", "0.03"]


def test_whole_numbers_have_whole_ticks() -> None:
    axes = rendered(draw_curve(curve_of("cross.mu", "flat"), FINDINGS))
    assert all(float(tick).is_integer() for tick in axes.get_xticks())
    alone = rendered(draw_curve(curve([3], [0.5], Whole(low=3, high=3), 3), FINDINGS))
    low, high = alone.get_xlim()
    assert [tick for tick in alone.get_xticks() if low <= tick <= high] == [3]


def test_names_stand_side_by_side_without_a_line() -> None:
    axes = rendered(draw_curve(choice_curve(), FINDINGS))
    shown = [label.get_text() for label in axes.get_xticklabels()]
    assert shown == ["auto", "float32", "bf16"]
    assert lines(axes)["mean"].get_linestyle() == "None"


def test_runs_that_are_all_alike_are_said_to_tell_nothing() -> None:
    mu = curve_of("cross.mu", "unjudged")
    perfect = tuple(replace(level, scores=(1.0, 1.0, 1.0), mean=1.0) for level in mu.levels)
    axes = rendered(draw_curve(replace(mu, levels=perfect, effect=0.0), FINDINGS))
    assert any("every run has the same score" in word for word in words(axes))


def test_noise_does_not_fill_the_picture() -> None:
    axes = rendered(draw_curve(curve_of("cross.mu", "flat"), FINDINGS))
    low, high = axes.get_ylim()
    assert high - low >= LEAST_SPAN


@pytest.mark.parametrize(("low", "high"), [("low", "high"), ("difference_low", "difference_high")])
def test_a_long_interval_leaves_the_picture_and_the_runs_stay_readable(low: str, high: str) -> None:
    theta = curve_of("cross.theta")
    wide = replace(theta.levels[0], **{low: -5.0, high: 5.0})
    bottom, top = heights([replace(theta, levels=(wide, *theta.levels[1:]))], FINDINGS)
    assert top - bottom < 0.3
    rendered(draw_curve(replace(theta, levels=(wide, *theta.levels[1:])), FINDINGS))


@pytest.mark.parametrize(("baseline", "shown"), [(0.21, True), (0.01, False)])
def test_the_trivial_baseline_is_shown_where_it_is_near(baseline: float, shown: bool) -> None:
    found = findings(baseline=baseline)
    axes = rendered(draw_curve(curve_of("loss.beta", "cliff"), found))
    assert any(label.startswith("without learning") for label in lines(axes)) == shown


PLAIN, LOG = Range(low=0.01, high=1), Range(low=0.01, high=1, log=True)
ODD = {
    "one value": ([0.1], [0.5]),
    "all scores equal": ([0.1, 0.2, 0.3], [0.5, 0.5, 0.5]),
    "one failed": ([0.1, 0.2], [0.5, None]),
    "the incumbent failed": ([0.1, 0.2], [None, 0.5]),
    "all failed": ([0.1, 0.2], [None, None]),
    "no runs": ([], []),
}


@pytest.mark.parametrize("case", ODD)
@pytest.mark.parametrize("knob", [PLAIN, LOG])
def test_odd_curves_can_be_drawn(case: str, knob: Range) -> None:
    values, metrics = ODD[case]
    rendered(draw_curve(curve(values, metrics, knob, 0.1), findings(noise=None)))


def test_a_range_of_one_whole_number_can_be_drawn() -> None:
    rendered(draw_curve(curve([2], [0.5], Whole(low=2, high=2), 2), FINDINGS))


def test_a_curve_of_failures_says_so() -> None:
    axes = rendered(draw_curve(failed_curve(), FINDINGS))
    assert "no run ended with a score" in words(axes)


def test_the_overview_has_all_curves_on_one_scale() -> None:
    figure = draw_overview(FINDINGS)
    rendered(figure)
    shown = [axes for axes in figure.axes if axes.get_title(loc="left")]
    assert [axes.get_title(loc="left").split(":")[0] for axes in shown][:2] == [
        "β (beta)",
        "learning rate",
    ]
    assert len({axes.get_ylim() for axes in shown}) == 1


def test_an_overview_of_nothing_can_be_drawn() -> None:
    draw_overview(findings(curves=())).savefig(BytesIO())


def test_choices_in_any_order_each_tell_how_many_runs_they_have() -> None:
    knob = Choice(choices=[64, 8, 32, 16])
    runs = [run(value, seed, 0.5 + seed / 100) for value in (8, 16, 32, 64) for seed in (1, 2)]
    made = build_curve("train.batch_size", knob, 8, [8, 16, 32, 64], runs, "flat")
    axes = rendered(draw_curve(made, FINDINGS))
    assert words(axes).count("2") == 4
    thin = [line.get_xdata() for line in axes.lines if line.get_linewidth() == 1]
    assert [0.0, 3.0] in [list(map(float, ends)) for ends in thin]
