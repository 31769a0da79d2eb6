"""The report and TensorBoard of a real study, opened in a browser.

$SCREENSHOTS, if set, is a folder for pictures of each page, for people to look at.
"""

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from browsing import Page, chromium, need_browser

from search.board import VIEW

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

EMPTY = (
    "No dashboards are active",
    "No data",
    "No text data",
    "No image data",
    "No hparams data",
    "No runs",
    "Failed to",
)
"""What TensorBoard says where it has nothing to show."""


@pytest.fixture(scope="module")
def study(request: pytest.FixtureRequest) -> Path:
    need_browser()  # before minutes are spent
    if "STUDY" in os.environ:
        return Path(os.environ["STUDY"])
    found: Path = request.getfixturevalue("quickstart")
    return found


@pytest.fixture(scope="module")
def page(study: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with chromium(tmp_path_factory.mktemp("profile")) as found:
        yield found


@pytest.fixture(scope="module")
def board(study: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """Address of a TensorBoard that shows the study, and the file of its log."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = tmp_path_factory.mktemp("board") / "log"
    words = ["-m", "tensorboard.main", "--logdir", str(study / "tensorboard")]
    words += ["--host", "127.0.0.1", "--port", str(port)]
    with (
        log.open("w") as stream,
        subprocess.Popen([sys.executable, *words], stdout=stream, stderr=stream) as process,
    ):
        wait_for_port(port)
        yield f"http://127.0.0.1:{port}/", log
        process.terminate()


def wait_for_port(port: int) -> None:
    for _ in range(600):
        with socket.socket() as one:
            if one.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    pytest.fail("TensorBoard did not start in a minute")


def keep_picture(page: Page, name: str) -> None:
    if "SCREENSHOTS" in os.environ:
        page.save(Path(os.environ["SCREENSHOTS"]) / f"{name}.png")


def test_the_report_shows_its_pictures_and_leads_to_the_review(study: Path, page: Page) -> None:
    page.open((study / "report.html").as_uri())
    text = page.wait_for("what matters", "Ranking", "Curves", "Review of the best model", "Costs")
    keep_picture(page, "report")
    assert "nan" not in text.lower().split()
    shown = [width for src, width in page.images() if src]
    assert len(shown) == 2 + 7  # ranking, overview, a curve for each setting
    assert all(width > 100 for width in shown)
    assert page.errors() == []
    links = re.findall(r'href="(review/[^"]*)"', (study / "report.html").read_text())
    assert len(links) == 1 + 2 + 8  # the text, two matrices, eight tweets
    assert all((study / link).is_file() for link in links)
    page.driver.get((study / "review" / "tweet-1.png").as_uri())
    assert page.images()[0][1] > 500


def test_a_picture_of_the_report_is_enlarged_by_a_click(study: Path, page: Page) -> None:
    page.open((study / "report.html").as_uri())
    button = page.driver.find_element("css selector", "button.picture")
    page.driver.execute_script("arguments[0].click()", button)
    assert page.driver.find_element("css selector", "dialog[open] img").get_attribute("src")
    keep_picture(page, "report-enlarged")
    assert page.errors() == []


FILTER = VIEW.partition("&")[2]  # as a search tells it: the study has more than 40 runs
TABS = {
    "timeseries": ("best", "machine", "optimizer", "train"),  # one group is open, the others named
    "hparams": ("learning rate", "best validation F1", "config-"),
    f"custom_scalars&{FILTER}": ("sensitivity", "θ (theta)"),
    f"images&{FILTER}": ("review/tweet-1", "curves/overview"),
    f"text&{FILTER}": ("review/summary", "review/tweet-8", "verdict", "findings"),
}


@pytest.mark.parametrize("tab", TABS, ids=lambda tab: tab.split("&")[0])
def test_a_tab_of_tensorboard_is_not_empty(board: tuple[str, Path], page: Page, tab: str) -> None:
    address, log = board
    page.open(f"{address}#{tab}")
    text = page.wait_for(*TABS[tab])
    time.sleep(3)  # pictures and curves come after the texts
    keep_picture(page, tab.split("&", maxsplit=1)[0])
    assert [said for said in EMPTY if said in text] == []
    if tab.startswith("images"):
        assert [src for src, width in page.images() if width == 0] == []
        assert len(page.images()) >= 5
    assert page.errors() == []
    told = log.read_text()
    assert "Traceback" not in told
    assert "ERROR" not in told
