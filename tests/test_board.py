"""Read back with TensorBoard itself."""

import json
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
from sample_findings import ALARM, curve_of, findings, one_seed
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import api_pb2, plugin_data_pb2

from search.board import Board
from search.curve_board import show_findings
from search.entry import Entry
from search.space import Choice, Range, Space, Whole, short

POINT = {"cross.theta": 0.25, "cross.mu": 1, "train.precision": "auto"}
SPACE: Space = {
    "cross.theta": Range(low=0, high=0.5),
    "cross.mu": Whole(low=0, high=3),
    "train.precision": Choice(choices=["auto", "bf16"]),
    "text.layers": Whole(low=0, high=99),
}
FIGURES = {
    "epoch": 1,
    "train_loss": 2.0,
    "valid_f1": 0.5,
    "value": 0.5,
    "best": 0.5,
    "best_epoch": 1,
    "attempts": 0,
    "elapsed": 3.0,
}


def entry(trial_id: str, value: float | None = 0.5) -> Entry:
    reports = () if value is None else ({"epoch": 2, "value": value},)
    state: Any = "failed" if value is None else "completed"
    return Entry(trial_id, "search", state, 3, POINT, 1.0, 1.0, "", reports)


@pytest.fixture
def board(tmp_path: Path) -> Any:
    made = Board(tmp_path)
    yield made
    made.close()


def read(folder: Path) -> EventAccumulator:
    """All events of one run."""
    found = EventAccumulator(str(folder))
    found.Reload()
    return found


def points(run: EventAccumulator, tag: str) -> list[tuple[int, float]]:
    return [(event.step, event.value) for event in run.Scalars(tag)]


def plugin_data(run: EventAccumulator, record: str) -> Any:
    """What a record tells the HParams page."""
    metadata = run.SummaryMetadata(f"_hparams_/{record}")
    return plugin_data_pb2.HParamsPluginData.FromString(metadata.plugin_data.content)


def start_of(run: EventAccumulator) -> Any:
    return plugin_data(run, "session_start_info").session_start_info


def hparams_of(run: EventAccumulator) -> dict[str, Any]:
    """Settings as the HParams page reads them."""
    settings = start_of(run).hparams
    return {name: getattr(value, value.WhichOneof("kind")) for name, value in settings.items()}


def words(run: EventAccumulator, tag: str) -> str:
    """A text on the board."""
    (event,) = run.Tensors(f"{tag}/text_summary")
    return str(event.tensor_proto.string_val[0].decode())


def test_each_epoch_is_a_point_under_its_group(board: Board, tmp_path: Path) -> None:
    board.report("a", FIGURES)
    board.report("a", {**FIGURES, "epoch": 2, "train_loss": 1.0})
    board.close()
    run = read(tmp_path / "a")
    assert points(run, "train/loss") == [(1, 2.0), (2, 1.0)]
    assert points(run, "valid/f1") == [(1, 0.5), (2, 0.5)]


def test_clocks_and_counters_are_no_curves(board: Board, tmp_path: Path) -> None:
    board.report("a", FIGURES)
    board.close()
    assert sorted(read(tmp_path / "a").Tags()["scalars"]) == [
        "best",
        "train/loss",
        "valid/f1",
        "value",
    ]


def test_figures_stand_under_their_units(board: Board, tmp_path: Path) -> None:
    units = {
        "train_caption": "train/caption (nats per token)",
        "train_image": "train/image (bits per dimension)",
        "memory_gb": "machine/memory (GB)",
    }
    board.report("a", {"epoch": 1, **dict.fromkeys(units, 2.0)})
    board.close()
    assert set(read(tmp_path / "a").Tags()["scalars"]) == set(units.values())


def test_settings_and_score_lie_in_the_run_of_the_trial(board: Board, tmp_path: Path) -> None:
    for name in ("a", "b"):
        board.report(name, FIGURES)
        board.end(entry(name))
    board.close()
    run = read(tmp_path / "a")
    assert hparams_of(run) == {
        "theta": 0.25,
        "mu": 1,
        "train.precision": "auto",
    }
    assert points(run, "best") == [(1, 0.5)]  # what HParams shows, on the curve it has already
    assert points(run, "value") == [(1, 0.5)]


def test_no_run_appears_that_is_no_trial(board: Board, tmp_path: Path) -> None:
    for name in ("a", "b"):
        board.report(name, FIGURES)
        board.end(entry(name))
    board.close()
    folders = {file.parent.relative_to(tmp_path) for file in tmp_path.rglob("events.out.*")}
    assert folders == {Path("a"), Path("b")}


def test_a_trial_is_one_event_file(board: Board, tmp_path: Path) -> None:
    board.report("a", FIGURES)
    board.end(entry("a"))
    assert len(list((tmp_path / "a").iterdir())) == 1


def test_a_trial_that_failed_before_its_first_epoch_is_shown(board: Board, tmp_path: Path) -> None:
    board.end(entry("a", value=None))
    run = read(tmp_path / "a")
    assert hparams_of(run)["theta"] == 0.25
    ((step, value),) = points(run, "best")
    assert step == 0
    assert value != value  # noqa: PLR0124 - not a number


def test_the_runs_of_a_configuration_are_one_group(board: Board, tmp_path: Path) -> None:
    for name, seed in (("a", 0), ("b", 1)):
        board.end(replace(entry(name), seed=seed))
    board.end(replace(entry("c"), point={**POINT, "cross.mu": 2}))
    groups = [start_of(read(tmp_path / name)).group_name for name in "abc"]
    assert groups[0] == groups[1] != groups[2]


@pytest.mark.parametrize(("value", "status"), [(0.5, "STATUS_SUCCESS"), (None, "STATUS_FAILURE")])
def test_a_trial_says_how_it_ended(
    board: Board, tmp_path: Path, value: float | None, status: str
) -> None:
    board.end(entry("a", value))
    end = plugin_data(read(tmp_path / "a"), "session_end_info").session_end_info
    assert api_pb2.Status.Name(end.status) == status


def test_domains_are_declared_once(board: Board, tmp_path: Path) -> None:
    board.declare(SPACE, "valid_f1")
    for name in ("a", "b"):
        board.end(entry(name))
    told = plugin_data(read(tmp_path / "a"), "experiment").experiment
    domains = {info.name: info for info in told.hparam_infos}
    assert domains["theta"].domain_interval.max_value == 0.5
    assert list(domains["mu"].domain_discrete) == [0, 1, 2, 3]
    assert list(domains["train.precision"].domain_discrete) == ["auto", "bf16"]
    assert domains["train.precision"].type == api_pb2.DATA_TYPE_STRING
    assert domains["text.layers"].domain_interval.max_value == 99  # too many for boxes
    assert [info.name.tag for info in told.metric_infos] == ["best"]
    assert "_hparams_/experiment" not in read(tmp_path / "b").summary_metadata


@pytest.fixture(scope="module")
def curves(tmp_path_factory: pytest.TempPathFactory) -> EventAccumulator:
    """The run of the curves, written twice."""
    folder = tmp_path_factory.mktemp("board")
    small = findings(curves=(curve_of("cross.eta", alarm=ALARM), curve_of("loss.alpha", "flat")))
    board = Board(folder)
    for _ in range(2):
        show_findings(board, small, {"revision": "0a1b2c3"})
    board.close()
    return read(folder / "sensitivity")


def test_a_curve_is_its_means_and_the_intervals_of_their_differences(
    curves: EventAccumulator,
) -> None:
    eta, alpha = curve_of("cross.eta"), curve_of("loss.alpha", "flat")
    steps = [level.value for level in eta.levels], range(len(alpha.levels))  # whole: a step itself
    for curve, places in zip((eta, alpha), steps, strict=True):
        own = next(level.mean or 0.0 for level in curve.levels if level.value == curve.incumbent)
        for tag, field in {"low": "difference_low", "high": "difference_high"}.items():
            ends = [own + (getattr(level, field) or 0.0) for level in curve.levels]
            expected = [(at, pytest.approx(end)) for at, end in zip(places, ends, strict=True)]
            assert points(curves, f"{short(curve.name)}/{tag}") == expected
        means = [pytest.approx(level.mean) for level in curve.levels]
        expected = list(zip(places, means, strict=True))
        assert points(curves, f"{short(curve.name)}/mean") == expected


def test_pictures_and_curves_share_no_tag(curves: EventAccumulator) -> None:
    images = curves.Tags()["images"]
    assert set(images) == {
        "curves/eta",
        "curves/alpha",
        "curves/overview",
        "curves/ranking",
        "interactions/mu-eta",
    }
    assert not set(images) & set(curves.Tags()["scalars"])  # else neither is shown


def test_the_verdict_the_alarm_and_the_steps_stand_in_words(curves: EventAccumulator) -> None:
    told = words(curves, "verdict/eta")
    assert told.startswith("**η (eta): sensitive**")
    assert ALARM in told
    assert "| step | value |" in told
    assert "band is the 95 % interval of the difference" in told
    assert "excludes differences above" in words(curves, "verdict/alpha")
    assert "| revision | 0a1b2c3 |" in words(curves, "findings")


def test_curves_take_the_place_of_earlier_ones(curves: EventAccumulator) -> None:
    assert len(curves.Images("curves/eta")) == 1
    assert len(list(Path(curves.path).iterdir())) == 1


def test_with_one_seed_the_band_has_no_width(tmp_path: Path) -> None:
    board = Board(tmp_path)
    found = one_seed()
    show_findings(board, replace(found, curves=found.curves[:1]))
    board.close()
    run = read(tmp_path / "sensitivity")
    assert points(run, "beta/low") == points(run, "beta/mean") == points(run, "beta/high")


def question(address: str, body: Any) -> Request:
    return Request(address, json.dumps(body).encode(), {"Content-Type": "application/json"})


def wait_for(request: str | Request, expected: str) -> Any:
    """The server's answer, once it has read what is expected."""
    text = ""
    for _ in range(250):
        try:
            with urlopen(request, timeout=5) as answer:
                text = answer.read().decode()
        except OSError:
            text = "no answer yet"
        if expected in text:
            return json.loads(text)
        time.sleep(0.3)
    raise TimeoutError(text)


@pytest.fixture
def server(tmp_path: Path) -> Any:
    """A study's folder and the address of a real TensorBoard that reads it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = ["-m", "tensorboard.main", "--logdir", str(tmp_path), "--host", "127.0.0.1"]
    with subprocess.Popen(
        [sys.executable, *words, "--port", str(port), "--reload_interval", "1"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        yield tmp_path, f"http://127.0.0.1:{port}/data/plugin"
        process.terminate()


@pytest.mark.slow
def test_tensorboard_itself_shows_all_of_it(server: Any) -> None:
    folder, plugin = server
    board = Board(folder)
    board.declare(SPACE, "valid_f1")
    for name, seed, value in (("a", 0, 0.5), ("b", 1, 0.7), ("c", 0, None)):
        point: Any = {**POINT, "cross.mu": 2 if name == "c" else 1}
        if value is not None:
            board.report(name, {**FIGURES, "best": value})
        board.end(replace(entry(name, value), seed=seed, point=point))
    show_findings(board, findings())
    board.close()

    tags = wait_for(f"{plugin}/text/tags", "findings/text_summary")
    assert {"verdict/beta/text_summary", "findings/text_summary"} <= set(tags["sensitivity"])
    assert "curves/overview" in wait_for(f"{plugin}/images/tags", "curves/ranking")["sensitivity"]
    layout = wait_for(f"{plugin}/custom_scalars/layout", "category")
    charts = layout["category"][0]["chart"]
    assert [chart["title"] for chart in charts][-2:] == [
        "learning rate: cliff",
        "β (beta): cliff",
    ]
    series = charts[-1]["margin"]["series"]
    assert series == [{"value": "beta/mean", "lower": "beta/low", "upper": "beta/high"}]
    experiment = wait_for(question(f"{plugin}/hparams/experiment", {}), "domainInterval")
    domains = {info["name"]: info for info in experiment["hparamInfos"]}
    assert domains["theta"]["domainInterval"] == {"minValue": 0.0, "maxValue": 0.5}
    ask = {
        "colParams": [{"hparam": "mu", "order": "ORDER_ASC"}],
        "allowedStatuses": ["STATUS_SUCCESS", "STATUS_FAILURE"],
        "aggregationType": "AGGREGATION_AVG",
        "sliceSize": 10,
    }
    groups = wait_for(question(f"{plugin}/hparams/session_groups", ask), '"c"')["sessionGroups"]
    runs = [[session["name"] for session in group["sessions"]] for group in groups]
    assert runs == [["a", "b"], ["c"]]
    assert groups[0]["metricValues"][0]["value"] == pytest.approx(0.6)
    assert groups[1]["sessions"][0]["status"] == "STATUS_FAILURE"


def test_a_resumed_trial_goes_on_in_its_run(tmp_path: Path) -> None:
    for epoch in (1, 2):
        board = Board(tmp_path)
        board.report("a", {**FIGURES, "epoch": epoch})
        board.close()
    assert sorted(step for step, _ in points(read(tmp_path / "a"), "valid/f1")) == [1, 2]
