"""Two token streams that lend each other what they attend to least: MuSE's CrossTransformer.

Shapes: B batch, S sub-words, P image tokens, D width, H heads, W = D / H a head's width;
T tokens of either stream with its cls in front, so 1 + S or 1 + P. Position 0 is cls.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from muse.config import CrossConfig, ParityConfig
from muse.errors import UserError
from muse.exchange import (
    Mask,
    Stream,
    below_quantile,
    changed,
    cls_weights,
    exchange,
    least_attended,
    mean_token,
    random_weights,
)


@dataclass(frozen=True)
class Crossed:
    """What the CrossTransformer gives out; padding holds values that mean nothing."""

    text: Tensor
    """cls and the text tokens, (B, 1 + S, D)."""

    image: Tensor
    """cls and the image tokens, (B, 1 + P, D)."""


@dataclass(frozen=True)
class Exchanged:
    """Which tokens one layer exchanged, for whoever wants to look."""

    layer: int
    """Counted from 1, as mu and eta are."""

    text: Tensor
    """(B, 1 + S), bool."""

    image: Tensor
    """(B, 1 + P), bool."""


Heads = tuple[Tensor, Tensor, Tensor]
"""Query, key and value, each (B, H, T, W)."""


class CrossLayer(nn.Module):
    """One Transformer encoder layer that both streams pass, post-norm with ReLU.

    x = norm1(x + attention(x)); then, in some layers, the exchange; x = norm2(x + ffn(x)).
    """

    def __init__(
        self, config: CrossConfig, width: int, parity: ParityConfig, exchanges: bool
    ) -> None:
        super().__init__()
        self.heads = config.heads
        self.exchanges = exchanges
        self.mean_with_cls = parity.mean_with_cls
        self.theta = config.theta
        self.choose, self.residual = config.choose, config.residual
        self.pick = below_quantile if parity.strict_quantile else least_attended
        self.query_key_value = nn.Linear(width, 3 * width)
        self.attention_output = nn.Linear(width, width)
        self.feedforward = nn.Sequential(
            nn.Linear(width, config.feedforward),
            nn.ReLU(),
            nn.Dropout(config.dropout),
            nn.Linear(config.feedforward, width),
        )
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.dropout = nn.Dropout(config.dropout)
        # The start of torch's own MultiheadAttention, which the authors train from.
        nn.init.xavier_uniform_(self.query_key_value.weight)
        nn.init.zeros_(self.query_key_value.bias)
        nn.init.zeros_(self.attention_output.bias)

    def forward(
        self, text: Stream, image: Stream, trace: list[tuple[Tensor, Tensor]] | None = None
    ) -> tuple[Stream, Stream]:
        """Pass both streams; where this layer exchanges, `trace` gets which tokens it changed."""
        text_heads, image_heads = self.project(text), self.project(image)
        text, image = self._attend(text, *text_heads), self._attend(image, *image_heads)
        if self.exchanges:
            mixed_text = self._exchange(text, text_heads, image)
            mixed_image = self._exchange(image, image_heads, text)  # text as it was before
            if trace is not None:
                trace.append((changed(text, mixed_text), changed(image, mixed_image)))
            text, image = mixed_text, mixed_image
        return self._feed_forward(text), self._feed_forward(image)

    def project(self, stream: Stream) -> Heads:
        """Project tokens to query, key and value, each (B, H, T, W)."""
        projected = self.query_key_value(stream.tokens)  # (B, T, 3 D)
        split = projected.unflatten(2, (3, self.heads, -1))  # (B, T, 3, H, W)
        query, key, value = split.permute(2, 0, 3, 1, 4).unbind(0)
        return query, key, value

    def _attend(self, stream: Stream, query: Tensor, key: Tensor, value: Tensor) -> Stream:
        mixed = functional.scaled_dot_product_attention(
            query,
            key,
            value,
            attn_mask=stream.mask.is_token[:, None, None],  # (B, 1, 1, T): padding is no key
            dropout_p=self.dropout.p if self.training else 0.0,
        )
        update = self.attention_output(mixed.transpose(1, 2).flatten(2))  # (B, T, D)
        return replace(stream, tokens=self.norm1(stream.tokens + self.dropout(update)))

    def _exchange(self, own: Stream, heads: Heads, other: Stream) -> Stream:
        if self.choose == "random":
            weights = random_weights(own.mask.is_token, self.training)  # (B, T)
        else:
            weights = cls_weights(*heads[:2], own.mask)
        picked = self.pick(weights, own.mask, self.theta)  # (B, T)
        lent = mean_token(other, self.mean_with_cls)  # (B, D)
        return replace(own, tokens=exchange(own.tokens, picked, lent, self.residual))

    def _feed_forward(self, stream: Stream) -> Stream:
        update = self.feedforward(stream.tokens)
        return replace(stream, tokens=self.norm2(stream.tokens + self.dropout(update)))


def check_heads(heads: int, width: int) -> None:
    """Refuse heads that do not divide the width."""
    if width % heads:
        raise UserError(f"cross.heads={heads} must divide the text encoder's width, {width}.")


class CrossTransformer(nn.Module):
    """A stack of layers that text and image share; layers mu+1..eta exchange tokens.

    Raises:
        UserError: the heads do not divide the width.
    """

    def __init__(self, config: CrossConfig, width: int, parity: ParityConfig) -> None:
        super().__init__()
        check_heads(config.heads, width)
        self.text_cls = nn.Parameter(torch.empty(1, width))
        self.image_cls = nn.Parameter(torch.empty(1, width))
        for cls in (self.text_cls, self.image_cls):
            # Over fan-out, which is 1: entries of the size that normalised tokens have.
            nn.init.kaiming_normal_(cls, mode="fan_out")
        layers = range(1, config.layers + 1)
        exchanging = [config.theta > 0 and config.mu < layer <= config.eta for layer in layers]
        self.layers = nn.ModuleList(
            CrossLayer(config, width, parity, exchanges) for exchanges in exchanging
        )

    def forward(
        self, text: Tensor, is_token: Tensor, image: Tensor, trace: list[Exchanged] | None = None
    ) -> Crossed:
        """Fuse both streams.

        Args:
            text: (B, S, D).
            is_token: False on padding, (B, S), bool.
            image: (B, P, D), no padding.
            trace: gets one entry for each layer that exchanges.
        """
        is_patch = is_token.new_ones(image.shape[:2])  # (B, P)
        text_stream = _with_cls(self.text_cls, text, is_token)  # T = 1 + S
        image_stream = _with_cls(self.image_cls, image, is_patch)  # T = 1 + P
        for number, layer in enumerate(self.layers, start=1):
            picks: list[tuple[Tensor, Tensor]] | None = None if trace is None else []
            text_stream, image_stream = layer(text_stream, image_stream, picks)
            if trace is not None:
                trace.extend(Exchanged(number, *pick) for pick in picks or ())
        return Crossed(text_stream.tokens, image_stream.tokens)


def _with_cls(cls: Tensor, tokens: Tensor, is_token: Tensor) -> Stream:
    first = cls.to(tokens.dtype).expand(len(tokens), 1, -1)  # (B, 1, D)
    return Stream(
        torch.cat([first, tokens], dim=1),
        Mask(functional.pad(is_token, (1, 0), value=True)),
    )
