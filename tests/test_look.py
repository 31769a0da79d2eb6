"""What is seen in a model is what it does."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_muse import small_config, small_tensors

from muse.device import CPU
from muse.evaluate import in_full
from muse.look import choose, look, watching
from muse.mistakes import Subject, mistakes, transitions, truth, words_of
from muse.train import build_model


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def subject_of(cache: Path, task: str = "mner", **parts: Any) -> Subject:
    """A random model of three layers, the second of which exchanges, and its validation split."""
    cross = {"layers": 3, "mu": 1, "eta": 2, "theta": 0.3, **parts.pop("cross", {})}
    config = small_config(task, cross=cross, **parts)
    tensors = small_tensors(config, cache)
    model = build_model(config, tensors).eval()
    return Subject(model, tensors.splits["valid"], tensors.tokenizer, CPU)


def test_the_exchanged_tokens_are_the_least_attended_of_the_exchanging_layers(cache: Path) -> None:
    for sight in look(subject_of(cache), [0, 1, 2]):
        assert [layer.layer for layer in sight.layers] == [1, 2, 3]
        for layer in sight.layers:
            pairs = (
                (layer.text_exchanged, layer.text_attention),
                (layer.image_exchanged, layer.image_attention),
            )
            for exchanged, attention in pairs:
                assert exchanged.shape == attention.shape
                wanted = round(0.3 * exchanged.size) if layer.layer == 2 else 0
                assert exchanged.sum() == wanted
                if wanted:
                    assert attention[exchanged].max() <= attention[~exchanged].min()


def test_a_tweet_is_seen_alike_alone_and_in_a_batch(cache: Path) -> None:
    subject = subject_of(cache)
    together = look(subject, [0, 1, 2, 3])
    for index, sight in enumerate(together):
        (alone,) = look(subject, [index])
        assert alone.pieces == sight.pieces
        assert alone.found == sight.found
        for one, other in zip(alone.layers, sight.layers, strict=True):
            assert one.text_attention == pytest.approx(other.text_attention, abs=1e-5)
            assert (one.text_exchanged == other.text_exchanged).all()


def test_watching_leaves_a_model_as_it_was(cache: Path) -> None:
    subject = subject_of(cache)
    batch = subject.split.batch([0, 1])
    with torch.no_grad():
        before = subject.model.task_scores(batch)
        with watching(subject.model) as trace:
            during = subject.model.task_scores(batch)
        seen = len(trace.attention)
        after = subject.model.task_scores(batch)
    assert torch.equal(before, during)
    assert torch.equal(before, after)
    assert len(trace.attention) == seen == 3


def test_a_sight_holds_the_words_the_pictures_and_both_labels(cache: Path) -> None:
    subject = subject_of(cache)
    (sight,) = look(subject, [2])
    assert sight.pieces[0] == "[CLS]"
    assert sight.pieces[1:-1] == sight.words  # this tokeniser knows whole words
    assert sight.gold == subject.split.targets[2]
    assert len(sight.found) == len(sight.gold)
    assert (
        sight.picture == subject.split.pixels[subject.split.picture[2]].transpose(1, 2, 0)
    ).all()


def test_as_many_pictures_are_painted_as_time_allows(cache: Path) -> None:
    subject = subject_of(cache, loss={"beta": 0.1})
    assert all(sight.painted is None for sight in look(subject, [0, 1], 0.0))
    painted = [sight.painted for sight in look(subject, [0, 1], 600.0)]
    assert [p.shape for p in painted if p is not None] == [(4, 4, 3)] * 2
    again = [sight.painted for sight in look(subject, [0, 1], 600.0)]
    assert all(np.array_equal(a, b) for a, b in zip(painted, again, strict=True))  # type: ignore[arg-type]


def test_a_model_without_decoders_writes_and_paints_nothing(cache: Path) -> None:
    (sight,) = look(subject_of(cache, loss={"alpha": 0.0, "beta": 0.0}), [0], 600.0)
    assert (sight.caption, sight.painted) == ("", None)


@pytest.mark.parametrize("task", ["mner", "msa"])
def test_mistakes_are_those_of_each_tweet_alone(cache: Path, task: str) -> None:
    subject = subject_of(cache, task)
    split, labels = subject.split, subject.model.labels
    counts = np.zeros((len(labels), len(labels)), dtype=int)
    wrong, losses = set(), {}
    for index in range(len(split)):
        batch = split.batch([index])
        with torch.no_grad():
            (found,) = subject.model.predict(batch)
            scores = subject.model.task_scores(batch)
            losses[index] = float(subject.model.head.loss(scores, batch))
        told = in_full(found, len(split.targets[index]))
        for true, guess in zip(truth(split, index), told, strict=True):
            counts[labels.index(true), labels.index(guess)] += 1
        if told != truth(split, index):
            wrong.add(index)
    seen = mistakes(subject, 3)
    assert (seen.confusion == counts).all()
    assert (seen.wrong, seen.tweets) == (len(wrong), len(split))
    worst = sorted(wrong, key=lambda k: -losses[k])[:3]
    assert [one.id for one in seen.worst] == [subject.split.ids[k] for k in worst]


def test_a_tag_for_a_word_that_was_cut_is_outside() -> None:
    assert in_full(["B-PER"], 3) == ["B-PER", "O", "O"]
    assert in_full("positive", 8) == ["positive"]


def test_words_are_put_together_from_their_pieces(cache: Path) -> None:
    subject = subject_of(cache)
    assert len(words_of(subject.split, 0, subject.tokenizer)) == subject.split.words_kept[0]


def test_transitions_are_the_crfs_own(cache: Path) -> None:
    model = subject_of(cache).model
    scores = transitions(model)
    assert scores is not None
    crf: Any = model.head.crf
    assert scores[0, 2] == crf.start_transitions[2]
    assert scores[1 + 3, 2] == crf.transitions[3, 2]  # from the fourth tag to the third
    assert scores[1 + 3, -1] == crf.end_transitions[3]
    assert np.isnan(scores[0, -1])
    assert transitions(subject_of(cache, "msa").model) is None


def test_shown_tweets_lie_apart_and_have_pictures(cache: Path) -> None:
    split = subject_of(cache).split
    assert choose(split, 4) == [0, 4, 7, 11]
    split.picture[:6] = 0
    assert min(choose(split, 4)) >= 6
    assert choose(split, 99) == list(range(6, 12))
