"""A model's folder may come from anybody: nothing in it is run."""

import json
import pickle
import sys
from pathlib import Path
from typing import Any

import pytest
from predict_story import exported_model  # noqa: F401

from muse.predict import main


class Harm:
    """Leaves a mark where it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return Path.touch, (self.mark,)


class Watch:
    """Notes every class that a pickle names; Python keeps such a hook to its end."""

    def __init__(self) -> None:
        self.on, self.pickled = False, False
        sys.addaudithook(self)

    def __call__(self, event: str, _: Any) -> None:
        self.pickled |= self.on and event == "pickle.find_class"


WATCH = Watch()


@pytest.mark.parametrize("strange", [False, True])
def test_nothing_in_a_model_is_run(
    folder: Path, strange: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Code and pickles lie beside the weights, and every file that may name code does."""
    mark = tmp_path / "mark"
    code = f"from pathlib import Path\nPath({str(mark)!r}).touch()\nclass Evil: ...\n"
    for name in ("evil.py", "__init__.py", "setup.py"):
        (folder / name).write_text(code)
    for name in ("pytorch_model.bin", "model.pt", "last.pt", "tokenizer.pkl"):
        (folder / name).write_bytes(pickle.dumps(Harm(mark)))
    for name in ("text.json", "tokenizer_config.json"):
        told = json.loads((folder / name).read_text())
        parts = ("AutoConfig", "AutoModel", "AutoTokenizer")
        told["auto_map"] = dict.fromkeys(parts, "evil.Evil")
        if strange and name == "text.json":
            told["model_type"] = "evil"
        (folder / name).write_text(json.dumps(told))
    WATCH.on, WATCH.pickled = True, False
    status = main([str(folder), "--text", "we saw Delio here"])
    WATCH.on = False
    assert not mark.exists()
    assert not WATCH.pickled
    assert status == (2 if strange else 0)
    assert capsys.readouterr().err.count("\n") == int(strange)


def test_the_watch_sees_a_pickle(tmp_path: Path) -> None:
    WATCH.on = True
    pickle.loads(pickle.dumps(Harm(tmp_path / "mark")))
    WATCH.on = False
    assert WATCH.pickled
    assert (tmp_path / "mark").exists()
