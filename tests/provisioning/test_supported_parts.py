"""Which part a chip is: told by Info alone (AN3539, section 1.2.4)."""

from __future__ import annotations

import pytest

from atcaprov import Board, Code, Device, Profile, Provisioner, ProvisioningError
from atcaprov.chip.commands import Opcode
from atcaprov.chip.parts import is_508, is_608, is_known, part_name
from atcaprov.provisioning.supported_parts import newer_silicon, require_608
from atcaprov.wire.messages import CertificatesRequest
from tests.support.in_memory_server import InMemory, MemoryCa
from tests.support.scripted_hal import ScriptedHal


@pytest.fixture(scope="module")
def authority() -> MemoryCa:
    return MemoryCa()


@pytest.mark.parametrize(
    ("revision", "name"),
    [
        ("00005000", "ATECC508A"),
        ("00006001", "ATECC608A"),
        ("00006002", "ATECC608A"),
        ("00006003", "ATECC608B"),
        ("00006004", "ATECC608C"),
        ("00006005", "ATECC608, unknown revision 00 00 60 05"),
        ("00020009", "ATSHA204A"),
        ("00007700", "unknown part, revision 00 00 77 00"),
        ("", "unknown part, revision "),
    ],
)
def test_the_name_of_a_part(revision: str, name: str) -> None:
    assert part_name(bytes.fromhex(revision)) == name


@pytest.mark.parametrize("revision", ["00005000", "00020009", "00000000", "00600002"])
def test_a_chip_that_is_not_a_608_is_refused_untouched(revision: str) -> None:
    with pytest.raises(ProvisioningError) as wrong:
        require_608(bytes.fromhex(revision))
    assert (wrong.value.code, wrong.value.board) == (Code.WRONG_PART, Board.UNTOUCHED)
    assert bytes.fromhex(revision).hex(" ") in str(wrong.value)
    assert newer_silicon(bytes.fromhex(revision)) is None


@pytest.mark.parametrize("silicon", range(256))
def test_every_608_is_accepted_and_unknown_silicon_is_warned_of(silicon: int) -> None:
    revision = bytes((0, 0, 0x60, silicon))
    assert is_608(revision)
    assert not is_508(revision)
    require_608(revision)
    warning = newer_silicon(revision)
    assert (warning is None) == is_known(revision) == (silicon <= 4)
    assert warning is None or warning.code == Code.REVISION_UNKNOWN


def test_another_part_is_refused_before_it_is_changed(authority: MemoryCa) -> None:
    functions = InMemory(authority)
    hal = ScriptedHal()
    hal.memory.revision = bytes.fromhex("00005000")
    with Device(hal) as device, pytest.raises(ProvisioningError) as refused:
        Provisioner(Profile(), functions.authority.cert_info, functions).provision(device)
    assert (refused.value.code, refused.value.board) == (Code.WRONG_PART, Board.UNTOUCHED)
    assert functions.notices == []
    assert {packet[1] for packet in hal.packets} == {Opcode.INFO}


def test_the_part_is_the_one_that_info_tells_and_not_the_zone(authority: MemoryCa) -> None:
    hal, functions = ScriptedHal(), InMemory(authority)
    hal.memory.config[4:8] = bytes.fromhex("00005000")
    hal.memory.revision = bytes.fromhex("00006003")
    with Device(hal) as device:
        result = Provisioner(Profile(), functions.authority.cert_info, functions).provision(device)
    assert (result.revision.hex(), result.config_revision.hex()) == ("00006003", "00005000")
    assert [each.revision for each in functions.requests if isinstance(each, CertificatesRequest)] == [0x00006003]
    assert functions.warnings == []


@pytest.mark.parametrize("image", ["atecc608a", "atecc608b", "atecc608c"])
def test_every_blank_part_of_the_family_is_provisioned(authority: MemoryCa, image: str) -> None:
    functions = InMemory(authority)
    with Device.open(f"emulator:?image={image}") as device:
        result = Provisioner(Profile(), functions.authority.cert_info, functions).provision(device)
    assert (part_name(result.revision), functions.warnings) == (image.upper(), [])


def test_newer_silicon_is_warned_of_and_provisioned(authority: MemoryCa) -> None:
    hal, functions = ScriptedHal(), InMemory(authority)
    hal.memory.revision = bytes.fromhex("00006007")
    with Device(hal) as device:
        result = Provisioner(Profile(), functions.authority.cert_info, functions).provision(device)
    assert result.revision.hex() == "00006007"
    assert [warning.code for warning in functions.warnings] == [Code.REVISION_UNKNOWN]
    assert "00 00 60 07" in str(functions.warnings[0])
