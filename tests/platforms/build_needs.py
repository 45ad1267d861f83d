"""`python tests/platforms/build_needs.py`: check that pip will find what it needs to build the vendor's driver.

Needs nothing installed. pip would fail after minutes and not name the missing packages.
"""

from __future__ import annotations

import platform
import shutil
import sys
from collections.abc import Callable

APT_LINE = "apt-get install cmake build-essential python3-dev libudev-dev libusb-1.0-0-dev"


def build_is_needed(version: tuple[int, int], machine: str, system: str) -> bool:
    """Tell whether pip has to build the pinned driver from source, by the markers in pyproject.toml."""
    has_wheel = machine in ("x86_64", "AMD64") or system == "darwin"
    return version >= (3, 14) or not has_wheel


def complaint(version: tuple[int, int], machine: str, system: str, which: Callable[[str], str | None]) -> str:
    """Return what to tell the user, or an empty string if nothing is missing."""
    missing = [program for program in ("cmake", "cc") if which(program) is None]
    if not missing or not build_is_needed(version, machine, system):
        return ""
    return (
        f"With Python {version[0]}.{version[1]} on {machine}, pip builds cryptoauthlib from source, and "
        f"{' and '.join(missing)} cannot be found.\nOn Debian and its relatives run: {APT_LINE}"
    )


if __name__ == "__main__":
    sys.exit(complaint(sys.version_info[:2], platform.machine(), sys.platform, shutil.which) or None)
