"""Steps that are recorded and replayed are the steps that would have been taken."""

from pathlib import Path

import pytest
import torch
from small_muse import small_batch, small_config, small_muse, small_tensors, without_dropout
from torch import Tensor
from torch.nn.utils import get_total_norm

from muse.applied import verify
from muse.device import Worker
from muse.fingerprint import fingerprint
from muse.model import Muse
from muse.optimizer import build_optimizer
from muse.shares import epoch_order
from muse.step import RecordedStep, Step
from muse.tensors import Tensors
from muse.train import Run, build_model, start_run, train_step

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


def still(*, bf16: bool = False, clip: float = 1e6) -> tuple[Muse, Step]:
    """A model in training with nothing drawn, and its step."""
    config = small_config(loss={"noise_std": 0.0, "alpha": 0.3, "beta": 0.7})
    model = small_muse(config)
    without_dropout(model)
    return model, Step(model, build_optimizer(model, config.train), clip, bf16=bf16)


def gradients(model: Muse) -> list[Tensor]:
    return [weight.grad for weight in model.parameters() if weight.grad is not None]


def test_a_share_of_the_losses_has_that_share_of_the_gradients() -> None:
    (whole, step), (part, step_of_part) = still(), still()

    step.backward(small_batch())
    step_of_part.backward(small_batch(), share=0.25)

    expected = [0.25 * gradient for gradient in gradients(whole)]
    torch.testing.assert_close(gradients(part), expected)


def test_a_step_tells_its_share_of_each_loss_and_the_norm_of_its_gradient() -> None:
    model, step = still()
    losses = model(small_batch())
    losses.total.backward()
    parts = [losses.total.detach(), losses.task, losses.caption, losses.image]
    whole = torch.stack([*parts, get_total_norm(gradients(model))])
    model.zero_grad()

    figures = step(small_batch(), share=0.25)

    assert not figures.requires_grad
    torch.testing.assert_close(figures, 0.25 * whole)


def test_a_step_clips_where_it_was_told_to() -> None:
    model, step = still(clip=0.125)
    seen: list[float] = []
    step.optimizer.register_step_pre_hook(
        lambda *_: seen.append(get_total_norm(gradients(model)).item())
    )

    assert step(small_batch())[4] > 1
    assert seen == [pytest.approx(0.125, rel=1e-4)]


def test_only_a_step_in_bf16_rounds_and_its_figures_are_float32() -> None:
    steps = still()[1], still()[1], still(bf16=True)[1]

    exact, again, rounded = (step(small_batch()) for step in steps)

    assert torch.equal(exact, again)
    assert rounded.dtype == torch.float32
    assert not torch.equal(exact, rounded)
    torch.testing.assert_close(exact[:4], rounded[:4], rtol=0.05, atol=0.05)


def test_without_a_gpu_parts_that_could_run_side_by_side_take_turns() -> None:
    one, other = still()[0], still()[0]
    other.side_by_side = True

    assert torch.equal(one(small_batch()).total, other(small_batch()).total)
