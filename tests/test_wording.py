"""What a reader is told."""

from dataclasses import replace

import pytest
from sample_findings import choice_curve, curve_of, failed_curve, findings, interaction, one_seed

from search.findings import Interaction, Run
from search.inference import levels
from search.terms import between, chance, listed, metric_name, score, title
from search.verdict import effect, safe
from search.wording import best_line, headline, interplay, reading, safe_range

FINDINGS = findings()


def test_what_is_said_of_a_curve_with_failed_runs_is_what_it_is_ranked_by() -> None:
    scores = {0: (0.9, 0.5), 1: (None, 0.52), 2: (0.88, 0.48)}
    runs = [
        Run(value, seed, score, 5, f"{value}-{seed}", "sensitivity")
        for value, both in scores.items()
        for seed, score in enumerate(both)
    ]
    told = levels(runs, [0, 1, 2], 0)
    curve = replace(
        curve_of("cross.mu", "sensitive"),
        incumbent=0,
        levels=told,
        effect=effect(told, 0),
        safe=safe(told, 0, 0.03),
    )
    assert curve.effect == pytest.approx(0.04)  # 0.72 by the seed that did not fail, and 0.68
    assert "reach from 0.6800 at 2 to 0.7200 at 1" in reading(curve, FINDINGS)
    assert curve.safe == (0,)  # 0.7 and 0.68 are near, but a run failed in between


def test_settings_are_named_as_in_the_paper() -> None:
    assert title("cross.mu") == "μ (mu)"
    assert title("train.learning_rate") == "learning rate"
    assert title("captioner.dropout") == "captioner.dropout"


def test_metrics_have_names_for_readers() -> None:
    assert metric_name("valid_f1") == "validation F1"
    assert metric_name("test_f1_official") == "test F1 (official script)"
    assert metric_name("valid_accuracy") == "validation accuracy"
    assert metric_name("some_score") == "some score"


def test_what_is_not_known_is_a_dash() -> None:
    assert [score(None), between(None, None), chance(None)] == ["-", "-", "-"]


@pytest.mark.parametrize(("p", "told"), [(0.2049, "0.2"), (0.00012, "0.00012"), (0, "< 0.0001")])
def test_chances_are_short(p: float, told: str) -> None:
    assert chance(p) == told


def test_words_are_listed() -> None:
    assert [listed(words) for words in ([], ["a"], ["a", "b", "c"])] == ["", "a", "a, b and c"]


def test_flat_says_what_it_may_hide() -> None:
    told = reading(curve_of("cross.mu", "flat"), FINDINGS)
    assert told.startswith("Flat: no value differs from the incumbent beyond chance.")
    assert "excludes differences above 0.012." in told


def test_sensitive_says_how_many_values_and_how_far() -> None:
    told = reading(curve_of("cross.theta"), FINDINGS)
    assert "2 of 8 values differ from the incumbent" in told
    assert "from 0.6689 at 0.5 to" in told


def test_cliff_says_where_it_falls() -> None:
    assert "the score falls to 0.29" in reading(curve_of("loss.beta", "cliff"), FINDINGS)


def test_a_cliff_where_nothing_survived_says_so() -> None:
    told = reading(curve_of("train.learning_rate", "cliff"), FINDINGS)
    assert "every run at 0.0001 failed or diverged" in told
    assert "3 failed or diverged, at 0.0001." in told


def test_nothing_is_judged_from_one_seed_or_no_score() -> None:
    found = one_seed()
    assert "one score a value tells nothing of chance" in reading(found.curves[0], found)
    assert reading(failed_curve(), FINDINGS) == "Not judged: no run ended with a score."


def test_safe_values_are_a_range_or_a_list() -> None:
    theta = curve_of("cross.theta")
    assert safe_range(theta) == "0 to 0.25"
    assert safe_range(replace(theta, safe=(0.1,))) == "0.1 only"
    assert safe_range(replace(theta, safe=())) == "-"
    assert safe_range(choice_curve()) == "auto and float32"


def test_the_headline_tells_what_matters_what_does_not_and_what_is_best() -> None:
    care, tune, flat, best = headline(FINDINGS)
    assert "β (beta; span 0.43) and learning rate (span 0.078)" in care
    assert "θ (theta" in tune
    assert "Their 95 % intervals exclude differences above 0.012." in flat
    assert "θ (theta) 0.1" in best
    assert "over the 3 seeds of the curves, noise floor 0.006." in best
    failed = replace(FINDINGS, seeds=())
    assert "confirmation's seeds, as it failed with those of the curves" in best_line(failed)


def test_runs_that_are_all_alike_are_said_to_tell_nothing() -> None:
    mu = curve_of("cross.mu", "unjudged")
    same = tuple(replace(level, scores=(FINDINGS.mean,) * 3) for level in mu.levels)
    mu = replace(mu, levels=same, effect=0.0)
    assert "every run scored" in reading(mu, FINDINGS)
    lines = headline(replace(FINDINGS, curves=(mu,)))
    assert any("these tweets tell no value from another" in line for line in lines)


def test_a_setting_that_changes_nothing_is_said_to() -> None:
    theta = replace(curve_of("cross.theta", "unjudged"), inert=True)
    assert "no value changes anything" in reading(theta, FINDINGS)
    (told,) = (line for line in headline(replace(FINDINGS, curves=(theta,))) if "θ" in line[:20])
    assert "every run with a seed is the same run" in told


def test_want_of_runs_is_not_called_no_effect() -> None:
    curves = [curve_of(c.name, "unjudged") if c.name == "cross.mu" else c for c in FINDINGS.curves]
    found = replace(FINDINGS, curves=tuple(curves))
    lines = headline(found)
    assert any(line.startswith("No effect seen: ") and "μ" not in line for line in lines)
    few = next(line for line in lines if line.startswith("Not judged: μ (mu"))
    assert "3 seeds are too few here" in few
    assert "not even exclude a difference of half of what training gains (0." in few
    mu = next(curve for curve in found.curves if curve.name == "cross.mu")
    assert "3 seeds are too few here" in reading(mu, found)


def test_a_setting_with_one_legal_value_is_not_judged_for_that_reason() -> None:
    whole = curve_of("cross.mu", "unjudged")
    alone = replace(whole, levels=whole.levels[:1])
    assert "no other value is legal" in reading(alone, FINDINGS)


def test_the_headline_of_one_seed_judges_nothing() -> None:
    unjudged, best = headline(one_seed())
    assert unjudged.startswith("Not judged: β (beta")
    assert unjudged.endswith("; one score a value tells nothing of chance.")
    assert "over one seed." in best


def test_a_map_tells_how_often_two_changes_do_not_add_up() -> None:
    assert "at 1 of 2 pairs" in interplay(interaction())
    empty = Interaction(("cross.mu", "cross.eta"), ((), ()), {}, {})
    assert "cannot be told" in interplay(empty)


def test_a_value_whose_machine_was_lost_is_not_where_a_cliff_is() -> None:
    beta = curve_of("loss.beta", "cliff")
    lost = replace(beta.levels[0], scores=(), mean=None, failed=3, lost=3)
    told = reading(replace(beta, levels=(lost, *beta.levels[1:])), FINDINGS)
    assert "every run at" not in told
    assert "failed or diverged" not in told
    assert "3 lost their machine, at 1e-05." in told
    assert "the score falls to" in told


def test_a_cliff_names_what_failed_and_what_fell() -> None:
    beta = curve_of("loss.beta", "cliff")
    dead = replace(beta.levels[0], scores=(), mean=None, failed=3, falls=True)
    told = reading(replace(beta, levels=(dead, *beta.levels[1:])), FINDINGS)
    assert "at 0.1 and every run at 1e-05 failed or diverged; best is" in told


def test_runs_of_a_value_that_do_not_agree_are_why_it_is_not_judged() -> None:
    mu = curve_of("cross.mu", "unjudged")
    wild = [replace(v, pairs=(-0.5, 0.0, 0.0)) if v.value == 0 else v for v in mu.levels]
    alike = [replace(v, pairs=(-0.5,) * 3) if v.value == 0 else v for v in mu.levels]
    assert "some did not" not in reading(replace(mu, levels=tuple(alike)), FINDINGS)
    told = reading(replace(mu, levels=tuple(wild)), FINDINGS)
    assert "some runs at 0 lost more than half of what training gains (0.2" in told
