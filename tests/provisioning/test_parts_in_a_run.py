"""A run asks Info which part it has: others are left alone, all of the family are provisioned."""

from __future__ import annotations

import pytest

from atcaprov.chip.commands import Opcode
from atcaprov.chip.parts import part_name
from atcaprov.device.device import Device
from atcaprov.errors import Board, Code, ProvisioningError
from atcaprov.provisioning.profile import Profile
from atcaprov.provisioning.provision import Provisioner
from atcaprov.wire.messages import CertificatesRequest
from tests.support.in_memory_server import Authority, InMemory
from tests.support.scripted_hal import ScriptedHal


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


def _provisioner(functions: InMemory) -> Provisioner:
    return Provisioner(Profile(), functions.authority.cert_info, functions)


def test_another_part_is_refused_before_it_is_changed(authority: Authority) -> None:
    functions = InMemory(authority)
    hal = ScriptedHal()
    hal.memory.revision = bytes.fromhex("00005000")
    with Device(hal) as device, pytest.raises(ProvisioningError) as refused:
        _provisioner(functions).provision(device)
    assert (refused.value.code, refused.value.board) == (Code.WRONG_PART, Board.UNTOUCHED)
    assert functions.notices == []
    assert {packet[1] for packet in hal.packets} == {Opcode.INFO}


def test_the_part_is_the_one_that_info_tells_and_not_the_zone(authority: Authority) -> None:
    hal, functions = ScriptedHal(), InMemory(authority)
    hal.memory.config[4:8] = bytes.fromhex("00005000")
    hal.memory.revision = bytes.fromhex("00006003")
    with Device(hal) as device:
        result = _provisioner(functions).provision(device)
    assert (result.revision.hex(), result.config_revision.hex()) == ("00006003", "00005000")
    assert [each.revision for each in functions.requests if isinstance(each, CertificatesRequest)] == [0x00006003]
    assert functions.warnings == []


@pytest.mark.parametrize("image", ["atecc608a", "atecc608b", "atecc608c"])
def test_every_blank_part_of_the_family_is_provisioned(authority: Authority, image: str) -> None:
    functions = InMemory(authority)
    with Device.open(f"emulator:?image={image}") as device:
        result = _provisioner(functions).provision(device)
    assert (part_name(result.revision), functions.warnings) == (image.upper(), [])


def test_newer_silicon_is_warned_of_and_provisioned(authority: Authority) -> None:
    hal, functions = ScriptedHal(), InMemory(authority)
    hal.memory.revision = bytes.fromhex("00006007")
    with Device(hal) as device:
        result = _provisioner(functions).provision(device)
    assert result.revision.hex() == "00006007"
    assert [warning.code for warning in functions.warnings] == [Code.REVISION_UNKNOWN]
    assert "00 00 60 07" in str(functions.warnings[0])
