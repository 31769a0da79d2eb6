"""Everything that decides a search, checked on creation, and the settings of each of its trials.

`search.experiment` reads one from a file.
"""

import re
from copy import deepcopy
from difflib import get_close_matches
from typing import Annotated, Any, Self

from pydantic import (
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from muse.config import Frozen, Metric, MuseConfig, Task
from muse.errors import UserError
from muse.presets import PRESETS, Preset
from search.problems import did_you_mean, one_line
from search.sections import Budget, Curves, Proposals, Resources, Stopping
from search.space import ETA, MU, Choice, Point, Range, Space, Whole, describe, within
from search.variants import Comparison, check_variants

PHASES = ("search", "confirm", "sensitivity", "final", "report")
"""What a study does, in this order."""

COMPARING = ("compare", "report")
"""What a study does that compares variants."""

OWN = {"train.epochs": "budget.epochs", "train.seed": "seed", "train.metric": "metric"}
"""Settings that a study has fields of its own for."""


class Study(Frozen):
    """Everything that decides a search."""

    name: str = "study"
    """Folder of the study inside the output folder."""

    task: Task = "mner"
    preset: Preset = "small"
    metric: Metric | None = None
    """What is maximised; None: valid_f1 for mner, valid_accuracy for msa."""

    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    """Of the proposals and of the search's training runs."""

    data: dict[str, Any] = Field(default={})
    """Fields of muse.config.DataConfig."""

    budget: Budget = Budget()
    searcher: Proposals = Proposals()
    scheduler: Stopping = Stopping()
    sensitivity: Curves = Curves()
    resources: Resources = Resources()
    samples: bool = True
    """Whether the review shows tweets: pictures, texts, captions. --no-samples sets it off."""

    fixed: dict[str, Any] = Field(default={})
    """Settings that depart from the preset, by dotted name."""

    space: Space = Field(default={})
    """Settings that are searched, by dotted name."""

    first_points: list[Point] = Field(default=[])
    """Points tried before the searcher proposes; what they leave out it draws."""

    compare: Comparison | None = None
    """Variants to compare with the settings above, instead of a search."""

    @field_validator("name")
    @classmethod
    def name_of_a_folder(cls, name: str) -> str:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", name):
            raise ValueError(
                f"{name!r} names no folder; letters, digits, '.', '_' and '-', at most 100, the "
                "first a letter or a digit"
            )
        return name

    @field_validator("space", mode="before")
    @classmethod
    def kind_of_knob(cls, space: Any) -> Any:
        """A setting that is a whole number has a whole range; the file need not say so."""
        if not isinstance(space, dict):
            return space
        return {name: with_kind(name, knob) for name, knob in space.items()}

    @model_validator(mode="after")
    def every_point_is_legal(self) -> Self:
        check_names(self)
        check_ranges(self)
        for point in self.first_points:
            check_point(self, point)
        if self.compare is not None:
            if self.space or self.first_points:
                raise ValueError(
                    "compare: a comparison searches nothing; leave out space and first_points, or "
                    "compare"
                )
            check_variants(self.compare, settings(), OWN, self.config)
        return self

    def config(self, point: Point, seed: int | None = None) -> MuseConfig:
        """All settings of a trial.

        Raises:
            UserError: they do not fit together.
        """
        tree: dict[str, Any] = deepcopy(PRESETS[self.preset])
        own = {"epochs": self.budget.epochs, "seed": self.seed if seed is None else seed}
        tree["train"] = {**tree.get("train", {}), **own, "metric": self.metric}
        tree["data"] = {**tree.get("data", {}), **self.data}
        for name, value in {**self.fixed, **point}.items():
            section, _, key = name.partition(".")
            tree.setdefault(section, {})[key] = value
        try:
            return MuseConfig.model_validate({"task": self.task, **tree})
        except ValidationError as error:
            raise UserError(one_line(error, MuseConfig, "")) from error

    def allows(self, point: Point) -> bool:
        """Whether the settings fit together."""
        try:
            self.config(point)
        except UserError:
            return False
        return True

    def holds(self, point: Point) -> bool:
        """Whether each searched value lies in its range."""
        return all(name in point and knob.holds(point[name]) for name, knob in self.space.items())

    @property
    def phases(self) -> tuple[str, ...]:
        """What it does, in this order."""
        return PHASES if self.compare is None else COMPARING

    @property
    def trials(self) -> int:
        """Trials of its first phase."""
        if self.compare is None:
            return self.budget.trials
        return len(self.compare.named) * self.compare.seeds

    @property
    def base(self) -> MuseConfig:
        """Settings of a legal trial, for all that no searched setting decides."""
        return self.config(lowest(self))


def settings() -> dict[str, Any]:
    """Every setting of a trial by its dotted name, with its default."""
    sections = MuseConfig().model_dump()
    return {
        f"{section}.{key}": value
        for section, fields in sections.items()
        if isinstance(fields, dict)
        for key, value in fields.items()
    }


def with_kind(name: str, knob: Any) -> Any:
    """Say of a knob from a file whether it is a range, whole numbers or a choice."""
    if isinstance(knob, Range | Whole | Choice):
        return knob
    if not isinstance(knob, dict):
        raise ValueError(f"{name}: {knob!r} is no range; {{low: 0, high: 1}} or {{choices: [...]}}")
    if any(get_close_matches(str(key), ["choices"]) for key in knob):  # a slip is told as one
        return {**knob, "kind": "choice"}
    default = settings().get(name)
    whole = isinstance(default, int) and not isinstance(default, bool)
    return {**knob, "kind": "whole" if whole else "range"}


def check_names(study: Study) -> None:
    """Every dotted name is a setting, and none is given twice."""
    known = settings()
    for place in ("fixed", "space"):
        for name in getattr(study, place):
            if name in OWN:
                raise ValueError(f"{place}: '{name}' is given by '{OWN[name]}'")
            if name not in known or name.startswith("data."):
                raise ValueError(f"{place}: unknown setting '{name}'; {did_you_mean(name, known)}")
    both = study.fixed.keys() & study.space.keys()
    if both:
        raise ValueError(f"'{min(both)}' stands in fixed and in space; keep one")


def lowest(study: Study) -> Point:
    """A legal point: each range's low end, eta's high end."""
    point: Point = {}
    for name, knob in study.space.items():
        if isinstance(knob, Choice):
            # What is legal with the smallest eta is so with any, and with the smallest mu.
            numbers = [value for value in knob.choices if not isinstance(value, str)]
            point[name] = min(numbers) if name in PARTNER and numbers else knob.choices[0]
        elif isinstance(knob, Whole):
            point[name] = knob.high if name == ETA else knob.low
        else:
            point[name] = knob.low
    return point


PARTNER = {MU: ETA, ETA: MU}
"""Settings that bound one another."""


def check_ranges(study: Study) -> None:
    """Both ends of every range give settings that fit together."""
    base = lowest(study)
    study.config(base)
    for name, knob in study.space.items():
        if PARTNER.get(name) in study.fixed:  # what they leave open is drawn
            knob = within(study.space, name, study.fixed)  # noqa: PLW2901
        ends = knob.choices if isinstance(knob, Choice) else knob.values(3)
        for end in ends:
            try:
                study.config({**base, name: end})
            except UserError as error:
                raise ValueError(f"space, {name}: {end} is not legal: {error}") from error


def check_point(study: Study, point: Point) -> None:
    """A first point names searched settings, lies in their ranges and is legal."""
    for name, value in point.items():
        if name not in study.space:
            known = did_you_mean(name, study.space)
            raise ValueError(f"first_points: '{name}' is not searched; {known}")
        knob = study.space[name]
        if not knob.holds(value):
            raise ValueError(
                f"first_points: {name}={value} lies outside the space ({describe(knob)})"
            )
    if ETA in point and MU in study.space and MU not in point:
        raise ValueError(f"first_points: '{ETA}' without '{MU}', which is drawn first; give both")
    try:
        study.config({**lowest(study), **point})
    except UserError as error:
        raise ValueError(f"first_points: {error}") from error
