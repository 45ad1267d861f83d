"""System programs that some tests need, such as openssl and gcc."""

from __future__ import annotations

import shutil
from typing import Final

import pytest

_PACKAGES: Final = {
    "cfssl": "golang-cfssl",
    "chromium": "chromium",
    "chromedriver": "chromium-driver",
    "mosquitto": "mosquitto",
    "od": "coreutils",
    "openssl": "openssl",
    "certtool": "gnutls-bin",
    "gnutls-cli": "gnutls-bin",
    "faketime": "faketime",
    "gcc": "gcc",
    "go": "golang-go",
    "promtool": "prometheus",
    "softhsm2-util": "softhsm2",
    "hexdump": "bsdextrautils",
    "keytool": "openjdk-17-jre-headless",
    "setpriv": "util-linux",
    "ssh-keygen": "openssh-client",
    "systemd-analyze": "systemd",
    "xxd": "xxd",
}


def require_program(name: str) -> str:
    """Return the path of the program, or skip the test and say which Debian package brings it."""
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"{name} is missing; the Debian package {_PACKAGES[name]} brings it")
    return path
