"""What reviewers compare MuSE with: the same encoders and heads, but a simpler way to fuse.

Each stands where the CrossTransformer stands and gives what it gives. The text encoder's own
[CLS], which all start from, takes the place of the learnt cls.

Shapes: B batch, S sub-words, P image tokens, D width.
"""

import torch
from torch import Tensor, nn

from muse.config import CrossConfig, FusionKind
from muse.cross_transformer import Crossed, Exchanged, check_heads


def behind_cls(text: Tensor) -> Tensor:
    """Put the text's [CLS] in front of its tokens once more, as heads expect it (B, 1 + S, D)."""
    return torch.cat([text[:, :1], text], dim=1)


class NoPicture(nn.Module):
    """In place of the image encoder where no picture is looked at."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width

    def forward(self, image: Tensor) -> Tensor:
        """No token for each picture, (B, 0, D)."""
        return torch.zeros(len(image), 0, self.width, device=image.device)


class TextAlone(nn.Module):
    """The text encoder's tokens as they are."""

    def forward(
        self,
        text: Tensor,
        is_token: Tensor,  # noqa: ARG002 - one signature for all
        image: Tensor,
        trace: list[Exchanged] | None = None,  # noqa: ARG002
    ) -> Crossed:
        return Crossed(behind_cls(text), image)


class Concatenation(nn.Module):
    """Every text token beside the mean of the picture's tokens."""

    def forward(
        self,
        text: Tensor,
        is_token: Tensor,  # noqa: ARG002 - one signature for all
        image: Tensor,
        trace: list[Exchanged] | None = None,  # noqa: ARG002
    ) -> Crossed:
        return Crossed(behind_cls(text), image.mean(dim=1, keepdim=True))


class CrossAttention(nn.Module):
    """Text tokens that look at the picture's: a Transformer decoder of the CrossTransformer's size.

    Each layer is self-attention of the text, attention to the picture, feed-forward.
    """

    def __init__(self, config: CrossConfig, width: int) -> None:
        super().__init__()
        check_heads(config.heads, width)
        sizes = (width, config.heads, config.feedforward, config.dropout)
        self.layers = nn.ModuleList(
            nn.TransformerDecoderLayer(*sizes, batch_first=True) for _ in range(config.layers)
        )

    def forward(
        self,
        text: Tensor,
        is_token: Tensor,
        image: Tensor,
        trace: list[Exchanged] | None = None,  # noqa: ARG002 - one signature for all
    ) -> Crossed:
        for layer in self.layers:
            text = layer(text, image, tgt_key_padding_mask=~is_token)
        return Crossed(behind_cls(text), image)


class TextRows(nn.Module):
    """F_e where the text has taken in the picture, or there is none."""

    def forward(self, text: Tensor, image: Tensor) -> Tensor:  # noqa: ARG002 - as Fusion
        return text


Baseline = TextAlone | Concatenation | CrossAttention


def build_baseline(kind: FusionKind, config: CrossConfig, width: int) -> Baseline:
    """What stands in the CrossTransformer's place.

    Args:
        kind: any but muse.
        config: sizes, which cross-attention takes over.
        width: of the tokens.
    """
    if kind == "cross_attention":
        return CrossAttention(config, width)
    return Concatenation() if kind == "concatenation" else TextAlone()
