"""A mistake is one line: where, what was given, what would be right."""

from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from search.problems import did_you_mean, one_line


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Round(Strict):
    kind: Literal["round"] = "round"
    radius: float


class Square(Strict):
    kind: Literal["square"] = "square"
    side: float

    @model_validator(mode="after")
    def positive(self) -> "Square":
        if self.side <= 0:
            raise ValueError(f"side={self.side} must be above 0.")
        return self


Shape = Annotated[Round | Square, Field(discriminator="kind")]


class Drawing(Strict):
    title: str = ""
    frame: Square | None = None
    shapes: dict[str, Shape] = {}
    row: list[Square] = []


def line(given: object) -> str:
    with pytest.raises(ValidationError) as caught:
        Drawing.model_validate(given)
    return one_line(caught.value, Drawing, "file")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"titel": "x"}, "file: unknown key 'titel'; did you mean 'title'?"),
        ({"frame": {"sid": 1}}, "file, frame: unknown key 'sid'; did you mean 'side'?"),
        (
            {"shapes": {"a.b": {"kind": "round", "radiu": 1}}},
            "file, shapes.a.b: unknown key 'radiu'; did you mean 'radius'?",
        ),
        (
            {"row": [{"side": 1}, {"sides": 1}]},
            "file, row.1: unknown key 'sides'; did you mean 'side'?",
        ),
        ({"frame": {}}, "file, frame.side: is missing"),
        ({"frame": {"side": -1}}, "file, frame: side=-1.0 must be above 0."),
        (
            {"shapes": {"a": {"kind": "square", "side": 0}}},
            "file, shapes.a: side=0.0 must be above 0.",
        ),
        ({"title": 3}, "file, title: Input should be a valid string, given 3"),
        ({"zzz": 3}, "file: unknown key 'zzz'; known are: frame, row, shapes, title"),
    ],
)
def test_the_line_names_place_mistake_and_remedy(given: object, expected: str) -> None:
    assert line(given) == expected


def test_a_mistake_at_the_top_without_a_place_is_only_told() -> None:
    with pytest.raises(ValidationError) as caught:
        Square(side=-1)
    assert one_line(caught.value, Square, "") == "side=-1.0 must be above 0."


def test_the_last_part_of_a_dotted_name_is_recognised() -> None:
    assert did_you_mean("mu", ["cross.mu", "cross.eta"]) == "did you mean 'cross.mu'?"


def test_without_a_near_name_all_are_listed() -> None:
    assert did_you_mean("xyz", ["b", "a"]) == "known are: a, b"
