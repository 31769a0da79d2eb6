"""MuSE: encoders, the two generative regularisers, the CrossTransformer and a head.

Shapes: B batch, S sub-words, P image tokens, D width, K labels.
"""

from collections.abc import Sequence
from math import log

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from muse.baselines import Baseline, NoPicture, TextRows, build_baseline
from muse.batch import Batch, Losses
from muse.captioner import Captioner
from muse.config import MuseConfig
from muse.cross_transformer import CrossTransformer
from muse.encoders import ImageEncoder, TextEncoder
from muse.heads import EntityHead, SentimentHead
from muse.lanes import Lane
from muse.logistic_mixture import bits_per_dim, to_unit_range
from muse.pixelcnn import PixelCNN


def masked_mean(tokens: Tensor, is_token: Tensor) -> Tensor:
    """Mean of the tokens (B, S, D) that are no padding, (B, D)."""
    kept = is_token[..., None]
    return (tokens * kept).sum(dim=1) / kept.sum(dim=1).clamp(min=1)


class Embedding(nn.Module):
    """I_n = MLP(I_e + N(0, 1)), T_n = MLP(T_e + N(0, 1)): a noisy view for a decoder."""

    def __init__(self, width: int, noise_std: float, shared: nn.Module | None = None) -> None:
        super().__init__()
        own = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width))
        self.layers = own if shared is None else shared
        self.noise_std = noise_std

    def forward(self, tokens: Tensor) -> Tensor:
        if self.training and self.noise_std > 0:
            tokens = tokens + self.noise_std * torch.randn_like(tokens)
        embedded: Tensor = self.layers(tokens)
        return embedded


class Fusion(nn.Module):
    """F_e: a fully connected layer over text and image side by side.

    Token k of the text is paired with token k of the picture, cls with cls; text beyond the
    picture's last token is paired with the picture's cls, which sums up the whole picture.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(2 * width, width)

    def forward(self, text: Tensor, image: Tensor) -> Tensor:
        """Fuse (B, 1 + S, D) and (B, 1 + P, D) into (B, 1 + S, D)."""
        beyond = text.shape[1] - image.shape[1]
        if beyond > 0:
            image = torch.cat([image, image[:, :1].expand(-1, beyond, -1)], dim=1)
        fused: Tensor = self.linear(torch.cat([text, image[:, : text.shape[1]]], dim=-1))
        return fused


class Muse(nn.Module):
    """The complete model. Calling it gives the losses; `predict` gives labels."""

    def __init__(
        self,
        config: MuseConfig,
        text_model: PreTrainedModel,
        labels: Sequence[str],
        *,
        pretrained: bool = True,
    ) -> None:
        """Build every part that the configuration asks for.

        Args:
            config: all settings.
            text_model: the text encoder, whose width and vocabulary the rest takes over.
            labels: names of the tags or classes.
            pretrained: False leaves the image encoder random, because weights will be loaded.
        """
        super().__init__()
        self.config, self.labels = config, tuple(labels)
        self.side_by_side = False  # set where it gains, and where nothing is shared by two lanes
        pooler = config.parity.condition_on_pooler and config.loss.beta > 0
        self.text_encoder = TextEncoder(text_model, pooler=pooler)
        width = self.text_encoder.width
        self.image_encoder: ImageEncoder | NoPicture = (
            NoPicture(width)
            if config.fusion.kind == "text"
            else ImageEncoder(config.image, width, pretrained=pretrained)
        )
        self._build_fusion(config, width)
        head = EntityHead if config.task == "mner" else SentimentHead
        self.head: EntityHead | SentimentHead = head(width, len(labels), config.train.head_dropout)
        self._build_decoders(config, width, text_model.config.vocab_size)

    def _build_fusion(self, config: MuseConfig, width: int) -> None:
        """The CrossTransformer, or a baseline in its place."""
        kind = config.fusion.kind
        self.cross: CrossTransformer | Baseline = (
            CrossTransformer(config.cross, width, config.parity)
            if kind == "muse"
            else build_baseline(kind, config.cross, width)
        )
        joined = kind in ("muse", "concatenation")
        self.fusion: Fusion | TextRows = Fusion(width) if joined else TextRows()

    def _build_decoders(self, config: MuseConfig, width: int, vocabulary: int) -> None:
        """Last, and each from a seed of its own: alpha and beta change no other part's start."""
        shared = nn.Linear(width, width) if config.parity.shared_projection else None
        noise = config.loss.noise_std
        self.captioner: Captioner | None = None
        self.painter: PixelCNN | None = None
        if config.loss.alpha > 0:
            torch.manual_seed(config.train.seed + 1)
            self.image_embedding = Embedding(width, noise, shared)
            self.captioner = Captioner(config.captioner, width, vocabulary)
        if config.loss.beta > 0:
            torch.manual_seed(config.train.seed + 2)
            self.text_embedding = Embedding(width, noise, shared)
            self.painter = PixelCNN(config.painter, condition=width)

    def forward(self, batch: Batch) -> Losses:
        """L = L_task + alpha L_it + beta L_ti, every term a mean per sample."""
        by_text, by_image = (Lane(batch.image.device, on=self.side_by_side) for _ in range(2))
        by_text.fork()
        with by_text.beside():
            text, pooled = self.text_encoder(batch.token_ids, batch.is_token)  # (B, S, D), (B, D)
        image = self.image_encoder(batch.image)  # (B, P, D)
        by_image.fork(image)
        by_text.join(text)
        scores = self.head.scores(self._fuse(text, image, batch), batch)
        task = self._task_loss(scores, batch)
        with by_image.beside():
            caption = self._caption_loss(image, batch)
        with by_text.beside():
            painted = self._image_loss(text, pooled, batch)
        by_image.join(caption)
        by_text.join(painted)
        weights = self.config.loss
        total = task + weights.alpha * caption + weights.beta * painted
        return Losses(total, task.detach(), caption.detach(), painted.detach())

    def _task_loss(self, scores: Tensor, batch: Batch) -> Tensor:
        losses = self.head.loss(scores, batch)  # (B,)
        if self.config.parity.summed_losses:
            return losses.sum() / self.config.data.text_tokens
        return losses.mean()

    def _fuse(self, text: Tensor, image: Tensor, batch: Batch) -> Tensor:
        crossed = self.cross(text, batch.is_token, image)
        fused: Tensor = self.fusion(crossed.text, crossed.image)
        return fused  # (B, 1 + S, D)

    def _caption_loss(self, image: Tensor, batch: Batch) -> Tensor:
        if self.captioner is None:
            return image.new_zeros(())
        view = self.image_embedding(image)  # I_n
        if self.config.parity.summed_losses:
            mean = self.captioner.token_mean(view, batch.token_ids, batch.is_token)
            return mean / self.config.data.text_tokens
        loss: Tensor = self.captioner(view, batch.token_ids, batch.is_token)
        return loss.mean()

    def _image_loss(self, text: Tensor, pooled: Tensor, batch: Batch) -> Tensor:
        if self.painter is None:
            return text.new_zeros(())
        condition = self.paint_condition(text, pooled, batch)
        small = to_unit_range(batch.small_image)
        bits = bits_per_dim(self.painter(small, condition), small)  # (B,)
        if self.config.parity.summed_losses:
            return bits.sum() * (small.shape[1] * log(2))  # nats over the pixels' number
        return bits.mean()

    def paint_condition(self, text: Tensor, pooled: Tensor, batch: Batch) -> Tensor:
        """What a text tells the painter, (B, D); only of a model with one."""
        if self.config.parity.condition_on_pooler:
            condition: Tensor = self.text_embedding(pooled)
            return condition
        return masked_mean(self.text_embedding(text), batch.is_token)  # of T_n

    def task_scores(self, batch: Batch) -> Tensor:
        """Scores of the head alone, without decoders: (B, W, K) for mner, (B, K) for msa."""
        text, _ = self.text_encoder(batch.token_ids, batch.is_token)
        image = self.image_encoder(batch.image)
        return self.head.scores(self._fuse(text, image, batch), batch)

    @torch.no_grad()
    def predict(self, batch: Batch) -> list[list[str]] | list[str]:
        """The tags of each tweet's words, or each tweet's class."""
        scores = self.task_scores(batch)
        if isinstance(self.head, EntityHead):
            return [[self.labels[i] for i in tags] for tags in self.head.decode(scores, batch)]
        return [self.labels[i] for i in self.head.decode(scores, batch)]
