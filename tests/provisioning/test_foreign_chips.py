"""A run tells a chip that is not for it as what it is, sets it aside, and sends it no command that changes it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from atcaprov import Board, Code, Device, Profile, Provisioner, ProvisioningError
from atcaprov.chip.commands import Opcode
from atcaprov.chip.crc import with_crc
from atcaprov.config_zone.module_zones import FULL_MODULE
from atcaprov.device.command_guard import act_of
from atcaprov.emulator.memory import Memory
from tests.support.chips_by_use import hal_of, image, of_another_tool, with_zone
from tests.support.in_memory_server import InMemory, MemoryCa
from tests.support.scripted_hal import ScriptedHal

CHIPS: dict[str, tuple[Callable[[], Memory], str, Board, str]] = {
    "508A": (lambda: image("atecc508a"), Code.WRONG_PART, Board.UNTOUCHED, "ATECC508A"),
    "TNGTLS": (lambda: image("tngtls"), Code.WRONG_PART, Board.UNTOUCHED, "Trust part (ATECC608 TNGTLS)"),
    "module": (lambda: with_zone(FULL_MODULE), Code.CONFIG_LOCKED_OTHER, Board.SET_ASIDE, "a root or signer module."),
    "other tool": (of_another_tool, Code.CONFIG_LOCKED_OTHER, Board.SET_ASIDE, "kmwebnet's ECC608-MassProvisioning"),
    "factory locked": (
        lambda: with_zone(bytes(image().config)), Code.CONFIG_LOCKED_OTHER, Board.SET_ASIDE, "esp_cryptoauth_utility",
    ),
    "unknown": (lambda: with_zone(bytes(128)), Code.CONFIG_LOCKED_OTHER, Board.SET_ASIDE, "more fields differ"),
}  # fmt: skip


@pytest.fixture(scope="module")
def authority() -> MemoryCa:
    return MemoryCa()


@pytest.mark.parametrize("name", CHIPS)
def test_chip_for_another_product_is_named_for_what_it_is(name: str, authority: MemoryCa) -> None:
    make, code, board, what = CHIPS[name]
    functions, hal = InMemory(authority), ScriptedHal()
    hal.chip = hal_of(make())
    with Device(hal) as device, pytest.raises(ProvisioningError) as refused:
        Provisioner(Profile(), authority.cert_info, functions).provision(device)
    assert (refused.value.code, refused.value.board) == (code, board)
    assert what in refused.value.what
    assert "bytes" not in refused.value.what
    assert [packet for packet in hal.packets if act_of(packet) is not None] == []


def test_a_part_with_another_memory_is_not_read(authority: MemoryCa) -> None:
    hal = ScriptedHal()
    hal.answer = lambda packet: with_crc(bytes.fromhex("0700020009"))
    with Device(hal) as device, pytest.raises(ProvisioningError, match="ATSHA204A") as refused:
        Provisioner(Profile(), authority.cert_info, InMemory(authority)).provision(device)
    assert refused.value.code == Code.WRONG_PART
    assert {packet[1] for packet in hal.packets} == {Opcode.INFO}
