"""What changed between a study's begin and its resume is named, and put on record if allowed."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from muse.errors import UserError
from search import provenance as source
from search.changes import changes, check_comparable, differences, history
from search.folder import new_folder
from search.provenance import code_hash, occasion
from search.stored import provenance_of, stored, write_about
from search.study import Study
from search.tables import went_on

FIELDS: dict[str, Any] = {
    "name": "mine",
    "preset": "tiny",
    "fixed": {"text.layers": 1},
    "space": {"cross.theta": {"low": 0.0, "high": 0.5}, "cross.mu": {"low": 0, "high": 3}},
    "budget": {"trials": 8, "epochs": 3},
}
STUDY = Study.model_validate(FIELDS)


def another(**fields: Any) -> Study:
    return Study.model_validate({**FIELDS, **fields})


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The folder of a study that was interrupted."""
    new_folder(tmp_path, STUDY, "abc").lock.close()
    return tmp_path


def test_nothing_changed_where_nothing_did(root: Path) -> None:
    assert changes(stored(root), STUDY, "abc").all == []


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"budget": {"trials": 8, "epochs": 5}}, "budget.epochs changed (3, now 5)"),
        ({"seed": 7}, "seed changed (0, now 7)"),
        ({"fixed": {"text.layers": 2}}, "fixed.text.layers changed (1, now 2)"),
        ({"fixed": {}}, "fixed.text.layers changed (1, now not given)"),
        ({"preset": "small"}, "preset changed (tiny, now small)"),
        ({"resources": {"workers": 2}}, "resources.workers changed (1, now 2)"),
        ({"data": {"limit": 5}}, "data.limit changed (not given, now 5)"),
        (
            {"space": {**FIELDS["space"], "cross.theta": {"low": 0.0, "high": 0.25}}},
            "space.cross.theta changed (low 0.0 high 0.5 log False, now low 0.0 high 0.25 "
            "log False)",
        ),
    ],
)
def test_a_setting_that_changed_is_named_with_both_values(
    fields: dict[str, Any], said: str
) -> None:
    assert differences(STUDY, another(**fields)) == [said]


@pytest.mark.parametrize(
    "fields",
    [
        {"budget": {"trials": 99, "epochs": 3}},
        {"resources": {"concurrent": 2, "max_failures": 9, "cpus_per_worker": 2}},
    ],
)
def test_more_trials_and_other_machines_are_no_change(fields: dict[str, Any]) -> None:
    assert differences(STUDY, another(**fields)) == []


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"metric": "valid_f1_official"}, "metric: another one than this study has"),
        (
            {"budget": {"trials": 8, "epochs": 5}},
            "budget.epochs: another one than this study has",
        ),
        ({"space": {"cross.theta": {"low": 0.0, "high": 0.5}}}, "space: another one"),
    ],
)
def test_another_score_or_other_settings_make_another_study(
    fields: dict[str, Any], said: str
) -> None:
    with pytest.raises(UserError, match=said):
        check_comparable(STUDY, another(**fields))


def test_changed_data_are_named_with_both_hashes(root: Path) -> None:
    changed = changes(stored(root), STUDY, "xyz")
    assert changed.all == ["the data changed (hash abc, now xyz)"]
    assert changed.spoils  # what was interrupted cannot go on with other data


def test_changed_code_is_named_with_both_hashes(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = code_hash()
    monkeypatch.setattr(source, "code_hash", lambda: "f00")
    changed = changes(stored(root), STUDY, "abc")
    (said,) = changed.all
    assert said.startswith(f"the code changed (hash {before}, now f00; revision ")
    assert not changed.spoils


def test_a_study_of_before_code_was_hashed_is_not_refused_for_it(root: Path) -> None:
    about = stored(root).about
    del about["provenance"]["code_hash"]
    write_about(root, about)
    assert changes(stored(root), STUDY, "abc").all == []


def test_what_was_allowed_once_is_recorded_and_is_no_change_any_more(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "code_hash", lambda: "f00")
    deeper = another(fixed={"text.layers": 2})
    found = stored(root)
    changed = changes(found, deeper, "xyz")
    write_about(root, history(found, deeper, changed, "xyz"))

    assert changes(stored(root), deeper, "xyz").all == []
    about = yaml.safe_load((root / "study.yaml").read_text())
    (resumed,) = about["resumed"]
    assert resumed["changed"] == changed.all
    assert len(changed.all) == 3
    assert resumed.keys() >= {"time", "command", "revision", "uncommitted_changes", "code_hash"}
    assert about["study"]["fixed"] == {"text.layers": 2}
    assert about["settings"]["text"]["layers"] == 2
    assert about["provenance"]["data_hash"] == "abc"  # how it began stays


def test_each_resume_is_on_record(root: Path) -> None:
    for _ in range(2):
        found = stored(root)
        changed = changes(found, STUDY, "abc")
        write_about(root, history(found, STUDY, changed, "abc"))
    assert [r["changed"] for r in stored(root).about["resumed"]] == [[], []]
    assert went_on(provenance_of(root)) == []


def test_the_report_tells_once_what_changed(root: Path) -> None:
    for study in (another(seed=7), STUDY, another(seed=7)):
        found = stored(root)
        write_about(root, history(found, study, changes(found, study, "abc"), "abc"))
    told = "Runs of before and after a change stand side by side: seed changed (0, now 7); seed "
    assert went_on(provenance_of(root)) == [f"{told}changed (7, now 0)."]


def test_the_code_hash_follows_every_source_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hashed() -> str:
        code_hash.cache_clear()
        return code_hash()

    package = tmp_path / "search"
    package.mkdir()
    monkeypatch.setattr(source, "__file__", str(package / "provenance.py"))
    seen = [hashed()]
    (package / "a.py").write_text("one = 1\n")
    seen.append(hashed())
    (package / "a.py").write_text("one = 2\n")
    seen.append(hashed())
    (package / "a.py").rename(package / "b.py")
    seen.append(hashed())
    monkeypatch.undo()
    code_hash.cache_clear()
    assert len(set(seen)) == 4


def test_without_git_the_code_still_has_a_hash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))  # no git there
    now = occasion()
    assert (now["revision"], now["uncommitted_changes"]) == ("unknown", False)
    assert len(now["code_hash"]) == 16
