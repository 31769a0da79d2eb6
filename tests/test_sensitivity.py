"""From a ledger to findings."""

from dataclasses import replace
from typing import Any
from zlib import crc32

import numpy as np
import pytest
from sample_entries import BEST, POINT, SPACE, sample_entry, sample_study, trained

from search.entry import Entry
from search.findings import Curve, Findings
from search.plan import CONFIRM, SENSITIVITY, confirmation, corners, curve_seeds, sweep
from search.sensitivity import findings
from search.space import Whole
from search.study import Study
from search.wording import best_line

STUDY = sample_study()
SEEDS = curve_seeds(STUDY, 3)


def score(point: dict[str, Any], seed: int) -> float:
    """A made-up truth: theta decides, the seed adds a little, alpha and mu are dead."""
    rng = np.random.default_rng([seed, crc32(repr(sorted(point.items())).encode())])
    wobble = rng.normal(0, 0.002)
    return 0.8 - abs(float(point["cross.theta"]) - POINT["cross.theta"]) + seed / 500 + wobble


def all_runs(study: Study = STUDY, best: Entry = BEST) -> list[Entry]:
    """A ledger after search, confirmation, curves and one pair."""
    pair = corners(study, best, ("cross.theta", "cross.mu"), 5, 3)
    again = confirmation(study, [best])
    planned = [*sweep(study, best, 5, 3), *pair]
    scores: dict[str, float | None] = {
        run.trial_id: score(run.point, run.seed) for run in [*again, *planned]
    }
    return [best, *trained(CONFIRM, again, scores), *trained(SENSITIVITY, planned, scores)]


def found(entries: list[Entry], study: Study = STUDY, best: Entry = BEST) -> Findings:
    return findings(study, entries, best, baseline=0.0)


def curve(name: str, entries: list[Entry], **how: Any) -> Curve:
    return next(curve for curve in found(entries, **how).curves if curve.name == name)


def at(entries: list[Entry], name: str, value: Any, **fields: Any) -> list[Entry]:
    """The entries with the runs of the curves at one value changed."""
    return [
        replace(e, **fields) if e.phase == SENSITIVITY and e.point[name] == value else e
        for e in entries
    ]


def test_a_planted_truth_is_found() -> None:
    told = found(all_runs())
    assert told.curves[0].name == "cross.theta"
    assert {c.name: c.verdict for c in told.curves} == {
        "cross.theta": "sensitive",
        "cross.mu": "flat",
        "cross.eta": "flat",
        "loss.alpha": "flat",
    }


def test_a_curve_holds_the_runs_of_its_setting_and_the_incumbents() -> None:
    runs = curve("loss.alpha", all_runs()).runs
    expected = [(v, s) for v in (1e-5, 1e-4, 1e-3, 1e-2, 1e-1) for s in SEEDS]
    assert [(run.value, run.seed) for run in runs] == expected
    assert {run.phase for run in runs} == {SENSITIVITY}


def test_the_levels_are_in_order_with_the_incumbents_among_them() -> None:
    made = curve("cross.theta", all_runs())
    assert [x.value for x in made.levels] == [0.0, 0.1, 0.125, 0.25, 0.375, 0.5]
    assert (made.incumbent, made.levels[1].difference) == (0.1, None)


@pytest.mark.parametrize("fields", [{"state": "stopped"}, {"state": "running"}])
def test_a_run_that_did_not_end_is_on_no_curve(fields: Any) -> None:
    values = {
        run.value for run in curve("cross.theta", at(all_runs(), "cross.theta", 0.5, **fields)).runs
    }
    assert 0.5 not in values


def traced(
    entries: list[Entry], deaf: str, loss: float = 0.0, of: str = "train_loss"
) -> list[Entry]:
    """The runs of the curves with figures that do not depend on one setting, but for a loss."""

    def figures(e: Entry) -> dict[str, float]:
        heard = sum(float(value) for name, value in e.point.items() if name != deaf)
        more = loss * float(e.point[deaf])
        told = {"train_loss": heard + e.seed, "valid_loss": 1.0}
        return {"value": 0.5 + e.seed / 1000, **told, of: told[of] + more}

    return [
        replace(e, reports=tuple({**r, **figures(e)} for r in e.reports))
        if e.phase == SENSITIVITY
        else e
        for e in entries
    ]


def test_a_setting_that_changes_no_figure_of_any_epoch_is_inert_and_not_called_flat() -> None:
    runs = traced(all_runs(), deaf="loss.alpha")
    alpha = curve("loss.alpha", runs)
    assert (alpha.inert, alpha.verdict, alpha.excluded_above) == (True, "unjudged", None)
    assert not any(c.inert for c in found(runs).curves if c.name != "loss.alpha")


def test_what_was_not_trained_with_the_same_seed_is_not_called_inert() -> None:
    runs = traced(all_runs(), deaf="loss.alpha")
    first = [e for e in runs if e.point["loss.alpha"] == POINT["loss.alpha"] or e.seed == SEEDS[0]]
    assert not curve("loss.alpha", first).inert


def test_where_no_run_came_to_an_epoch_nothing_is_inert() -> None:
    runs = [
        replace(e, state="failed", reports=()) if e.phase == SENSITIVITY else e for e in all_runs()
    ]
    assert not any(c.inert for c in found(runs).curves)


@pytest.mark.parametrize("of", ["train_loss", "valid_loss"])
def test_equal_scores_alone_do_not_make_a_setting_inert(of: str) -> None:
    """The training loss of a run's only step is taken before it."""
    alpha = curve("loss.alpha", traced(all_runs(), deaf="loss.alpha", loss=1e-6, of=of))
    assert (alpha.inert, alpha.verdict) == (False, "flat")


def test_a_run_with_less_than_the_full_budget_is_on_no_curve() -> None:
    short = at(all_runs(), "cross.theta", 0.5, reports=({"epoch": 1, "value": 0.9},))
    assert 0.5 not in {run.value for run in curve("cross.theta", short).runs}


def test_trials_of_the_search_and_the_confirmation_are_on_no_curve() -> None:
    others = [
        sample_entry(f"search-010{k}", 0.99, seed=k, point={**POINT, "cross.theta": 0.3})
        for k in SEEDS
    ]
    assert found([*others, *all_runs()]).curves == found(all_runs()).curves


def test_a_failed_value_stays_as_a_mark_and_is_a_cliff() -> None:
    failed = at(all_runs(), "loss.alpha", 1e-1, state="failed")
    made = curve("loss.alpha", failed)
    last = made.levels[-1]
    assert (last.value, last.failed, last.scores, last.mean) == (1e-1, 3, (), None)
    assert [run.metric for run in made.runs if run.value == 1e-1] == [None] * 3
    assert made.verdict == "cliff"


def test_mus_axis_ends_below_the_incumbents_eta() -> None:
    made = curve("cross.mu", all_runs())
    assert made.knob == Whole(low=0, high=2)
    assert [x.value for x in made.levels] == [0, 1, 2]


def test_etas_axis_begins_above_the_incumbents_mu() -> None:
    made = curve("cross.eta", all_runs())
    assert made.knob == Whole(low=2, high=4)
    assert [x.value for x in made.levels] == [2, 3, 4]


def test_choices_have_a_level_each() -> None:
    study = sample_study(
        space={"cross.theta": SPACE["cross.theta"], "train.batch_size": {"choices": [16, 4, 8]}}
    )
    best = replace(BEST, point={"cross.theta": 0.1, "train.batch_size": 8})
    runs = trained(SENSITIVITY, sweep(study, best, 5, 3), 0.5)
    made = curve("train.batch_size", [best, *runs], study=study, best=best)
    assert [x.value for x in made.levels] == [4, 8, 16]


def test_a_whole_number_given_for_a_range_stands_in_its_place() -> None:
    best = replace(BEST, point={**POINT, "cross.theta": 0})
    runs = trained(SENSITIVITY, sweep(STUDY, best, 5, 3), 0.5)
    made = curve("cross.theta", [best, *runs], best=best)
    assert [x.value for x in made.levels] == [0, 0.125, 0.25, 0.375, 0.5]


def test_the_mean_is_of_the_fresh_runs_not_of_the_search() -> None:
    told = found(all_runs())
    assert told.mean == pytest.approx(sum(score(POINT, seed) for seed in SEEDS) / 3)
    assert told.seeds == tuple(SEEDS)
    assert (told.trial_id, told.point) == ("search-0003", POINT)


def test_a_run_of_the_incumbent_that_failed_is_none_of_its_scores() -> None:
    runs = [
        replace(e, state="failed", reports=()) if e.point == POINT and e.seed == SEEDS[0] else e
        for e in all_runs()
    ]
    told = found(runs)
    assert told.seeds == tuple(SEEDS[1:])
    assert told.mean == pytest.approx(sum(score(POINT, seed) for seed in SEEDS[1:]) / 2)


def test_a_loss_is_measured_against_the_gain_over_the_baseline() -> None:
    told = findings(STUDY, all_runs(), BEST, baseline=0.6)
    assert (told.curves[0].name, told.curves[0].verdict) == ("cross.theta", "cliff")


def test_a_value_that_lost_half_of_the_gain_over_the_baseline_lends_no_other_its_noise() -> None:
    wild = dict(zip(SEEDS, (0.5, 0.6, 0.7), strict=True))  # half of the gain ends at 0.76
    fallen = [
        replace(e, reports=({"epoch": 2, "value": wild[e.seed]},))
        if e.phase == SENSITIVITY and e.point["cross.theta"] == 0.5
        else e
        for e in all_runs()
    ]
    without = [e for e in all_runs() if e.phase != SENSITIVITY or e.point["cross.theta"] != 0.5]
    with_it, alone = (
        next(c for c in findings(STUDY, runs, BEST, 0.3).curves if c.name == "cross.theta")
        for runs in (fallen, without)
    )
    assert [v.low for v in with_it.levels[:-1]] == [v.low for v in alone.levels]


def test_without_curves_the_mean_is_the_confirmations() -> None:
    runs = [
        sample_entry(f"confirm-{seed}", score, phase="confirm", seed=seed)
        for seed, score in ((107, 0.4), (108, 0.6))
    ]
    told = found([BEST, *runs])
    assert told.mean == pytest.approx(0.5)
    assert "over the confirmation's seeds, as no curve was trained" in best_line(told)


def test_a_run_of_the_confirmation_that_failed_is_no_score_of_zero() -> None:
    """With seeds of a confirmation that was larger: the incumbent's own had all to succeed."""
    runs = [
        sample_entry(f"confirm-{seed}", score, phase="confirm", seed=seed)
        for seed, score in ((107, 0.4), (108, 0.6), (109, None))
    ]
    assert found([BEST, *runs]).mean == pytest.approx(0.5)


def test_without_curves_the_mean_is_the_searchs() -> None:
    told = found([BEST])
    assert (told.mean, told.seeds, told.noise) == (0.8, (), None)
    assert {made.verdict for made in told.curves} == {"unjudged"}


def test_the_noise_floor_comes_from_the_confirmation_alone() -> None:
    entries = all_runs()
    noisy = [
        replace(e, reports=({"epoch": 2, "value": value},))
        for e, value in zip(entries[1:4], (0.5, 0.6, 0.7), strict=True)
    ]
    assert found([BEST, *noisy, *entries[4:]]).noise == pytest.approx(0.1)


def test_a_noise_floor_is_no_less_than_rounding_to_one_right_answer() -> None:
    entries = all_runs()
    equal = [replace(e, reports=({"epoch": 2, "value": 0.5},)) for e in entries[1:4]]
    told = findings(STUDY, [BEST, *equal, *entries[4:]], BEST, baseline=0.0, grain=1 / 64)
    assert told.noise == pytest.approx(1 / 64 / 12**0.5)


def test_a_pair_that_was_varied_together_is_mapped() -> None:
    (told,) = found(all_runs()).interactions
    assert set(told.names) == {"cross.theta", "cross.mu"}
    assert len(told.surplus) == 4


def test_a_pair_of_the_weakest_of_many_settings_is_mapped_too() -> None:
    weakest = ("cross.dropout", "train.head_dropout")
    more = {name: {"low": 0.0, "high": 0.5} for name in weakest}
    study = sample_study(space={**SPACE, **more})
    best = replace(BEST, point={**POINT, **dict.fromkeys(weakest, 0.1)})
    runs = trained(SENSITIVITY, corners(study, best, weakest, 5, 3), 0.5)
    (told,) = found([best, *runs], study, best).interactions
    assert told.names == weakest


def test_runs_around_a_former_incumbent_are_on_no_curve() -> None:
    former = replace(
        BEST, trial_id="search-0001", point={**POINT, "cross.theta": 0.4, "loss.alpha": 0.05}
    )
    others = [e for e in all_runs(best=former) if e.phase == SENSITIVITY]
    assert found([*others, *all_runs()]).curves == found(all_runs()).curves


def test_a_run_that_two_incumbents_share_counts_once() -> None:
    space = {"cross.theta": SPACE["cross.theta"]}
    study = sample_study(space=space)
    best = replace(BEST, point={"cross.theta": 0.1})
    former = replace(BEST, trial_id="search-0001", point={"cross.theta": 0.2})
    made = [
        trained(
            SENSITIVITY,
            sweep(study, e, 5, 3),
            {r.trial_id: score(r.point, r.seed) for r in sweep(study, e, 5, 3)},
        )
        for e in (former, best)
    ]
    runs = curve("cross.theta", [best, *made[0], *made[1]], study=study, best=best).runs
    assert len({(run.value, run.seed) for run in runs}) == len(runs)


def test_seeds_that_chose_the_incumbent_are_on_no_curve() -> None:
    more = sample_study(sensitivity={"seeds": 5})  # asked for since: seeds 8 to 12 choose now
    runs = curve("cross.theta", all_runs(), study=more).runs
    assert {run.seed for run in runs} <= set(curve_seeds(more, 5))


def test_runs_outside_of_a_range_that_was_narrowed_are_on_no_curve() -> None:
    narrow = sample_study(space={**SPACE, "cross.theta": {"low": 0.0, "high": 0.3}})
    made = findings(narrow, all_runs(), BEST, 0.0)
    (theta,) = [c for c in made.curves if c.name == "cross.theta"]
    assert [level.value for level in theta.levels] == [0.0, 0.1, 0.125, 0.25]
