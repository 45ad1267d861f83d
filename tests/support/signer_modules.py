"""Root and signer modules on software chips, made quickly: with a cheaper scrypt than modules may have."""

from __future__ import annotations

import copy
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import click
import pytest

from atcaprov import Device
from atcaprov.certs.descriptions.description import default_description
from atcaprov.chip.memory_map import LOCK_CONFIG, LOCK_VALUE, UNLOCKED
from signer_module import cli
from signer_module.on_chip.creation.module_builder import ModuleOrder
from signer_module.on_chip.creation.signer_module import make_signer
from signer_module.on_chip.module import SignerModule
from signer_module.on_chip.password_keys import LEAST_COST, MOST_COST, CostRule
from signer_module.on_files.root_folder import RootFolder, create_root
from signer_module.signer_description import SignerDescriptions
from tests.support.scripted_hal import ScriptedHal
from tests.support.secret_files import secret_file

PASSWORD = b"correct horse"
ROOT, SIGNER = "emulator:root.chip", "emulator:signer.chip"
"""Software chips in the working folder."""
DESCRIPTIONS = SignerDescriptions(default_description("signer"), default_description("device"))
CHEAPEST: Final = LEAST_COST
"""The least --scrypt-cost that a program in a process of its own takes."""
_CHEAP_COST: Final = 1
"""The cost that this process takes, so that tests can make many modules."""
CHEAP: Final = ("--scrypt-cost", _CHEAP_COST, "--yes")
"""Options of `signer-module` in this process that make a module quickly."""


def _take_cheap_cost(command: click.Command) -> None:
    CostRule.least = _CHEAP_COST
    for option in command.params:
        if option.name == "scrypt_cost":
            option.type = click.IntRange(_CHEAP_COST, MOST_COST)
    if isinstance(command, click.Group):
        for part in command.commands.values():
            _take_cheap_cost(part)


_take_cheap_cost(cli.cli)


def order(
    password: bytes | None = PASSWORD,
    *,
    quota: int | None = None,
    may_have_password: bool = True,
    cost: int = _CHEAP_COST,
) -> ModuleOrder:
    """Return an order with a cheap scrypt, too cheap for a program in a process of its own."""
    return ModuleOrder(password, may_have_password=may_have_password, quota=quota, scrypt_cost=cost)


def program_order(password: bytes | None = PASSWORD, *, quota: int | None = None) -> ModuleOrder:
    """Return the order of a module that programs take."""
    return order(password, quota=quota, cost=LEAST_COST)


def open_order(quota: int | None = None) -> ModuleOrder:
    """Return the order of a module that never asks for a password."""
    return order(None, quota=quota, may_have_password=False)


def working_folder(path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Go to a folder and put files with passwords there."""
    monkeypatch.chdir(path)
    secret_file("password", "correct horse\n")
    secret_file("new", "battery staple\n")
    return path


def locks(url: str) -> tuple[bool, bool]:
    """Tell of a chip whether its configuration and its data zone are locked."""
    with Device.open(url) as device:
        config = device.read_config()
    return config[LOCK_CONFIG] != UNLOCKED, config[LOCK_VALUE] != UNLOCKED


def root_folder(path: Path) -> RootFolder:
    """Make a root on files without password."""
    return create_root(path, default_description("root"), None, datetime.now(UTC))


def make(device: Device, root: RootFolder, wanted: ModuleOrder, signer_id: bytes | None = None) -> None:
    """Make a signer module under a root on files."""
    make_signer(
        device,
        wanted,
        root=root,
        sign=root.unlock(None).sign,
        descriptions=DESCRIPTIONS,
        signer_id=signer_id,
        now=datetime.now(UTC),
    )


def no_pause(_: float) -> None:
    """Do not wait."""


def signer_module(root: RootFolder, wanted: ModuleOrder, pause: Callable[[float], None] = no_pause) -> SignerModule:
    """Make a signer module on a new software chip and open it; `hal_of` gives its HAL."""
    hal = ScriptedHal()
    with Device(hal) as device:
        make(device, root, wanted)
    return SignerModule.on(Device(hal), pause)


def hal_of(module: SignerModule) -> ScriptedHal:
    """Return the HAL under a module."""
    hal = module.device._driver._hal
    assert isinstance(hal, ScriptedHal)
    return hal


def copy_of(hal: ScriptedHal) -> ScriptedHal:
    """Return another chip, without power so far, that holds the same."""
    copied = ScriptedHal()
    memory = copy.deepcopy(hal.chip.chip.core.memory)  # type: ignore[attr-defined]
    copied.chip.chip.core.memory = memory  # type: ignore[attr-defined]
    copied.chip.chip.core.open_points = hal.chip.chip.core.open_points  # type: ignore[attr-defined]
    return copied


def replug(hal: ScriptedHal) -> None:
    """Take the power away and give it back."""
    hal.chip.chip.power_cycle()  # type: ignore[attr-defined]
