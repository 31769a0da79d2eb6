"""The model card, `README.md` beside the weights: data, scores, settings, limits, how to load."""

from collections.abc import Mapping, Sequence
from statistics import mean, variance
from typing import Any

from muse.config import DataConfig, MuseConfig
from muse.durable import put_text
from muse.tensors import Tensors
from muse.yardstick import trivial_score
from search.best import read_best
from search.entry import Entry
from search.spread import Spread
from search.stored import provenance_of
from search.study import Study
from search.tables import markdown
from search.terms import metric_name, title
from search.view import number
from search.work import Work

TASKS = {
    "mner": "named entities in a tweet, from its text and its picture",
    "msa": "sentiment of a tweet (negative, neutral, positive), from its text and its picture",
}

LIMITS = (
    "Scores hold for tweets like those of the data named above, and for nothing else.",
    "The checkpoint was chosen by the validation score, and the settings by a search over it, so "
    "this model's validation score is too high by an unknown amount.",
    "A label is a guess without a reason. Do not decide about people by it.",
)


def write_card(work: Work) -> None:
    """Write the card beside the model in `best/`, if there is one."""
    root = work.place.root
    about = read_best(root)
    if not (root / "best" / "muse.json").is_file() or not about.get("model"):
        return
    text = card(work.study, about, provenance_of(root), work.tensors, work.entries())
    put_text(root / "best" / "README.md", text)


def card(
    study: Study,
    about: Mapping[str, Any],
    provenance: Mapping[str, Any],
    tensors: Tensors,
    entries: Sequence[Entry],
) -> str:
    """The card's text.

    Args:
        study: that the model comes from.
        about: `best.yaml`.
        provenance: versions, revision and data hash.
        tensors: the corpus.
        entries: all trials on record.
    """
    made = next(entry for entry in entries if entry.trial_id == about["model"])
    config = study.config(made.point, made.seed)
    parts = [
        f"# MuSE, study {study.name}",
        f"Task: {TASKS[study.task]}. Labels: {', '.join(tensors.labels)}.",
        "## Data",
        f"{source(config.data)}, hash `{tensors.key}`. No tweet is in this folder; the "
        "tokeniser's vocabulary may hold words of the training split.",
        markdown(counts(tensors)),
        "## Scores",
        markdown(scores(metric_name(study.base.metric), about, made)),
        "## Settings",
        f"Preset `{study.preset}`; seed {made.seed}; {made.epochs} epochs, the best one kept. All "
        "settings stand in `muse.json`.",
        markdown([["setting", "value"], *([title(k), number(v)] for k, v in made.point.items())]),
        "## Limits",
        "\n".join(f"- {limit}" for limit in limits(config, tensors, made.value)),
        "## How to load",
        LOAD,
        "Weights are safetensors and nothing in this folder is executed.",
        "## Origin",
        origin(provenance),
    ]
    return "\n\n".join(parts) + "\n"


LOAD = """```
python -m muse.predict FOLDER --text "..." --image picture.jpg
```

```python
from pathlib import Path
from muse.checkpoint import load

model, tokenizer = load(Path("FOLDER"))
```"""


def source(data: DataConfig) -> str:
    """Where the tweets come from: a name alone would claim a corpus that only lends its form."""
    if data.root is None:
        return f"Corpus `{data.name}`"
    return f"Folder `{data.root.resolve().name}`, in the form of `{data.name}`"


def counts(tensors: Tensors) -> list[list[str]]:
    """Tweets of each split, and what they lack."""
    names = list(dict.fromkeys(name for told in tensors.counts.values() for name in told))
    head = ["split", *(name.replace("_", " ") for name in names)]
    rows = [
        [split, *(str(told.get(name, 0)) for name in names)]
        for split, told in tensors.counts.items()
    ]
    return [head, *rows]


def scores(metric: str, about: Mapping[str, Any], made: Entry) -> list[list[str]]:
    """What is known of the model's quality, each with its interval where several runs tell one."""
    value = "-" if made.value is None else f"{made.value:.4f}"
    rows = [["score", "value", "95 % interval"], [f"{metric}, this model", value, "one run: none"]]
    final = about.get("final")
    if final and final["trial_id"] == made.trial_id and isinstance(final["test"], Mapping):
        rows += [
            [f"test {metric_name(name)}, this model, scored once", f"{score:.4f}", "one run: none"]
            for name, score in final["test"].items()
        ]
    again = about.get("confirmed")
    if again and made.point == about["settings"]:
        seeds = list(again["by_seed"].values())
        name = f"{metric}, these settings, mean of {len(seeds)} other seeds"
        rows.append([name, f"{mean(seeds):.4f}", between(seeds)])
    return rows


def between(found: Sequence[float]) -> str:
    """Student's interval of a mean of scores, none of which is below 0 or above 1."""
    if len(found) < 2:
        return "one run: none"
    if len(set(found)) == 1:
        return "equal runs: none"
    spread = Spread(variance(found), len(found) - 1)
    low, high = spread.interval(mean(found), 1 / len(found))
    return f"{max(0.0, low):.4f} to {min(1.0, high):.4f}"


def limits(config: MuseConfig, tensors: Tensors, value: float | None) -> list[str]:
    """What a user must know of a model with that validation score."""
    own, nothing = [], trivial_score(tensors, config)
    if config.text.weights is None:
        own.append("The text encoder began with random weights and knows the corpus's words only.")
    if value is not None and value <= nothing:
        own.append(f"It is no better than without any learning ({nothing:.4f}).")
    missing = sum(told["missing_images"] for told in tensors.counts.values())
    if missing:
        own.append(f"Tweets without a picture were shown a blank one: {missing}.")
    if "test" not in tensors.splits:
        own.append("The corpus has no test split, so there is no score on unseen tweets.")
    return [*own, *LIMITS]


def origin(provenance: Mapping[str, Any]) -> str:
    """Revision and versions, as lines."""
    changed = " with uncommitted changes" if provenance.get("uncommitted_changes") else ""
    versions = ", ".join(f"{k} {v}" for k, v in provenance.get("versions", {}).items())
    return f"- revision {provenance.get('revision')}{changed}\n- versions: {versions}"
