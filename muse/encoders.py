"""Text and image to token sequences of one width: T_e and I_e of the paper.

Shapes: B batch, S sub-words, P = grid * grid image tokens, D width, C the ResNet's channels.
"""

from copy import deepcopy
from functools import lru_cache
from pathlib import Path
from pickle import UnpicklingError

import torch
import torchvision
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models import ResNet
from transformers import BertConfig, BertModel, PreTrainedModel

from muse.config import ImageConfig, TextConfig
from muse.errors import UserError
from muse.pretrained import load_text_model
from muse.text_source import text_source

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


def build_text_model(config: TextConfig, vocabulary: int, longest: int = 0) -> PreTrainedModel:
    """Load the pretrained BERT, or make the small random one of the configuration.

    Args:
        config: which text encoder.
        vocabulary: sub-words of the tokeniser.
        longest: sub-words of the longest text it will get, with [CLS] and [SEP].

    Raises:
        UserError: the weights cannot be had, or do not know so many sub-words or places.
    """
    if config.weights is not None:
        model = deepcopy(pristine(text_source(config.weights)))
        check_sizes(config.weights, model, vocabulary, longest)
        return model
    return BertModel(
        BertConfig(
            vocab_size=vocabulary,
            hidden_size=config.width,
            num_hidden_layers=config.layers,
            num_attention_heads=config.heads,
            intermediate_size=2 * config.width,
            max_position_embeddings=512,
        )
    )


def check_sizes(weights: str, model: PreTrainedModel, vocabulary: int, longest: int) -> None:
    """Refuse a text encoder that would meet what it has no embedding for, perhaps epochs later."""
    words = model.config.vocab_size
    if words < vocabulary:
        raise UserError(
            f"text.weights: '{weights}' knows {words} sub-words, but its tokeniser makes "
            f"{vocabulary}; give a folder whose model and tokeniser belong together."
        )
    places = places_of(model) or longest
    if places < longest:
        raise UserError(
            f"data.text_tokens: {longest} is more than the {places} sub-words that "
            f"'{weights}' can read; set it to {places} or less."
        )


def places_of(model: PreTrainedModel) -> int | None:
    """Most sub-words that a text encoder can read; None where nothing bounds them.

    RoBERTa and its kin count places from one after that of padding, so they have two less.
    """
    places: int | None = getattr(model.config, "max_position_embeddings", None)
    for name, module in model.named_modules():
        padding = getattr(module, "padding_idx", None)
        if name.endswith("position_embeddings") and places and padding is not None:
            return places - (int(padding) + 1)
    return places


@lru_cache(maxsize=1)  # all trials of a study start from the same one
def pristine(source: str) -> PreTrainedModel:
    """The pretrained encoder as it was read, once a process; whatever it lacks is drawn.

    No random number is taken from the caller: a process's later trials start as its first.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return load_text_model(source)


class TextEncoder(nn.Module):
    """T_e = TextEncoder(T)."""

    def __init__(self, model: PreTrainedModel, *, pooler: bool = False) -> None:
        """Take a transformers model over.

        Args:
            model: BERT or one like it.
            pooler: keep its pooler; without, nothing is left that gets no gradient.
        """
        super().__init__()
        self.model = model
        if not pooler and getattr(model, "pooler", None) is not None:
            model.pooler = None
        self.width: int = model.config.hidden_size

    def forward(self, token_ids: Tensor, is_token: Tensor) -> tuple[Tensor, Tensor]:
        """Return the tokens (B, S, D) and [CLS], pooled where the encoder has a pooler (B, D)."""
        output = self.model(input_ids=token_ids, attention_mask=self._mask(is_token))
        tokens: Tensor = output.last_hidden_state
        pooled = getattr(output, "pooler_output", None)
        return tokens, tokens[:, 0] if pooled is None else pooled

    def _mask(self, is_token: Tensor) -> Tensor:
        """The mask as the attention itself takes it, where that is known.

        Of a mask (B, S) transformers asks whether any of it is padding: the device is waited for.
        """
        if isinstance(self.model, BertModel) and self.model.config._attn_implementation == "sdpa":
            return is_token[:, None, None]  # (B, 1, 1, S)
        return is_token.long()  # as transformers' own tokenisers make it: some reckon with it


def imagenet_state(depth: int) -> dict[str, Tensor]:
    """Weights that torchvision publishes for this ResNet, from its cache or its download.

    Raises:
        UserError: they are not in the cache and cannot be downloaded, or are damaged there.
    """
    weights = torchvision.models.get_model_weights(f"resnet{depth}").DEFAULT
    try:
        # Torch's cache may be anybody's: its files are read as tensors, no code in them is run.
        state: dict[str, Tensor] = weights.get_state_dict(
            progress=False, check_hash=True, weights_only=True
        )
    except (OSError, RuntimeError, EOFError, UnpicklingError) as error:  # or its file is damaged
        reason = str(error).partition("\n")[0]
        raise UserError(
            f"image.weights: 'imagenet' could not be downloaded or read ({reason}); "
            f"give a file with a state dict of resnet{depth}, or null for random weights."
        ) from error
    return state


def file_state(path: Path) -> dict[str, Tensor]:
    """A state dict from a file the user names; only tensors are read, no code."""
    if not path.is_file():
        raise UserError(f"image.weights: no file '{path}'; give a state dict, 'imagenet' or null.")
    wrong = f"image.weights: '{path}' holds no state dict"
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever the reader raises on bytes of another kind
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise UserError(f"{wrong}: {reason}") from error
    if not isinstance(state, dict) or not all(isinstance(name, str) for name in state):
        raise UserError(f"{wrong} but a {type(state).__name__}.")
    return state


def build_resnet(config: ImageConfig, *, pretrained: bool) -> ResNet:
    """A torchvision ResNet with the weights asked for, or random ones where not `pretrained`."""
    resnet: ResNet = torchvision.models.get_model(f"resnet{config.depth}", weights=None)
    if not pretrained or config.weights is None:
        return resnet
    if config.weights == "imagenet":
        state = imagenet_state(config.depth)
    else:
        state = file_state(Path(config.weights))
    state = {name: value for name, value in state.items() if not name.startswith("fc.")}
    wrong = f"image.weights: '{config.weights}' is no resnet{config.depth}"
    try:
        missing, unexpected = resnet.load_state_dict(state, strict=False)
    except RuntimeError as error:  # shapes of another depth
        raise UserError(f"{wrong}: {str(error).splitlines()[-1].strip()}") from error
    if unexpected or any(not name.startswith("fc.") for name in missing):
        raise UserError(f"{wrong}.")
    return resnet


class ImageEncoder(nn.Module):
    """I_e = ImageEncoder(I): the ResNet's grid, pooled, flattened and projected to the width."""

    mean: Tensor
    std: Tensor

    def __init__(self, config: ImageConfig, width: int, *, pretrained: bool = True) -> None:
        super().__init__()
        resnet = build_resnet(config, pretrained=pretrained)
        stem = nn.Sequential(resnet.conv1, resnet.bn1, resnet.relu, resnet.maxpool)
        stages = [getattr(resnet, f"layer{i + 1}") for i in range(config.stages)]
        stages[0] = nn.Sequential(stem, stages[0])
        self.stages = nn.ModuleList(stages)
        self.frozen = config.frozen_stages
        self.grid = config.grid
        # Basic blocks (depth 18) end with 512 channels, bottlenecks with 2048; a stage less halves.
        channels = (512 if config.depth == 18 else 2048) >> (4 - config.stages)
        self.project = nn.Linear(channels, width)
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(3, 1, 1), persistent=False)
        for stage in self.stages[: self.frozen]:
            stage.requires_grad_(False)

    def train(self, mode: bool = True) -> "ImageEncoder":
        """Frozen stages stay in eval mode: their batch statistics are not trained either."""
        super().train(mode)
        for stage in self.stages[: self.frozen]:
            stage.eval()
        return self

    @property
    def is_frozen(self) -> bool:
        """Whether no stage is trained, so that a picture's features are always the same."""
        return self.frozen == len(self.stages)

    def forward(self, image: Tensor) -> Tensor:
        """Encode pictures (B, 3, H, H), uint8, or their `features` (B, P, C), as (B, P, D)."""
        features = image if image.is_floating_point() else self.features(image)
        tokens: Tensor = self.project(features.to(self.project.weight.dtype))
        return tokens

    def features(self, image: Tensor) -> Tensor:
        """What the ResNet sees in pictures (B, 3, H, H), uint8: its pooled grid, (B, P, C)."""
        features = (image.float() / 255 - self.mean) / self.std
        for stage in self.stages:
            features = stage(features)  # (B, C, height, width)
        features = functional.adaptive_avg_pool2d(features, self.grid)
        return features.flatten(2).transpose(1, 2)
