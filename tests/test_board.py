"""Read back with TensorBoard itself."""

from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import plugin_data_pb2

from search.board import Board
from search.ledger import Entry

POINT = {"cross.theta": 0.25, "cross.mu": 1, "train.precision": "auto"}
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


def hparams_of(run: EventAccumulator) -> dict[str, Any]:
    """Settings as the HParams page reads them."""
    metadata = run.SummaryMetadata("_hparams_/session_start_info")
    data = plugin_data_pb2.HParamsPluginData.FromString(metadata.plugin_data.content)
    found = {}
    for name, value in data.session_start_info.hparams.items():
        found[name] = getattr(value, value.WhichOneof("kind"))
    return found


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
        "phase": "search",
        "seed": 3,
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


def test_a_curve_is_a_picture_and_its_means(board: Board, tmp_path: Path) -> None:
    figure = Figure()
    figure.add_subplot().plot([0, 1], [0, 1])
    board.curve("theta", figure, [0.1, 0.3, 0.2])
    board.close()
    run = read(tmp_path / "sensitivity")
    assert run.Tags()["images"] == ["curves/theta"]
    assert not set(run.Tags()["images"]) & set(run.Tags()["scalars"])  # else neither is shown
    assert points(run, "sensitivity/theta") == [
        (0, pytest.approx(0.1)),
        (1, pytest.approx(0.3)),
        (2, pytest.approx(0.2)),
    ]


def test_a_resumed_trial_goes_on_in_its_run(tmp_path: Path) -> None:
    for epoch in (1, 2):
        board = Board(tmp_path)
        board.report("a", {**FIGURES, "epoch": epoch})
        board.close()
    assert sorted(step for step, _ in points(read(tmp_path / "a"), "valid/f1")) == [1, 2]
