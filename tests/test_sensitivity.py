"""The runs that curves need, and what is made of them."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure

from search.ledger import Entry
from search.sensitivity import (
    Run,
    curve,
    draw,
    means,
    sweep,
    title,
    values_around,
    write_curve,
)
from search.space import Choice, Range, Whole
from search.study import Study

POINT = {"cross.theta": 0.1, "cross.mu": 1, "cross.eta": 3, "loss.alpha": 1e-3}
SPACE = {
    "cross.theta": {"low": 0.0, "high": 0.5},
    "cross.mu": {"low": 0, "high": 3},
    "cross.eta": {"low": 1, "high": 4},
    "loss.alpha": {"low": 1e-5, "high": 1e-1, "log": True},
}


def build_study(points: int = 5, seeds: int = 2, **fields: Any) -> Study:
    return Study.model_validate(
        {
            "preset": "tiny",
            "seed": 7,
            "space": SPACE,
            "sensitivity": {"points": points, "seeds": seeds},
            **fields,
        }
    )


def run_of(trial_id: str, point: dict[str, Any], seed: int, value: float | None) -> Entry:
    """A run at full budget; None is one that failed."""
    reports = () if value is None else ({"epoch": 1, "value": value}, {"epoch": 2, "value": 0.0})
    state: Any = "failed" if value is None else "completed"
    return Entry(trial_id, "sensitivity", state, seed, point, 1.0, 1.0, "", reports)


BEST = replace(run_of("search-0004", POINT, 7, 0.8), phase="search")


def test_every_value_of_every_setting_is_run_with_every_seed() -> None:
    wanted = {
        "cross.theta": {0.0, 0.125, 0.25, 0.375, 0.5},
        "cross.mu": {0, 2},  # below eta, and not the best one
        "cross.eta": {2, 4},  # above mu
        "loss.alpha": {1e-5, 1e-4, 1e-2, 1e-1},
    }
    runs = {
        (name, run.point[name], run.seed)
        for run in sweep(build_study(), BEST)
        for name in POINT
        if run.point[name] != POINT[name]
    }
    assert runs == {(n, v, seed) for n, values in wanted.items() for v in values for seed in (7, 8)}


def test_a_run_differs_from_the_best_in_one_setting_at_most() -> None:
    for run in sweep(build_study(), BEST):
        assert sum(run.point[name] != POINT[name] for name in POINT) <= 1


def test_the_best_itself_is_run_with_the_seeds_it_had_not() -> None:
    again = [run for run in sweep(build_study(seeds=3), BEST) if run.point == POINT]
    assert [run.seed for run in again] == [8, 9]


def test_a_best_that_was_stopped_early_is_run_with_all_seeds() -> None:
    stopped = replace(BEST, state="stopped")
    again = [run for run in sweep(build_study(seeds=2), stopped) if run.point == POINT]
    assert [run.seed for run in again] == [7, 8]


def test_every_run_has_an_id_of_its_own() -> None:
    study = build_study(
        space={
            **SPACE,
            "cross.dropout": {"low": 0, "high": 0.5},
            "captioner.dropout": {"low": 0, "high": 0.5},
        }
    )
    best = replace(BEST, point={**POINT, "cross.dropout": 0.1, "captioner.dropout": 0.1})
    ids = [run.trial_id for run in sweep(study, best)]
    assert len(set(ids)) == len(ids)


def test_another_best_gets_other_ids() -> None:
    other = replace(BEST, trial_id="search-0009")
    first = {run.trial_id for run in sweep(build_study(), BEST)}
    assert first.isdisjoint(run.trial_id for run in sweep(build_study(), other))


@pytest.mark.parametrize("mu", range(4))
@pytest.mark.parametrize("eta", range(1, 5))
def test_only_legal_values_are_run(mu: int, eta: int) -> None:
    if mu >= eta:
        return
    best = replace(BEST, point={**POINT, "cross.mu": mu, "cross.eta": eta})
    study = build_study(points=9)
    for run in sweep(study, best):
        study.config(run.point, run.seed)  # raises where mu >= eta
    assert set(values_around(study, best.point, "cross.mu")) == set(range(eta)) - {mu}
    assert set(values_around(study, best.point, "cross.eta")) == set(range(mu + 1, 5)) - {eta}


def test_all_values_are_legal_beside_a_fixed_eta() -> None:
    study = build_study(
        space={k: v for k, v in SPACE.items() if k != "cross.eta"}, fixed={"cross.eta": 2}
    )
    point = {k: v for k, v in POINT.items() if k != "cross.eta"}
    assert values_around(study, point, "cross.mu") == [0]


def entries_of(study: Study, best: Entry) -> list[Entry]:
    """A ledger after all runs, each with a score of its own."""
    made = [
        run_of(run.trial_id, run.point, run.seed, number / 100)
        for number, run in enumerate(sweep(study, best))
    ]
    return [best, *made]


@pytest.mark.parametrize("name", sorted(POINT))
def test_a_curve_has_the_runs_of_its_setting_and_those_at_the_best(name: str) -> None:
    study = build_study()
    entries = entries_of(study, BEST)

    runs = curve(entries, BEST, name)

    expected = [
        (e.point[name], e.seed)
        for e in entries
        if all(e.point[other] == POINT[other] for other in POINT if other != name)
    ]
    assert [(run.value, run.seed) for run in runs] == sorted(expected)


def test_a_curve_knows_nothing_of_the_searchs_other_trials_or_of_a_former_best() -> None:
    study = build_study()
    others = [
        replace(BEST, trial_id="search-0001", point={**POINT, "cross.theta": 0.2}),
        *entries_of(study, replace(BEST, trial_id="search-0002"))[1:],
    ]
    entries = entries_of(study, BEST)
    assert curve([*others, *entries], BEST, "cross.theta") == curve(entries, BEST, "cross.theta")


def test_settings_of_one_short_name_have_curves_of_their_own() -> None:
    space = {name: {"low": 0, "high": 0.5} for name in ("cross.dropout", "captioner.dropout")}
    study = build_study(space=space, points=3, seeds=1)
    best = replace(BEST, point={"cross.dropout": 0.1, "captioner.dropout": 0.2})
    entries = entries_of(study, best)
    assert [r.value for r in curve(entries, best, "cross.dropout")] == [0, 0.1, 0.25, 0.5]
    assert [r.value for r in curve(entries, best, "captioner.dropout")] == [0, 0.2, 0.25, 0.5]


def test_a_run_on_a_curve_tells_its_best_score_and_its_budget() -> None:
    (run,) = curve([BEST], BEST, "cross.theta")
    assert run == Run(0.1, 7, 0.8, 2, "search-0004", "search")


def test_a_failed_run_stays_on_the_curve_without_a_score() -> None:
    failed = run_of("search-0004-theta-0-seed7", {**POINT, "cross.theta": 0.0}, 7, None)
    assert [r.metric for r in curve([BEST, failed], BEST, "cross.theta")] == [None, 0.8]


@pytest.mark.parametrize("state", ["running", "stopped"])
def test_a_run_without_its_full_budget_is_not_on_the_curve(state: Any) -> None:
    short = replace(run_of("search-0004-theta-0-seed7", POINT, 7, 0.3), state=state)
    assert [r.metric for r in curve([BEST, short], BEST, "cross.theta")] == [0.8]


RUNS = [
    Run(0.0, 7, 0.25, 6, "a", "sensitivity"),
    Run(0.0, 8, 0.75, 6, "b", "sensitivity"),
    Run(0.1, 7, 0.5, 6, "c", "search"),
    Run(0.1, 8, None, 2, "d", "sensitivity"),
    Run(0.2, 7, None, 0, "e", "sensitivity"),
]


def test_means_are_over_the_runs_that_have_a_score() -> None:
    assert means(RUNS) == {0.0: 0.5, 0.1: 0.5}


def test_a_curve_is_written_with_one_row_a_run(tmp_path: Path) -> None:
    write_curve(RUNS, tmp_path / "theta.csv")
    assert (tmp_path / "theta.csv").read_text().splitlines() == [
        "value,seed,metric,budget,trial_id,phase",
        "0.0,7,0.25,6,a,sensitivity",
        "0.0,8,0.75,6,b,sensitivity",
        "0.1,7,0.5,6,c,search",
        "0.1,8,,2,d,sensitivity",
        "0.2,7,,0,e,sensitivity",
    ]


def drawn(figure: Figure, tmp_path: Path) -> Any:
    """The axes of a figure that could be rendered."""
    figure.savefig(tmp_path / "curve.png")
    assert (tmp_path / "curve.png").stat().st_size > 1000
    return figure.axes[0]


def numbered(values: list[Any], metrics: list[float | None]) -> list[Run]:
    return [
        Run(v, 7, m, 6, f"t{n}", "sensitivity")
        for n, (v, m) in enumerate(zip(values, metrics, strict=True))
    ]


def test_a_plain_range_is_drawn_with_dots_means_the_best_and_failures(tmp_path: Path) -> None:
    figure = draw(RUNS, Range(low=0, high=0.5), "cross.theta", "valid_f1", best=0.1)
    axes = drawn(figure, tmp_path)
    lines = {line.get_label(): line for line in axes.get_lines()}
    assert list(lines["mean"].get_xdata()) == [0.0, 0.1]
    assert list(lines["mean"].get_ydata()) == [0.5, 0.5]
    assert list(lines["failed"].get_xdata()) == [0.1, 0.2]
    assert list(lines["best: 0.1"].get_xdata()) == [0.1, 0.1]
    assert (axes.get_xscale(), axes.get_xlabel(), axes.get_ylabel()) == (
        "linear",
        title("cross.theta"),
        "valid f1",
    )


def test_a_log_range_has_a_log_axis(tmp_path: Path) -> None:
    runs = numbered([1e-5, 1e-3, 1e-1], [0.1, 0.2, 0.3])
    knob = Range(low=1e-5, high=1e-1, log=True)
    axes = drawn(draw(runs, knob, "loss.alpha", "valid_f1", best=1e-3), tmp_path)
    assert axes.get_xscale() == "log"


def test_whole_numbers_have_whole_ticks(tmp_path: Path) -> None:
    runs = numbered([0, 1, 3], [0.1, 0.2, 0.3])
    axes = drawn(draw(runs, Whole(low=0, high=3), "cross.mu", "valid_f1", best=1), tmp_path)
    assert list(axes.get_xticks()) == [0, 1, 3]


@pytest.mark.parametrize("choices", [["auto", "float32"], [4, 8]])
def test_choices_stand_side_by_side(tmp_path: Path, choices: list[Any]) -> None:
    runs = numbered(choices, [0.1, 0.2])
    knob = Choice(choices=choices)
    axes = drawn(draw(runs, knob, "train.precision", "valid_f1", best=choices[1]), tmp_path)
    ticks = [label.get_text() for label in axes.get_xticklabels()]
    assert ticks == [str(choice) for choice in choices]


@pytest.mark.parametrize(
    "runs",
    [
        pytest.param(numbered([0.1], [0.5]), id="one value"),
        pytest.param(numbered([0.1, 0.2, 0.3], [0.5, 0.5, 0.5]), id="all scores equal"),
        pytest.param(numbered([0.1, 0.2], [0.5, None]), id="one failed"),
        pytest.param(numbered([0.1, 0.2], [None, None]), id="all failed"),
    ],
)
@pytest.mark.parametrize("log", [False, True])
def test_odd_curves_can_be_drawn(tmp_path: Path, runs: list[Run], log: bool) -> None:
    drawn(draw(runs, Range(low=0.01, high=1, log=log), "loss.beta", "valid_f1", 0.1), tmp_path)


def test_settings_are_named_as_in_the_paper() -> None:
    assert title("cross.mu") == "μ (mu)"
    assert title("train.learning_rate") == "learning rate"


def test_a_difference_of_noise_does_not_fill_the_picture() -> None:
    runs = [Run(value, 0, 0.66 + value / 1000, 2, "a", "sensitivity") for value in (0.0, 0.5)]
    figure = draw(runs, Range(low=0.0, high=0.5), "cross.theta", "valid_accuracy", 0.0)
    low, high = figure.axes[0].get_ylim()
    assert high - low >= 0.1
