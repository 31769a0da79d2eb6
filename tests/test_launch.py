"""What Tune's drivers are given, and what stays of a phase that was interrupted."""

from types import SimpleNamespace
from typing import Any

import pytest
from keeper_story import Tune, made_tune  # noqa: F401
from ray.tune.execution.class_cache import _ActorClassCache

from search import launch
from search.launch import keep_keys_here, tune_phase


class Driver:
    pass


def test_drivers_get_no_key_of_aws_since_ray_logs_what_it_hands_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("RAY_TRAIN_HEALTH_CHECK_INTERVAL_S", "0.5")
    keep_keys_here()
    handed = _ActorClassCache().get(Driver)._default_options["runtime_env"]["env_vars"]
    assert handed["RAY_TRAIN_HEALTH_CHECK_INTERVAL_S"] == "0.5"
    assert "secret" not in handed.values()


def test_an_interrupted_phase_leaves_on_record_what_its_trials_have_cost(
    tune: Tune, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*given: Any) -> None:
        tune.report(tune.start("a"), 1, 0.5, devices=0.5)  # ten seconds
        tune.start("b")
        raise KeyboardInterrupt

    cost = {"a": {"elapsed": 14.0, "devices": 0.5}, "b": {"elapsed": 3.0, "devices": 2.0}}
    monkeypatch.setattr(launch, "run_tune", interrupted)
    searcher: Any = None
    scheduler: Any = None
    cluster: Any = SimpleNamespace(unended=lambda: cost)

    with pytest.raises(KeyboardInterrupt):
        tune_phase(cluster, tune.keeper, searcher, scheduler)

    assert {name: tune.entry(name).seconds for name in "ab"} == {"a": 14.0, "b": 3.0}
    assert {name: tune.entry(name).device_seconds for name in "ab"} == {"a": 7.0, "b": 6.0}
    assert {tune.entry(name).state for name in "ab"} == {"running"}
