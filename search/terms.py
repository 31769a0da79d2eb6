"""What we call settings, metrics and numbers: the same in every place."""

from collections.abc import Sequence

from search.space import short

SYMBOLS = {"theta": "θ", "mu": "μ", "eta": "η", "alpha": "α", "beta": "β"}  # noqa: RUF001
MEANINGS = {
    "theta": "share of tokens exchanged",
    "mu": "plain layers before the first exchange",
    "eta": "last layer that exchanges",
    "alpha": "weight of the image-captioning loss",
    "beta": "weight of the text-to-image loss",
}
METRICS = {"f1": "F1", "f1_official": "F1 (official script)", "weighted_f1": "weighted F1"}
SPLITS = {"test": "test", "valid": "validation"}


def title(name: str) -> str:
    """A setting's name for a reader: its symbol in the paper, or words."""
    key = short(name)
    return f"{SYMBOLS[key]} ({key})" if key in SYMBOLS else key.replace("_", " ")


def meaning(name: str) -> str:
    """What a setting of the paper does; nothing where its name says it."""
    return MEANINGS.get(short(name), "")


def metric_name(metric: str) -> str:
    """A metric as a reader says it, after the split that its name may begin with."""
    split, _, rest = metric.partition("_")
    if split in SPLITS:
        return f"{SPLITS[split]} {metric_name(rest)}"
    return METRICS.get(metric, metric.replace("_", " "))


def score(value: float | None, sign: bool = False) -> str:
    """A score or a difference of scores, to four places; a dash where there is none."""
    if value is None:
        return "-"
    return f"{value:+.4f}" if sign else f"{value:.4f}"


def between(low: float | None, high: float | None, sign: bool = False) -> str:
    """An interval; a dash where there is none."""
    if low is None or high is None:
        return "-"
    return f"{score(low, sign)} to {score(high, sign)}"


def listed(words: Sequence[str]) -> str:
    """Words in a row, as in `a, b and c`."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def chance(p: float | None) -> str:
    """A p-value, to two digits."""
    if p is None:
        return "-"
    return "< 0.0001" if p < 1e-4 else f"{p:.2g}"
