"""What lives in a bucket, on a real S3 server: trials' checkpoints and a study's twin."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from rich.console import Console
from s3_server import s3_server
from small_muse import small_config, small_tensors

from muse.device import Worker
from muse.errors import UserError
from muse.fingerprint import fingerprint
from muse.last import LAST
from search import bucket, resume, worker
from search.abroad import STAY, Abroad, bring_back, check_free
from search.bucket import Checkpoints, Twin, at_hand, check_bucket
from search.folder import Places, StudyFolder, hold, new_folder
from search.keeper import Keeper
from search.ledger import Ledger
from search.searcher import Proposal
from search.start import Way
from search.study import Study
from search.task import Task
from search.view import View

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")  # the server's sockets


@pytest.fixture(scope="module", autouse=True)
def server() -> Iterator[None]:
    with s3_server():
        yield


@pytest.fixture
def url() -> str:
    return f"s3://bucket/{uuid4().hex}"


def names(url: str) -> set[str]:
    """The files of a place in the bucket."""
    with at_hand(url) as (folder, _):
        return {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()}


def test_a_twin_becomes_what_the_folder_is(tmp_path: Path, url: str) -> None:
    (tmp_path / "best").mkdir()
    (tmp_path / "best" / "model").write_text("a")
    (tmp_path / LAST).write_text("1")
    (tmp_path / f".{LAST}-0123").write_text("half")
    twin = Twin(tmp_path, url)
    twin.push()
    assert names(url) == {"best/model", LAST}
    (tmp_path / LAST).unlink()
    (tmp_path / "best" / "model").write_text("better")
    twin.push()
    with at_hand(url) as (folder, _):
        assert (folder / "best" / "model").read_text() == "better"
        assert not (folder / LAST).exists()


def test_only_what_has_changed_is_sent(
    tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").write_text("a")
    (tmp_path / "b").write_text("b")
    twin = Twin(tmp_path, url)
    twin.push()
    sent: list[str] = []
    monkeypatch.setattr(twin, "put", lambda name, _: sent.append(name))
    (tmp_path / "b").write_text("bb")
    twin.push()
    assert sent == ["b"]


def test_what_an_earlier_process_sent_and_is_gone_since_goes_from_the_bucket_too(
    tmp_path: Path, url: str
) -> None:
    for name in ("old", "kept", "trials"):
        (tmp_path / name).write_text(name)
    Twin(tmp_path, url).push()
    (tmp_path / "old").unlink()
    (tmp_path / "kept").write_text("changed")
    Twin(tmp_path, url, STAY).push()
    assert names(url) == {"kept", "trials"}
    with at_hand(url) as (folder, _):
        assert (folder / "kept").read_text() == "changed"


def test_a_place_of_other_files_in_a_bucket_is_never_taken(tmp_path: Path, url: str) -> None:
    (tmp_path / "ledger.db").touch()
    Twin(tmp_path, url).push()
    check_free(url)  # all that a kill at the very start leaves
    (tmp_path / "thesis.tex").touch()
    Twin(tmp_path, url).push()
    with pytest.raises(UserError, match="holds files that are no study; give another --name"):
        check_free(url)


def test_checkpoints_are_the_same_in_a_folder_and_in_a_bucket(tmp_path: Path, url: str) -> None:
    for base in (str(tmp_path), url):
        kept = Checkpoints(base)
        place = kept.folder("a")
        with at_hand(place) as (folder, twin):
            (folder / "best").mkdir(parents=True)
            (folder / "best" / "model").write_text("a")
            (folder / LAST).write_text("1")
            if twin:
                twin.push()
        assert kept.has("a", "best")
        kept.drop_file("a", LAST)
        kept.drop_file("a", LAST)  # gone already
        assert (kept.has("a", LAST), kept.has("a", "best")) == (False, True)
        kept.drop("a")
        kept.drop("a")
        assert not kept.has("a", "best")


@pytest.mark.parametrize("odd", ["x#1", "x?1", "x%231", "a b", "x:1", "[x]", "\u00fc"])
def test_what_a_trial_is_called_leads_to_no_other_trials_folder(
    odd: str, tmp_path: Path, url: str
) -> None:
    for base in (str(tmp_path), url):
        kept = Checkpoints(base)
        for trial in ("x", odd):
            with at_hand(kept.folder(trial)) as (folder, twin):
                folder.mkdir(exist_ok=True)
                (folder / LAST).write_text(trial)
                if twin:
                    twin.push()
        kept.drop(odd)
        assert (kept.has("x", LAST), kept.has(odd, LAST)) == (True, False)


class Desk:
    """A desk that ends a trial after some epochs, and notes what it is told."""

    def __init__(self, epochs: int) -> None:
        self.epochs, self.told = epochs, []

    def __getattr__(self, name: str) -> Any:
        return SimpleNamespace(remote=lambda *given: self.hear(name, *given))

    def hear(self, name: str, *given: Any) -> bool:
        if name == "report":
            self.told.append(given[1]["epoch"])
        assert name != "fail", given
        return len(self.told) < self.epochs


def test_a_trial_goes_on_from_the_bucket_on_another_machine(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker.ray, "get", lambda answer: answer)
    monkeypatch.setattr(worker, "prepared", lambda config: small_tensors(config, tmp_path / "c"))
    config = small_config(train={"epochs": 3}).model_dump(mode="json")
    task = Task("a", config, f"{url}/a", fingerprint=fingerprint(config))

    worker.do(Desk(epochs=1), task, Worker())  # and its machine is gone
    assert names(task.folder) >= {LAST, "best/model.safetensors"}
    other = Desk(epochs=9)
    worker.do(other, task, Worker())

    assert other.told == [1, 2, 3]  # told of the last epoch again, trained two
    assert LAST not in names(task.folder)
    assert "best/model.safetensors" in names(task.folder)


STUDY = Study.model_validate(
    {
        "name": "mine",
        "preset": "tiny",
        "budget": {"trials": 5, "epochs": 1},
        "space": {"cross.theta": {"low": 0.0, "high": 0.5}},
    }
)


def end_a_trial(root: Path, url: str) -> None:
    """A study of which one trial has ended, and whose machine then is gone."""
    with new_folder(root, STUDY, "abc", Places(storage=url)) as place:
        ledger = Ledger(place.ledger)
        view = View("mine", "valid_f1", Console(file=StringIO()))
        abroad = Abroad(root, place.storage, place.ledger.url)
        keeper = Keeper(STUDY, root, ledger, view, abroad)
        begin = keeper.start("search", 5, [], 1.0)
        config = begin(Proposal("search-0000", {"cross.theta": 0.1}, 0))
        assert config["task"]["folder"] == f"{url}/trials/search-0000"
        result = {"epoch": 1, "value": 0.5, "best": 0.5, "elapsed": 1.0}
        trial = SimpleNamespace(config=config, last_result=result, error_file=None)
        keeper.on_trial_result(0, [], trial, result)
        keeper.on_trial_complete(0, [], trial)
        begin(Proposal("search-0001", {"cross.theta": 0.3}, 0))
        assert not keeper.broken
        ledger.close()


def test_a_new_head_takes_a_study_from_its_twin(tmp_path: Path, url: str) -> None:
    end_a_trial(tmp_path / "first" / "mine", f"{url}/mine")
    root = tmp_path / "second" / "mine"
    bring_back(root, f"{url}/mine")
    ended, begun = Ledger(root / "ledger.db").entries()
    assert (ended.trial_id, ended.state, ended.value) == ("search-0000", "completed", 0.5)
    # Else another would get its number, and its checkpoint.
    assert (begun.trial_id, begun.state, begun.point) == (
        "search-0001",
        "running",
        {"cross.theta": 0.3},
    )
    assert (root / "study.yaml").exists()
    assert not (root / "trials").exists()  # workers fetch what they need


def test_a_head_that_comes_back_takes_all_that_is_newer_from_the_twin(
    tmp_path: Path, url: str
) -> None:
    first, second = tmp_path / "first" / "mine", tmp_path / "second" / "mine"
    end_a_trial(first, f"{url}/mine")
    bring_back(second, f"{url}/mine")
    (first / "best.yaml").write_text("old")
    (second / "best.yaml").write_text("new")
    ledger = Ledger(second / "ledger.db")
    ledger.end("search-0001", "stopped", 1.0, 1.0, "no row more, but known better")
    Abroad(second, f"{url}/mine", ledger.engine.url).send(everything=True)
    ledger.close()
    bring_back(first, f"{url}/mine")
    assert (first / "best.yaml").read_text() == "new"
    assert Ledger(first / "ledger.db").entry("search-0001").state == "stopped"


def killed_after(files: int) -> Callable[..., None]:
    """Copies so many files of a bucket, and no more."""
    left, real = iter(range(files)), bucket.copy

    def copy(*given: Any) -> None:
        if next(left, None) is None:
            raise KeyboardInterrupt
        real(*given)

    return copy


@pytest.mark.parametrize("back", [False, True])
def test_a_head_that_is_killed_while_it_takes_a_study_takes_all_of_it_the_next_time(
    back: bool, tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = tmp_path / "first" / "mine", tmp_path / "second" / "mine"
    end_a_trial(first, f"{url}/mine")
    if back:  # to an older state
        shutil.copytree(first, second)
    for name in ("a.csv", "z.csv"):  # one before study.yaml, one behind it
        (first / name).write_text("new")
    ledger = Ledger(first / "ledger.db")
    ledger.end("search-0001", "stopped", 1.0, 1.0, "known better")
    Abroad(first, f"{url}/mine", ledger.engine.url).send(everything=True)
    ledger.close()

    for files in range(2 + len(names(f"{url}/mine"))):  # two are looked at before all are taken
        there = tmp_path / str(files) / "mine"
        if back:
            shutil.copytree(second, there)
        with monkeypatch.context() as patch, suppress(KeyboardInterrupt):
            patch.setattr(bucket, "copy", killed_after(files))
            bring_back(there, f"{url}/mine")
        bring_back(there, f"{url}/mine")
        assert {"a.csv", "z.csv"} < {file.name for file in there.iterdir()}
        assert Ledger(there / "ledger.db").entry("search-0001").state == "stopped"


def test_with_a_ledger_in_a_database_the_head_that_resumed_last_is_the_newer_one(
    tmp_path: Path, url: str
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for root, resumed in ((first, 1), (second, 2)):
        root.mkdir()
        ledger = "{study: k, url: 'postgresql+psycopg://host/db'}"
        (root / "study.yaml").write_text(f"ledger: {ledger}\nresumed: {[{}] * resumed}\n")
        (root / "plan.yaml").write_text(root.name)

    Twin(second, f"{url}/mine", STAY).push()
    bring_back(first, f"{url}/mine")
    assert (first / "plan.yaml").read_text() == "second"

    (first / "plan.yaml").write_text("settled since")
    bring_back(first, f"{url}/mine")  # it has as many resumes, so the bucket knows no more
    assert (first / "plan.yaml").read_text() == "settled since"


def test_a_study_that_never_began_leaves_its_place_free(tmp_path: Path, url: str) -> None:
    with new_folder(tmp_path / "mine", STUDY, "abc", Places(storage=f"{url}/mine")) as place:
        ledger = Ledger(place.ledger)
        abroad = Abroad(place.root, place.storage, place.ledger.url)
        view = View("mine", "valid_f1", Console(file=StringIO()))
        Keeper(STUDY, place.root, ledger, view, abroad).close()
        ledger.close()
    check_free(f"{url}/mine")  # once a mistake is corrected, the same command starts it


def test_a_resume_that_names_no_storage_takes_what_another_head_has_added(
    tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = tmp_path / "first" / "mine", tmp_path / "second" / "mine"
    end_a_trial(first, f"{url}/mine")
    bring_back(second, f"{url}/mine")
    ledger = Ledger(second / "ledger.db")
    ledger.end("search-0001", "completed", 1.0, 1.0, "")
    ledger.ask("search-0002", "search", 0, {"cross.theta": 0.2}, 1)
    Abroad(second, f"{url}/mine", ledger.engine.url).send()
    ledger.close()
    known: list[str] = []

    def go(study: Study, place: StudyFolder, *_: Any) -> None:
        known.extend(entry.trial_id for entry in Ledger(place.ledger).entries())

    monkeypatch.setattr(resume, "read", lambda _: SimpleNamespace(key="abc"))
    monkeypatch.setattr(resume, "go", go)
    resume.resume(first, lambda study: study, Way())
    assert known == ["search-0000", "search-0001", "search-0002"]


def test_a_study_at_which_a_search_is_at_work_takes_nothing_from_its_twin(
    tmp_path: Path, url: str
) -> None:
    first, second = tmp_path / "first" / "mine", tmp_path / "second" / "mine"
    end_a_trial(first, f"{url}/mine")
    bring_back(second, f"{url}/mine")
    (second / "best.yaml").write_text("older")
    Abroad(second, f"{url}/mine", Ledger(second / "ledger.db").engine.url).send(everything=True)
    (first / "best.yaml").write_text("just written")
    (first / "ledger.db").unlink()  # it lies elsewhere, so the twin seems to know more
    with hold(first), pytest.raises(UserError, match="another search is at work on this study"):
        bring_back(first, f"{url}/mine")
    assert (first / "best.yaml").read_text() == "just written"
    bring_back(first, f"{url}/mine")
    assert (first / "best.yaml").read_text() == "older"


def test_a_study_is_not_replaced_by_another_of_its_name(tmp_path: Path, url: str) -> None:
    root = tmp_path / "mine"
    end_a_trial(root, f"{url}/elsewhere")
    end_a_trial(tmp_path / "other", f"{url}/mine")
    about = (root / "study.yaml").read_text()
    with pytest.raises(UserError, match="holds another study than"):
        bring_back(root, f"{url}/mine")
    assert (root / "study.yaml").read_text() == about


def test_a_head_that_knows_more_keeps_what_it_knows(tmp_path: Path, url: str) -> None:
    root = tmp_path / "mine"
    end_a_trial(root, f"{url}/mine")
    ledger = Ledger(root / "ledger.db")
    ledger.ask("search-0002", "search", 0, {"cross.theta": 0.2}, 1)
    ledger.close()
    bring_back(root, f"{url}/mine")
    assert len(Ledger(root / "ledger.db").entries()) == 3


def test_a_place_with_a_study_is_not_taken_for_another(tmp_path: Path, url: str) -> None:
    check_free(f"{url}/mine")
    end_a_trial(tmp_path / "mine", f"{url}/mine")
    with pytest.raises(UserError, match="a study stands here; --resume it or give another --name"):
        check_free(f"{url}/mine")


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("s3://nobucket/x", "nobucket/x: cannot be written .*NO_SUCH_BUCKET.*; make the bucket"),
        ("gs://bucket/x", "give s3://BUCKET/FOLDER"),
        (
            "s3://key:secret@bucket/x",
            "--storage 'bucket/x': give s3://BUCKET/FOLDER without .* keys",
        ),
        ("s3://bucket/x?access_key=secret", "'s3://bucket/x': give s3://BUCKET/FOLDER"),
        ("s3://bucket/muse#new/mine", "'s3://bucket/muse#new/mine': give s3://BUCKET/FOLDER"),
        ("s3://bucket/muse?region=eu/mine", "give s3://BUCKET/FOLDER without '#', '\\?', '%'"),
        ("s3://bucket/my%20muse", "give s3://BUCKET/FOLDER"),
        ("s3://bucket/my muse", "give s3://BUCKET/FOLDER"),
        ("s3://my bucket/muse", "give s3://BUCKET/FOLDER"),
        ("s3://bucket/a\nb", "give s3://BUCKET/FOLDER"),
        ("s3://bucket//muse", "give s3://BUCKET/FOLDER"),
        ("s3://", "give s3://BUCKET/FOLDER"),
        ("s3:///x", "give s3://BUCKET/FOLDER"),
        ("s3://_/x", "_/x: cannot be written"),
    ],
)
def test_a_bucket_that_cannot_be_used_is_one_line(given: str, told: str) -> None:
    with pytest.raises(UserError, match=told) as error:
        check_bucket(given)
    assert "\n" not in str(error.value)
    assert "secret" not in str(error.value)
