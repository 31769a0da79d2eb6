"""Which tokens MuSE exchanges between two streams, and what they get.

Shapes: B batch, D width, H heads, W = D / H a head's width; T tokens of a stream with its cls in
front, at position 0.
"""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor


@dataclass(frozen=True)
class Mask:
    """Which places hold tokens, and what follows from that, found once for all layers."""

    is_token: Tensor
    """False on padding, (B, T), bool."""

    @cached_property
    def padding(self) -> Tensor:
        """The other places, (B, T)."""
        return ~self.is_token

    @cached_property
    def candidates(self) -> Tensor:
        """What may be exchanged, (B, T): not cls, because it sums up its stream and is no token."""
        candidates = self.is_token.clone()
        candidates[:, 0] = False
        return candidates

    @cached_property
    def others(self) -> Tensor:
        """What may not, (B, T)."""
        return ~self.candidates

    @cached_property
    def number(self) -> Tensor:
        """How many may, (B, 1); float64, for in float32 a half could round to the other side."""
        return self.candidates.sum(dim=1, keepdim=True).double()

    @cached_property
    def share(self) -> Tensor:
        """What each token counts in a mean without padding and without cls, (B, T)."""
        return even_share(self.candidates)

    @cached_property
    def share_with_cls(self) -> Tensor:
        """The same where cls counts too."""
        return even_share(self.is_token)


def even_share(counted: Tensor) -> Tensor:
    """One by the number of those that count, (B, T); zeros where none does."""
    return counted / counted.sum(dim=1, keepdim=True).clamp(min=1)


@dataclass(frozen=True)
class Stream:
    """A batch of token sequences, cls first."""

    tokens: Tensor
    """(B, T, D)."""

    mask: Mask


@torch.no_grad()  # the weights only rank; nothing is learnt through them
def cls_weights(query: Tensor, key: Tensor, mask: Mask) -> Tensor:
    """Compute one row of attention, cls to every token, averaged over heads (B, T).

    Before dropout, so that the same tokens rank last in training and in use, and in float32
    under autocast, because bf16 would make ties of small differences.

    Args:
        query: (B, H, T, W).
        key: (B, H, T, W).
        mask: of the stream; padding gets weight 0.
    """
    with torch.autocast(query.device.type, enabled=False):
        cls = query[:, :, :1].float() / query.shape[-1] ** 0.5  # (B, H, 1, W)
        keys = key.to(torch.float32, memory_format=torch.contiguous_format)
        scores = (cls @ keys.transpose(2, 3)).squeeze(2)  # (B, H, T)
    scores = scores.masked_fill(mask.padding[:, None], -torch.inf)
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


def least_attended(weights: Tensor, mask: Mask, share: float) -> Tensor:
    """Pick the tokens that MuSE exchanges, (B, T).

    Exactly round(share * tokens) of them, the earlier token where weights are equal.

    Args:
        weights: attention of cls to each token, (B, T).
        mask: of the stream; neither cls nor padding is ranked.
        share: theta, the fraction of tokens to pick, in [0, 1].
    """
    count = (share * mask.number).round()  # (B, 1)
    order = weights.masked_fill(mask.others, torch.inf).argsort(dim=1, stable=True)  # (B, T)
    return order.argsort(dim=1) < count  # rank 0 is the least attended


def below_quantile(weights: Tensor, mask: Mask, share: float) -> Tensor:
    """Pick what lies strictly below the quantile: the authors' rule, none under ties.

    Takes and returns what `least_attended` does; the quantile is over the same candidates.
    """
    ranked = weights.masked_fill(mask.others, torch.nan)  # NaN is below nothing
    return ranked < ranked.nanquantile(share, dim=1, keepdim=True)


def mean_token(stream: Stream, with_cls: bool) -> Tensor:
    """Average a stream's tokens without padding, and without cls unless told (B, D)."""
    share = stream.mask.share_with_cls if with_cls else stream.mask.share
    # As a product, it reads the tokens once and copies none.
    with torch.autocast(stream.tokens.device.type, enabled=False):
        mean = torch.bmm(share[:, None].to(stream.tokens.dtype), stream.tokens)  # (B, 1, D)
    return mean.squeeze(1)


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


def changed(before: Stream, after: Stream) -> Tensor:
    """Tell which tokens an exchange has changed (B, T)."""
    return (before.tokens != after.tokens).any(dim=-1)
