"""What may vary: plain data, checked at birth. Only `suggest` knows of Optuna."""

from typing import Annotated, Any, Literal, Self

import optuna
from pydantic import BeforeValidator, Field, model_validator

from muse.config import CrossConfig, Frozen


def as_number(value: Any) -> Any:
    """YAML takes 1e-4 for a text; a number is meant."""
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


Value = Annotated[float | int | str, BeforeValidator(as_number)]
Point = dict[str, Value]
"""A value for each searched setting, by its dotted name."""

MU, ETA, LAYERS = "cross.mu", "cross.eta", "cross.layers"
SEVEN = (
    "cross.theta",
    MU,
    ETA,
    "loss.alpha",
    "loss.beta",
    "train.learning_rate",
    "cross.dropout",
)
"""The settings that every study is about."""


class Range(Frozen):
    """Any number between low and high, drawn evenly or evenly in its logarithm."""

    kind: Literal["range"] = "range"
    low: float
    high: float
    log: bool = False

    @model_validator(mode="after")
    def low_below_high(self) -> Self:
        if not self.low < self.high or (self.log and self.low <= 0):
            raise ValueError(f"low={self.low}, high={self.high}: low < high, and above 0 if log.")
        return self

    def suggest(self, name: str, trial: optuna.Trial) -> float:
        """Let Optuna draw a number."""
        return trial.suggest_float(name, self.low, self.high, log=self.log)

    def holds(self, value: Value) -> bool:
        """Whether a value lies inside."""
        return isinstance(value, int | float) and self.low <= value <= self.high

    def values(self, count: int) -> list[Value]:
        """`count` values over the whole range, evenly or evenly in the logarithm."""
        steps = [i / (count - 1) for i in range(1, count - 1)]
        if self.log:
            between = [self.low * (self.high / self.low) ** step for step in steps]
        else:
            between = [self.low + (self.high - self.low) * step for step in steps]
        rounded = [min(max(float(f"{v:.4g}"), self.low), self.high) for v in between]
        values: list[Value] = [self.low, *rounded, self.high]
        return values[:count]


class Whole(Frozen):
    """Any whole number from low to high, both included."""

    kind: Literal["whole"] = "whole"
    low: int
    high: int

    @model_validator(mode="after")
    def low_not_above_high(self) -> Self:
        if self.low > self.high:
            raise ValueError(f"low={self.low} is above high={self.high}.")
        return self

    def suggest(self, name: str, trial: optuna.Trial) -> int:
        """Let Optuna draw a number."""
        return trial.suggest_int(name, self.low, self.high)

    def holds(self, value: Value) -> bool:
        """Whether a value lies inside."""
        return isinstance(value, int) and self.low <= value <= self.high

    def values(self, count: int) -> list[Value]:
        """Up to `count` numbers spread over the range, all of them if they are fewer."""
        if self.high - self.low < count:
            return list(range(self.low, self.high + 1))
        step = (self.high - self.low) / max(1, count - 1)
        return sorted({round(self.low + step * i) for i in range(count)})


class Choice(Frozen):
    """One of a few values."""

    kind: Literal["choice"] = "choice"
    choices: list[Value] = Field(min_length=2)

    @model_validator(mode="after")
    def each_once(self) -> Self:
        twice = next((v for k, v in enumerate(self.choices) if v in self.choices[:k]), None)
        if twice is not None:
            raise ValueError(f"choices: {twice} stands twice; name each value once.")
        return self

    def suggest(self, name: str, trial: optuna.Trial) -> Value:
        """Let Optuna choose."""
        chosen: Any = trial.suggest_categorical(name, self.choices)
        return chosen  # type: ignore[no-any-return]

    def holds(self, value: Value) -> bool:
        """Whether a value is one of them."""
        return value in self.choices

    def values(self, count: int) -> list[Value]:
        """Up to `count` spread over the list with both its ends, all of them if they are fewer."""
        last = len(self.choices) - 1
        places = Whole(low=0, high=last).values(count)
        return [self.choices[int(place)] for place in places]


Knob = Annotated[Range | Whole | Choice, Field(discriminator="kind")]
Space = dict[str, Knob]


def describe(knob: Knob) -> str:
    """A knob in words."""
    if isinstance(knob, Choice):
        return f"one of {', '.join(map(str, knob.choices))}"
    log = ", log" if knob.kind == "range" and knob.log else ""
    return f"{knob.kind} {knob.low}..{knob.high}{log}"


def short(name: str) -> str:
    """A setting's name in tables: `cross.theta` is theta, others keep their section."""
    return name.rpartition(".")[2] if name in SEVEN else name


def suggest(space: Space, fixed: dict[str, Any], trial: optuna.Trial) -> Point:
    """Draw a legal point: the layers first, then mu, leaving room for eta, then eta above it."""
    point: Point = {}
    names = sorted(space, key=lambda name: (name == ETA) - (name == LAYERS))  # others as they stand
    for name in names:
        point[name] = within(space, name, {**fixed, **point}).suggest(name, trial)
    return {name: point[name] for name in space}


def within(space: Space, name: str, known: dict[str, Any]) -> Knob:
    """A knob with its range narrowed so that mu < eta <= layers can hold.

    Args:
        space: all knobs.
        name: the knob.
        known: values of other settings, by dotted name; eta's may still be open, and where the
            layers are, they may be as many as there can be.
    """
    knob = space[name]
    if not isinstance(knob, Whole):
        return knob
    layers = int(known.get(LAYERS, most_layers(space)))
    if name == ETA:
        low, high = max(knob.low, int(known.get(MU, 0)) + 1), min(knob.high, layers)
    elif name == MU:
        eta = space.get(ETA)
        top = eta.high if isinstance(eta, Whole) and ETA not in known else known.get(ETA, layers)
        low, high = knob.low, min(knob.high, min(int(top), layers) - 1)
    else:
        return knob
    return Whole(low=low, high=max(low, high))


def most_layers(space: Space) -> int:
    """The largest depth that a trial can have where nothing fixes it."""
    knob = space.get(LAYERS)
    if isinstance(knob, Choice):
        return max(int(choice) for choice in knob.choices)
    return CrossConfig().layers if knob is None else int(knob.high)
