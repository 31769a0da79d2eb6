"""The linear-chain CRF of pytorch-crf, without the moments at which it makes its device wait.

Lafferty et al., "Conditional Random Fields" (2001). The library looks into its mask at each step
and fetches every tag alone: a GPU would stand still each time. What it computes is the same.

Shapes: B batch, W words, K tags.
"""

import torch
import torchcrf
from torch import Tensor


class CRF(torchcrf.CRF):  # type: ignore[misc] # the library has no types
    """p(tags | scores) over whole sequences; each row has a first word, padding comes last."""

    def __init__(self, tags: int) -> None:
        super().__init__(tags, batch_first=True)

    def forward(self, scores: Tensor, tags: Tensor, is_word: Tensor) -> Tensor:
        """Compute log p of the given tags, (B,).

        Args:
            scores: emissions, (B, W, K).
            tags: (B, W), int64; any tag on padding.
            is_word: False on padding, (B, W), bool.
        """
        return self._path(scores, tags, is_word) - self._all_paths(scores, is_word)

    def _path(self, scores: Tensor, tags: Tensor, is_word: Tensor) -> Tensor:
        """Score of one sequence of tags, (B,)."""
        emitted = scores.gather(2, tags[..., None]).squeeze(2)  # (B, W)
        moved = self.transitions[tags[:, :-1], tags[:, 1:]]  # (B, W - 1)
        last = tags.gather(1, is_word.sum(dim=1, keepdim=True) - 1).squeeze(1)  # (B,)
        inner = emitted.masked_fill(~is_word, 0).sum(dim=1)
        between = moved.masked_fill(~is_word[:, 1:], 0).sum(dim=1)
        ends = self.start_transitions[tags[:, 0]] + self.end_transitions[last]
        score: Tensor = ends + inner + between
        return score

    def _all_paths(self, scores: Tensor, is_word: Tensor) -> Tensor:
        """Log of the sum over all sequences, by the forward algorithm, (B,)."""
        first, *rest = scores.unbind(dim=1)
        total = self.start_transitions + first  # (B, K): of all sequences that end in each tag
        for emitted, on in zip(rest, is_word.unbind(dim=1)[1:], strict=True):
            longer = (total[:, :, None] + self.transitions).logsumexp(dim=1) + emitted
            total = torch.where(on[:, None], longer, total)
        summed: Tensor = (total + self.end_transitions).logsumexp(dim=1)
        return summed

    @torch.no_grad()
    def decode(self, scores: Tensor, is_word: Tensor) -> list[list[int]]:
        """The likeliest tags of each row's words, by the Viterbi algorithm."""
        first, *rest = scores.unbind(dim=1)
        best = self.start_transitions + first  # (B, K): of the best sequence that ends in each tag
        stay = torch.arange(best.shape[1], device=best.device)
        origins = []
        for emitted, on in zip(rest, is_word.unbind(dim=1)[1:], strict=True):
            longer, origin = (best[:, :, None] + self.transitions).max(dim=1)  # (B, K)
            best = torch.where(on[:, None], longer + emitted, best)
            origins.append(torch.where(on[:, None], origin, stay))
        tag = (best + self.end_transitions).argmax(dim=1, keepdim=True)  # (B, 1)
        path = [tag]
        for origin in reversed(origins):
            path.append(origin.gather(1, path[-1]))
        rows = torch.cat(path[::-1], dim=1).tolist()  # one wait for the device
        counts = is_word.sum(dim=1).tolist()
        return [row[:count] for row, count in zip(rows, counts, strict=True)]
