"""A comparison: named variants of one model, trained with the same seeds beside a reference."""

from collections.abc import Callable, Collection, Mapping
from typing import Annotated

from pydantic import Field, PositiveInt

from muse.config import Frozen
from muse.errors import UserError
from search.problems import did_you_mean
from search.space import Point

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$", max_length=40)]
"""Part of a trial's id, which names a folder too."""

INPUTS = "data.inputs"
"""The one setting of the data that a variant may change: all train on the same tweets."""


class Comparison(Frozen):
    """What is compared with what; nothing is searched."""

    reference: Name = "muse"
    """What the study's own settings are called."""

    seeds: PositiveInt = 3
    """Runs of each variant; the same seeds for all."""

    variants: dict[Name, Point] = Field(default={})
    """The settings that each changes, by dotted name; none: the reference alone."""

    @property
    def named(self) -> dict[str, Point]:
        """Every variant with its changes, the reference first."""
        return {self.reference: {}, **self.variants}


def check_variants(
    asked: Comparison,
    known: Collection[str],
    own: Mapping[str, str],
    build: Callable[[Point], object],
) -> None:
    """Every variant changes settings that there are, and its settings fit together.

    Args:
        asked: what is compared.
        known: every setting of a trial.
        own: settings that the study has fields of its own for, and those fields.
        build: makes all settings of a trial, or raises UserError.

    Raises:
        ValueError: one line with the variant and what is wrong.
    """
    if asked.reference in asked.variants:
        raise ValueError(f"compare: '{asked.reference}' is the reference; name the variant anew")
    for name, changes in asked.variants.items():
        where = f"compare.variants.{name}"
        if not changes:
            raise ValueError(f"{where}: changes nothing; the reference is '{asked.reference}'")
        for setting in changes:
            check_setting(setting, where, known, own)
        try:
            build(changes)
        except UserError as error:
            raise ValueError(f"{where}: {error}") from error


def check_setting(setting: str, where: str, known: Collection[str], own: Mapping[str, str]) -> None:
    """A variant may change this setting."""
    if setting in own:
        raise ValueError(f"{where}: '{setting}' is given by '{own[setting]}', for all variants")
    if setting not in known:
        raise ValueError(f"{where}: unknown setting '{setting}'; {did_you_mean(setting, known)}")
    if setting.startswith("data.") and setting != INPUTS:
        raise ValueError(
            f"{where}: '{setting}' changes the tweets, which all variants share; "
            f"of the data only '{INPUTS}' may differ"
        )
