"""AdamW with two learning rates, and their linear rise and fall."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR

from muse.config import TrainConfig
from muse.heads import EntityHead


def crf_parameters(model: nn.Module) -> set[nn.Parameter]:
    """The CRF and the layer before it, which the authors train at a rate of their own."""
    heads = [module for module in model.modules() if isinstance(module, EntityHead)]
    return {parameter for head in heads for parameter in head.parameters()}


def build_optimizer(model: nn.Module, config: TrainConfig) -> AdamW:
    """AdamW over what is trained; vectors (biases, normalisation, cls) do not decay.

    On a GPU the learning rates are tensors there: a recorded step reads them anew.
    """
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    crf = crf_parameters(model)
    for parameter in model.parameters():
        if parameter.requires_grad:
            rate = config.crf_learning_rate if parameter in crf else config.learning_rate
            decay = config.weight_decay if parameter.squeeze().ndim > 1 else 0.0
            groups.setdefault((rate, decay), []).append(parameter)
    device = next(model.parameters()).device
    on_gpu = device.type == "cuda"
    settings = [
        {
            "params": group,
            "lr": torch.tensor(rate, device=device) if on_gpu else rate,
            "initial_lr": rate,  # the schedule starts from it, and it is exact
            "weight_decay": decay,
        }
        for (rate, decay), group in groups.items()
    ]
    return AdamW(settings, fused=True, capturable=on_gpu)


def restore_optimizer(optimizer: AdamW, state: dict[str, Any]) -> None:
    """Take up a state; what a recorded step needs, or a CPU, stays as the optimiser was built."""
    built = [(group["lr"], group["capturable"]) for group in optimizer.param_groups]
    optimizer.load_state_dict(state)
    for group, (rate, capturable) in zip(optimizer.param_groups, built, strict=True):
        now = float(group["lr"])
        group["lr"] = rate.fill_(now) if isinstance(rate, Tensor) else now
        group["capturable"] = capturable


def build_schedule(optimizer: AdamW, config: TrainConfig, steps: int) -> LambdaLR:
    """Linear warm-up over a share of all `steps`, then linear to zero."""
    rise = max(1, round(config.warmup * steps))
    fall = max(1, steps - rise)

    def factor(step: int) -> float:
        return min((step + 1) / rise, max(0.0, (steps - step) / fall))

    return LambdaLR(optimizer, factor)


def learn(model: nn.Module, optimizer: AdamW, clip: float) -> Tensor:
    """Move the weights along their gradients, which are clipped and then gone.

    Returns:
        The gradients' norm before the clipping.
    """
    norm = clip_grad_norm_(model.parameters(), clip)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return norm
