"""What a worker does with a task, with a desk that answers at once."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from small_muse import small_config, small_tensors

from muse.config import MuseConfig
from muse.device import Worker
from muse.fingerprint import fingerprint
from muse.tensors import Tensors
from muse.train import Run, start_run
from search import worker
from search.fault import Fault
from search.task import Task


class Desk:
    """Notes what a worker says, as an actor's handle does."""

    def __init__(self) -> None:
        self.said: list[tuple[Any, ...]] = []

    def __getattr__(self, name: str) -> Any:
        def remote(*given: Any) -> bool:
            self.said.append((name, *given))
            return True

        return SimpleNamespace(remote=remote)

    def heard(self, name: str) -> list[tuple[Any, ...]]:
        return [given for said, *given in self.said if said == name]


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Desk:
    monkeypatch.setattr(worker.ray, "get", lambda answer: answer)
    monkeypatch.setattr(worker, "prepared", lambda config: small_tensors(config, tmp_path / "c"))
    return Desk()


def task(folder: Path, **more: Any) -> Task:
    config = small_config(cross={"layers": 4, "mu": 1, "eta": 3}, train={"epochs": 1})
    asked = config.model_dump(mode="json")
    return Task("a", asked, str(folder / "a"), fingerprint=fingerprint(asked), **more)


def test_a_trial_tells_once_where_it_runs_and_what_was_built(desk: Desk, tmp_path: Path) -> None:
    asked = task(tmp_path)
    worker.do(desk, asked, Worker())
    ((trial_id, about),) = desk.heard("began")
    assert trial_id == "a"
    assert about.keys() == {"node", "fingerprint"}
    assert about["fingerprint"] == asked.fingerprint
    assert [said for said, *_ in desk.said] == ["began", "report", "finish"]


def test_a_wrong_builder_fails_the_trial_before_its_first_epoch(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(config: MuseConfig, tensors: Tensors, place: Worker) -> Run:
        other = config.model_copy(
            update={"cross": config.cross.model_copy(update={"mu": 2})}  # loses one layer
        )
        return start_run(other, tensors, place)

    monkeypatch.setattr(worker, "start_run", wrong)

    worker.do(desk, task(tmp_path), Worker())

    reason = "MisappliedError: cross.mu was asked to be 1, but 2 was built"
    assert desk.said == [("fail", "a", Fault("error", reason))]


@pytest.mark.parametrize("export", [True, False])
def test_a_best_model_is_written_only_where_it_is_wanted(
    desk: Desk, tmp_path: Path, export: bool
) -> None:
    worker.do(desk, task(tmp_path, export=export), Worker())
    assert desk.heard("finish")
    assert (tmp_path / "a" / "best").exists() == export


def stale(desk: Desk, task: Task, place: Worker) -> dict[str, float]:
    """Work that finds the storage away."""
    raise OSError(116, "Stale file handle")


def test_storage_that_was_away_is_waited_for_before_the_desk_hears_of_it(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        worker, "wait_for_storage", lambda folder: desk.said.append(("wait", folder))
    )
    worker.do(desk, task(tmp_path, work="test_worker:stale"), Worker())
    assert [said for said, *_ in desk.said] == ["wait", "fail"]
    ((_, fault),) = desk.heard("fail")
    assert (fault.kind, fault.again) == ("disk", True)


def test_one_of_several_workers_tells_its_fault_and_leaves_the_group(
    desk: Desk, tmp_path: Path
) -> None:
    with pytest.raises(OSError, match="Stale"):
        worker.do(desk, task(tmp_path, work="test_worker:stale"), Worker(rank=1, world=2))
    assert desk.heard("fail")


def test_what_a_kill_left_half_written_is_cleared_away(desk: Desk, tmp_path: Path) -> None:
    folder = tmp_path / "a"
    (folder / ".best-0123").mkdir(parents=True)
    (folder / ".best-0123" / "model.safetensors").write_bytes(b"half")
    (folder / ".last.pt-0123").write_bytes(b"half")
    worker.do(desk, task(tmp_path), Worker())
    assert [path.name for path in folder.iterdir()] == ["best"]


def test_a_compared_run_scores_its_best_model_on_test_with_its_last_report(
    desk: Desk, tmp_path: Path
) -> None:
    asked = task(tmp_path, test=True)
    config = MuseConfig.model_validate(
        {**asked.config, "train": {**asked.config["train"], "epochs": 2}}
    )
    data = config.model_dump(mode="json")
    asked = replace(asked, config=data, fingerprint=fingerprint(data))

    worker.do(desk, asked, Worker())

    (_, first), (_, last) = desk.heard("report")
    assert not [name for name in first if name.startswith("test_")]
    expected = worker.score(desk, asked, Worker())
    assert {f"test_{name}": value for name, value in expected.items()}.items() <= last.items()


def test_a_report_after_which_it_may_be_stopped_waits_for_its_checkpoint(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    happened: list[str] = []
    monkeypatch.setattr(worker.Writer, "flush", lambda _: happened.append("written"))
    monkeypatch.setattr(desk, "said", Happenings(happened))
    asked = task(tmp_path, rungs=(2,))
    data = {**asked.config, "train": {**asked.config["train"], "epochs": 3}}
    worker.do(desk, replace(asked, config=data, fingerprint=fingerprint(data)), Worker())
    assert happened == ["began", "report", *["written", "report"] * 2, "written", "finish"]


class Happenings:
    """What was said, without what it was about."""

    def __init__(self, happened: list[str]) -> None:
        self.happened = happened

    def append(self, said: tuple[Any, ...]) -> None:
        self.happened.append(said[0])


def test_a_corpus_without_a_test_split_gives_no_test_figures(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "prepared", lambda _: SimpleNamespace(splits={"valid": 1}))
    assert worker.test_figures(tmp_path, small_config(), Worker().device) == {}


def test_memory_is_told_without_a_gpu_too() -> None:
    told = worker.memory(torch.device("cpu"))
    assert told.keys() == {"memory_gb"}
    assert 0.05 < told["memory_gb"] < 100
