"""Text from image: the image-captioning loss L_it, by NIC-Att.

"Show, Attend and Tell" (Xu et al., arXiv 1502.03044): an LSTM that looks at the image tokens
through soft attention before each word. Equation numbers are that paper's.

Shapes: B batch, S sub-words with [CLS] and [SEP], T = S - 1 predicted ones, N those of them
that are no padding, P image tokens, D width, A attention width, E embedding width,
L the LSTM's width, V vocabulary.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from muse.config import CaptionerConfig

State = tuple[Tensor, Tensor]
"""The LSTM's hidden state and cell, each (B, L)."""


@dataclass(frozen=True)
class Captioned:
    """How well a batch of captions was foretold."""

    nats: Tensor
    """-log p(sub-word t + 1 | sub-words up to t, image), 0 on padding, (B, T), float32."""

    is_target: Tensor
    """False where nothing is foretold, (B, T), bool."""

    overlooked: Tensor
    """The doubly stochastic term of equation 14 without lambda, (B,)."""


def lstm(gates: Tensor, more: Tensor, cell: Tensor) -> State:
    """Keep, write and show by the two halves of the gates' sums, each (B, 4 L), in float32.

    float32 also under bf16: the cell sums up many small steps.
    """
    with torch.autocast(gates.device.type, enabled=False):
        if gates.is_cuda:  # one kernel of torch's own LSTM for the dozen below
            fused = torch.ops.aten._thnn_fused_lstm_cell
            hidden, cell, _ = fused(gates.float(), more.float(), cell)
            return hidden, cell
        write, keep, new, show = (gates.float() + more.float()).chunk(4, dim=1)
        cell = keep.sigmoid() * cell + write.sigmoid() * new.tanh()
        return show.sigmoid() * cell.tanh(), cell


class Captioner(nn.Module):
    """Foretells a tweet's sub-words from its picture; [CLS] starts and [SEP] ends a caption."""

    def __init__(self, config: CaptionerConfig, width: int, vocabulary: int) -> None:
        super().__init__()
        hidden = config.width
        self.doubly_stochastic = config.doubly_stochastic
        self.embedding = nn.Embedding(vocabulary, config.embedding)
        self.first_state = nn.Linear(width, 2 * hidden)  # h and c from the mean image token
        self.image_key = nn.Linear(width, config.attention)
        self.score = nn.Linear(config.attention, 1, bias=False)  # softmax would ignore a bias
        # All that is read from the state in one product: its key, f_beta, its share of the gates.
        self.sizes = [config.attention, width, 4 * hidden]
        self.of_state = nn.Linear(hidden, sum(self.sizes))
        # The LSTM's four gates in three parts, so that the words' share leaves the loop.
        self.gates_of_word = nn.Linear(config.embedding, 4 * hidden, bias=False)
        self.gates_of_image = nn.Linear(width, 4 * hidden, bias=False)
        self.dropout = nn.Dropout(config.dropout)
        self.to_vocabulary = nn.Linear(hidden, vocabulary)
        # Small and even: the first guess is near uniform, log V nats a sub-word.
        nn.init.uniform_(self.embedding.weight, -0.1, 0.1)
        nn.init.uniform_(self.to_vocabulary.weight, -0.1, 0.1)
        nn.init.zeros_(self.to_vocabulary.bias)

    def forward(self, image_tokens: Tensor, token_ids: Tensor, is_token: Tensor) -> Tensor:
        """Compute L_it for each sample: mean nats per sub-word + lambda * doubly stochastic term.

        Args:
            image_tokens: I_n, (B, P, D).
            token_ids: the text encoder's own sub-words, [CLS] first, (B, S).
            is_token: False on padding, which comes last, (B, S).

        Returns:
            (B,), float32; 0 for a sample of fewer than two sub-words.
        """
        caption = self.read(image_tokens, token_ids, is_token)
        words = caption.is_target.sum(dim=1).clamp(min=1)  # 1: an empty caption is 0, not NaN
        return caption.nats.sum(dim=1) / words + self.doubly_stochastic * caption.overlooked

    def token_mean(self, image_tokens: Tensor, token_ids: Tensor, is_token: Tensor) -> Tensor:
        """Compute L_it as the authors do, over all sub-words of the batch alike: a scalar."""
        caption = self.read(image_tokens, token_ids, is_token)
        words = caption.is_target.sum().clamp(min=1)
        return caption.nats.sum() / words + self.doubly_stochastic * caption.overlooked.mean()

    def read(self, image_tokens: Tensor, token_ids: Tensor, is_token: Tensor) -> Captioned:
        """Foretell each sub-word from the true ones before it; arguments as in `forward`."""
        is_target = is_token[:, 1:] & is_token[:, :-1]  # (B, T)
        hidden, looks = self._unroll(image_tokens, token_ids[:, :-1])  # (B, T, L), (B, T, P)
        nats = self._nats(self.dropout(hidden), token_ids[:, 1:], is_target)
        seen = (looks.float() * is_target[..., None]).sum(dim=1)  # (B, P)
        # A mean over image tokens, as in the authors' code; equation 14 has their sum.
        overlooked = (1 - seen).square().mean(dim=1) * is_target.any(dim=1)
        return Captioned(nats, is_target, overlooked)

    def _unroll(self, image_tokens: Tensor, words: Tensor) -> tuple[Tensor, Tensor]:
        """Run the LSTM over the words (B, T): states (B, T, L) and attention (B, T, P)."""
        keys = self.image_key(image_tokens)  # (B, P, A)
        state = self._start(image_tokens)
        hidden, looks = [], []
        # unbind, not [:, t]: its gradient is one stack, not T sums into zeros of full size.
        for word in self.gates_of_word(self.embedding(words)).unbind(dim=1):  # (B, 4 L)
            state, look = self._step(word, image_tokens, keys, state)
            hidden.append(state[0])
            looks.append(look)
        return torch.stack(hidden, dim=1), torch.stack(looks, dim=1)

    def _start(self, image_tokens: Tensor) -> State:
        hidden, cell = self.first_state(image_tokens.mean(dim=1)).float().chunk(2, dim=1)
        return hidden, cell

    def _step(
        self, word: Tensor, image_tokens: Tensor, keys: Tensor, state: State
    ) -> tuple[State, Tensor]:
        """Look at the image, then read one word: the new state and the look alpha (B, P)."""
        state_key, f_beta, of_state = self.of_state(state[0]).split(self.sizes, dim=1)
        compared = torch.relu(keys + state_key[:, None])  # (B, P, A)
        look = self.score(compared).squeeze(2).softmax(dim=1)  # (B, P), equation 5
        context = torch.bmm(look[:, None], image_tokens).squeeze(1)  # (B, D), equation 13
        context = f_beta.sigmoid() * context  # section 4.2.1: the gate beta
        gates = word + self.gates_of_image(context)  # (B, 4 L)
        return lstm(gates, of_state, state[1]), look

    def _nats(self, hidden: Tensor, targets: Tensor, is_target: Tensor) -> Tensor:
        """Cross-entropy in float32, 0 on padding, (B, T).

        The vocabulary is the dear part. A CPU does it for the N real positions only; a GPU for
        all B * T, because to count the real ones it would have to wait for the device, and at
        the authors' sizes (40 * 63 * 30522 floats, 307 MB) the padding costs it less.
        """
        if hidden.is_cuda:
            return self._cross_entropy(hidden, targets) * is_target
        kept = self._cross_entropy(hidden[is_target], targets[is_target])  # (N,)
        return kept.new_zeros(targets.shape).masked_scatter(is_target, kept)

    def _cross_entropy(self, hidden: Tensor, targets: Tensor) -> Tensor:
        logits = self.to_vocabulary(hidden).float().flatten(0, -2)  # (positions, V)
        nats = functional.cross_entropy(logits, targets.flatten(), reduction="none")
        return nats.view(targets.shape)

    @torch.no_grad()
    def generate(self, image_tokens: Tensor, start: int, end: int, longest: int) -> Tensor:
        """Write the likeliest sub-word after another.

        Args:
            image_tokens: I_n, (B, P, D).
            start: id of [CLS], which is not written.
            end: id of [SEP], which is written and then fills the rest.
            longest: sub-words to write.

        Returns:
            (B, longest), int64.
        """
        keys, state = self.image_key(image_tokens), self._start(image_tokens)
        word = torch.full((len(image_tokens),), start, device=image_tokens.device)  # (B,)
        written = []
        for _ in range(longest):
            gates = self.gates_of_word(self.embedding(word))
            state, _ = self._step(gates, image_tokens, keys, state)
            likeliest = self.to_vocabulary(state[0]).argmax(dim=1)
            word = torch.where(word == end, end, likeliest)
            written.append(word)
        return torch.stack(written, dim=1)
