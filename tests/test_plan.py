"""Which runs a study needs after its search."""

from collections import defaultdict
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sample_entries import BEST, POINT, SPACE, sample_entry, sample_study, trained

from muse.errors import UserError
from search.entry import Entry
from search.plan import (
    CONFIRM,
    SENSITIVITY,
    candidates,
    confirm_seeds,
    confirmation,
    corners,
    curve_seeds,
    incumbent,
    missing,
    number_text,
    run_count,
    strongest_pairs,
    sweep,
    values_around,
)
from search.searcher import Proposal
from search.study import Study

STUDY = sample_study()


def searched(*scores: float | None, state: Any = None) -> list[Entry]:
    """Trials of the search, each with a theta of its own."""
    return [
        sample_entry(
            f"search-{number:04d}",
            score,
            point={**POINT, "cross.theta": number / 100},
            state=state or ("failed" if score is None else "completed"),
        )
        for number, score in enumerate(scores)
    ]


def test_every_candidate_and_every_value_is_trained_with_the_same_seeds() -> None:
    for runs in (confirmation(STUDY, searched(0.1, 0.2, 0.3)), sweep(STUDY, BEST, 5, 3)):
        seeds: dict[str, list[int]] = defaultdict(list)
        for run in runs:
            seeds[repr(run.point)].append(run.seed)
        assert len({tuple(row) for row in seeds.values()}) == 1


def test_search_confirmation_and_curves_have_seeds_of_their_own() -> None:
    confirmed, drawn = confirm_seeds(STUDY), curve_seeds(STUDY, 3)
    assert len({STUDY.seed, *confirmed, *drawn}) == 1 + 3 + 3


def test_fewer_seeds_are_the_first_ones() -> None:
    assert curve_seeds(STUDY, 2) == curve_seeds(STUDY, 3)[:2]


def test_the_candidates_are_the_best_three_with_the_best_first() -> None:
    search = searched(0.1, 0.4, 0.3, 0.2, None)
    assert [e.trial_id[-1] for e in candidates(STUDY, search)] == ["1", "2", "3"]


def test_fewer_than_three_are_all_candidates() -> None:
    assert len(candidates(STUDY, searched(0.1, None))) == 1
    assert candidates(STUDY, searched(None)) == []


def test_a_point_that_was_tried_twice_is_one_candidate_with_its_better_score() -> None:
    twice = [sample_entry(f"search-000{k}", score) for k, score in enumerate((0.3, 0.5, 0.4))]
    assert [e.trial_id for e in candidates(STUDY, twice)] == ["search-0001"]


def test_a_stopped_trial_is_a_candidate_only_where_none_was_completed() -> None:
    stopped, full = searched(0.9, 0.8, state="stopped"), searched(0.1)
    assert candidates(STUDY, [*stopped, *full]) == full
    assert candidates(STUDY, stopped) == stopped


def test_a_trial_outside_of_a_range_that_was_narrowed_is_no_candidate() -> None:
    narrow = sample_study(space={**SPACE, "cross.theta": {"low": 0.0, "high": 0.015}})
    assert [e.trial_id[-1] for e in candidates(narrow, searched(0.1, 0.2, 0.9))] == ["1", "0"]


def test_a_trial_that_still_runs_is_no_candidate() -> None:
    assert candidates(STUDY, searched(0.9, state="running")) == []


def confirmed(search: list[Entry], *means: float | None) -> list[Entry]:
    """The search and its confirmation; None fails with one of the seeds."""
    runs = trained(CONFIRM, confirmation(STUDY, search), 0.5)
    for place, mean in enumerate(means):
        for k in range(3):
            score = mean if mean is None else mean + (k - 1) / 10
            if mean is not None or k == 1:
                old = runs[3 * place + k]
                runs[3 * place + k] = replace(
                    sample_entry(old.trial_id, score, phase=CONFIRM), seed=old.seed, point=old.point
                )
    return [*search, *runs]


def test_the_incumbent_has_the_best_mean_not_the_best_score_of_the_search() -> None:
    entries = confirmed(searched(0.9, 0.8, 0.7), 0.4, 0.6, 0.5)
    best = incumbent(STUDY, entries)
    assert (best.trial_id, best.phase, best.value) == ("search-0001", "search", 0.8)


def test_a_candidate_that_failed_with_one_seed_is_out() -> None:
    entries = confirmed(searched(0.9, 0.8, 0.7), 0.4, None, 0.5)
    assert incumbent(STUDY, entries).trial_id == "search-0002"


def test_the_incumbent_has_the_best_mean_not_the_best_single_run() -> None:
    search = searched(0.9, 0.8)
    runs = confirmation(STUDY, search)
    scores = (0.1, 0.2, 0.9, 0.5, 0.5, 0.5)
    lucky: dict[str, float | None] = dict(zip([run.trial_id for run in runs], scores, strict=True))
    entries = [*search, *trained(CONFIRM, runs, lucky)]
    assert incumbent(STUDY, entries).trial_id == "search-0001"


def test_a_candidate_that_failed_after_it_had_a_score_is_out() -> None:
    entries = confirmed(searched(0.9, 0.8), 0.6, 0.5)
    late = [e.trial_id for e in entries].index(confirmation(STUDY, entries[:2])[0].trial_id)
    entries[late] = replace(entries[late], state="failed", kind="diverged")
    assert incumbent(STUDY, entries).trial_id == "search-0001"


def test_runs_of_the_confirmation_are_no_candidates_however_good() -> None:
    entries = confirmed(searched(0.3, 0.2), 0.5, 0.6)
    best = incumbent(STUDY, entries)
    assert (best.trial_id, best.phase) == ("search-0001", "search")


def test_if_every_candidate_failed_there_is_no_incumbent() -> None:
    with pytest.raises(UserError, match="every candidate failed"):
        incumbent(STUDY, confirmed(searched(0.9, 0.8), None, None))


@pytest.mark.parametrize("kind", ["worker lost", "node lost", "hung", "disk"])
def test_a_run_that_lost_its_machine_does_not_cost_its_candidate_the_choice(kind: str) -> None:
    entries = confirmed(searched(0.9, 0.8), 0.6, 0.5)
    lost = [e.trial_id for e in entries].index(confirmation(STUDY, entries[:2])[0].trial_id)
    entries[lost] = replace(entries[lost], state="failed", kind=kind, reports=())
    with pytest.raises(UserError, match="not confirmed yet"):  # else a resume would choose anew,
        incumbent(STUDY, entries)  # and train all curves around another one


@pytest.mark.parametrize("state", ["running", None])
def test_an_unfinished_confirmation_has_no_incumbent(state: Any) -> None:
    entries = confirmed(searched(0.9, 0.8), 0.4, 0.5)
    last = [] if state is None else [replace(entries[-1], state=state)]
    with pytest.raises(UserError, match="not confirmed yet"):
        incumbent(STUDY, [*entries[:-1], *last])


def test_the_values_cover_the_whole_range_and_leave_out_the_incumbents() -> None:
    assert values_around(STUDY, POINT, "cross.theta", 5) == [0.0, 0.125, 0.25, 0.375, 0.5]
    assert values_around(STUDY, POINT, "loss.alpha", 5) == [1e-5, 1e-4, 1e-2, 1e-1]


@pytest.mark.parametrize("mu", range(4))
@pytest.mark.parametrize("eta", range(1, 5))
@pytest.mark.parametrize("points", [3, 5, 9])
def test_every_legal_whole_number_is_tried(mu: int, eta: int, points: int) -> None:
    if mu < eta:
        point = {**POINT, "cross.mu": mu, "cross.eta": eta}
        assert {*values_around(STUDY, point, "cross.mu", points), mu} == set(range(eta))
        assert {*values_around(STUDY, point, "cross.eta", points), eta} == set(range(mu + 1, 5))


def test_a_fixed_eta_bounds_mu() -> None:
    space = {name: knob for name, knob in SPACE.items() if name != "cross.eta"}
    study = sample_study(space=space, fixed={"cross.eta": 2})
    point = {name: value for name, value in POINT.items() if name != "cross.eta"}
    assert values_around(study, point, "cross.mu", 5) == [0]


def test_choices_of_mu_are_tried_only_below_eta() -> None:
    study = sample_study(space={**SPACE, "cross.mu": {"choices": [0, 1, 2]}})
    point = {**POINT, "cross.mu": 0, "cross.eta": 2}
    assert values_around(study, point, "cross.mu", 5) == [1]


@pytest.mark.parametrize("high", [12, 64])
def test_a_long_whole_range_is_thinned(high: int) -> None:
    study = sample_study(space={**SPACE, "train.batch_size": {"low": 1, "high": high}})
    around = values_around(study, {**POINT, "train.batch_size": 7}, "train.batch_size", 5)
    assert (len(around), around[0], around[-1]) == (5, 1, high)


def test_a_whole_range_of_eleven_is_tried_in_full_and_with_two_points_only_at_its_ends() -> None:
    study = sample_study(space={**SPACE, "train.batch_size": {"low": 1, "high": 11}})
    point = {**POINT, "train.batch_size": 7}
    assert len(values_around(study, point, "train.batch_size", 5)) == 10
    assert values_around(study, point, "train.batch_size", 2) == [1, 11]


def test_a_long_list_of_choices_is_thinned_and_keeps_both_ends() -> None:
    many = list(range(2, 98, 2))
    study = sample_study(space={**SPACE, "train.batch_size": {"choices": many}})
    point = {**POINT, "train.batch_size": 4}
    tried = values_around(study, point, "train.batch_size", 5)
    assert (tried[0], tried[-1], len(tried)) == (2, 96, 5)
    assert values_around(study, point, "train.batch_size", 2) == [2, 96]


def test_all_choices_are_tried_however_few_the_points() -> None:
    study = sample_study(space={**SPACE, "train.batch_size": {"choices": [4, 8, 16, 32]}})
    point = {**POINT, "train.batch_size": 4}
    assert values_around(study, point, "train.batch_size", 3) == [8, 16, 32]


@st.composite
def studies(draw: st.DrawFn) -> tuple[Study, Entry, int]:
    """A study with ranges of any width, an incumbent inside them, and points."""
    low = draw(st.floats(0, 0.9))
    high = draw(st.floats(low, 1).filter(lambda value: value > low))
    space: dict[str, Any] = {
        "cross.theta": {"low": low, "high": high},
        "cross.mu": {"low": 0, "high": draw(st.integers(0, 4))},
        "cross.eta": {"low": draw(st.integers(1, 3)), "high": draw(st.integers(5, 6))},
        "loss.alpha": {"low": 1e-5, "high": draw(st.floats(1.1e-5, 1.0)), "log": True},
    }
    mu = draw(st.integers(0, space["cross.mu"]["high"]))
    point = {
        "cross.theta": draw(st.floats(low, high)),
        "cross.mu": mu,
        "cross.eta": draw(
            st.integers(max(space["cross.eta"]["low"], mu + 1), space["cross.eta"]["high"])
        ),
        "loss.alpha": draw(st.floats(1e-5, space["loss.alpha"]["high"])),
    }
    study = sample_study(space=space, fixed={"cross.layers": 6})
    return study, replace(BEST, point=point), draw(st.integers(1, 12))


@settings(max_examples=50)
@given(studies())
def test_every_run_is_legal_and_differs_from_the_incumbent_in_one_setting_at_most(
    made: tuple[Study, Entry, int],
) -> None:
    study, best, points = made
    runs = sweep(study, best, points, 2)
    for run in runs:
        study.config(run.point, run.seed)  # raises where it is not legal
        assert sum(run.point[name] != best.point[name] for name in best.point) <= 1
    assert len({run.trial_id for run in runs}) == len(runs)
    assert len({(repr(run.point), run.seed) for run in runs}) == len(runs)


@settings(max_examples=50)
@given(studies())
def test_a_sweep_reaches_both_ends_of_every_range(made: tuple[Study, Entry, int]) -> None:
    study, best, points = made
    for name in ("cross.theta", "loss.alpha"):
        knob: Any = study.space[name]
        tried = {run.point[name] for run in sweep(study, best, max(points, 2), 1)}
        assert {knob.low, knob.high} <= tried


def test_more_points_keep_the_runs_that_are_shared() -> None:
    few = {(r.trial_id, repr(r.point), r.seed) for r in sweep(STUDY, BEST, 3, 2)}
    many = {(r.trial_id, repr(r.point), r.seed) for r in sweep(STUDY, BEST, 5, 3)}
    assert few <= many


def test_settings_of_one_short_name_have_runs_of_their_own() -> None:
    space = {name: {"low": 0, "high": 0.5} for name in ("cross.dropout", "captioner.dropout")}
    best = replace(BEST, point={"cross.dropout": 0.1, "captioner.dropout": 0.1})
    ids = [run.trial_id for run in sweep(sample_study(space=space), best, 3, 2)]
    assert len(set(ids)) == len(ids)


def test_another_incumbent_gets_other_ids() -> None:
    other = {run.trial_id for run in sweep(STUDY, replace(BEST, trial_id="search-0009"), 5, 3)}
    assert other.isdisjoint(run.trial_id for run in sweep(STUDY, BEST, 5, 3))


def test_a_path_among_the_choices_makes_no_folder_below_the_trials() -> None:
    space = {"cross.theta": SPACE["cross.theta"], "text.weights": {"choices": ["a/b", "a/c"]}}
    best = replace(BEST, point={"cross.theta": 0.1, "text.weights": "a/b"})
    ids = [run.trial_id for run in sweep(sample_study(space=space), best, 3, 1)]
    assert not any("/" in trial_id for trial_id in ids)


def test_two_values_have_two_ids_that_an_address_takes_as_they_are() -> None:
    values = ["a/b", "a_b", "a b", "a%2Fb", "a~2f~b", "a#b", "ä", 1.0e-5, -3, True]
    texts = [number_text(value) for value in values]
    assert len(set(texts)) == len(values)
    assert not [text for text in texts if quote(text, safe="+") != text]


@settings(max_examples=50)
@given(studies(), st.permutations(sorted(POINT)))
def test_corners_are_legal_and_off_the_incumbent_in_both_settings(
    made: tuple[Study, Entry, int], names: list[str]
) -> None:
    study, best, points = made
    pair = (names[0], names[1])
    runs = corners(study, best, pair, points, 2)
    assert len(runs) <= 4 * 2
    for run in runs:
        study.config(run.point, run.seed)
        changed = {name for name in best.point if run.point[name] != best.point[name]}
        assert changed == set(pair)


def test_a_corners_single_changes_are_on_the_curves() -> None:
    alone = {repr(run.point) for run in sweep(STUDY, BEST, 5, 3)}
    for run in corners(STUDY, BEST, ("cross.theta", "loss.alpha"), 5, 3):
        for name in ("cross.theta", "loss.alpha"):
            assert repr({**run.point, name: POINT[name]}) in alone


def test_a_pair_has_the_same_runs_whichever_setting_is_stronger() -> None:
    pair = ("cross.theta", "loss.alpha")
    one, other = (corners(STUDY, BEST, names, 5, 3) for names in (pair, pair[::-1]))
    assert {run.trial_id for run in one} == {run.trial_id for run in other}


def test_mu_and_eta_meet_only_where_mu_is_below_eta() -> None:
    runs = corners(STUDY, BEST, ("cross.mu", "cross.eta"), 5, 1)
    assert {(r.point["cross.mu"], r.point["cross.eta"]) for r in runs} == {(0, 2), (0, 4), (2, 4)}


def test_the_strongest_pairs_have_the_least_ranks() -> None:
    pairs = [("a", "b"), ("a", "c"), ("a", "d"), ("b", "c")]
    assert strongest_pairs(["a", "b", "c", "d", "e"], 4) == pairs
    assert strongest_pairs(["a"], 3) == []
    assert strongest_pairs(["a", "b"], 0) == []


def test_what_has_ended_is_not_missing_and_what_was_interrupted_goes_on() -> None:
    names = ("done", "failed", "stopped", "changed", "half", "lost", "new")
    wanted = [Proposal(name, POINT, 8) for name in names]
    on_record = [
        sample_entry("done"),
        sample_entry("failed", None, kind="diverged"),
        sample_entry("stopped", state="stopped"),
        sample_entry("changed", None, kind="changed"),
        sample_entry("half", state="running", epochs=1),
        sample_entry("lost", state="failed", kind="disk"),  # which says nothing of its settings
    ]
    found = missing(wanted, on_record)
    assert [(run.trial_id, run.seen) for run in found] == [("half", 1), ("lost", 2), ("new", 0)]


def test_a_final_training_is_tried_again_whatever_it_failed_of() -> None:
    wanted = [Proposal("final", POINT, 8)]
    failed = sample_entry("final", None, phase="final", kind="diverged")
    assert missing(wanted, [failed])
    assert not missing(wanted, [sample_entry("final", phase="final")])


def test_the_run_count_is_of_sweep_and_corners_were_they_all_legal() -> None:
    curves = STUDY.sensitivity.model_copy(update={"pairs": 4})
    pairs = strongest_pairs(list(STUDY.space), 4)
    corner_runs = [run for pair in pairs for run in corners(STUDY, BEST, pair, 5, 3)]
    planned = len(sweep(STUDY, BEST, 5, 3)) + len(corner_runs)
    illegal = 3  # runs of one corner: mu's high end with eta's low one
    assert run_count(STUDY, BEST, curves) == planned + illegal


def test_runs_on_record_are_not_counted_again() -> None:
    curves = STUDY.sensitivity.model_copy(update={"pairs": 1})
    all_of_it = run_count(STUDY, BEST, curves)
    alone = sweep(STUDY, BEST, 5, 3)
    pair = corners(STUDY, BEST, ("cross.theta", "loss.alpha"), 5, 3)
    done = trained(SENSITIVITY, [*alone[:7], *pair[:2]], 0.5)
    open_ = [replace(trained(SENSITIVITY, [alone[8]], 0.5)[0], state="running")]
    of_another = [replace(done[0], trial_id="search-0099-itself-seed207")]
    assert run_count(STUDY, BEST, curves, [*done, *open_, *of_another]) == all_of_it - 9
