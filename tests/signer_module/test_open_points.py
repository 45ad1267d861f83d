"""What nobody has published of the chip: modules work whichever way it is, and depend on nothing else that is open."""

from __future__ import annotations

import hashlib
import itertools
from datetime import UTC, datetime
from typing import Any

import pytest

from atcaprov.certs.description import default_description
from atcaprov.certs.keys import verify_digest
from atcaprov.chip.memory_map import LOCK_VALUE, UNLOCKED
from atcaprov.device.device import Device
from atcaprov.emulator import switches
from atcaprov.emulator.switches import Switches
from atcaprov.errors import DeviceError, UsageError
from signer_module.on_chip.making.root import make_root
from signer_module.on_chip.module import ModuleSigner
from signer_module.on_chip.password_change import change_password
from signer_module.on_files.root_folder import RootFolder
from tests.support.modules import PASSWORD, make, no_pause, order, root_folder
from tests.support.scripted_hal import ScriptedHal

NEW = b"battery staple"
DIGEST = hashlib.sha256(b"to be signed").digest()


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> RootFolder:
    return root_folder(tmp_path_factory.mktemp("root") / "root")


def chip(rules: Switches) -> ScriptedHal:
    hal = ScriptedHal()
    hal.chip.chip.core.switches = rules  # type: ignore[attr-defined]
    return hal


def life(hal: ScriptedHal, root: RootFolder) -> None:
    """Make a signer module, use it, try a wrong password, change the password, use it up."""
    with Device(hal) as device:
        make(device, root, order(quota=2))
    with ModuleSigner.on(Device(hal), no_pause) as module:
        module.unlock(PASSWORD)
        assert module.prove()
        assert verify_digest(module.public_key, DIGEST, module.sign(DIGEST))
        with pytest.raises(UsageError):
            module.unlock(b"wrong")
        change_password(module, PASSWORD, NEW)
        module.unlock(NEW)
        assert module.sign(DIGEST)
        with pytest.raises(DeviceError):
            module.sign(DIGEST)


class Watched(Switches):
    """Notes which switches decide an answer."""

    def __getattribute__(self, name: str) -> Any:
        if name in switches._NAMES:
            object.__getattribute__(self, "asked").add(name)
        return super().__getattribute__(name)


def test_what_modules_depend_on(root: RootFolder) -> None:
    rules = Watched.__new__(Watched)
    object.__setattr__(rules, "asked", set())
    Switches.__init__(rules)
    life(chip(rules), root)
    asked = object.__getattribute__(rules, "asked")
    assert asked == {
        "authorization_uses",
        "data_open_key_config",
        "checkmac_consumes",
        "checkmac_failure_clears",
        "encrypted_write_consumes",
        "data_crc_private",  # as every data lock
    }


READINGS = {
    "authorization_uses": ("one", "many"),
    "checkmac_consumes": (True, False),
    "checkmac_failure_clears": (True, False),
    "data_open_key_config": ("ignored", "obeyed"),
    "encrypted_write_consumes": (True, False),
}
"""What the points that decide an answer to a module can be; test_what_modules_depend_on holds the list complete."""


@pytest.mark.parametrize(
    "reading",
    [dict(zip(READINGS, values, strict=True)) for values in itertools.product(*READINGS.values())],
    ids=lambda reading: "-".join(str(value) for value in reading.values()),
)
def test_every_reading(root: RootFolder, reading: dict[str, Any]) -> None:
    life(chip(Switches(**reading)), root)


def test_a_chip_that_does_not_sign_before_the_data_lock_makes_no_root_and_locks_none() -> None:
    hal = chip(Switches(data_open_use=False))
    with Device(hal) as device:
        with pytest.raises(DeviceError):
            make_root(device, order(), default_description("root"), datetime.now(UTC), keep=lambda _: None)
        assert device.read_config()[LOCK_VALUE] == UNLOCKED


def test_a_chip_that_does_not_sign_before_the_data_lock_makes_a_signer(root: RootFolder) -> None:
    life(chip(Switches(data_open_use=False)), root)
