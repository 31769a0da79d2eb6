"""What was really built: a run's settings, read back from its model and its optimiser.

A setting that is lost between the proposal and the model spoils a search without a trace. So the
proposal carries a fingerprint of what was asked, and the workers compare it before they train.
"""

from typing import Any

from torch import nn
from torch.optim import AdamW

from muse.baselines import Concatenation, CrossAttention, TextAlone
from muse.cross_transformer import CrossTransformer
from muse.exchange import below_quantile
from muse.fingerprint import fingerprint
from muse.model import Embedding, Muse
from muse.optimizer import crf_parameters
from muse.train import Run

Data = dict[str, Any]


class MisappliedError(RuntimeError):
    """A run was built with other settings than were asked."""


def applied(run: Run) -> Data:
    """The run's configuration as data, with what can be read back from the built objects."""
    config: Data = run.config.model_dump(mode="json")
    built = {
        "cross": built_cross(run.model.cross, config["cross"]),
        "fusion": {"kind": KINDS[type(run.model.cross)]},
        "loss": built_loss(run.model),
        "train": built_training(run.model, run.optimizer),
        "parity": built_parity(run.model.cross),
    }
    for section, fields in built.items():
        config[section] = {**config[section], **fields}
    return config


def one(values: set[Any]) -> Any:
    """What all parts agree on; where they do not, what each of them has."""
    return next(iter(values)) if len(values) == 1 else sorted(values)


KINDS: dict[type[nn.Module], str] = {
    CrossTransformer: "muse",
    TextAlone: "text",
    Concatenation: "concatenation",
    CrossAttention: "cross_attention",
}
"""What each way to fuse is called in a configuration."""


def built_cross(cross: nn.Module, asked: Data) -> Data:
    """Settings of the CrossTransformer; without exchange nothing tells mu and eta.

    A baseline has nothing of it to be read back but, in cross-attention, the sizes.
    """
    if isinstance(cross, CrossAttention):
        attentions = [m for m in cross.modules() if isinstance(m, nn.MultiheadAttention)]
        heads = one({attention.num_heads for attention in attentions})
        return {"layers": len(cross.layers), "heads": heads, "dropout": built_dropout(cross)}
    if not isinstance(cross, CrossTransformer):
        return {}
    layers = list(cross.layers)
    built: Data = {
        "layers": len(layers),
        "heads": one({layer.heads for layer in layers}),
        "theta": one({layer.theta for layer in layers}),
        "choose": one({layer.choose for layer in layers}),
        "residual": one({layer.residual for layer in layers}),
        "dropout": built_dropout(cross),
    }
    exchanging = [number for number, layer in enumerate(layers, start=1) if layer.exchanges]
    if exchanging:
        built |= {"mu": exchanging[0] - 1, "eta": exchanging[-1]}
        gaps = len(exchanging) < built["eta"] - built["mu"]
    else:
        gaps = asked["theta"] > 0
    return built | ({"eta": exchanging} if gaps else {})


def built_dropout(module: nn.Module) -> Any:
    """The rate of all dropout in a module."""
    return one({m.p for m in module.modules() if isinstance(m, nn.Dropout)})


def built_loss(model: Muse) -> Data:
    """Weights of the losses, and the noise; a decoder that was not built counts for nothing."""
    weights = model.config.loss
    built = {
        "alpha": weights.alpha if model.captioner is not None else 0.0,
        "beta": weights.beta if model.painter is not None else 0.0,
    }
    noise = {module.noise_std for module in model.modules() if isinstance(module, Embedding)}
    return built | ({"noise_std": one(noise)} if noise else {})


def built_parity(cross: nn.Module) -> Data:
    """How the CrossTransformer exchanges."""
    if not isinstance(cross, CrossTransformer):
        return {}
    return {
        "mean_with_cls": one({layer.mean_with_cls for layer in cross.layers}),
        "strict_quantile": one({layer.pick is below_quantile for layer in cross.layers}),
    }


def built_training(model: Muse, optimizer: AdamW) -> Data:
    """Peak learning rates and decay of the optimiser, and the model's seed."""
    crf = crf_parameters(model)
    groups = [(g, [p in crf for p in g["params"]]) for g in optimizer.param_groups]
    built: Data = {
        "learning_rate": one({g["initial_lr"] for g, inside in groups if not all(inside)}),
        "weight_decay": max(g["weight_decay"] for g, _ in groups),
        "seed": model.config.train.seed,
    }
    if crf:
        built["crf_learning_rate"] = one({g["initial_lr"] for g, inside in groups if any(inside)})
    return built


def difference(asked: Data, built: Data) -> str:
    """The first setting that differs, by its dotted name and with both values; or nothing."""
    before, after = flat(asked), flat(built)
    for name in sorted(before.keys() | after.keys()):
        if before.get(name) != after.get(name):
            return f"{name} was asked to be {before.get(name)}, but {after.get(name)} was built"
    return ""


def flat(config: Data, prefix: str = "") -> Data:
    """Nested settings by their dotted names."""
    found: Data = {}
    for name, value in config.items():
        inner = isinstance(value, dict)
        found |= flat(value, f"{prefix}{name}.") if inner else {prefix + name: value}
    return found


def verify(run: Run, asked: Data, print_of_asked: str) -> str:
    """Compare a run with what was asked, before it trains.

    Args:
        run: built and, where it was interrupted, restored.
        asked: the configuration as it arrived.
        print_of_asked: its fingerprint, taken by whoever asked.

    Returns:
        The fingerprint of what was built.

    Raises:
        MisappliedError: they differ; it names the first setting.
    """
    built = applied(run)
    print_of_built = fingerprint(built)
    if print_of_built != print_of_asked:
        where = difference(asked, built) or "the configuration changed on its way to the workers"
        raise MisappliedError(where)
    return print_of_built
