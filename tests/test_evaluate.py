"""A split's scores against the same scores from one tweet after another."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_muse import small_config, small_tensors

from muse.config import MuseConfig
from muse.device import Worker
from muse.evaluate import evaluate, find
from muse.metrics import class_scores, official_f1, span_scores
from muse.model import Muse
from muse.tensors import Split, Tensors
from muse.train import build_model
from muse.yardstick import grain, trivial_score

both_tasks = pytest.mark.parametrize("task", ["mner", "msa"])


def prepared(tmp_path: Path, task: str, **parts: dict[str, Any]) -> tuple[MuseConfig, Tensors]:
    config = small_config(task, **parts)
    return config, small_tensors(config, tmp_path)


def eager(config: MuseConfig, tensors: Tensors) -> Muse:
    """A model whose answers differ from tweet to tweet, though it has learnt nothing."""
    model = build_model(config, tensors).eval()
    torch.manual_seed(3)
    torch.nn.init.normal_(model.head.linear.weight)
    split = tensors.splits["valid"]
    with torch.no_grad():
        scores = model.task_scores(split.batch(range(len(split))))
        model.head.linear.bias -= scores.flatten(0, -2).mean(dim=0)
    return model


def one_by_one(model: Muse, split: Split) -> tuple[list[Any], float]:
    """What the model finds in each tweet on its own, and its mean loss."""
    found, losses = [], []
    for index in range(len(split)):
        batch = split.batch([index])
        found += model.predict(batch)
        losses.append(model.head.loss(model.task_scores(batch), batch).item())
    return found, float(np.mean(losses))


def test_every_tweet_is_tagged_and_scored(tmp_path: Path) -> None:
    config, tensors = prepared(tmp_path, "mner", train={"batch_size": 5})  # 12 tweets: 10 and 2
    model, split = eager(config, tensors), tensors.splits["valid"]
    tags, loss = one_by_one(model, split)

    scores = evaluate(model, split, config, Worker())

    official = official_f1(split.targets, tags, split.pieces)
    expected = {**span_scores(split.targets, tags), "f1_official": official, "loss": loss}
    assert scores == pytest.approx(expected)
    assert sum(tag != "O" for row in tags for tag in row) > 12


def test_every_tweet_is_classed_and_scored(tmp_path: Path) -> None:
    config, tensors = prepared(tmp_path, "msa", train={"batch_size": 5})
    model, split = eager(config, tensors), tensors.splits["valid"]
    classes, loss = one_by_one(model, split)

    scores = evaluate(model, split, config, Worker())

    assert scores == pytest.approx({**class_scores(split.targets, classes), "loss": loss})
    assert len(set(classes)) > 1


def test_words_that_were_cut_off_count_as_outside_every_entity(tmp_path: Path) -> None:
    config, tensors = prepared(tmp_path, "mner", data={"text_tokens": 6})  # 4 words
    model, split = eager(config, tensors), tensors.splits["valid"]
    tags, _ = one_by_one(model, split)
    whole = [row + ["O"] * (len(g) - len(row)) for row, g in zip(tags, split.targets, strict=True)]

    scores = evaluate(model, split, config, Worker())

    assert max(map(len, tags)) == 4 < max(map(len, split.targets))
    assert scores["f1"] == pytest.approx(span_scores(split.targets, whole)["f1"])
    assert scores["f1_official"] == pytest.approx(official_f1(split.targets, whole, split.pieces))


@both_tasks
def test_the_batch_size_does_not_matter(tmp_path: Path, task: str) -> None:
    config, tensors = prepared(tmp_path, task, train={"batch_size": 1})
    model, split = eager(config, tensors), tensors.splits["valid"]

    scores = [
        evaluate(model, split, small_config(task, train={"batch_size": size}), Worker())
        for size in (1, 100)
    ]

    assert scores[0] == pytest.approx(scores[1], rel=1e-5)


@both_tasks
def test_the_shares_of_all_workers_are_the_split(tmp_path: Path, task: str) -> None:
    config, tensors = prepared(tmp_path, task, data={"limit": 7})
    model, split = eager(config, tensors), tensors.splits["valid"]
    alone = find(model, split, 4, Worker())

    shares = [find(model, split, 4, Worker(rank=rank, world=3)) for rank in range(3)]

    assert sum(map(len, shares)) == len(alone) == 7
    together = {index: value for share in shares for index, value in share.items()}
    assert {i: labels for i, (labels, _) in together.items()} == {
        i: labels for i, (labels, _) in alone.items()
    }


def test_a_worker_without_a_tweet_finds_nothing(tmp_path: Path) -> None:
    config, tensors = prepared(tmp_path, "mner", data={"limit": 1})

    found = find(eager(config, tensors), tensors.splits["valid"], 4, Worker(rank=1, world=2))

    assert found == {}


@both_tasks
def test_scoring_turns_dropout_off_and_learns_nothing(tmp_path: Path, task: str) -> None:
    config, tensors = prepared(tmp_path, task)
    model, split = eager(config, tensors).train(), tensors.splits["valid"]

    first = evaluate(model, split, config, Worker())

    assert not model.training
    assert evaluate(model, split, config, Worker()) == first
    assert all(parameter.grad is None for parameter in model.parameters())


def test_no_batch_size_leaves_a_tweet_out(tmp_path: Path) -> None:
    config, tensors = prepared(tmp_path, "msa", data={"limit": 5})
    model, split = eager(config, tensors), tensors.splits["valid"]

    for size in range(1, 7):
        assert sorted(find(model, split, size, Worker())) == [0, 1, 2, 3, 4]


def test_scoring_keeps_nothing_for_gradients(tmp_path: Path) -> None:
    config, tensors = prepared(tmp_path, "msa")
    model, kept = build_model(config, tensors), []
    model.head.linear.register_forward_hook(lambda *seen: kept.append(seen[2].requires_grad))

    find(model, tensors.splits["valid"], 12, Worker())

    assert kept == [False]


def test_tweets_are_padded_to_others_of_their_length(tmp_path: Path) -> None:
    config, tensors = prepared(tmp_path, "msa")
    model, split, padded = build_model(config, tensors), tensors.splits["valid"], []
    model.text_encoder.register_forward_pre_hook(lambda _, seen: padded.append(seen[0].shape))

    find(model, split, 4, Worker())

    descending = sorted(split.lengths.tolist(), reverse=True)
    assert sorted(padded, reverse=True) == [(4, longest) for longest in descending[::4]]


def with_labels(tensors: Tensors, **targets: list[Any]) -> Tensors:
    """The same tweets with other labels in some splits, as many as are named."""
    changed = {name: replace(tensors.splits[name], targets=own) for name, own in targets.items()}
    return replace(tensors, splits={**tensors.splits, **changed})


@pytest.mark.parametrize(
    ("metric", "expected"),
    [("valid_accuracy", 1 / 4), ("valid_weighted_f1", 1 / 4 * 2 * 1 / (1 + 4))],
)
def test_learning_nothing_is_to_tell_the_training_splits_commonest_class(
    tmp_path: Path, metric: str, expected: float
) -> None:
    config, tensors = prepared(tmp_path, "msa", train={"metric": metric})
    split = {"train": ["neutral", "positive", "positive"], "valid": ["neutral"] * 3 + ["positive"]}

    assert trivial_score(with_labels(tensors, **split), config) == pytest.approx(expected)


def test_learning_nothing_is_to_find_no_entity(tmp_path: Path) -> None:
    config, tensors = prepared(tmp_path, "mner")

    assert trivial_score(with_labels(tensors, valid=[["B-PER"], ["O"]]), config) == 0


def test_the_grain_of_a_score_is_a_tweet_or_an_entity(tmp_path: Path) -> None:
    config, tensors = prepared(tmp_path, "msa")
    assert grain(with_labels(tensors, valid=["neutral"] * 8), config) == 1 / 8
    config, tensors = prepared(tmp_path, "mner")
    tags = [["B-PER", "I-PER", "O", "B-LOC"], ["O"], ["I-ORG"]]
    assert grain(with_labels(tensors, valid=tags), config) == 1 / 3
    assert grain(with_labels(tensors, valid=[["O"]]), config) == 1  # none: any is all


def test_scoring_does_not_need_the_decoders(tmp_path: Path) -> None:
    config, tensors = prepared(tmp_path, "mner")
    model, split = eager(config, tensors), tensors.splits["valid"]
    scores = evaluate(model, split, config, Worker())

    model.captioner = model.painter = None

    assert evaluate(model, split, config, Worker()) == scores


def test_learning_nothing_has_a_score_on_each_split(tmp_path: Path) -> None:
    config, tensors = prepared(tmp_path, "msa", train={"metric": "valid_accuracy"})
    split = {"train": ["positive"], "valid": ["positive"], "test": ["neutral", "positive"]}
    labelled = with_labels(tensors, **split)
    assert [trivial_score(labelled, config, name) for name in ("valid", "test")] == [1.0, 0.5]
