"""System programs that some tests need as judges."""

from __future__ import annotations

import os
import shutil
from typing import Final

import pytest

NO_SKIP: Final = "ATCAPROV_NO_SKIP"
"""Environment variable: set to 1, a missing program fails its tests instead of skipping them."""

_PACKAGES: Final = {
    "openssl": "openssl",
    "certtool": "gnutls-bin",
    "gcc": "gcc",
}


def require_program(name: str) -> str:
    """Return the path of the program, or skip the test and say which Debian package brings it."""
    path = shutil.which(name)
    if path is not None:
        return path
    reason = f"{name} is missing; the Debian package {_PACKAGES[name]} brings it"
    if os.environ.get(NO_SKIP) == "1":
        pytest.fail(reason)
    pytest.skip(reason)
