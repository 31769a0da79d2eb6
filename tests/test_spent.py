"""What a study has spent is what its ledger says, priced; nobody needs to stop it for that."""

from pathlib import Path

import pytest
from sample_entries import sample_study

from muse.errors import UserError
from search.cli import main
from search.folder import Places, new_folder
from search.ledger import Ledger
from search.spent import spent
from search.stored import stored


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A study of two trials that ran on two devices each; the second is still at work."""
    root = tmp_path / "study"
    url = f"sqlite:///{tmp_path}/elsewhere.db"
    with new_folder(root, sample_study(), "hash", Places(url)) as place:
        ledger = Ledger(place.ledger)
        for trial, seconds in (("a", 1800.0), ("b", 900.0)):
            ledger.ask(trial, "search", 0, {})
            ledger.report(trial, {"epoch": 1, "value": 0.5, "elapsed": seconds}, 2)
        ledger.end("a", "completed", 3600.0, 2, "")
        ledger.close()
    return root


def test_the_sum_is_device_hours_times_the_price(folder: Path) -> None:
    told = spent(folder, 3.0).splitlines()
    assert told[0] == "search: 2 trials, 2 h 30 min of device time, 7.50 in your money"
    assert told[1] == "in all: 2 trials, 2 h 30 min of device time, 7.50 in your money"


def test_what_early_stopping_saved_is_priced_too(folder: Path) -> None:
    ledger = Ledger(stored(folder).ledger)
    ledger.end("b", "stopped", 0.0, 2, "")  # after one of two epochs, which took half a device-hour
    ledger.close()
    assert "early stopping saved 1.50" in spent(folder, 3.0)


def test_the_copy_in_the_folder_tells_it_where_the_ledger_is_on_another_machine(
    folder: Path,
) -> None:
    (folder.parent / "elsewhere.db").unlink()
    assert "7.50" in spent(folder, 3.0)


def test_the_ledger_itself_counts_where_it_is_ahead_of_the_copy(folder: Path) -> None:
    copy = (folder / "ledger.db").read_bytes()
    ledger = Ledger(stored(folder).ledger)
    ledger.report("b", {"epoch": 2, "value": 0.5, "elapsed": 900.0}, 2)
    ledger.close()
    (folder / "ledger.db").write_bytes(copy)
    assert "in all: 2 trials, 3 h 00 min" in spent(folder, 3.0)


def test_without_a_price_it_is_said_how_to_name_one(folder: Path) -> None:
    told = spent(folder)
    assert "in your money" not in told
    assert "--set resources.price_per_hour=P" in told


def test_a_study_that_is_not_there_has_spent_nothing(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no study here"):
        spent(tmp_path / "nothing")


def test_the_command_prints_it(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--output", str(folder.parent), "--name", "study", "--cost"]
    assert main([*words, "--set", "resources.price_per_hour=3"]) == 0
    assert "in all: 2 trials" in capsys.readouterr().out
