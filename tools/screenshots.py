"""Pictures of the page of `nmt serve` for the docs, taken in headless Chromium.

    python tools/screenshots.py RUN...      # docs/page.png, docs/page-attention.png, docs/page-search.png

Several runs of the same languages give docs/page-runs.png as well.
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

DOCS = Path(__file__).resolve().parents[1] / "docs"
TEXT = "Will their curious grandmother send the sister these boots? Tomorrow his little sister will buy a bicycle."
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]


def take_pictures(url: str, with_runs: bool) -> None:
    """Do what a person does, and take a picture of each view."""
    with sync_playwright() as engines:
        browser = engines.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        page = browser.new_page(viewport={"width": 1040, "height": 900})
        page.set_default_timeout(60_000)
        page.goto(url)
        page.fill("#text", TEXT)
        page.locator(".sentence").nth(1).wait_for()
        page.check("#colour")
        page.locator(".sentence:has(.doubt)").nth(1).wait_for()
        page.locator(".sentence").last.click()
        words = page.locator(".words.target button")
        words.nth(3).click()
        words.nth(3).hover()
        _picture(page, "page")
        page.click("#theme")  # light
        page.click("#theme")  # dark
        page.click("#tab-attention")
        page.locator(".matrix td").first.wait_for()
        _picture(page, "page-attention")
        page.click("#theme")
        page.click("#tab-search")
        page.locator("svg.tree path.best").first.wait_for(state="attached")
        _picture(page, "page-search")
        if with_runs:
            page.click("#tab-runs")
            page.locator(".card .note").first.wait_for(state="detached")
            _picture(page, "page-runs")
        browser.close()


def _picture(page: Any, name: str) -> None:
    page.wait_for_load_state("networkidle")  # else what is still asked for would be cut off
    height = page.evaluate("document.querySelector('main').getBoundingClientRect().bottom + 16")
    page.screenshot(path=DOCS / f"{name}.png", full_page=True, clip={"x": 0, "y": 0, "width": 1040, "height": height})


def main(runs: list[str]) -> None:
    """Serve the runs and take the pictures."""
    command = [sys.executable, "-m", "nmt_cli", "serve", *runs, "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, encoding="utf-8") as server:
        assert server.stderr is not None
        address = re.match(r"(http://\S+): serving", line := server.stderr.readline())
        assert address, line
        try:
            take_pictures(address[1], len(runs) > 1)
        finally:
            server.terminate()


if __name__ == "__main__":
    main(sys.argv[1:] or ["runs/quickstart"])
