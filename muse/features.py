"""What a wholly frozen image encoder sees in each picture: computed once, kept on disk.

Such an encoder says the same of a picture in every epoch and in every trial, so nobody need ask it
twice. Shapes: N pictures, P image tokens, C the ResNet's channels.
"""

import hashlib
from pathlib import Path

import numpy as np
import torch
from torch import nn

from muse.cache import build_once, cache_folder
from muse.device import fits
from muse.encoders import ImageEncoder
from muse.errors import UserError
from muse.pictures import write_header
from muse.tensors import Split, Tensors, shown

FEATURES = "features.npy"
A_TIME = 64
"""Pictures encoded at once."""


def as_shown(
    tensors: Tensors, encoder: nn.Module, device: torch.device, *, keep_features: bool = True
) -> Tensors:
    """The corpus as a model is shown it: features where they never change; on a GPU what fits."""
    if keep_features and isinstance(encoder, ImageEncoder) and encoder.is_frozen:
        tensors = with_features(tensors, encoder, device)
    if fits(tensors.picture_bytes, device):
        tensors = tensors.resident(device)
    return tensors


def with_features(tensors: Tensors, encoder: ImageEncoder, device: torch.device) -> Tensors:
    """A corpus whose batches show features (B, P, C) of the pictures in place of their pixels.

    They are kept in half precision. Other weights, sizes or pictures have features of their own.

    Args:
        tensors: the prepared corpus.
        encoder: all of whose stages are frozen.
        device: where the encoder is.

    Raises:
        UserError: the cache has no room, or is damaged; or the features are too large.
    """
    folder = cache_folder() / features_key(tensors, encoder)
    split = tensors.a_split
    build_once(folder, lambda part: write_features(part / FEATURES, split, encoder, device))
    try:
        features = np.load(folder / FEATURES, mmap_mode="r")
    except (OSError, ValueError, EOFError) as error:
        raise UserError(f"{folder}: no whole features ({error}); delete the folder.") from error
    return tensors.showing(features, split.small_pixels)


def features_key(tensors: Tensors, encoder: ImageEncoder) -> str:
    """Hash of all that decides the features."""
    content = hashlib.sha256(f"{tensors.key} {encoder.grid}".encode())
    for name, weights in encoder.stages.state_dict().items():
        content.update(f"{name} {tuple(weights.shape)}".encode())
        content.update(weights.detach().cpu().contiguous().numpy())
    return f"features-{content.hexdigest()[:32]}"


@torch.no_grad()
def write_features(file: Path, split: Split, encoder: ImageEncoder, device: torch.device) -> None:
    """Write the features of every picture as one array (N, P, C), float16.

    Raises:
        OSError: no space left.
        UserError: some are too large for half precision, as only random weights make them.
    """
    encoder.eval()
    count = len(split.pixels)
    with file.open("wb") as stream:  # plain writes: a map ends the process on a full disk
        for start in range(0, count, A_TIME):
            places = np.arange(start, min(start + A_TIME, count), dtype=np.int32)
            some = encoder.features(shown(split.pixels, places).to(device)).half().cpu().numpy()
            if not np.isfinite(some).all():
                raise UserError(
                    "image.frozen_stages: what this encoder sees is too large for half precision; "
                    "name image.weights, or freeze fewer of its stages."
                )
            if start == 0:
                write_header(stream, (count, *some.shape[1:]), "float16")
            stream.write(some.tobytes())
