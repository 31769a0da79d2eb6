"""A comparison's files: the table's figures, the picture, TensorBoard, no link to the outside."""

import csv
from pathlib import Path

import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from test_contrast import SCORES, entries_of, found, study_of
from test_report import PROVENANCE, page_of
from torch.utils.tensorboard import SummaryWriter

from search.contrast import contrast
from search.contrast_report import headline, show_contrast, table, write_contrast
from search.costs import phase_costs


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("comparison")
    costs = phase_costs(entries_of(study_of(), SCORES), budget=2)
    write_contrast(found(), made, PROVENANCE, costs, baseline=0.1)
    return made


def test_the_table_says_of_each_variant_what_it_changes_and_how_it_does(folder: Path) -> None:
    with (folder / "comparison" / "summary.csv").open() as stream:
        rows = {row["variant"]: row for row in csv.DictReader(stream)}
    assert list(rows) == ["muse", "no-exchange", "no-noise"]
    assert float(rows["muse"]["test"]) == pytest.approx(0.75)
    assert float(rows["muse"]["valid"]) == pytest.approx(0.85)
    assert float(rows["no-exchange"]["difference"]) == pytest.approx(-0.2)
    assert rows["no-exchange"]["settings"] == "theta=0"
    assert (rows["no-noise"]["n"], rows["no-noise"]["failed"]) == ("2", "1")
    assert rows["muse"]["difference"] == rows["muse"]["p_holm"] == ""


def test_every_run_that_has_a_score_is_kept(folder: Path) -> None:
    with (folder / "comparison" / "runs.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 8
    assert (rows[0]["variant"], rows[0]["seed"], rows[0]["test"]) == ("muse", "307", "0.8")


def test_the_page_needs_no_network_and_says_what_its_picture_shows(folder: Path) -> None:
    page = page_of(folder)
    assert all(link.startswith("data:") for link in page.links)
    assert [picture["alt"] for picture in page.pictures] == [" ".join(headline(found()))]
    assert {"no-exchange", "Costs", "Provenance"} <= set(page.texts)


def test_markdown_and_picture_are_there(folder: Path) -> None:
    text = (folder / "report.md").read_text()
    assert "| no-exchange | 3 | 0 | 0.5500 |" in text
    assert "![" in text
    with Image.open(folder / "comparison" / "scores.png") as picture:
        assert picture.width > picture.height > 200


def test_the_headline_sorts_variants_by_what_is_sure() -> None:
    surely = {
        "muse": [0.8, 0.7, 0.75],
        "no-exchange": [0.3, 0.2, 0.26],
        "no-noise": [0.8, 0.71, 0.74],
    }
    study = study_of()
    told = headline(contrast(study, entries_of(study, dict(surely))))
    assert told[0].startswith("muse: test F1 0.7500 (")
    assert told[1] == "Worse beyond chance (95 %, Holm): no-exchange (-0.4967)."
    assert told[2] == "No difference beyond chance: no-noise (+0.0000)."


def test_variants_that_are_all_perfect_are_no_finding() -> None:
    scores = {"muse": [1.0] * 3, "no-exchange": [1.0] * 3, "no-noise": [1.0, 1.0, 0.9]}
    study = study_of()
    told = headline(contrast(study, entries_of(study, scores)))
    assert told[1:] == [
        "As muse, every run scored 1.0000, so this corpus cannot tell them apart: no-exchange.",
        "No difference beyond chance: no-noise (-0.0333).",
    ]


def test_a_comparison_without_a_score_says_so() -> None:
    told = contrast(study_of(), [])
    assert headline(told) == ["muse has no score yet, so nothing is compared."]
    assert table(told)[1][3] == "-"


def test_tensorboard_has_picture_and_table(tmp_path: Path) -> None:
    with SummaryWriter(str(tmp_path)) as writer:
        show_contrast(writer, found(), PROVENANCE, 0.1)
    events = EventAccumulator(str(tmp_path))
    events.Reload()
    assert events.Tags()["images"] == ["comparison/scores"]
    (text,) = events.Tensors("comparison/table/text_summary")
    assert "no-exchange" in text.tensor_proto.string_val[0].decode()
