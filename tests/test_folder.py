"""A study's folder is made once, resumed when it was interrupted, never overwritten."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from muse.errors import UserError
from search.folder import Places, check_owner, hold, new_folder, old_folder, taken
from search.ledger import Address, Ledger
from search.prior import Known, Prior
from search.resume import kept_twin
from search.schema import sqlite_file, sqlite_url
from search.stored import ABOUT_NEW, stored, write_about
from search.study import Study

HOLDER = """
import sys
from pathlib import Path
from search.folder import hold
lock = hold(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""
STUDY = Study.model_validate(
    {
        "name": "mine",
        "preset": "tiny",
        "data": {"name": "twitter2015", "limit": 5, "root": "some/where"},
        "fixed": {"text.layers": 1},
        "space": {
            "cross.theta": {"low": 0.0, "high": 0.5},
            "cross.mu": {"low": 0, "high": 3},
            "loss.alpha": {"low": 1e-5, "high": 1e-1, "log": True},
            "train.precision": {"choices": ["auto", "float32"]},
        },
        "first_points": [{"cross.theta": 0.1, "loss.alpha": "1e-4"}],
    }
)


@contextmanager
def another_search(root: Path) -> Iterator[subprocess.Popen[str]]:
    """A second process that works on a study."""
    command = [sys.executable, "-c", HOLDER, str(root)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def interrupt(root: Path) -> None:
    """A study that was begun and left."""
    new_folder(root, STUDY, "abc").lock.close()


def test_a_new_study_gets_a_folder_and_its_parents(tmp_path: Path) -> None:
    place = new_folder(tmp_path / "results" / "mine", STUDY, "abc")
    assert (place.root / "study.yaml").is_file()
    assert sqlite_file(place.ledger.url) == place.root / "ledger.db"
    place.lock.close()


def test_a_stored_study_is_the_study_that_was_stored(tmp_path: Path) -> None:
    interrupt(tmp_path)
    found = stored(tmp_path)
    assert found.study == STUDY
    assert found.latest["data_hash"] == "abc"


def test_study_yaml_says_all_settings_and_where_they_come_from(tmp_path: Path) -> None:
    interrupt(tmp_path)
    about = yaml.safe_load((tmp_path / "study.yaml").read_text())
    assert about["settings"]["text"] == {**about["settings"]["text"], "layers": 1, "width": 64}
    assert about["value"].startswith("best valid_f1 over a trial's epochs")
    origin = about["provenance"]
    assert origin["data_hash"] == "abc"
    assert {"python", "ray", "optuna", "torch"} <= origin["versions"].keys()


def test_a_finished_study_is_not_overwritten(tmp_path: Path) -> None:
    place = new_folder(tmp_path, STUDY, "abc")
    place.finish()
    place.lock.close()
    with pytest.raises(UserError, match=r"a finished study stands here; give another --name\.$"):
        new_folder(tmp_path, STUDY, "abc")


def test_an_interrupted_study_is_not_begun_anew(tmp_path: Path) -> None:
    interrupt(tmp_path)
    before = (tmp_path / "study.yaml").read_text()
    with pytest.raises(UserError, match=r"an interrupted study stands here; --resume it or"):
        new_folder(tmp_path, STUDY, "abc")
    assert (tmp_path / "study.yaml").read_text() == before


def test_an_interrupted_study_is_taken_up(tmp_path: Path) -> None:
    interrupt(tmp_path)
    place = old_folder(tmp_path, stored(tmp_path))
    assert place.root == tmp_path
    place.lock.close()


def test_what_earlier_studies_found_out_is_remembered(tmp_path: Path) -> None:
    known = Known(trial_id="search-0003", point={"cross.theta": 0.1}, value=0.5, epochs=9)
    prior = Prior(folder="/results/earlier", trials=[known])
    new_folder(tmp_path, STUDY, "abc", priors=[prior]).lock.close()
    with old_folder(tmp_path, stored(tmp_path)) as place:
        assert place.priors == [prior]


def test_a_study_yaml_of_before_has_no_priors_and_keeps_its_ledger(tmp_path: Path) -> None:
    interrupt(tmp_path)
    about = stored(tmp_path).about
    older = {key: about[key] for key in ("study", "settings", "value", "provenance")}
    write_about(tmp_path, older)
    found = stored(tmp_path)
    assert (found.priors, found.study) == ([], STUDY)
    assert sqlite_file(found.ledger.url) == tmp_path / "ledger.db"


def give_away(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a file belong to another user."""
    if os.geteuid() == 0:
        os.chown(file, 12345, 12345)
    else:
        mine = os.geteuid()
        monkeypatch.setattr(os, "geteuid", lambda: mine + 1)


@pytest.mark.parametrize("name", [".", "study.yaml", "ledger.db"])
def test_a_study_of_another_user_is_not_resumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    interrupt(tmp_path)
    (tmp_path / "ledger.db").touch()
    found = stored(tmp_path)
    give_away(tmp_path / name, monkeypatch)
    with pytest.raises(UserError, match=r"belongs to another user \(number \d+\), [^\n]*$"):
        old_folder(tmp_path, found)
    assert not (tmp_path / ".lock").read_text()


def test_a_ledger_of_another_user_is_not_taken_up_wherever_it_lies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, elsewhere = tmp_path / "study", tmp_path / "ledger.db"
    root.mkdir()
    interrupt(root)
    elsewhere.touch()
    give_away(elsewhere, monkeypatch)
    with pytest.raises(UserError, match="belongs to another user"):
        old_folder(root, stored(root), f"sqlite:///{elsewhere}")


def test_a_study_of_ones_own_is_ones_own(tmp_path: Path) -> None:
    interrupt(tmp_path)
    check_owner(tmp_path)


def damage(root: Path) -> bytes:
    """A ledger with many trials, and rubbish where its pages were; returns all of it."""
    ledger = Ledger(root / "ledger.db")
    for number in range(100):
        ledger.ask(f"t{number}", "search", 0, {"cross.theta": 0.1})
    ledger.close()
    content = bytearray((root / "ledger.db").read_bytes())
    content[8192:] = b"\xff" * (len(content) - 8192)
    (root / "ledger.db").write_bytes(content)
    return bytes(content)


def test_a_study_with_a_damaged_ledger_is_not_resumed_and_a_copy_is_kept(tmp_path: Path) -> None:
    interrupt(tmp_path)
    content = damage(tmp_path)
    for _ in range(2):  # a second attempt makes no second copy
        with pytest.raises(
            UserError, match=r"ledger\.db: the ledger is damaged \([^\n]*\), so [^\n]*$"
        ):
            old_folder(tmp_path, stored(tmp_path))
    (kept,) = tmp_path.glob("ledger.db.corrupt-*")
    assert kept.read_bytes() == content
    hold(tmp_path).close()  # the refusal let go of the folder


def test_a_study_whose_ledger_is_gone_is_not_begun_anew(tmp_path: Path) -> None:
    interrupt(tmp_path)
    (tmp_path / "trials.csv").touch()
    with pytest.raises(UserError, match=r"ledger\.db: the ledger is gone, [^\n]*$"):
        old_folder(tmp_path, stored(tmp_path))


def begin_elsewhere(root: Path, local: Path) -> None:
    """A study whose ledger is on another disk, with a trial that has ended and one that has not."""
    place = new_folder(root, STUDY, "abc", Places(f"sqlite:///{local}/ledger.db"))
    ledger = Ledger(place.ledger)
    ledger.ask("a", "search", 0, {"cross.theta": 0.1})
    ledger.end("a", "completed", 1.0, 1.0, "")
    ledger.ask("b", "search", 0, {"cross.theta": 0.1})
    ledger.close()
    place.lock.close()


def known(root: Path) -> list[str]:
    """The trials that a resume finds."""
    with old_folder(root, stored(root)) as place:
        ledger = Ledger(place.ledger)
        found = [entry.trial_id for entry in ledger.entries()]
        ledger.close()
    return found


def test_a_ledger_on_another_disk_is_taken_up_there(tmp_path: Path) -> None:
    (tmp_path / "local").mkdir()
    begin_elsewhere(tmp_path / "mine", tmp_path / "local")
    assert known(tmp_path / "mine") == ["a", "b"]


def test_a_ledger_whose_disk_is_gone_is_taken_up_from_its_copy(tmp_path: Path) -> None:
    (tmp_path / "local").mkdir()
    begin_elsewhere(tmp_path / "mine", tmp_path / "local")
    shutil.rmtree(tmp_path / "local")
    assert known(tmp_path / "mine") == ["a", "b"]  # one that runs, too: its number is taken
    assert (tmp_path / "local" / "ledger.db").exists()


def test_a_ledger_named_where_the_folder_keeps_its_own_has_no_copy_over_itself(
    tmp_path: Path,
) -> None:
    begin_elsewhere(tmp_path / "mine", tmp_path / "mine")
    with old_folder(tmp_path / "mine", stored(tmp_path / "mine")) as place:
        ledger = Ledger(place.ledger)
        ledger.ask("c", "search", 0, {"cross.theta": 0.2})
        ledger.close()
    assert known(tmp_path / "mine") == ["a", "b", "c"]


@pytest.mark.parametrize("name", ["why?", "50%20off"])
def test_a_ledger_lies_in_its_folder_whatever_that_is_called(name: str, tmp_path: Path) -> None:
    root = tmp_path / name / "mine"
    with new_folder(root, STUDY, "abc") as place:
        Ledger(place.ledger).close()
    assert (root / "ledger.db").is_file()
    assert [file.name for file in tmp_path.iterdir()] == [name]


def test_a_kill_while_study_yaml_is_written_leaves_the_name_free(tmp_path: Path) -> None:
    (tmp_path / ".lock").touch()
    (tmp_path / ABOUT_NEW).write_text("study:")
    with new_folder(tmp_path, STUDY, "abc"):
        assert stored(tmp_path).study == STUDY


def test_a_copy_that_knows_more_of_a_study_leaves_others_in_the_ledger_alone(
    tmp_path: Path,
) -> None:
    (tmp_path / "local").mkdir()
    begin_elsewhere(tmp_path / "mine", tmp_path / "local")
    file = tmp_path / "local" / "ledger.db"
    file.unlink()
    other = Ledger(Address(sqlite_url(file), "other"))
    for number in range(9):  # it knows more than the copy, but of another study
        other.ask(f"o{number}", "search", 0, {"cross.theta": 0.1})
    assert known(tmp_path / "mine") == ["a", "b"]
    assert len(other.entries()) == 9  # though it was open all the while
    other.close()
    again = Ledger(Address(sqlite_url(file), "other"))
    assert len(again.entries()) == 9  # in the file that has the ledger's name now
    again.close()


def test_an_older_ledger_on_this_disk_yields_to_the_copy(tmp_path: Path) -> None:
    (tmp_path / "local").mkdir()
    begin_elsewhere(tmp_path / "mine", tmp_path / "local")
    shutil.rmtree(tmp_path / "local")
    (tmp_path / "local").mkdir()
    Ledger(tmp_path / "local" / "ledger.db").close()  # this machine fell behind: it knows nothing
    assert known(tmp_path / "mine") == ["a", "b"]


def test_where_there_is_no_study_nothing_is_resumed(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none: no study to resume here; leave --resume out"):
        stored(tmp_path / "none")


@pytest.mark.parametrize("content", ["", "- 1", "study: {}", "[", "provenance: 3\nstudy: {}"])
def test_a_study_yaml_of_another_hand_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "study.yaml").write_text(content)
    with pytest.raises(UserError, match=r"study\.yaml: not written by this tool; restore"):
        stored(tmp_path)


def test_a_stored_study_with_a_mistake_is_told_with_its_place(tmp_path: Path) -> None:
    interrupt(tmp_path)
    file = tmp_path / "study.yaml"
    file.write_text(file.read_text().replace("trials: 20", "trials: -1"))
    with pytest.raises(UserError, match=r"study\.yaml, budget\.trials: .* greater than 0, given"):
        stored(tmp_path)


def test_an_output_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(UserError, match=r"file.mine: cannot be written \(Not a directory\); give"):
        new_folder(tmp_path / "file" / "mine", STUDY, "abc")


def test_an_output_with_too_long_a_name_is_named(tmp_path: Path) -> None:
    root = tmp_path / ("x" * 300)
    assert taken(root).endswith("(File name too long); give another --output.")
    with pytest.raises(UserError, match=r"\(File name too long\); give another --output\.$"):
        kept_twin(root)


def test_a_second_search_is_kept_away(tmp_path: Path) -> None:
    interrupt(tmp_path)
    with (
        another_search(tmp_path),
        pytest.raises(UserError, match=r"another search is at work on this study\.$"),
    ):
        old_folder(tmp_path, stored(tmp_path))


def test_a_search_that_was_killed_leaves_no_lock(tmp_path: Path) -> None:
    interrupt(tmp_path)
    with another_search(tmp_path) as process:
        process.kill()
        process.wait()
        old_folder(tmp_path, stored(tmp_path)).lock.close()


def test_a_new_study_does_not_begin_where_another_search_begins(tmp_path: Path) -> None:
    with another_search(tmp_path), pytest.raises(UserError, match=r"another search is at work"):
        new_folder(tmp_path, STUDY, "abc")


def test_a_folder_of_other_files_is_never_taken(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(UserError, match="holds files that are no study"):
        new_folder(tmp_path, STUDY, "abc")
    assert [file.name for file in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_mistake_before_the_first_trial_leaves_no_folder(tmp_path: Path) -> None:
    with pytest.raises(UserError), new_folder(tmp_path / "mine", STUDY, "abc"):
        raise UserError("the cluster is too small")
    assert not (tmp_path / "mine").exists()


def fail_after_a_trial(root: Path) -> None:
    """A study that stops with a mistake when a trial was asked for already."""
    with new_folder(root, STUDY, "abc") as place:
        ledger = Ledger(place.ledger)
        ledger.ask("search-0000", "search", 0, {"cross.theta": 0.1})
        ledger.close()
        raise UserError("trial after trial failed")


def test_a_mistake_after_a_trial_keeps_the_study(tmp_path: Path) -> None:
    with pytest.raises(UserError):
        fail_after_a_trial(tmp_path / "mine")
    assert (tmp_path / "mine" / "study.yaml").exists()
