"""A run's last state: whole, or not there at all."""

import pickle
from pathlib import Path
from typing import IO, Any

import pytest
import torch
from disk_story import content, no_file_above

from muse import last
from muse.device import CPU
from muse.last import LAST, load_last, save_last


def test_a_run_that_never_began_has_no_last_state(tmp_path: Path) -> None:
    assert load_last(tmp_path, CPU) is None


def test_a_state_of_another_version_is_not_gone_on_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_last(tmp_path, {"epoch": 1})
    assert load_last(tmp_path, CPU) == {"epoch": 1}
    monkeypatch.setattr(last, "LAST_FORMAT", last.LAST_FORMAT + 1)
    assert load_last(tmp_path, CPU) is None


@pytest.mark.parametrize("kept", [0, 200])
def test_a_state_that_is_half_on_the_disk_is_not_gone_on_from(tmp_path: Path, kept: int) -> None:
    save_last(tmp_path, {"weights": torch.ones(200)})
    file = tmp_path / LAST
    file.write_bytes(file.read_bytes()[:kept])

    assert load_last(tmp_path, CPU) is None


def test_the_last_state_is_the_newest(tmp_path: Path) -> None:
    save_last(tmp_path, {"epoch": 1})
    save_last(tmp_path, {"epoch": 2, "weights": torch.ones(2)})

    state = load_last(tmp_path, CPU)

    assert state is not None
    assert state["epoch"] == 2
    assert [path.name for path in tmp_path.iterdir()] == [LAST]


def test_a_full_disk_leaves_the_last_state_before(tmp_path: Path) -> None:
    save_last(tmp_path, {"epoch": 1})
    before = content(tmp_path)

    with no_file_above(10_000), pytest.raises((OSError, RuntimeError)):
        save_last(tmp_path, {"epoch": 2, "weights": torch.ones(100_000)})

    assert content(tmp_path) == before


def test_a_kill_while_saving_leaves_the_last_state_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def half(state: dict[str, Any], stream: IO[bytes]) -> None:
        stream.write(b"half")
        raise KeyboardInterrupt

    save_last(tmp_path, {"epoch": 1})
    monkeypatch.setattr(last.torch, "save", half)

    with pytest.raises(KeyboardInterrupt):
        save_last(tmp_path, {"epoch": 2})

    assert load_last(tmp_path, CPU) == {"epoch": 1}
    assert [path.name for path in tmp_path.iterdir()] == [LAST]


class Trap:
    """What would run code if it were unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (print, ("code ran",))


def test_reading_the_last_state_runs_no_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.save({"trap": Trap()}, tmp_path / LAST)

    with pytest.raises(pickle.UnpicklingError):
        load_last(tmp_path, CPU)

    assert capsys.readouterr().out == ""
