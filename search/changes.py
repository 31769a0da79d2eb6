"""What changed between a study's begin and its resume."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from muse.errors import UserError
from search.provenance import occasion
from search.stored import Stored, describe
from search.study import Study

FREE = ("name", "budget.trials", "resources.", "samples", "sensitivity.", "compare.seeds")
"""Fields that a resume may change freely: how much, and on what, but not what is measured.
`resources.workers` is none of them: it shares out the batches."""

MISSING = object()


def leaves(tree: dict[str, Any], above: str = "") -> dict[str, Any]:
    """The values of a nested mapping by their dotted names; lists are values."""
    found: dict[str, Any] = {}
    for key, value in tree.items():
        name = f"{above}{key}"
        if isinstance(value, dict) and value and not above.startswith("space."):
            found |= leaves(value, f"{name}.")
        elif value != {}:
            found[name] = value
    return found


def free(name: str, added: tuple[str, ...]) -> bool:
    """Whether a resume may change a field without further ado."""
    return name.startswith(FREE + added) and name != "resources.workers"


def added_variants(stored: Study, wanted: Study) -> tuple[str, ...]:
    """The fields of variants that a comparison did not have, by what their names begin with."""
    if stored.compare is None or wanted.compare is None:
        return ()
    new = wanted.compare.variants.keys() - stored.compare.variants.keys()
    return tuple(f"compare.variants.{name}." for name in new)


def told(value: Any) -> str:
    """A value in an error message."""
    if isinstance(value, dict):
        return " ".join(f"{key} {item}" for key, item in value.items() if key != "kind")
    return "not given" if value is MISSING else str(value)


def differences(stored: Study, wanted: Study) -> list[str]:
    """The fields that decide what is measured and that differ, each in a few words."""
    before, now = (leaves(study.model_dump(mode="json")) for study in (stored, wanted))
    added = added_variants(stored, wanted)
    return [
        f"{name} changed ({told(before.get(name, MISSING))}, now {told(now.get(name, MISSING))})"
        for name in [*before, *(name for name in now if name not in before)]
        if not free(name, added) and before.get(name, MISSING) != now.get(name, MISSING)
    ]


def check_comparable(stored: Study, wanted: Study) -> None:
    """Some changes make another study of it, whatever the user allows.

    A run that had more epochs is no point of the same curve.

    Raises:
        UserError: the scores or the searched settings are not the same any more.
    """
    same = {
        "task": (stored.task, wanted.task),
        "metric": (stored.base.metric, wanted.base.metric),
        "budget.epochs": (stored.budget.epochs, wanted.budget.epochs),
        "space": (sorted(stored.space), sorted(wanted.space)),
        "compare": (stored.phases, wanted.phases),
    }
    for field, (before, now) in same.items():
        if before != now:
            raise UserError(
                f"{field}: another one than this study has ({apart(before, now)}); "
                "start a study under another --name."
            )


def apart(before: Any, now: Any) -> str:
    """Two values in an error message; of two lists only what the other one has not."""
    if not isinstance(before, list):
        return f"{before}, now {now}"
    gone = [name for name in before if name not in now]
    new = [name for name in now if name not in before]
    told = (("without", gone), ("with", new))
    return ", ".join(f"now {what} {' and '.join(some)}" for what, some in told if some)


@dataclass(frozen=True)
class Changes:
    """What is different, each in a few words."""

    code: Sequence[str] = ()
    spoils: Sequence[str] = ()
    """Data and settings: with these a trial that was interrupted cannot go on as it began."""

    @property
    def all(self) -> list[str]:
        """All of it."""
        return [*self.code, *self.spoils]


def changes(found: Stored, study: Study, data_hash: str) -> Changes:
    """What is different since the last process worked on a study.

    Args:
        found: what its folder says.
        study: the study as the user wants it now.
        data_hash: of its corpus as it is now.
    """
    before = found.latest
    moved = differences(found.study, study)
    if before["data_hash"] != data_hash:
        moved.append(f"the data changed (hash {before['data_hash']}, now {data_hash})")
    return Changes(code_change(before, occasion()), moved)


def code_change(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """Whether the source files are others than those that worked on the study last."""
    if before.get("code_hash") in (None, now["code_hash"]):
        return []
    revisions = f"revision {before.get('revision')}, now {now['revision']}"
    return [f"the code changed (hash {before['code_hash']}, now {now['code_hash']}; {revisions})"]


def history(found: Stored, study: Study, changed: Changes, data_hash: str) -> dict[str, Any]:
    """`study.yaml` with one more resume.

    Args:
        found: what it held.
        study: the study as it goes on.
        changed: what is different now.
        data_hash: of the corpus.
    """
    now = {**occasion(), "data_hash": data_hash, "changed": changed.all}
    resumed = [*found.about.get("resumed", []), now]
    return {**found.about, **describe(study), "resumed": resumed}
