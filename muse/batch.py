"""The two things that pass between files: a batch of tweets and the losses on it.

Shapes: B batch, S sub-word tokens with [CLS] and [SEP], W words, H x H the picture's pixels,
h x h those of its small copy.
"""

from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor


@dataclass(frozen=True)
class Batch:
    """Tweets as tensors, every field with B rows."""

    token_ids: Tensor
    """Sub-words of the text encoder's own tokeniser, (B, S), int64."""

    is_token: Tensor
    """False on padding, (B, S), bool."""

    image: Tensor
    """The picture, (B, 3, H, H), uint8; or its features of a frozen image encoder, float16."""

    small_image: Tensor
    """The copy that text-to-image generation paints, (B, 3, h, h), uint8."""

    word_starts: Tensor
    """Position of each word's first sub-word in `token_ids`, 0 on padding, (B, W), int64.

    W is 0 for msa."""

    is_word: Tensor
    """False on padding, (B, W), bool."""

    target: Tensor
    """Tag of each word (B, W) for mner, 0 on padding; class of each tweet (B,) for msa; int64."""

    def to(self, device: torch.device) -> "Batch":
        """Copy every field that is not there yet to a device; for a GPU, without waiting."""
        moved = {f.name: moved_to(device, getattr(self, f.name)) for f in fields(self)}
        return replace(self, **moved)

    def __len__(self) -> int:
        return self.token_ids.shape[0]


def moved_to(device: torch.device, tensor: Tensor) -> Tensor:
    """Copy a tensor to a device; only what is pinned can travel while a GPU computes."""
    if device.type == "cuda" and tensor.device.type == "cpu":
        tensor = tensor.pin_memory()
    return tensor.to(device, non_blocking=True)


@dataclass(frozen=True)
class Losses:
    """L = L_task + alpha L_it + beta L_ti, the paper's objective; each a mean per sample."""

    total: Tensor
    """L, what is minimised."""

    task: Tensor
    """L_task: nats per tweet."""

    caption: Tensor
    """L_it, image captioning: nats per sub-word, and lambda times what was overlooked of the
    picture; 0 where alpha is 0."""

    image: Tensor
    """L_ti, text-to-image generation: bits per dimension; 0 where beta is 0."""
