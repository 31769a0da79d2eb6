"""A headless Chromium, and what it finds on a page."""

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1500,1100",
)
DEEP_TEXT = """
const told = [];
const walk = (node) => {
  if (node.nodeType === Node.TEXT_NODE) { told.push(node.textContent); return; }
  if (["STYLE", "SCRIPT", "TEMPLATE"].includes(node.nodeName)) return;
  if (node instanceof Element) {
    const style = getComputedStyle(node);
    if (style.display === "none" || style.visibility === "hidden") return;
  }
  if (node.shadowRoot) walk(node.shadowRoot);
  if (node.nodeName === "IFRAME" && node.contentDocument) walk(node.contentDocument.body);
  for (const child of node.childNodes) walk(child);
};
walk(document.body);
return told.join(" ").replace(/\\s+/g, " ");
"""
"""Every text that is shown, in shadow trees and frames too: TensorBoard's page is made of them."""

DEEP_IMAGES = """
const found = [];
const walk = (node) => {
  if (node.nodeName === "IMG") found.push([node.src, node.complete ? node.naturalWidth : 0]);
  if (node.shadowRoot) walk(node.shadowRoot);
  if (node.nodeName === "IFRAME" && node.contentDocument) walk(node.contentDocument.body);
  for (const child of node.childNodes) walk(child);
};
walk(document.body);
return found;
"""


def need_browser() -> None:
    """Skip a test, with the reason, where no browser can be driven."""
    pytest.importorskip("selenium", reason="selenium is not installed")
    for program in ("chromium", "chromedriver"):
        if shutil.which(program) is None:
            pytest.skip(f"no {program} on this machine")


class Page:
    """What a browser shows."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def open(self, address: str) -> None:
        self.driver.get("about:blank")  # else only the part behind # would change
        self.driver.get_log("browser")
        self.driver.get(address)

    def text(self) -> str:
        return str(self.driver.execute_script(DEEP_TEXT))

    def images(self) -> list[tuple[str, int]]:
        """Source and width in pixels of each picture; 0 where it did not load."""
        return [(src, width) for src, width in self.driver.execute_script(DEEP_IMAGES)]

    def wait_for(self, *words: str, seconds: float = 60) -> str:
        """The text, once it holds all words."""
        text, ends = "", time.monotonic() + seconds
        while time.monotonic() < ends:
            text = self.text()
            if all(word in text for word in words):
                return text
            time.sleep(0.3)
        missing = [word for word in words if word not in text]
        raise TimeoutError(f"{missing} not on the page: {text[:3000]}")

    def errors(self) -> list[str]:
        """What the browser has logged as an error since the page was opened."""
        return [e["message"] for e in self.driver.get_log("browser") if e["level"] == "SEVERE"]

    def save(self, file: Path) -> None:
        """A picture of what is shown."""
        self.driver.save_screenshot(str(file))


@contextmanager
def chromium(profile: Path) -> Iterator[Page]:
    """A browser with a profile of its own."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = str(shutil.which("chromium"))
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options, Service(str(shutil.which("chromedriver"))))
    try:
        yield Page(driver)
    finally:
        driver.quit()
