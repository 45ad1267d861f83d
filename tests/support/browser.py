"""Debian's Chromium, headless, driven by chromedriver. It connects to the page under test and to nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service

from tests.support.system_programs import require_program

_FLAGS: Final = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1280,900",
)


@contextmanager
def browser(folder: Path, *flags: str) -> Iterator[webdriver.Chrome]:
    """Start a browser with a new profile in `folder`; skip the test if it is not installed."""
    options = Options()
    options.binary_location = require_program("chromium")
    for flag in (*_FLAGS, f"--user-data-dir={folder / 'profile'}", *flags):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options, Service(require_program("chromedriver")))
    try:
        yield driver
    finally:
        driver.quit()


def complaints(driver: webdriver.Chrome) -> list[str]:
    """Return the messages of the browser's console since the last call: blocked content, script errors."""
    return [entry["message"] for entry in driver.get_log("browser")]  # type: ignore[no-untyped-call]
