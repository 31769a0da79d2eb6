"""Text and pictures to tokens: shapes, frozen stages, where weights come from."""

from pathlib import Path
from typing import Any
from urllib.error import URLError

import pytest
import torch
import torchvision
from small_muse import VOCABULARY, small_batch, weights
from torch import Tensor, nn
from transformers import (
    AutoConfig,
    AutoModel,
    BertConfig,
    BertModel,
    RobertaConfig,
    RobertaModel,
)

from muse.config import ImageConfig, TextConfig
from muse.encoders import ImageEncoder, TextEncoder, build_text_model
from muse.errors import UserError

WIDTH = 6


def image_encoder(**changes: Any) -> ImageEncoder:
    torch.manual_seed(0)
    fields = {"depth": 18, "weights": None, "stages": 2, "grid": 2, "frozen_stages": 0} | changes
    return ImageEncoder(ImageConfig.model_validate(fields), WIDTH)


def pictures() -> Tensor:
    torch.manual_seed(1)
    return torch.randint(256, (3, 3, 16, 16), dtype=torch.uint8)


def message(error: pytest.ExceptionInfo[UserError]) -> str:
    """What the user reads, which must be one line."""
    text = str(error.value)
    assert len(text.splitlines()) == 1
    return text


@pytest.mark.parametrize(("depth", "stages"), [(18, 1), (18, 3), (18, 4), (50, 1), (152, 4)])
@pytest.mark.parametrize("grid", [1, 3])
def test_a_picture_becomes_grid_by_grid_tokens(depth: int, stages: int, grid: int) -> None:
    with torch.device("meta"):
        encoder = image_encoder(depth=depth, stages=stages, grid=grid).eval()

    assert encoder(pictures().to("meta")).shape == (3, grid * grid, WIDTH)


def test_tokens_follow_the_rows_of_the_picture() -> None:
    encoder = image_encoder(stages=1, grid=2).eval()
    plain = torch.zeros(1, 3, 64, 64, dtype=torch.uint8)
    marked = plain.clone()
    marked[..., 12:20, 44:52] = 255  # inside the quarter of token 1, far from the others

    difference = (encoder(marked) - encoder(plain)).abs().sum(dim=2)[0]

    assert difference.argmax().item() == 1


def test_pixels_get_the_statistics_of_imagenet() -> None:
    encoder = image_encoder()
    seen: list[Tensor] = []
    encoder.stages[0].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))

    encoder(torch.tensor([0, 128, 255], dtype=torch.uint8).view(1, 3, 1, 1).expand(2, 3, 8, 8))

    expected = [(0 - 0.485) / 0.229, (128 / 255 - 0.456) / 0.224, (1 - 0.406) / 0.225]
    torch.testing.assert_close(seen[0][0, :, 0, 0], torch.tensor(expected))


def test_frozen_stages_get_no_gradient() -> None:
    encoder = image_encoder(frozen_stages=1)

    encoder(pictures()).sum().backward()

    with_gradient = [p.grad is not None for p in encoder.stages[0].parameters()]
    assert not any(with_gradient)
    assert all(p.grad is not None for p in encoder.stages[1].parameters())
    assert encoder.project.weight.grad is not None


def test_frozen_stages_keep_their_batch_statistics_while_the_others_learn() -> None:
    encoder = image_encoder(frozen_stages=1).train()
    before = weights(encoder)

    encoder(pictures())

    changed = {
        name for name, value in encoder.state_dict().items() if (value != before[name]).any()
    }
    assert changed
    assert all(name.startswith("stages.1.") for name in changed)


def test_frozen_stages_stay_in_eval_mode_when_the_whole_model_is_trained() -> None:
    encoder = image_encoder(frozen_stages=1)

    nn.Sequential(encoder).eval().train()

    assert not any(module.training for module in encoder.stages[0].modules())
    assert all(module.training for module in encoder.stages[1].modules())


def test_without_frozen_stages_everything_is_trained() -> None:
    encoder = image_encoder(frozen_stages=0).train()

    assert all(parameter.requires_grad for parameter in encoder.parameters())
    assert all(module.training for module in encoder.modules())


@pytest.fixture(scope="module")
def resnet_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state dict of a resnet18 with random weights."""
    path = tmp_path_factory.mktemp("weights") / "resnet18.pt"
    torch.manual_seed(7)
    torch.save(torchvision.models.resnet18().state_dict(), path)
    return path


def test_a_file_with_a_state_dict_is_loaded(resnet_file: Path) -> None:
    encoder = image_encoder(weights=str(resnet_file))

    saved = torch.load(resnet_file, weights_only=True)
    loaded = dict(encoder.stages[1][0].named_parameters())
    assert torch.equal(loaded["conv1.weight"], saved["layer2.0.conv1.weight"])
    assert not torch.equal(loaded["conv1.weight"], image_encoder().stages[1][0].conv1.weight)


def test_a_classifier_of_another_size_in_the_file_does_not_matter(
    resnet_file: Path, tmp_path: Path
) -> None:
    state = torch.load(resnet_file, weights_only=True)
    state["fc.weight"], state["fc.bias"] = torch.zeros(3, 512), torch.zeros(3)
    torch.save(state, tmp_path / "three_classes.pt")

    image_encoder(weights=str(tmp_path / "three_classes.pt"))


def test_a_file_is_not_looked_for_when_weights_will_be_loaded_anyway() -> None:
    config = ImageConfig(depth=18, weights="nowhere.pt", stages=1)

    ImageEncoder(config, WIDTH, pretrained=False)


def test_a_missing_file_is_named() -> None:
    with pytest.raises(UserError) as error:
        image_encoder(weights="nowhere/resnet18.pt")

    assert "no file 'nowhere/resnet18.pt'" in message(error)


@pytest.mark.parametrize("content", [b"", b"no weights at all", b"\x80\x04\x95\nnot\na\npickle"])
def test_a_file_that_holds_no_tensors_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "weights.pt").write_bytes(content)

    with pytest.raises(UserError) as error:
        image_encoder(weights=str(tmp_path / "weights.pt"))

    assert "weights.pt' holds no state dict" in message(error)


def test_a_file_that_would_run_code_is_refused(tmp_path: Path) -> None:
    torch.save(torchvision.models.resnet18(), tmp_path / "whole_model.pt")

    with pytest.raises(UserError) as error:
        image_encoder(weights=str(tmp_path / "whole_model.pt"))

    assert "holds no state dict" in message(error)


@pytest.mark.parametrize("content", [torch.zeros(3), [1, 2], {"epoch": 3}, {}, {1: torch.zeros(3)}])
def test_a_file_that_holds_something_else_is_refused(tmp_path: Path, content: Any) -> None:
    torch.save(content, tmp_path / "other.pt")

    with pytest.raises(UserError) as error:
        image_encoder(weights=str(tmp_path / "other.pt"))

    assert "other.pt'" in message(error)


def test_weights_of_another_depth_are_refused(resnet_file: Path) -> None:
    with pytest.raises(UserError) as error:
        image_encoder(depth=50, weights=str(resnet_file))

    assert "is no resnet50" in message(error)


@pytest.mark.parametrize(
    "failure",
    [
        URLError("no route to host"),
        TimeoutError("timed out"),
        RuntimeError('invalid hash value (expected "a", got "b")'),
    ],
)
def test_imagenet_weights_that_cannot_be_had_are_a_one_line_error(
    monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    def fail(*args: object, **kwargs: object) -> None:
        raise failure

    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", fail)

    with pytest.raises(UserError) as error:
        image_encoder(weights="imagenet")

    assert "'imagenet' could not be downloaded" in message(error)


@pytest.mark.parametrize("content", ["code", "nothing", "a page"])
def test_a_file_in_torchs_cache_runs_no_code_and_is_named_where_it_is_damaged(
    content: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    url = torchvision.models.ResNet18_Weights.DEFAULT.url
    file = tmp_path / "hub" / "checkpoints" / Path(url).name
    file.parent.mkdir(parents=True)
    if content == "code":
        torch.save({"conv1.weight": Trap(tmp_path / "ran")}, file)
    else:
        file.write_bytes({"nothing": b"", "a page": b"<html>log in</html>"}[content])
    with pytest.raises(UserError, match="'imagenet' could not be downloaded or read") as error:
        image_encoder(weights="imagenet")
    assert "\n" not in message(error)
    assert not (tmp_path / "ran").exists()


class Trap:
    """What would run code if it were unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.mark,))


def test_imagenet_weights_are_used(monkeypatch: pytest.MonkeyPatch, resnet_file: Path) -> None:
    saved = torch.load(resnet_file, weights_only=True)
    monkeypatch.setattr(
        "torchvision.models._api.load_state_dict_from_url",
        lambda *args, **kwargs: saved,  # noqa: ARG005
    )

    encoder = image_encoder(weights="imagenet")

    assert torch.equal(encoder.stages[1][0].conv1.weight, saved["layer2.0.conv1.weight"])


def text_encoder(pooler: bool = False) -> TextEncoder:
    torch.manual_seed(0)
    config = TextConfig(weights=None, layers=2, width=16, heads=2)
    return TextEncoder(build_text_model(config, VOCABULARY), pooler=pooler).eval()


def test_the_random_text_encoder_has_the_sizes_asked_for() -> None:
    config = TextConfig(weights=None, layers=3, width=24, heads=2)

    built = build_text_model(config, vocabulary=77).config

    assert (built.num_hidden_layers, built.hidden_size, built.vocab_size) == (3, 24, 77)


@pytest.mark.parametrize(
    ("vocabulary", "longest", "said"),
    [(31, 8, "knows 30 sub-words"), (30, 9, "data.text_tokens: 9")],
)
def test_a_text_encoder_too_small_for_its_texts_is_named(
    tmp_path: Path, vocabulary: int, longest: int, said: str
) -> None:
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
    config = BertConfig(vocab_size=30, max_position_embeddings=8, intermediate_size=8, **sizes)
    BertModel(config).save_pretrained(tmp_path)
    text = TextConfig(weights=str(tmp_path))

    build_text_model(text, 30, 8)
    with pytest.raises(UserError, match=said):
        build_text_model(text, vocabulary, longest)


def test_a_roberta_has_two_places_less_than_its_table(tmp_path: Path) -> None:
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
    config = RobertaConfig(vocab_size=30, max_position_embeddings=10, intermediate_size=8, **sizes)
    RobertaModel(config).save_pretrained(tmp_path)
    text = TextConfig(weights=str(tmp_path))

    longest = torch.full((1, 8), 5)  # its padding is 1
    assert TextEncoder(build_text_model(text, 30, 8))(longest, longest > 0)[0].shape == (1, 8, 8)
    with pytest.raises(UserError, match=r"data\.text_tokens: 9 is more than the 8"):
        build_text_model(text, 30, 9)


def test_text_becomes_one_token_a_subword() -> None:
    batch = small_batch()

    tokens, cls = text_encoder()(batch.token_ids, batch.is_token)

    assert tokens.shape == (4, 8, 16)
    assert torch.equal(cls, tokens[:, 0])


def test_a_tweet_does_not_depend_on_the_padding_after_it() -> None:
    batch = small_batch(lengths=(8, 5))
    encoder = text_encoder()

    padded, _ = encoder(batch.token_ids, batch.is_token)
    alone, _ = encoder(batch.token_ids[1:, :5], batch.is_token[1:, :5])

    torch.testing.assert_close(padded[1:, :5], alone, atol=1e-5, rtol=0)


SIZES = {"num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16}
KINDS = {
    "albert": {**SIZES, "embedding_size": 8},
    "deberta-v2": {**SIZES, "conv_kernel_size": 3, "conv_act": "gelu"},
    "distilbert": {"n_layers": 2, "n_heads": 2, "hidden_dim": 16},
    "electra": {**SIZES, "embedding_size": 8},
    "modernbert": {**SIZES, "pad_token_id": 0, "max_position_embeddings": 64},
    "roberta": {**SIZES, "pad_token_id": 0},
}


@pytest.mark.parametrize("kind", KINDS)
def test_of_no_kind_of_encoder_a_tweet_depends_on_the_padding_after_it(kind: str) -> None:
    config = AutoConfig.for_model(kind, vocab_size=VOCABULARY, hidden_size=16, **KINDS[kind])
    encoder = TextEncoder(AutoModel.from_config(config)).eval()
    batch = small_batch(lengths=(8, 5))
    ids = batch.token_ids * batch.is_token  # 0 is the padding of all of them

    padded, _ = encoder(ids, batch.is_token)
    alone, _ = encoder(ids[1:, :5], batch.is_token[1:, :5])

    torch.testing.assert_close(padded[1:, :5], alone, atol=1e-5, rtol=0)


def test_the_pooler_is_kept_only_where_it_is_used() -> None:
    batch = small_batch()
    encoder = text_encoder(pooler=True)

    tokens, pooled = encoder(batch.token_ids, batch.is_token)

    pooler = encoder.model.pooler
    torch.testing.assert_close(pooled, pooler.dense(tokens[:, 0]).tanh())
    assert text_encoder(pooler=False).model.pooler is None


def test_an_encoder_without_pooler_gives_its_cls_instead() -> None:
    batch = small_batch()
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    model = BertModel(BertConfig(vocab_size=VOCABULARY, **sizes), add_pooling_layer=False)

    tokens, cls = TextEncoder(model, pooler=True).eval()(batch.token_ids, batch.is_token)

    assert torch.equal(cls, tokens[:, 0])
