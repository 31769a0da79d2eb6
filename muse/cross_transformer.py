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


@dataclass(frozen=True)
class Stream:
    """A batch of token sequences, cls first."""

    tokens: Tensor
    """(B, T, D)."""

    is_token: Tensor
    """False on padding, (B, T), bool."""


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


def least_attended(weights: Tensor, is_token: Tensor, share: float) -> Tensor:
    """Pick the tokens that MuSE exchanges, (B, T).

    Exactly round(share * tokens) of them, the earlier token where weights are equal.

    Args:
        weights: attention of cls to each token, (B, T).
        is_token: False on padding, which is not ranked, (B, T).
        share: theta, the fraction of tokens to pick, in [0, 1].
    """
    candidates = without_cls(is_token)
    # float64, as Python rounds: in float32 a half could fall to the other side.
    count = (share * candidates.sum(dim=1, keepdim=True).double()).round()  # (B, 1)
    order = weights.masked_fill(~candidates, torch.inf).argsort(dim=1, stable=True)  # (B, T)
    return order.argsort(dim=1) < count  # rank 0 is the least attended


def below_quantile(weights: Tensor, is_token: Tensor, share: float) -> Tensor:
    """Pick what lies strictly below the quantile: the authors' rule, none under ties.

    Takes and returns what `least_attended` does; the quantile is over the same candidates.
    """
    ranked = weights.masked_fill(~without_cls(is_token), torch.nan)  # NaN is below nothing
    return ranked < ranked.nanquantile(share, dim=1, keepdim=True)


def exchange(own: Tensor, picked: Tensor, lent: Tensor, residual: bool = True) -> Tensor:
    """Add the other stream's mean to some tokens of this one.

    Args:
        own: tokens of this stream, (B, T, D).
        picked: which to change, (B, T).
        lent: mean of the other stream's tokens, (B, D).
        residual: False puts the mean in their place instead.

    Returns:
        The changed stream, (B, T, D); `own` itself stays as it is.
    """
    if not residual:
        return torch.where(picked[..., None], lent[:, None].to(own.dtype), own)
    share = picked[..., None].to(own.dtype)  # 1 or 0, (B, T, 1)
    with torch.autocast(own.device.type, enabled=False):  # one pass over the tokens, exact
        return torch.baddbmm(own, share, lent[:, None].to(own.dtype))


def without_cls(is_token: Tensor) -> Tensor:
    """Take cls out of a mask (B, T), because it sums up its stream and is no token of it."""
    candidates = is_token.clone()
    candidates[:, 0] = False
    return candidates


def mean_token(stream: Stream, with_cls: bool) -> Tensor:
    """Average a stream's tokens without padding, and without cls unless told (B, D)."""
    counted = stream.is_token if with_cls else without_cls(stream.is_token)
    # As a product, it reads the tokens once and copies none.
    share = counted / counted.sum(dim=1, keepdim=True).clamp(min=1)  # (B, T); 1: no token, no NaN
    with torch.autocast(stream.tokens.device.type, enabled=False):
        mean = torch.bmm(share[:, None].to(stream.tokens.dtype), stream.tokens)  # (B, 1, D)
    return mean.squeeze(1)


def changed(before: Stream, after: Stream) -> Tensor:
    """Tell which tokens an exchange has changed (B, T)."""
    return (before.tokens != after.tokens).any(dim=-1)


@torch.no_grad()  # the weights only rank; nothing is learnt through them
def cls_weights(query: Tensor, key: Tensor, is_token: Tensor) -> Tensor:
    """Compute one row of attention, cls to every token, averaged over heads (B, T).

    Before dropout, so that the same tokens rank last in training and in use, and in float32
    under autocast, because bf16 would make ties of small differences.

    Args:
        query: (B, H, T, W).
        key: (B, H, T, W).
        is_token: False on padding, which gets weight 0, (B, T).
    """
    with torch.autocast(query.device.type, enabled=False):
        cls = query[:, :, :1].float() / query.shape[-1] ** 0.5  # (B, H, 1, W)
        scores = (cls @ key.float().transpose(2, 3)).squeeze(2)  # (B, H, T)
    scores = scores.masked_fill(~is_token[:, None], -torch.inf)
    weights: Tensor = scores.softmax(dim=-1).mean(dim=1)
    return weights


def random_weights(is_token: Tensor, training: bool) -> Tensor:
    """Rank tokens by chance in place of attention (B, T): the ablation `cross.choose: random`.

    Drawn anew while training. In use the same positions come first in every batch, so that a
    tweet's answer depends on nothing but the tweet.
    """
    if training:
        return torch.rand(is_token.shape, device=is_token.device)
    fixed = torch.Generator().manual_seed(0)
    longest = max(MANY_TOKENS, is_token.shape[1])  # else padding would change the draw
    row = torch.rand(longest, generator=fixed)[: is_token.shape[1]]
    return row.to(is_token.device).expand(is_token.shape)


MANY_TOKENS = 1024
"""More than any text has."""


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
        text_heads, image_heads = self._heads(text), self._heads(image)
        text, image = self._attend(text, *text_heads), self._attend(image, *image_heads)
        if self.exchanges:
            mixed_text = self._exchange(text, text_heads, image)
            mixed_image = self._exchange(image, image_heads, text)  # text as it was before
            if trace is not None:
                trace.append((changed(text, mixed_text), changed(image, mixed_image)))
            text, image = mixed_text, mixed_image
        return self._feed_forward(text), self._feed_forward(image)

    def _heads(self, stream: Stream) -> Heads:
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
            attn_mask=stream.is_token[:, None, None],  # (B, 1, 1, T): padding is no key
            dropout_p=self.dropout.p if self.training else 0.0,
        )
        update = self.attention_output(mixed.transpose(1, 2).flatten(2))  # (B, T, D)
        return replace(stream, tokens=self.norm1(stream.tokens + self.dropout(update)))

    def _exchange(self, own: Stream, heads: Heads, other: Stream) -> Stream:
        if self.choose == "random":
            weights = random_weights(own.is_token, self.training)  # (B, T)
        else:
            weights = cls_weights(*heads[:2], own.is_token)
        picked = self.pick(weights, own.is_token, self.theta)  # (B, T)
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
        functional.pad(is_token, (1, 0), value=True),
    )
