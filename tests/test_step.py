"""Steps that are recorded and replayed are the steps that would have been taken."""

from pathlib import Path

import pytest
import torch
from small_muse import small_config, small_tensors, without_dropout
from torch import Tensor

from muse.applied import fingerprint, verify
from muse.device import Worker
from muse.step import RecordedStep
from muse.tensors import Tensors
from muse.train import Run, build_model, epoch_order, start_run, train_step

on_a_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")


def trained(tensors: Tensors, task: str, **train: object) -> tuple[Run, Tensor]:
    """A run of four epochs on the GPU without anything drawn, and the figures of each step."""
    settings = {"epochs": 4, "precision": "float32", **train}
    config = small_config(task, train=settings, loss={"noise_std": 0.0})
    run = start_run(config, tensors, Worker(torch.device("cuda")))
    without_dropout(run.model)  # padding would change what is drawn
    order = [
        indices
        for epoch in range(4)
        for indices in epoch_order(tensors.splits["train"], config, epoch, 1)
    ]
    return run, torch.stack([train_step(run, indices) for indices in order])


@on_a_gpu
@pytest.mark.parametrize("task", ["mner", "msa"])
def test_recorded_steps_give_the_figures_of_usual_ones(tmp_path: Path, task: str) -> None:
    tensors = small_tensors(small_config(task), tmp_path)

    recorded, figures = trained(tensors, task)
    _, expected = trained(tensors, task, record_steps=False)

    assert isinstance(recorded.step, RecordedStep)
    assert recorded.step.recordings
    assert recorded.model.side_by_side
    torch.testing.assert_close(figures, expected, rtol=1e-3, atol=1e-4)


@on_a_gpu
def test_recorded_steps_draw_anew_each_time(tmp_path: Path) -> None:
    config = small_config(train={"learning_rate": 1e-12, "crf_learning_rate": 1e-12})
    tensors = small_tensors(config, tmp_path)
    run = start_run(config, tensors, Worker(torch.device("cuda")))
    (indices, *_) = epoch_order(tensors.splits["train"], config, 1, 1)

    losses = [train_step(run, indices)[0].item() for _ in range(6)]

    assert len(set(losses)) == 6


@on_a_gpu
def test_what_is_built_on_a_gpu_is_what_was_asked(tmp_path: Path) -> None:
    config = small_config()
    run = start_run(config, small_tensors(config, tmp_path), Worker(torch.device("cuda")))
    asked = config.model_dump(mode="json")

    assert verify(run, asked, fingerprint(asked)) == fingerprint(asked)


@pytest.mark.parametrize("task", ["mner", "msa"])
def test_padding_to_a_multiple_changes_no_loss(tmp_path: Path, task: str) -> None:
    config = small_config(task, loss={"noise_std": 0.0})
    tensors = small_tensors(config, tmp_path)
    model = build_model(config, tensors).eval()
    split = tensors.splits["train"]
    rows = split.lengths.argsort()[:4]  # the shortest: there is room

    bare, padded = split.batch(rows), split.batch(rows, multiple=8)

    assert padded.token_ids.shape[1] > bare.token_ids.shape[1]
    for field in ("total", "task", "caption", "image"):
        torch.testing.assert_close(getattr(model(padded), field), getattr(model(bare), field))
