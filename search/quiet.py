"""Ray's own screens, logs, signal handlers and checkpoints: ours replace them."""

import os

SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_ENABLE_AUTO_CONNECT": "0",  # a call after the end must not start Ray once more
    # Our idle actors are few, but more than Ray expects on two cores.
    "RAY_DEDUP_LOGS_SKIP_REGEX": "worker processes have been started on node",
    # Ray would let any other program of the machine go before a search that somebody waits for.
    "RAY_worker_niceness": "0",
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.5",
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",  # a process a pool; a lost node is no news to us
    "RAY_TRAIN_METRICS_ENABLED": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "3600",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
}


def be_quiet() -> None:
    """Tell Ray so, unless the user's environment says otherwise. Before `ray` is imported."""
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
