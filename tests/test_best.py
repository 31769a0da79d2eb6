"""The best configuration and its model, for people and programs."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from sample_entries import BEST, POINT, sample_entry, sample_study

from search.best import final_part, put_model, read_best, write_best
from search.plan import CONFIRM, confirm_seeds

STUDY = sample_study()
SEEDS = confirm_seeds(STUDY)
AGAIN = [
    sample_entry(f"confirm-search-0003-seed{seed}", score, phase=CONFIRM, seed=seed)
    for seed, score in zip(SEEDS, (0.7, None, 0.5), strict=True)
]
FINAL: dict[str, Any] = {"trial_id": "final-search-0003", "value": 0.75, "test": {"f1": 0.7}}


def trial_folder(root: Path, name: str) -> Path:
    folder = root / "trials" / name
    (folder / "best").mkdir(parents=True)
    (folder / "best" / "model").write_text(name)
    return folder


def test_without_a_file_nothing_is_known(tmp_path: Path) -> None:
    assert read_best(tmp_path) == {}
    assert final_part(tmp_path, "final-search-0003") is None


def test_the_best_of_a_search_is_told_with_its_settings(tmp_path: Path) -> None:
    put_model(trial_folder(tmp_path, "search-0003"), tmp_path)
    write_best(STUDY, [BEST], BEST, tmp_path)
    assert read_best(tmp_path) == {
        "trial_id": "search-0003",
        "metric": "valid_f1",
        "settings": POINT,
        "value": 0.8,
        "seed": 7,
        "epochs": 2,
        "model": "search-0003",
    }


def test_the_confirmation_is_told_by_seed_without_failures(tmp_path: Path) -> None:
    other = replace(AGAIN[0], point={**POINT, "cross.theta": 0.2}, seed=SEEDS[2])
    write_best(STUDY, [BEST, *AGAIN, other], BEST, tmp_path)
    told = read_best(tmp_path)["confirmed"]
    assert told == {"mean": pytest.approx(0.6), "by_seed": {SEEDS[0]: 0.7, SEEDS[2]: 0.5}}


def test_a_final_training_is_kept_while_the_settings_stay(tmp_path: Path) -> None:
    write_best(STUDY, [BEST], BEST, tmp_path, FINAL)
    write_best(STUDY, [BEST], BEST, tmp_path)
    assert final_part(tmp_path, "final-search-0003") == FINAL
    write_best(STUDY, [BEST], replace(BEST, trial_id="search-0001"), tmp_path)
    assert "final" not in read_best(tmp_path)


def test_the_file_names_the_model_that_lies_beside_it(tmp_path: Path) -> None:
    put_model(trial_folder(tmp_path, "search-0003"), tmp_path)
    write_best(STUDY, [BEST], BEST, tmp_path)
    newer = sample_entry("search-0007", 0.9)  # extended since, but its model is not put there

    write_best(STUDY, [BEST, newer], newer, tmp_path)

    assert read_best(tmp_path)["model"] == (tmp_path / "best" / "model").read_text()


def test_a_model_replaces_the_one_before(tmp_path: Path) -> None:
    for name in ("a", "b"):
        put_model(trial_folder(tmp_path, name), tmp_path)
        assert read_best(tmp_path)["model"] == name
    assert (tmp_path / "best" / "model").read_text() == "b"
    assert not (tmp_path / ".best-new").exists()


def test_a_review_stays_until_another_model_is_put_there(tmp_path: Path) -> None:
    seen = tmp_path / "review" / "review.md"
    seen.parent.mkdir()
    put_model(trial_folder(tmp_path, "a"), tmp_path)
    assert not seen.exists()  # nobody knows of what it was

    seen.parent.mkdir()
    seen.write_text("of a")
    put_model(tmp_path / "trials" / "a", tmp_path)
    assert seen.exists()
    put_model(trial_folder(tmp_path, "b"), tmp_path)
    assert not seen.parent.exists()


def test_a_trial_without_a_model_leaves_the_one_before(tmp_path: Path) -> None:
    put_model(trial_folder(tmp_path, "a"), tmp_path)
    put_model(tmp_path / "trials" / "gone", tmp_path)
    assert read_best(tmp_path)["model"] == "a"
    assert (tmp_path / "best" / "model").read_text() == "a"


def test_the_file_is_never_half_written(tmp_path: Path) -> None:
    write_best(STUDY, [BEST], BEST, tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["best.yaml"]
    assert yaml.safe_load((tmp_path / "best.yaml").read_text())["trial_id"] == "search-0003"


def test_only_the_seeds_that_choose_between_candidates_are_told(tmp_path: Path) -> None:
    fewer = STUDY.sensitivity.model_copy(update={"seeds": 1})
    write_best(STUDY.model_copy(update={"sensitivity": fewer}), [BEST, *AGAIN], BEST, tmp_path)
    assert read_best(tmp_path)["confirmed"]["by_seed"] == {SEEDS[0]: 0.7}
