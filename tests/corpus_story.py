"""Small corpora as their authors would hand them out: what tests of the readers share."""

from pathlib import Path

import pytest
from PIL import Image

from muse.config import DataConfig, Task
from muse.corpora import read_corpus
from muse.errors import UserError

TAGGED = "IMGID:17_06_1\nAda\tB-PER\nLovelace\tI-PER\nwon\tO\n\nIMGID:O_9\nOscar\tB-OTHER\n"


def tagged_corpus(root: Path, train: str = TAGGED, valid: str = TAGGED) -> DataConfig:
    (root / "train.txt").write_text(train, encoding="utf-8")
    (root / "valid.txt").write_text(valid, encoding="utf-8")
    return DataConfig(name="twitter2017", root=root)


def sentiment_corpus(root: Path, train: str = "guid,tag\n1,positive\n") -> DataConfig:
    (root / "train.txt").write_text(train, encoding="utf-8")
    (root / "valid.txt").write_text("guid,tag\n2,neutral\n", encoding="utf-8")
    (root / "data").mkdir()
    for guid in ("1", "2", "3"):
        (root / "data" / f"{guid}.txt").write_text(f"  tweet {guid}\nmore \n", encoding="utf-8")
    return DataConfig(name="mvsa_single", root=root)


def annotated_corpus(root: Path, rows: list[str], votes: int = 1) -> DataConfig:
    header = "ID" + "\ttext,image" * votes
    (root / "labelResultAll.txt").write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    (root / "data").mkdir()
    for row in rows:
        guid = row.partition("\t")[0]
        (root / "data" / f"{guid}.txt").write_text(f"tweet {guid}", encoding="utf-8")
    return DataConfig(name="mvsa_multiple" if votes == 3 else "mvsa_single", root=root)


def save_picture(path: Path) -> Path:
    path.parent.mkdir(exist_ok=True)
    Image.new("RGB", (8, 6), (200, 0, 0)).save(path)
    return path


def error_of(config: DataConfig, task: Task) -> str:
    with pytest.raises(UserError) as caught:
        read_corpus(config, task)
    assert "\n" not in str(caught.value)
    return str(caught.value)
