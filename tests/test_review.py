"""The review of a model, in pictures and words."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image
from small_muse import small_config, small_tensors

from muse.checkpoint import export
from muse.look import TweetSight
from muse.tensors import Tensors
from muse.train import build_model
from search import review as module
from search.board import Board
from search.letters import all_letters
from search.review import Review, draw, files_of, review, see, tell, write_review
from search.review_drawing import draw_tweet, in_words
from search.view import View


@pytest.fixture(scope="module", params=["mner", "msa"])
def study(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A folder with a random model in `best/`, and the corpus."""
    root = tmp_path_factory.mktemp("study")
    config = small_config(request.param)
    tensors = small_tensors(config, root / "cache")
    export(build_model(config, tensors).eval(), tensors.tokenizer, root / "best")
    return root, tensors


@pytest.fixture(scope="module")
def seen(study: tuple[Path, Tensors]) -> Review:
    return see(study[0] / "best", study[1], samples=True)


def test_a_review_has_a_picture_and_words_for_each_tweet(seen: Review) -> None:
    tweets = {f"tweet-{number}" for number in range(1, 9)}
    assert draw(replace(seen, tweets=seen.tweets[:1])).keys() >= {"confusion", "tweet-1"}
    texts = tell(seen, "final-search-0001")
    assert texts.keys() == {"summary", "worst-errors", *tweets}
    assert texts["worst-errors"].count("\n") == 1 + len(seen.mistakes.worst)
    assert len(seen.mistakes.worst) <= 20
    assert "final-search-0001" in texts["summary"]


def test_tweets_are_called_what_their_corpus_calls_them(study: tuple[Path, Tensors]) -> None:
    valid = study[1].splits["valid"]
    ids = [f"guid-{7 * place}" for place in range(len(valid))]
    splits = {**study[1].splits, "valid": replace(valid, ids=ids)}
    told = see(study[0] / "best", replace(study[1], splits=splits), samples=True)
    assert told.mistakes.worst
    for one in [*told.mistakes.worst, *told.tweets]:
        gold = valid.targets[ids.index(one.id)]
        assert one.gold == ([gold] if isinstance(gold, str) else gold)
    texts = tell(told, "a")
    assert f"| {told.mistakes.worst[0].id} |" in texts["worst-errors"]
    assert f"| tweet | {told.tweets[0].id} |" in texts["tweet-1"]


def test_without_samples_no_word_of_the_corpus_is_told(study: tuple[Path, Tensors]) -> None:
    quiet = see(study[0] / "best", study[1], samples=False)
    assert quiet.tweets == quiet.mistakes.worst == []
    assert not any(name.startswith("tweet") for name in draw(quiet))
    assert tell(quiet, "a").keys() == {"summary"}
    assert "No tweets are shown" in tell(quiet, "a")["summary"]
    assert quiet.mistakes.confusion.sum() > 0


def test_a_study_without_a_model_has_no_review(tmp_path: Path) -> None:
    review(SimpleNamespace(place=SimpleNamespace(root=tmp_path)))  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


class Study:
    """As much of a study at work as a review asks for."""

    def __init__(self, study: tuple[Path, Tensors], samples: bool) -> None:
        root, self.tensors = study
        self.place = SimpleNamespace(root=root)
        self.study = SimpleNamespace(samples=samples)
        self.view = View("mine", "valid_f1")
        self.board = Board(root / "tensorboard")
        self.keeper = SimpleNamespace(board=self.board)


def test_a_review_takes_the_place_of_the_one_before(
    study: tuple[Path, Tensors], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SHOWN", 1)
    work: Any = Study(study, samples=True)
    review(work)
    shown = files_of(study[0])
    work.study.samples = False
    review(work)
    work.board.close()
    assert "review/tweet-1.png" in shown
    assert shown[0] == "review/review.md"
    left = files_of(study[0])
    assert "review/confusion.png" in left
    assert not any("tweet" in name for name in left)
    assert len(list((study[0] / "tensorboard" / "review").iterdir())) == 1


def test_a_damaged_model_costs_the_review_and_not_the_study(
    study: tuple[Path, Tensors], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "best").mkdir()
    (tmp_path / "best" / "muse.json").write_text('{"format": 99}')
    work: Any = Study((tmp_path, study[1]), samples=True)
    review(work)
    assert "no review" in capsys.readouterr().out
    assert files_of(tmp_path) == []


def sight(**fields: Any) -> TweetSight:
    pixels = np.zeros((8, 8, 3), dtype=np.uint8)
    plain: dict[str, Any] = {
        **{"id": "a_1", "words": ["good $5 and $6"], "pieces": ["[CLS]", "日本", "$5$", "[SEP]"]},
        **{"picture": pixels, "small_picture": pixels, "gold": ["positive"]},
        **{"found": ["neutral"], "layers": [], "caption": "日本 $x_"},
    }
    return TweetSight(**{**plain, **fields})


def test_a_tweets_dollars_and_strange_letters_are_drawn(seen: Review, tmp_path: Path) -> None:
    layers = [
        replace(layer, text_attention=np.ones(4), text_exchanged=np.ones(4, dtype=bool))
        for layer in seen.tweets[0].layers
    ]
    with all_letters():  # warnings are errors here
        write_review(tmp_path, {"a": draw_tweet(sight(layers=layers))}, {"a": "words"})
        write_review(tmp_path, {"b": draw_tweet(sight())}, {"b": "words"})
    assert files_of(tmp_path) == ["review/review.md", "review/b.png"]
    with Image.open(tmp_path / "review" / "b.png") as picture:
        assert picture.width > 500


def test_labels_in_words() -> None:
    assert in_words(["so good"], ["positive"]) == "positive"
    assert in_words(["New", "York"], ["B-LOC", "I-LOC", "B-PER"]) == "New York (LOC)"
    assert in_words(["here"], ["O"]) == "no entity"
