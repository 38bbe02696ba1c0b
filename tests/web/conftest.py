"""The real page in front of a real box, and a real browser."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.support.addresses import address, free_port
from tests.support.box import Box
from tests.support.processes import end, start
from tests.support.until import until

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PASSWORD = "correct horse battery"


class Page:
    """A box and its page's process."""

    def __init__(self, folder: Path, **keys: Any) -> None:
        ip = address()
        self.port = free_port(ip)
        self.url = f"http://{ip}:{self.port}"
        self.box = Box(folder, web__address=ip, web__port=self.port, **keys)
        self.code = ""

    def start_web(self) -> None:
        """Start the page's process and wait for its words."""
        log = self.box.folder / "web.log"
        with log.open("wb") as out:
            self.web = start(
                [sys.executable, "-m", "appliance.entrypoints.cli", "--state", self.box.folder, "web"], out
            )
        until(lambda: "Page: " in log.read_text(), "the page's address")
        if "Claim code: " in log.read_text():
            self.code = log.read_text().split("Claim code: ")[1].split()[0]

    def stop_web(self) -> int:
        """End the page's process."""
        return end(self.web)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """One box with its page, for the tests of a module, in their order."""
    page = Page(tmp_path_factory.mktemp("site") / "box")
    with page.box:
        page.start_web()
        yield page
        page.stop_web()


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, headless; gone with these tests, as its driver keeps a loop in this thread."""
    if not CHROMIUM.exists():
        pytest.skip("chromium is not installed")
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield running
        running.close()
