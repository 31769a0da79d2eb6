"""The report: self-contained, escaped, with all that it promises."""

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from sample_findings import ALARM, curve_of, findings, interaction, one_seed

from search.costs import PhaseCost
from search.report import write_report

PROVENANCE = {
    "revision": "0a1b2c3",
    "uncommitted_changes": True,
    "data_hash": "deadbeef",
    "versions": {"python": "3.11"},
}
EVIL = "<script>alert(1)</script>"


class Page(HTMLParser):
    """What a page refers to, and its texts."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.pictures: list[dict[str, str | None]] = []
        self.ids: list[str] = []
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.links += [str(found[key]) for key in ("href", "src") if key in found]
        self.ids += [str(found["id"])] if "id" in found else []
        if tag == "img":
            self.pictures.append(found)

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study's folder with its report; two curves keep it quick."""
    made = tmp_path_factory.mktemp("study")
    curves = (curve_of("cross.eta", alarm=ALARM), curve_of("loss.alpha", "flat"))
    found = findings(study=EVIL, curves=curves, interactions=(interaction(),))
    phases = [PhaseCost("search", 30, 18, 1, 160, 5400.0, 120, 3900.0)]
    write_report(found, made, PROVENANCE, phases, ["On the test split: F1 0.7012."])
    return made


def page_of(folder: Path) -> Page:
    page = Page()
    page.feed((folder / "report.html").read_text(encoding="utf-8"))
    return page


def test_the_page_needs_nothing_but_itself(folder: Path) -> None:
    links = page_of(folder).links
    assert all(link.startswith(("data:image/svg+xml;base64,", "#")) for link in links)
    assert not re.search(r"url\(|@import|https?://", (folder / "report.html").read_text())


def test_the_pages_inner_links_lead_somewhere(folder: Path) -> None:
    page = page_of(folder)
    assert {link[1:] for link in page.links if link.startswith("#")} <= set(page.ids)


def test_every_picture_has_words_for_those_who_cannot_see_it(folder: Path) -> None:
    shown = [picture for picture in page_of(folder).pictures if "src" in picture]
    assert len(shown) == 5  # ranking, overview, two curves, a map
    assert all(picture["alt"] for picture in shown)


def test_texts_are_escaped(folder: Path) -> None:
    assert EVIL not in (folder / "report.html").read_text()
    assert EVIL in "".join(page_of(folder).texts)
    assert "\n# \\<script>" in "\n" + (folder / "report.md").read_text()


@pytest.mark.parametrize("name", ["report.html", "report.md"])
def test_the_report_holds_all_that_it_promises(folder: Path, name: str) -> None:
    text = (folder / name).read_text(encoding="utf-8")
    for told in (
        "Worth tuning",
        "No effect seen",
        "Best configuration (search-0004)",
        "On the test split: F1 0.7012.",
        "try a range up to 8",
        "interval excludes differences above 0.012",
        "survives Holm",
        "PED-ANOVA",
        "1 h 05 min",
        "with uncommitted changes",
        "deadbeef",
        "python 3.11",
    ):
        assert told in text


def test_markdown_shows_pictures_that_exist(folder: Path) -> None:
    text = (folder / "report.md").read_text(encoding="utf-8")
    files = re.findall(r"\]\((sensitivity/[^)]*)\)", text)
    assert "sensitivity/eta.png" in files
    assert "sensitivity/alpha.csv" in files
    assert all((folder / file).is_file() for file in files)


def test_a_picture_knows_where_it_comes_from(folder: Path) -> None:
    with Image.open(folder / "sensitivity" / "eta.png") as picture:
        told: Any = picture.info
    assert told["study"] == EVIL
    assert told["data hash"] == "deadbeef"
    assert told["revision"] == "0a1b2c3 with uncommitted changes"


def test_nothing_half_written_is_left(folder: Path) -> None:
    left = sorted(file.name for file in folder.rglob("*") if file.is_file())
    assert left == [
        "alpha.csv",
        "alpha.png",
        "eta.csv",
        "eta.png",
        "interaction-mu-eta.png",
        "overview.png",
        "ranking.png",
        "report.html",
        "report.md",
        "summary.csv",
    ]


def test_the_same_findings_give_the_same_report(tmp_path: Path) -> None:
    found = findings(curves=(curve_of("cross.mu", "flat"),), interactions=())
    texts = []
    for name in ("a", "b"):
        write_report(found, tmp_path / name, {})
        texts.append((tmp_path / name / "report.html").read_bytes())
    assert texts[0] == texts[1]


def test_a_study_of_one_seed_has_a_report(tmp_path: Path) -> None:
    found = one_seed()
    write_report(findings(**{**vars(found), "curves": found.curves[:1]}), tmp_path, {})
    text = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert "one score a value tells nothing of chance" in text
    assert "## Costs" not in text
