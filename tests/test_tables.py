"""Tables for machines and for readers."""

import csv
from dataclasses import replace
from pathlib import Path

from sample_findings import curve_of, findings, one_seed, run

from search.costs import PhaseCost
from search.tables import (
    SUMMARY_COLUMNS,
    costs,
    markdown,
    origin,
    ranking,
    values,
    write_runs,
    write_summary,
)
from search.wording import safe_range


def test_a_curve_is_written_with_one_row_a_run(tmp_path: Path) -> None:
    write_runs([run(0.1, 7, 0.5, "a"), run("auto", 8, None, "b")], tmp_path / "theta.csv")
    assert (tmp_path / "theta.csv").read_text().splitlines() == [
        "value,seed,metric,budget,trial_id,phase",
        "0.1,7,0.5,10,a,sensitivity",
        "auto,8,,2,b,sensitivity",
    ]


def test_the_summary_has_a_row_for_each_setting_the_strongest_first(tmp_path: Path) -> None:
    write_summary(findings(), tmp_path / "summary.csv")
    with (tmp_path / "summary.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert tuple(rows[0]) == SUMMARY_COLUMNS
    assert [row["knob"] for row in rows][:2] == ["loss.beta", "train.learning_rate"]
    beta = rows[0]
    assert (beta["verdict"], beta["incumbent_value"], beta["disagree"]) == ("cliff", "0.001", "no")
    assert (beta["safe_low"], beta["safe_high"]) == ("1e-05", "0.004642")
    assert float(beta["ped_anova"]) == 0.2
    assert rows[-1]["disagree"] == "yes"


def test_what_is_not_known_is_an_empty_cell(tmp_path: Path) -> None:
    write_summary(one_seed(), tmp_path / "summary.csv")
    with (tmp_path / "summary.csv").open() as stream:
        row = next(csv.DictReader(stream))
    assert (row["excluded_above"], row["ped_anova"], row["fanova_high"]) == ("", "", "")


def test_readers_see_importances_only_where_there_are_any() -> None:
    assert "PED-ANOVA" in ranking(findings())[0]
    assert "PED-ANOVA" not in ranking(one_seed())[0]
    assert "20% (14% to 32%)" in ranking(findings())[1]


def test_a_flat_setting_is_safe_where_it_was_tried_unless_runs_diverged_there() -> None:
    place = ranking(findings())[0].index("safe")
    mu = curve_of("cross.mu", "flat")
    for lost, told in ((1, "all tried"), (0, safe_range(mu))):
        levels = (*mu.levels[:-1], replace(mu.levels[-1], failed=1, lost=lost))
        made = replace(mu, levels=levels)
        assert ranking(findings(curves=(made,)))[1][place] == told
        assert values(made)[-1][2] == ("1 (1 lost)" if lost else "1")


def test_the_incumbent_is_compared_with_no_one() -> None:
    rows = {row[0]: row for row in values(curve_of("cross.theta"))}
    assert rows["0.1 (incumbent)"][5:] == ["", "", "", ""]
    assert rows["0.5"][-1] == "yes"


def test_a_difference_that_was_not_tested_neither_survives_nor_fails() -> None:
    assert values(one_seed().curves[0])[1][-1] == "-"


def test_costs_are_told_in_hours() -> None:
    _, row = costs([PhaseCost("search", 30, 18, 1, 160, 5400.0, 120, 3900.0)])
    assert row == ["search", "30", "18", "1", "160", "1 h 30 min", "120", "1 h 05 min"]


def test_markdown_takes_signs_as_they_are() -> None:
    assert markdown([["a|b"], ["<i>_x_\ny"]]) == "| a\\|b |\n| --- |\n| \\<i>\\_x\\_ y |"


def test_the_origin_is_names_and_texts() -> None:
    told = origin(
        findings(),
        {
            "revision": "0a1",
            "uncommitted_changes": True,
            "versions": {"python": "3.11", "gpu": False},
        },
    )
    assert told["revision"] == "0a1 with uncommitted changes"
    assert told["versions"] == "python 3.11, gpu no"
    assert told["seeds"] == "0, 1, 2"
