"""docs/own-data.md, typed in from its first line to its last."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from studies import ROOT

from muse.config import DataConfig
from muse.corpora import read_corpus

TEXT = (ROOT / "docs" / "own-data.md").read_text(encoding="utf-8")
COMMANDS = [
    line
    for block in re.findall(r"```\n(python .*?)```", TEXT, flags=re.DOTALL)
    for line in block.replace("\\\n", " ").splitlines()
]


def make_tweets(folder: Path) -> None:
    """Run the document's own programs."""
    for program in re.findall(r"```python\n(.*?)```", TEXT, flags=re.DOTALL):
        subprocess.run([sys.executable, "-c", program], cwd=folder, check=True)


@pytest.mark.parametrize(
    ("name", "task", "folder"),
    [("mvsa_single", "msa", "my-tweets"), ("twitter2015", "mner", "my-entities")],
)
def test_the_made_up_tweets_are_read(name: Any, task: Any, folder: str, tmp_path: Path) -> None:
    make_tweets(tmp_path)
    corpus = read_corpus(DataConfig(name=name, root=tmp_path / folder), task)
    sizes = {name: len(tweets) for name, tweets in corpus.splits.items()}
    assert sizes == {"train": 72, "valid": 24, "test": 24}
    assert all(tweet.picture for tweets in corpus.splits.values() for tweet in tweets)


def test_the_form_for_entities_is_read(tmp_path: Path) -> None:
    (shown,) = re.findall(r"```\n(IMGID:17\n.*?)IMGID:18", TEXT, flags=re.DOTALL)
    for split in ("train", "valid"):
        (tmp_path / f"{split}.txt").write_text(shown, encoding="utf-8")
    corpus = read_corpus(DataConfig(name="twitter2015", root=tmp_path), "mner")
    (tweet,) = corpus.splits["train"]
    assert tweet.words == ("Ada", "Lovelace", "in", "Paris")
    assert tweet.target == ("B-PER", "I-PER", "O", "B-LOC")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_commands_lead_from_a_folder_to_labels(tmp_path: Path) -> None:
    make_tweets(tmp_path)
    for name in ("search", "muse", "experiments"):
        (tmp_path / name).symlink_to(ROOT / name)
    own = [command for command in COMMANDS if "--name" in command or "predict" in command]
    assert len(own) == 6
    told = [typed(command, tmp_path) for command in own]
    assert " min if they ran one after the other" in told[0]
    assert "train: 72 tweets, 0 missing images" in told[1]
    assert json.loads(told[2])["sentiment"] == "positive"
    assert [one["type"] for one in json.loads(told[5])["entities"]] == ["PER", "LOC"]
    lines = (tmp_path / "found.jsonl").read_text().splitlines()
    assert len(lines) == 120
    assert "Tweets" in (tmp_path / "results/my-tweets/best/README.md").read_text().title()
    assert (tmp_path / "results/my-tweets/review/tweet-1.png").exists()


def typed(command: str, folder: Path) -> str:
    """What a command says."""
    words = [sys.executable, *shlex.split(command)[1:]]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        words, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
