"""The same model, written down as one would at first: what the fast one is measured against.

The mathematics and the weights are those of `muse/`; nothing is taken out of a loop, tokens are
exchanged one at a time, attention matrices are kept whole and texts are padded to their full
length. The tests hold the fast model against this one.
"""

from copy import deepcopy
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.utils import clip_grad_norm_
from torch.optim import AdamW

from muse.batch import Batch
from muse.captioner import Captioned, Captioner
from muse.config import TrainConfig
from muse.cross_transformer import CrossLayer
from muse.exchange import Stream, mean_token
from muse.model import Muse
from muse.optimizer import build_optimizer


class PlainLayer(CrossLayer):
    """A layer that keeps its attention matrices and exchanges in a loop over samples and tokens."""

    def forward(
        self,
        text: Stream,
        image: Stream,
        trace: object = None,  # noqa: ARG002 - as the fast one
    ) -> tuple[Stream, Stream]:
        """Pass both streams."""
        text, text_weights = self.attend_whole(text)
        image, image_weights = self.attend_whole(image)
        if self.exchanges:
            lent_text = mean_token(text, self.mean_with_cls)
            lent_image = mean_token(image, self.mean_with_cls)
            text = self.exchange_in_a_loop(text, text_weights, lent_image)
            image = self.exchange_in_a_loop(image, image_weights, lent_text)
        return self._feed_forward(text), self._feed_forward(image)

    def attend_whole(self, stream: Stream) -> tuple[Stream, Tensor]:
        """Self-attention, and its weights averaged over heads (B, T, T)."""
        query, key, value = self.project(stream)
        scores = query @ key.transpose(2, 3) / query.shape[-1] ** 0.5  # (B, H, T, T)
        scores = scores.masked_fill(~stream.mask.is_token[:, None, None], -torch.inf)
        weights = scores.softmax(dim=-1)
        mixed = self.dropout(weights) @ value
        update = self.attention_output(mixed.transpose(1, 2).flatten(2))
        tokens = self.norm1(stream.tokens + self.dropout(update))
        return replace(stream, tokens=tokens), weights.mean(dim=1)

    def exchange_in_a_loop(self, own: Stream, weights: Tensor, lent: Tensor) -> Stream:
        """Add the other stream's mean to the least attended tokens, one after the other."""
        mixed = own.tokens.clone()
        for row in range(len(mixed)):
            tokens = [t for t in range(1, mixed.shape[1]) if own.mask.is_token[row, t]]
            count = round(self.theta * len(tokens))
            ranked = sorted(tokens, key=lambda t: (weights[row, 0, t].item(), t))
            for token in ranked[:count]:
                mixed[row, token] = mixed[row, token] + lent[row]
        return replace(own, tokens=mixed)


class PlainCaptioner(Captioner):
    """A captioner that does everything anew before each word."""

    def read(self, image_tokens: Tensor, token_ids: Tensor, is_token: Tensor) -> Captioned:
        """Foretell each sub-word from the true ones before it."""
        is_target = is_token[:, 1:] & is_token[:, :-1]
        state, nats, looks = self._start(image_tokens), [], []
        for place in range(token_ids.shape[1] - 1):
            word = self.gates_of_word(self.embedding(token_ids[:, place]))
            state, look = self._step(word, image_tokens, self.image_key(image_tokens), state)
            logits = self.to_vocabulary(self.dropout(state[0])).float()
            nats.append(functional.cross_entropy(logits, token_ids[:, place + 1], reduction="none"))
            looks.append(look)
        seen = (torch.stack(looks, dim=1).float() * is_target[..., None]).sum(dim=1)
        overlooked = (1 - seen).square().mean(dim=1) * is_target.any(dim=1)
        return Captioned(torch.stack(nats, dim=1) * is_target, is_target, overlooked)


def plain(model: Muse) -> Muse:
    """A copy of a model, with the same weights, that computes as one would at first."""
    copy = deepcopy(model)
    copy.text_encoder.model.set_attn_implementation("eager")
    for module in copy.modules():
        if isinstance(module, CrossLayer):
            module.__class__ = PlainLayer
        elif isinstance(module, Captioner):
            module.__class__ = PlainCaptioner
    return copy


def padded(batch: Batch, longest: int) -> Batch:
    """The batch with its texts padded to their full length, as the authors have them."""
    rest = longest - batch.token_ids.shape[1]
    return replace(
        batch,
        token_ids=functional.pad(batch.token_ids, (0, rest)),
        is_token=functional.pad(batch.is_token, (0, rest), value=False),
    )


def plain_optimizer(model: Muse, config: TrainConfig) -> AdamW:
    """AdamW, one parameter after another."""
    groups = build_optimizer(model, config).param_groups
    kept = [{name: group[name] for name in ("params", "lr", "weight_decay")} for group in groups]
    return AdamW(kept, foreach=False, fused=False)


def plain_step(model: Muse, optimizer: AdamW, batch: Batch, clip: float) -> float:
    """One step in float32; the loss is fetched each time."""
    losses = model(batch)
    optimizer.zero_grad()
    losses.total.backward()
    clip_grad_norm_(model.parameters(), clip)
    optimizer.step()
    return losses.total.item()
