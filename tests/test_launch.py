"""What Tune's drivers are given."""

import pytest
from ray.tune.execution.class_cache import _ActorClassCache

from search.launch import keep_keys_here


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
