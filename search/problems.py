"""A mistake found by pydantic, as one line with a place and a remedy."""

from collections.abc import Collection, Iterable
from difflib import get_close_matches
from typing import Any, get_args

from pydantic import BaseModel, ValidationError


def did_you_mean(given: str, known: Iterable[str]) -> str:
    """The nearest known name as a question, or all of them."""
    names = sorted(known)
    same_end = [name for name in names if name.rpartition(".")[2] == given]
    near = same_end or get_close_matches(given, names, n=1)
    return f"did you mean '{near[0]}'?" if near else f"known are: {', '.join(names)}"


def models_in(annotation: Any) -> list[type[BaseModel]]:
    """The pydantic models that a type speaks of, however deep."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for inner in get_args(annotation) for model in models_in(inner)]


def holder(
    model: type[BaseModel], path: tuple[str | int, ...]
) -> tuple[type[BaseModel] | None, list[str]]:
    """The model that holds the last key of a path, and the keys before it as a file has them."""
    found, place = [model], []
    for key in path[:-1]:
        tagged = [
            m for m in found if "kind" in m.model_fields and m.model_fields["kind"].default == key
        ]
        if tagged:  # pydantic names the kind of knob in its path, a file does not
            found = tagged
            continue
        place.append(str(key))
        if len(found) == 1 and str(key) in found[0].model_fields:
            found = models_in(found[0].model_fields[str(key)].annotation)
    return (found[0] if len(found) == 1 else None), place


def one_line(
    error: ValidationError, model: type[BaseModel], where: str, typed: Collection[str] = ()
) -> str:
    """The first mistake of a validation: where it is, what was given, what would be right.

    Args:
        error: the validation's.
        model: what was validated.
        where: the file.
        typed: fields that come from the command line, by dotted name.
    """
    found: list[Any] = list(error.errors())
    unknown = [e for e in found if e["type"] == "extra_forbidden"]
    first = (unknown or found)[0]  # a misspelt key explains a missing one
    inside, above = holder(model, first["loc"])
    if unknown:
        key, known = str(first["loc"][-1]), inside.model_fields.keys() - {"kind"} if inside else ()
        return at(where, above, f"unknown key '{key}'; {did_you_mean(key, known)}")
    _, keys = holder(model, (*first["loc"], ""))
    if ".".join(keys) in typed:
        where = "the command line"
    elif first["type"] == "value_error" and any(beside(name, keys) for name in typed):
        where = f"the command line with {where}"
    if first["type"] == "value_error":
        return at(where, keys, str(first["ctx"]["error"]))
    if first["type"] == "missing":
        return at(where, keys, "is missing")
    return at(where, keys, f"{first['msg']}, given {first['input']!r}")


def beside(name: str, keys: list[str]) -> bool:
    """Whether a field lies in the section of which a mistake between fields is."""
    return name.startswith(".".join([*keys, ""])) if keys else True


def at(where: str, keys: list[str], what: str) -> str:
    """What is wrong behind the place where it is."""
    place = ", ".join(part for part in (where, ".".join(keys)) if part)
    return f"{place}: {what}" if place else what


def way_out(error: OSError) -> str:
    """What helps against a failure that is no fault of this program; nothing where it may be."""
    if "No space left" in str(error) or "quota" in str(error):
        return "make room"
    if isinstance(error, PermissionError):
        return "get leave for it"
    return "wait until the bucket answers" if "AWS Error" in str(error) else ""
