"""The ranking and the maps, read back from their axes."""

from dataclasses import replace
from io import BytesIO
from typing import Any

import pytest
from matplotlib.figure import Figure
from sample_findings import curve_of, failed_curve, findings, interaction, one_seed

from search.comparison import draw_interaction, draw_ranking
from search.findings import Interaction


def rendered(figure: Figure) -> list[Any]:
    """The axes of a figure that could be drawn without a warning."""
    file = BytesIO()
    figure.savefig(file, dpi=40)
    return list(figure.axes)


def words(axes: Any) -> list[str]:
    return [text.get_text() for text in axes.texts]


def test_the_strongest_setting_stands_on_top_with_its_verdict() -> None:
    effects, shares = rendered(draw_ranking(findings()))
    assert effects.get_yticklabels()[0].get_text() == "β (beta)"
    assert effects.get_ylim()[0] > effects.get_ylim()[1]  # downwards
    assert words(effects)[0] == "0.43  cliff"
    assert "disagrees" in words(shares)


def test_without_importances_there_is_one_panel() -> None:
    (effects,) = rendered(draw_ranking(one_seed()))
    assert all("unjudged" in text for text in words(effects))


def test_only_a_setting_whose_curve_and_shares_disagree_is_marked() -> None:
    _, shares = rendered(draw_ranking(findings()))
    rows = [text.get_position()[1] for text in shares.texts if text.get_text() == "disagrees"]
    assert [findings().curves[row].name for row in rows] == ["loss.alpha"]


def test_both_shares_of_each_setting_stand_beside_an_equal_share() -> None:
    _, axes = rendered(draw_ranking(findings()))
    shown = {line.get_label(): line.get_xdata() for line in axes.lines}
    strongest = findings().curves[0].name
    assert shown["PED-ANOVA"] == [findings().ped_anova[strongest].share]
    assert shown["fANOVA"] == [findings().fanova[strongest].share]
    assert shown["an equal share"] == pytest.approx([1 / 7, 1 / 7])


@pytest.mark.parametrize(("bound", "mark"), [(0.3, "|"), (0.9, ">")])
def test_what_a_flat_setting_may_hide_is_marked_or_pointed_at(bound: float, mark: str) -> None:
    strong, weak = (curve_of(name) for name in ("loss.beta", "cross.mu"))
    flat = replace(weak, verdict="flat", excluded_above=bound)
    told = findings(curves=(strong, flat), ped_anova={}, fanova={})
    (axes,) = rendered(draw_ranking(told))
    marks = [line for line in axes.lines if len(line.get_xdata())]  # the legend's has none
    assert [(line.get_marker(), *line.get_ydata()) for line in marks] == [(mark, 1)]
    assert marks[0].get_xdata()[0] == pytest.approx(min(bound, axes.get_xlim()[1]))


def test_verdicts_differ_in_more_than_colour() -> None:
    effects, _ = rendered(draw_ranking(findings()))
    hatches = {bar.get_hatch() for bar in effects.patches}
    assert len(hatches) == 3  # cliff, sensitive, flat


def test_a_setting_without_scores_and_a_study_without_curves_can_be_drawn() -> None:
    (effects,) = rendered(draw_ranking(findings(curves=(failed_curve(),), ped_anova={}, fanova={})))
    assert words(effects) == ["no score  unjudged"]
    rendered(draw_ranking(findings(curves=())))


def test_the_axis_of_effects_names_no_score_above_1() -> None:
    worst = replace(findings().curves[0], effect=0.95)
    (effects,) = rendered(draw_ranking(findings(curves=(worst,), ped_anova={}, fanova={})))
    ticks = [tick for tick in effects.get_xticks() if tick <= effects.get_xlim()[1]]
    assert max(ticks) == pytest.approx(1)
    assert effects.get_xlim()[1] > 1  # there is room for words beside the bar


def test_a_map_tells_means_surpluses_and_why_a_cell_is_empty() -> None:
    axes, _ = rendered(draw_interaction(interaction(), findings()))
    shown = words(axes)
    assert "0.6900" in shown
    assert "-0.021 (-0.034 to -0.008)" in shown
    assert "+0.001" in shown  # no interval with one seed
    assert shown.count("illegal") == 1
    assert shown.count("not trained") == 1
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("μ (mu)", "η (eta)")


def test_a_map_frames_the_incumbents_cell_and_writes_light_on_dark() -> None:
    axes, _ = rendered(draw_interaction(interaction(), findings()))  # at mu 1, eta 4
    (own,) = [text for text in axes.texts if text.get_text() == "incumbent"]
    assert own.get_position() == (1, pytest.approx(0.7))
    colours = {text.get_text(): text.get_color() for text in axes.texts}
    lowest, highest = min(interaction().means.values()), max(interaction().means.values())
    assert (colours[f"{lowest:.4f}"], colours[f"{highest:.4f}"]) == ("white", "black")


def test_noise_alone_does_not_use_the_whole_scale_of_a_maps_colours() -> None:
    near = replace(interaction(), means={(0, 2): 0.70, (1, 4): 0.71})
    axes, _ = rendered(draw_interaction(near, findings()))
    assert axes.images[0].get_clim() == pytest.approx((0.655, 0.755))


def test_an_empty_map_can_be_drawn() -> None:
    empty = Interaction(("cross.theta", "loss.beta"), ((0.0, 0.1), (1e-3,)), {}, {})
    axes, _ = rendered(draw_interaction(empty, findings()))
    assert words(axes).count("not trained") == 2
    failed = replace(empty, failed=frozenset({(0.1, 1e-3)}))
    axes, _ = rendered(draw_interaction(failed, findings()))
    assert (words(axes).count("not trained"), words(axes).count("all failed")) == (1, 1)
