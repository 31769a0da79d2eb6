"""Records for TensorBoard's HParams page, which torch's helper cannot make whole.

Built from the plugin's own messages, so that domains are declared and the runs of one configuration
with several seeds form one group.
"""

import hashlib
import json
import time
from typing import Any

from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.hparams import api_pb2, metadata, plugin_data_pb2

from search.entry import Entry
from search.space import Knob, Point, Range, Space, Value, Whole, short
from search.terms import metric_name, title

SCORE = "best"
"""Tag of the score that the page shows: each trial has a curve of it."""

MANY = 24
"""Whole numbers up to which each gets a box to tick; more are an interval."""


def record(tag: str, **content: Any) -> Summary:
    """A summary with nothing but a message to the plugin."""
    data = plugin_data_pb2.HParamsPluginData(**content)
    value = Summary.Value(
        tag=tag, metadata=metadata.create_summary_metadata(data), tensor=metadata.NULL_TENSOR
    )
    return Summary(value=[value])


def experiment(space: Space, metric: str) -> Summary:
    """What is searched, over which domains, and what is measured."""
    score = api_pb2.MetricInfo(
        name=api_pb2.MetricName(tag=SCORE), display_name=f"best {metric_name(metric)}"
    )
    told = api_pb2.Experiment(
        hparam_infos=[declared(name, knob) for name, knob in space.items()],
        metric_infos=[score],
        time_created_secs=time.time(),
    )
    return record(metadata.EXPERIMENT_TAG, experiment=told)


def declared(name: str, knob: Knob) -> Any:
    """One setting: an interval for a range, a list for whole numbers and choices."""
    info = api_pb2.HParamInfo(name=short(name), display_name=title(name))
    info.type = api_pb2.DATA_TYPE_FLOAT64
    if isinstance(knob, Range) or (isinstance(knob, Whole) and knob.high - knob.low >= MANY):
        info.domain_interval.min_value = knob.low
        info.domain_interval.max_value = knob.high
        return info
    values = range(knob.low, knob.high + 1) if isinstance(knob, Whole) else knob.choices
    if any(isinstance(value, str) for value in values):
        info.type = api_pb2.DATA_TYPE_STRING
    info.domain_discrete.extend(values)
    return info


def group(point: Point) -> str:
    """The name that all runs of one configuration share."""
    text = json.dumps({name: plain(value) for name, value in point.items()}, sort_keys=True)
    return f"config-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def plain(value: Value) -> Value:
    """A value that is equal however it is written: 1 and 1.0 are one."""
    return value if isinstance(value, str) else float(value)


def session(entry: Entry) -> list[Summary]:
    """One run: its settings, its group, how it ended."""
    now = time.time()
    start = plugin_data_pb2.SessionStartInfo(
        group_name=group(entry.point), start_time_secs=now - entry.seconds
    )
    for name, value in entry.point.items():
        kind = "string_value" if isinstance(value, str) else "number_value"
        setattr(start.hparams[short(name)], kind, value)
    failed = entry.state == "failed"
    status = api_pb2.STATUS_FAILURE if failed else api_pb2.STATUS_SUCCESS
    end = plugin_data_pb2.SessionEndInfo(status=status, end_time_secs=now)
    return [
        record(metadata.SESSION_START_INFO_TAG, session_start_info=start),
        record(metadata.SESSION_END_INFO_TAG, session_end_info=end),
    ]
