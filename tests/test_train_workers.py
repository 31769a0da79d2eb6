"""Training by two workers together: what must be as one worker has it."""

import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from small_muse import small_config, small_tensors, weights, without_dropout

from muse import train
from muse.checkpoint import load
from muse.config import MuseConfig
from muse.device import Worker
from muse.errors import DivergedError
from muse.evaluate import evaluate
from muse.fit import fit
from muse.optimizer import build_schedule
from muse.tensors import Tensors
from muse.train import build_model

TIMES = ("seconds", "samples_per_second")
both_tasks = pytest.mark.parametrize("task", ["mner", "msa"])

# Two workers: plain gradient steps, because Adam's would blow rounding up to whole steps.


def small_steps(config: MuseConfig, tensors: Tensors, worker: Worker) -> dict[str, Any]:
    """Train one epoch without anything random; returns its figures, weights and scores."""
    run = train.start_run(config, tensors, worker)
    without_dropout(run.model)
    run.optimizer = torch.optim.SGD(run.model.parameters(), lr=0.1)
    run.step.optimizer = run.optimizer
    run.schedule = build_schedule(run.optimizer, config.train, steps=10)
    figures = train.train_one_epoch(run, 1)
    scores = evaluate(run.model, tensors.splits["valid"], config, worker)
    return {"figures": figures, "weights": weights(run.model), "scores": scores}


def frozen(task: str) -> MuseConfig:
    """No noise, and batch statistics that do not depend on who has which tweets.

    21 tweets: of the last batch one worker gets three, the other two.
    """
    return small_config(
        task,
        data={"limit": 21},
        image={"frozen_stages": 1},
        loss={"noise_std": 0.0},
    )


def one_of_two(rank: int, folder: Path) -> None:
    """What each of two processes does; a file says what it got."""
    torch.set_num_threads(1)
    warnings.simplefilter("error", FutureWarning)
    dist.init_process_group("gloo", f"file://{folder}/meeting", rank=rank, world_size=2)
    worker, got = Worker(rank=rank, world=2), {}
    for task in ("mner", "msa"):
        config = frozen(task)
        got[task] = small_steps(config, small_tensors(config, folder / "cache"), worker)
    config = small_config("msa", train={"epochs": 3})
    tensors = small_tensors(config, folder / "cache")
    refusals = lambda figures: figures["epoch"] < 2  # noqa: E731
    got["refused"] = fit(config, tensors, refusals, folder / "run", worker)
    fit(config, tensors, refusals, folder / "again", worker)
    told: list[float] = []
    go_on = lambda figures: told.append(figures["epoch"]) or True  # noqa: E731
    got["again"] = (fit(config, tensors, go_on, folder / "again", worker)["epoch"], told)
    wild = small_config("msa", train={"learning_rate": 1e30})
    try:
        fit(wild, tensors, lambda _: True, folder / "wild", worker)
    except DivergedError as error:
        got["diverged"] = str(error)
    torch.save(got, folder / f"{rank}.pt")
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def two_workers(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, Any]]]:
    """Where two processes trained together, and what each of them got."""
    folder = tmp_path_factory.mktemp("two")
    torch.multiprocessing.spawn(one_of_two, (folder,), nprocs=2)
    return folder, [torch.load(folder / f"{rank}.pt") for rank in range(2)]


@pytest.mark.slow
@both_tasks
def test_two_workers_train_as_one_does(two_workers: Any, task: str) -> None:
    folder, results = two_workers
    config = frozen(task)
    alone = small_steps(config, small_tensors(config, folder / "cache"), Worker())

    start = weights(build_model(config, small_tensors(config, folder / "cache")))
    for result in (result[task] for result in results):
        assert result["figures"] == pytest.approx(alone["figures"], rel=1e-5, abs=1e-5)
        assert result["scores"] == pytest.approx(alone["scores"], rel=1e-5, abs=1e-5)
        for name, value in alone["weights"].items():
            torch.testing.assert_close(result["weights"][name], value, atol=1e-5, rtol=1e-5)
    moved = [(alone["weights"][name] - value).abs().max().item() for name, value in start.items()]
    assert max(moved) > 1e-2


@pytest.mark.slow
def test_two_workers_both_stop_when_the_first_is_refused(two_workers: Any) -> None:
    _, results = two_workers

    assert [result["refused"]["epoch"] for result in results] == [2, 2]


@pytest.mark.slow
def test_two_workers_go_on_together_and_the_first_tells_all_epochs(two_workers: Any) -> None:
    _, results = two_workers

    assert [result["again"] for result in results] == [(3, [1, 2, 3]), (3, [])]


@pytest.mark.slow
def test_the_kept_model_of_two_workers_scores_what_was_reported(two_workers: Any) -> None:
    folder, (first, second) = two_workers
    config = small_config("msa")
    valid = small_tensors(config, folder / "cache").splits["valid"]

    scores = evaluate(load(folder / "run" / "best")[0], valid, config, Worker())

    best = first["refused"]
    assert best["best_epoch"] == 2
    assert scores["loss"] == pytest.approx(best["valid_loss"], rel=1e-5)
    assert {name: value for name, value in second["refused"].items() if name not in TIMES} == {
        name: value for name, value in best.items() if name not in TIMES
    }


@pytest.mark.slow
def test_two_workers_diverge_together(two_workers: Any) -> None:
    _, (first, second) = two_workers

    assert first["diverged"] == second["diverged"]
    assert "not finite in epoch 1" in first["diverged"]
