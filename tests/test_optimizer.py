"""Which weight gets which rate and decay, and the schedule by hand."""

import pytest
import torch
from small_muse import small_config, small_muse
from torch import nn
from torch.optim import AdamW

from muse.config import TrainConfig
from muse.optimizer import build_optimizer, build_schedule, learn, restore_optimizer


def groups_by_name(model: nn.Module, config: TrainConfig) -> dict[str, tuple[float, float]]:
    """Rate and decay of every parameter that the optimiser knows."""
    optimizer = build_optimizer(model, config)
    names = {parameter: name for name, parameter in model.named_parameters()}
    return {
        names[parameter]: (group["lr"], group["weight_decay"])
        for group in optimizer.param_groups
        for parameter in group["params"]
    }


def test_crf_and_the_layer_before_it_have_a_rate_of_their_own() -> None:
    config = TrainConfig(learning_rate=1e-5, crf_learning_rate=1e-2)

    rates = {
        name: rate for name, (rate, _) in groups_by_name(small_muse(small_config()), config).items()
    }

    assert {name for name, rate in rates.items() if rate == 1e-2} == {
        "head.linear.weight",
        "head.linear.bias",
        "head.crf.start_transitions",
        "head.crf.end_transitions",
        "head.crf.transitions",
    }
    assert set(rates.values()) == {1e-5, 1e-2}


def test_without_a_crf_there_is_one_rate() -> None:
    config = TrainConfig(learning_rate=1e-5, crf_learning_rate=1e-2)

    groups = groups_by_name(small_muse(small_config("msa")), config)

    assert {rate for rate, _ in groups.values()} == {1e-5}


def test_biases_and_normalisation_do_not_decay() -> None:
    model = small_muse(small_config())

    decay = {name: value for name, (_, value) in groups_by_name(model, TrainConfig()).items()}

    norms = {
        f"{place}.{name}"
        for place, module in model.named_modules()
        if isinstance(module, nn.LayerNorm | nn.BatchNorm2d)
        for name, _ in module.named_parameters()
    }
    biases = {name for name in decay if name.endswith("bias")}
    assert norms
    assert {decay[name] for name in norms | biases} == {0}
    assert decay["fusion.linear.weight"] == decay["head.crf.transitions"] == 0.01
    assert {value for name, value in decay.items() if name.endswith("_cls")} == {0}


def test_every_trained_weight_is_in_exactly_one_group_and_no_frozen_one() -> None:
    model = small_muse(small_config(image={"stages": 2, "frozen_stages": 1}))

    optimizer = build_optimizer(model, TrainConfig(crf_learning_rate=1e-2))

    known = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    assert len(known) == len(set(known))
    assert set(known) == set(trained)
    assert len(trained) < len(list(model.parameters()))


@pytest.mark.parametrize("first", [3.0, -0.2, 1e-7])
def test_a_weight_moves_as_adamw_was_published(first: float) -> None:
    layer = nn.Linear(2, 2, bias=False)
    nn.init.constant_(layer.weight, 1.0)
    optimizer = build_optimizer(layer, TrainConfig(learning_rate=0.1, weight_decay=0.5))
    weight, mean, square = 1.0, 0.0, 0.0

    for step, gradient in enumerate((first, 0.0, 0.5 * first), start=1):
        layer.weight.grad = torch.full((2, 2), gradient)
        optimizer.step()
        mean, square = 0.9 * mean + 0.1 * gradient, 0.999 * square + 0.001 * gradient**2
        root = (square / (1 - 0.999**step)) ** 0.5
        weight -= 0.1 * (mean / (1 - 0.9**step) / (root + 1e-8) + 0.5 * weight)

    assert layer.weight.tolist() == [[pytest.approx(weight, abs=1e-6)] * 2] * 2


def rates(config: TrainConfig, steps: int) -> list[float]:
    """Learning rate of each step, and what would follow."""
    optimizer = AdamW([nn.Parameter(torch.zeros(1))], lr=config.learning_rate)
    schedule = build_schedule(optimizer, config, steps)
    seen = []
    for _ in range(steps + 1):
        seen.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return seen


def test_the_rate_rises_over_the_warm_up_and_falls_to_zero() -> None:
    seen = rates(TrainConfig(learning_rate=1.0, warmup=0.4), steps=10)

    rise, fall = [1 / 4, 2 / 4, 3 / 4, 4 / 4], [6 / 6, 5 / 6, 4 / 6, 3 / 6, 2 / 6, 1 / 6, 0]
    assert seen == pytest.approx(rise + fall)


def test_without_warm_up_the_first_step_has_the_full_rate() -> None:
    seen = rates(TrainConfig(learning_rate=1.0, warmup=0), steps=4)

    assert seen[0] == 1
    assert seen[-1] == 0
    assert seen == sorted(seen, reverse=True)


def test_a_warm_up_over_all_steps_never_falls_before_the_end() -> None:
    seen = rates(TrainConfig(learning_rate=1.0, warmup=1), steps=4)

    assert seen == pytest.approx([1 / 4, 2 / 4, 3 / 4, 1, 0])


def test_a_warm_up_is_rounded_to_whole_steps() -> None:
    seen = rates(TrainConfig(learning_rate=1.0, warmup=0.35), steps=5)

    assert seen == pytest.approx([1 / 2, 1, 1, 2 / 3, 1 / 3, 0])


@pytest.mark.parametrize(("clip", "longest"), [(1.0, 1.0), (99.0, 5.0)])
def test_gradients_are_clipped_and_then_gone_and_their_own_norm_is_told(
    clip: float, longest: float
) -> None:
    model = nn.Linear(2, 1, bias=False)
    optimizer = AdamW(model.parameters())
    seen: list[float] = []
    optimizer.register_step_pre_hook(lambda *_: seen.append(model.weight.grad.norm().item()))
    model.weight.grad = torch.tensor([[3.0, 4.0]])

    norm = learn(model, optimizer, clip)

    assert norm.item() == pytest.approx(5)
    assert seen == [pytest.approx(longest, abs=1e-4)]
    assert model.weight.grad is None


def test_after_its_last_step_a_run_stands_still() -> None:
    optimizer = AdamW([nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule = build_schedule(optimizer, TrainConfig(), steps=2)

    for _ in range(5):
        optimizer.step()
        schedule.step()

    assert optimizer.param_groups[0]["lr"] == 0


def test_a_run_of_one_step_trains_at_the_full_rate() -> None:
    assert rates(TrainConfig(learning_rate=1.0), steps=1) == [1, 0]


def test_every_group_keeps_its_share_of_the_rate() -> None:
    config = TrainConfig(learning_rate=1e-5, crf_learning_rate=1e-2, warmup=0.5)
    optimizer = build_optimizer(small_muse(small_config()), config)

    build_schedule(optimizer, config, steps=8)  # the first of four steps of warm-up

    assert {group["lr"] for group in optimizer.param_groups} == {1e-5 / 4, 1e-2 / 4}


def test_a_state_of_another_device_leaves_what_recorded_steps_need() -> None:
    """As on a GPU, where rates are tensors that a recording reads; the state is a CPU's."""
    model = small_muse(small_config())
    there = build_optimizer(model, TrainConfig(learning_rate=3e-4))
    there.param_groups[0]["lr"] = 1e-4
    here = build_optimizer(model, TrainConfig(learning_rate=3e-4))
    rates = [torch.tensor(group["lr"]) for group in here.param_groups]
    for group, rate in zip(here.param_groups, rates, strict=True):
        group.update(lr=rate, capturable=True)
    restore_optimizer(here, there.state_dict())
    assert all(g["lr"] is rate for g, rate in zip(here.param_groups, rates, strict=True))
    assert here.param_groups[0]["lr"].item() == pytest.approx(1e-4)
    assert all(group["capturable"] for group in here.param_groups)
    restore_optimizer(there, here.state_dict())  # and back again
    assert [type(group["lr"]) for group in there.param_groups] == [float] * len(rates)
    assert not any(group["capturable"] for group in there.param_groups)
