"""Where a run computes and in which precision."""

import gc
from contextlib import AbstractContextManager
from dataclasses import dataclass
from inspect import signature
from typing import Any

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from muse.config import MuseConfig

CPU = torch.device("cpu")

BF16_WORTH_WIDTH = 256
"""Below this width, bf16 on a CPU spends more on conversions than its matrices gain."""

RESIDENT_SHARE = 0.1
"""Of the free GPU memory, what the pictures of a corpus may take."""

SYNC = ("forward_sync_buffers", "broadcast_buffers")
"""What DDP calls it that buffers are made equal before each step; until torch 2.12 the second."""


@dataclass(frozen=True)
class Worker:
    """One process of a run, and its place among the others."""

    device: torch.device = CPU
    rank: int = 0
    world: int = 1


def cpu_has_bf16() -> bool:
    """Whether this CPU multiplies bf16 in hardware (AVX-512 BF16 or AMX)."""
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def wants_bf16(config: MuseConfig, device: torch.device, width: int) -> bool:
    """Resolve `train.precision` for a device and the width of the model."""
    if config.train.precision != "auto":
        return config.train.precision == "bf16"
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    return width >= BF16_WORTH_WIDTH and cpu_has_bf16()


def autocast(device: torch.device, *, bf16: bool) -> AbstractContextManager[object]:
    """Matrix work in bf16, or everything in float32."""
    return torch.autocast(device.type, torch.bfloat16, enabled=bf16)


def fits(size: int, device: torch.device) -> bool:
    """Whether so many bytes can stay on a GPU for good and leave most of it to the model."""
    if device.type != "cuda":
        return False
    free, _ = torch.cuda.mem_get_info(device)
    return size <= RESIDENT_SHARE * free


def together(model: nn.Module, worker: Worker) -> nn.Module:
    """The model as all workers train it: gradients are averaged while others are computed."""
    if worker.world == 1:
        return model
    sync = next(name for name in SYNC if name in signature(DistributedDataParallel).parameters)
    never: dict[str, Any] = {sync: False}  # batch statistics are shared once an epoch
    return DistributedDataParallel(
        model,
        device_ids=[worker.device] if worker.device.type == "cuda" else None,
        gradient_as_bucket_view=True,  # no copy between gradients and what is sent
        **never,
    )


def prefer_channels_last(convolutions: nn.Module, device: torch.device) -> None:
    """On a GPU, keep a pixel's channels side by side, as convolutions there want them."""
    if device.type == "cuda":
        convolutions.to(memory_format=torch.channels_last)


def forget(device: torch.device) -> None:
    """Give back what a run has held there, before the next one starts."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
