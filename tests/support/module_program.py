"""`signer-module` run in this process on software chips in the working folder, with passwords in files."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from atcaprov.chip.memory_map import LOCK_CONFIG, LOCK_VALUE, UNLOCKED
from atcaprov.device.device import Device
from signer_module import cli
from tests.support.secret_files import secret_file
from tests.support.signer_modules import CHEAPEST

CHEAP: Final = ("--scrypt-cost", CHEAPEST, "--yes")
ROOT, SIGNER = "emulator:root.chip", "emulator:signer.chip"


def run(*arguments: object) -> int:
    """Run it and return its exit code."""
    return cli.main([str(argument) for argument in arguments])


def working_folder(path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Go to a folder and put passwords there."""
    monkeypatch.chdir(path)
    secret_file("password", "correct horse\n")
    secret_file("new", "battery staple\n")
    return path


def locks(url: str) -> tuple[bool, bool]:
    """Tell of a chip whether its configuration and its data zone are locked."""
    with Device.open(url) as device:
        config = device.read_config()
    return config[LOCK_CONFIG] != UNLOCKED, config[LOCK_VALUE] != UNLOCKED
