"""Everything that decides a search, checked on creation, and the settings of each of its trials.

`search.experiment` reads one from a file.
"""

from copy import deepcopy
from typing import Any, Literal, Self

from pydantic import (
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    ValidationError,
    field_validator,
    model_validator,
)

from muse.config import Frozen, Metric, MuseConfig, Task
from muse.errors import UserError
from muse.presets import PRESETS, Preset
from search.problems import did_you_mean, one_line
from search.space import ETA, MU, Choice, Point, Space, Whole, within
from search.variants import Comparison, check_variants

MOST_SEEDS = 100
"""Seeds of a phase; the next phase's begin after so many, however many are used, so that more of
them can be asked for later."""

PHASES = ("search", "confirm", "sensitivity", "final", "report")
"""What a study does, in this order."""

COMPARING = ("compare", "report")
"""What a study does that compares variants."""

OWN = {"train.epochs": "budget.epochs", "train.seed": "seed", "train.metric": "metric"}
"""Settings that a study has fields of its own for."""


class Budget(Frozen):
    """How much may be spent."""

    trials: PositiveInt = 20
    """Configurations that the search tries."""

    epochs: PositiveInt = 10
    """Epochs of a trial that is not stopped."""


class Proposals(Frozen):
    """Who proposes."""

    name: Literal["tpe", "random"] = "tpe"
    startup: PositiveInt = 8
    """Random proposals before TPE has something to learn from."""


class Stopping(Frozen):
    """Who stops a trial early."""

    name: Literal["asha", "none"] = "asha"
    grace_epochs: PositiveInt = 1
    """Epochs that every trial gets."""

    reduction: float = Field(default=3.0, gt=1)
    """Of this many trials that reach a rung, one goes on."""


class Curves(Frozen):
    """The confirmation of the best configurations and the sensitivity curves around the winner."""

    candidates: PositiveInt = 3
    """Best configurations of the search that are trained again to choose the incumbent."""

    points: NonNegativeInt = 5
    """Values of each setting over its range, but all of mu's and eta's; 0 draws no curves."""

    seeds: PositiveInt = Field(default=3, le=MOST_SEEDS)
    """Runs at each value, and of each candidate."""

    pairs: NonNegativeInt = 1
    """Pairs of settings, the strongest first, that are varied together."""

    max_hours: PositiveFloat | None = None
    """Most hours that the curves may take; seeds and points shrink to fit."""


class Resources(Frozen):
    """What one trial gets; how many run at once follows from what the cluster has."""

    workers: PositiveInt = 1
    """Ray Train workers of a trial (data parallel)."""

    cpus_per_worker: PositiveFloat = 1
    gpus_per_worker: NonNegativeFloat | None = None
    """None: one where the cluster has GPUs, else none; once a trial has shown how much memory it
    needs, as many trials share a GPU as that leaves room for (not those of several workers)."""

    concurrent: PositiveInt | None = None
    """Trials at once; None: as many as fit now. Set it where a cluster grows on demand."""

    price_per_hour: NonNegativeFloat | None = None
    """Of one GPU, or of one CPU where trials hold no GPU; in whatever money you pay."""

    max_failures: NonNegativeInt = 2
    """Times that a trial is taken up again after its workers, their node or the storage was lost,
    or after they hung."""

    hang_factor: PositiveFloat = 20
    """Workers count as hung when they have been silent for so many usual epochs of their trial (and
    for two minutes), and are then replaced."""

    first_epoch_minutes: PositiveFloat = 60
    """How long workers may be silent before the first report of a trial they took: it includes the
    preparation of the data."""

    idle_minutes: PositiveFloat = 5
    """A worker group without work for so long gives its machine back."""

    together_minutes: NonNegativeFloat = 1
    """The final training takes the workers of all concurrent trials where the incumbent's own run
    took this long; a shorter one is over before so many have started together."""

    custom: dict[str, PositiveFloat] = Field(default={})
    """Other resources of each worker, by the names that the cluster's nodes give them."""


class Study(Frozen):
    """Everything that decides a search."""

    name: str = Field(default="study", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    """Folder of the study inside the output folder."""

    task: Task = "mner"
    preset: Preset = "small"
    metric: Metric | None = None
    """What is maximised; None: valid_f1 for mner, valid_accuracy for msa."""

    seed: NonNegativeInt = 0
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
                raise ValueError("compare: nothing is searched; leave out space and first_points")
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
    if not isinstance(knob, dict):
        return knob
    if "choices" in knob:
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
            # What is legal with the smallest eta is so with any.
            point[name] = min(knob.choices, key=float) if name == ETA else knob.choices[0]
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
            raise ValueError(f"first_points: {name}={value} lies outside the space ({knob})")
    if ETA in point and MU in study.space and MU not in point:
        raise ValueError(f"first_points: '{ETA}' without '{MU}', which is drawn first; give both")
    try:
        study.config({**lowest(study), **point})
    except UserError as error:
        raise ValueError(f"first_points: {error}") from error
