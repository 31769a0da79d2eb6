"""The model card says what it must, and shows nothing of the corpus."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sample_entries import BEST, POINT, sample_entry, sample_study
from scipy import stats
from small_muse import small_config, small_tensors

from muse.checkpoint import export, load
from muse.tensors import Tensors
from muse.train import build_model
from search.best import store
from search.card import between, card, write_card
from search.stored import write_about

PROVENANCE = {"revision": "0a1b2c3", "uncommitted_changes": True, "versions": {"torch": "2"}}
FINAL = sample_entry("final-search-0003", 0.75, phase="final")
ABOUT: dict[str, Any] = {
    "settings": BEST.point,
    "confirmed": {"mean": 0.6, "by_seed": {8: 0.7, 10: 0.5, 11: 0.6}},
    "model": FINAL.trial_id,
    "final": {"trial_id": FINAL.trial_id, "value": 0.75, "test": {"f1": 0.7012}},
}


@pytest.fixture(scope="module")
def tensors(tmp_path_factory: pytest.TempPathFactory) -> Tensors:
    return small_tensors(small_config(), tmp_path_factory.mktemp("cache"))


def test_a_card_tells_data_scores_settings_limits_and_how_to_load(tensors: Tensors) -> None:
    text = card(sample_study(), ABOUT, PROVENANCE, tensors, [BEST, FINAL])
    for told in (
        tensors.key,
        "| train | 24 | 0 |",
        "| test F1, this model, scored once | 0.7012 | one run: none |",
        "mean of 3 other seeds | 0.6000 | 0.3516 to 0.8484 |",
        "| θ (theta) | 0.1 |",
        "named entities",
        "python -m muse.predict",
        "0a1b2c3 with uncommitted changes",
        "## Limits",
    ):
        assert told in text, told


def test_a_model_that_learnt_nothing_says_so(tensors: Tensors) -> None:
    said = "no better than without any learning"
    nothing = sample_entry("final-search-0003", 0.0, phase="final")
    assert said in card(sample_study(), ABOUT, PROVENANCE, tensors, [BEST, nothing])
    assert said not in card(sample_study(), ABOUT, PROVENANCE, tensors, [BEST, FINAL])


def test_a_card_shows_no_tweet(tensors: Tensors) -> None:
    text = card(sample_study(), ABOUT, PROVENANCE, tensors, [BEST, FINAL]).lower()
    for split in tensors.splits.values():
        for ids, length in zip(split.token_ids, split.lengths, strict=True):
            assert tensors.tokenizer.decode(ids[1:3].tolist()) not in text
            assert length > 3


def test_the_searchs_own_model_is_not_given_the_scores_of_another(tensors: Tensors) -> None:
    other = sample_entry("search-0001", 0.8, point={**POINT, "cross.theta": 0.2})
    about = {**ABOUT, "model": "search-0001"}
    text = card(sample_study(), about, PROVENANCE, tensors, [other, FINAL])
    assert "0.7012" not in text
    assert "other seeds" not in text
    assert "| validation F1, this model | 0.8000 |" in text


@pytest.mark.parametrize("found", [[0.5, 0.7, 0.6], [0.1, 0.9]])
def test_an_interval_is_students(found: list[float]) -> None:
    test = stats.ttest_1samp(found, 0.0).confidence_interval(0.95)
    assert between(found) == f"{max(0, test.low):.4f} to {min(1, test.high):.4f}"
    assert between(found[:1]) == "one run: none"
    assert between([found[0]] * 2) == "equal runs: none"  # no certainty


def test_the_card_lies_beside_the_model_which_still_loads(tmp_path: Path, tensors: Tensors) -> None:
    model = build_model(small_config(), tensors).eval()
    study = sample_study()
    work: Any = SimpleNamespace(
        study=study,
        place=SimpleNamespace(root=tmp_path),
        tensors=tensors,
        entries=lambda: [BEST, FINAL],
    )
    write_card(work)
    assert list(tmp_path.iterdir()) == []  # no model, no card
    export(model, tensors.tokenizer, tmp_path / "best")
    store(ABOUT, tmp_path)
    write_about(tmp_path, {"provenance": PROVENANCE, "value": "best valid_f1"})
    write_card(work)
    assert (tmp_path / "best" / "README.md").read_text(encoding="utf-8").startswith("# MuSE")
    assert load(tmp_path / "best")[0].labels == model.labels
