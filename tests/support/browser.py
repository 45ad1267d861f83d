"""Debian's Chromium without a screen, driven by its own driver. It talks to nobody but the page under test."""

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
    """Start one with a new profile in `folder`; skips the test if it is not installed."""
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
    """Return what the browser has to complain about since the last call: blocked parts, errors of scripts."""
    return [entry["message"] for entry in driver.get_log("browser")]  # type: ignore[no-untyped-call]
