"""What is asked of the fused tokens F_e: tags of words (MNER) or the class of a tweet (MSA).

Shapes: B batch, S sub-words, W words, D width, K labels. F_e is (B, 1 + S, D), cls in front.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from muse.batch import Batch
from muse.crf import CRF


class EntityHead(nn.Module):
    """A linear layer and a CRF over each word's first sub-word."""

    def __init__(self, width: int, labels: int, dropout: float) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(width, labels)
        self.crf = CRF(labels)

    def scores(self, fused: Tensor, batch: Batch) -> Tensor:
        """Emission scores of every word, (B, W, K)."""
        rows = torch.arange(len(batch), device=fused.device)[:, None]
        words = fused[rows, 1 + batch.word_starts]  # past cls, (B, W, D)
        scores: Tensor = self.linear(self.dropout(words))
        return scores.float()  # the CRF sums exponentials: bf16 would lose them

    def loss(self, scores: Tensor, batch: Batch) -> Tensor:
        """Negative log-likelihood of the tags, nats per tweet, (B,)."""
        with torch.autocast(scores.device.type, enabled=False):
            likelihood: Tensor = self.crf(scores, batch.target, batch.is_word)
        return -likelihood

    def decode(self, scores: Tensor, batch: Batch) -> list[list[int]]:
        """The likeliest tags of each tweet's words (Viterbi)."""
        with torch.autocast(scores.device.type, enabled=False):
            best: list[list[int]] = self.crf.decode(scores, batch.is_word)
        return best


class SentimentHead(nn.Module):
    """A linear layer over the fused cls."""

    def __init__(self, width: int, labels: int, dropout: float) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(width, labels)

    def scores(self, fused: Tensor, batch: Batch) -> Tensor:  # noqa: ARG002 - one signature for both heads
        """Scores of every class, (B, K)."""
        scores: Tensor = self.linear(self.dropout(fused[:, 0]))
        return scores.float()

    def loss(self, scores: Tensor, batch: Batch) -> Tensor:
        """Cross-entropy, nats per tweet, (B,)."""
        return functional.cross_entropy(scores, batch.target, reduction="none")

    def decode(self, scores: Tensor, batch: Batch) -> list[int]:  # noqa: ARG002 - as above
        """The likeliest class of each tweet."""
        best: list[int] = scores.argmax(dim=1).tolist()
        return best
