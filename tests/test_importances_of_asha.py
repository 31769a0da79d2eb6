"""A planted objective: what decides the final quality is found to, and not what decides the speed.

A searcher that records stopped trials as complete with their last value says the opposite.
"""

import math
from statistics import mean
from types import SimpleNamespace

import optuna
import pytest
from optuna.importance import (
    FanovaImportanceEvaluator,
    PedAnovaImportanceEvaluator,
    get_param_importances,
)

from search.scheduler import build_scheduler
from search.searcher import Truthful
from search.space import Point
from search.study import Study

REG, SPEED, NOTHING = "cross.theta", "cross.dropout", "train.learning_rate"
EVALUATORS = {
    "ped_anova": PedAnovaImportanceEvaluator(),
    "fanova": FanovaImportanceEvaluator(n_trees=32, seed=0),
}


def build_study(seed: int) -> Study:
    return Study.model_validate(
        {
            "preset": "tiny",
            "seed": seed,
            "space": {
                REG: {"low": 0.0, "high": 1.0},
                SPEED: {"low": 0.0, "high": 0.9},
                NOTHING: {"low": 1e-5, "high": 1e-3},
            },
            "budget": {"trials": 100, "epochs": 27},
            "searcher": {"startup": 10},
        }
    )


def planted(point: Point, epoch: int) -> float:
    """`REG` decides where a trial ends, `SPEED` how soon it is there, the third nothing."""
    quality = 1 - 3.2 * (float(point[REG]) - 0.5) ** 2
    return quality * (1 - math.exp(-epoch / (1 + 22 * float(point[SPEED]))))


def search(seed: int, slots: int = 8) -> tuple[optuna.Study, optuna.Study]:
    """A search with ASHA: what our searcher records, and what one that keeps last values would."""
    study = build_study(seed)
    truthful = Truthful(study, [], lambda p: {"task": {"trial_id": p.trial_id}, "point": p.point})
    asha = build_scheduler(study, [])
    plain = optuna.create_study(direction="maximize")
    running: list[SimpleNamespace] = []
    asked = 0
    while True:
        while len(running) < slots and isinstance(
            config := truthful.suggest(f"tune-{asked}"), dict
        ):
            trial = SimpleNamespace(trial_id=f"tune-{asked}", config=config, epoch=0, best=0.0)
            asha.on_trial_add(None, trial)
            running.append(trial)
            asked += 1
        if not running:
            return truthful.optuna, plain
        trial = running.pop(0)
        trial.epoch += 1
        value = planted(trial.config["point"], trial.epoch)
        trial.best = max(trial.best, value)
        result = {"epoch": trial.epoch, "value": value, "best": trial.best}
        if asha.on_trial_result(None, trial, result) != "STOP":
            truthful.on_trial_result(trial.trial_id, result)
            running.append(trial)
            continue
        asha.on_trial_complete(None, trial, result)
        truthful.on_trial_complete(trial.trial_id, result)
        ranges = truthful.optuna.get_trials()[0].distributions
        point = trial.config["point"]
        plain.add_trial(optuna.trial.create_trial(value=value, params=point, distributions=ranges))


@pytest.fixture(scope="module")
def searches() -> list[tuple[optuna.Study, optuna.Study]]:
    return [search(seed) for seed in range(3)]


def importance(studies: list[optuna.Study], evaluator: str, name: str) -> float:
    """Mean share of a setting."""
    shares = [get_param_importances(s, evaluator=EVALUATORS[evaluator])[name] for s in studies]
    return mean(float(share) for share in shares)


@pytest.mark.slow
@pytest.mark.parametrize("evaluator", EVALUATORS)
def test_what_decides_the_final_quality_comes_first(
    searches: list[tuple[optuna.Study, optuna.Study]], evaluator: str
) -> None:
    told = [truthful for truthful, _ in searches]
    share = {name: importance(told, evaluator, name) for name in (REG, SPEED, NOTHING)}
    assert share[REG] > 2 * share[SPEED]
    assert share[REG] > 0.5 > share[NOTHING] + 0.2


@pytest.mark.slow
def test_last_values_of_stopped_trials_would_put_the_speed_first(
    searches: list[tuple[optuna.Study, optuna.Study]],
) -> None:
    told = [plain for _, plain in searches]
    assert importance(told, "fanova", SPEED) > 2 * importance(told, "fanova", REG)


@pytest.mark.slow
def test_most_trials_are_stopped_and_the_others_are_complete(
    searches: list[tuple[optuna.Study, optuna.Study]],
) -> None:
    for truthful, plain in searches:
        states = [trial.state.name for trial in truthful.get_trials()]
        assert states.count("PRUNED") > states.count("COMPLETE") > 10
        assert len(states) == len(plain.get_trials()) == 100
