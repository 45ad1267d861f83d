"""ECDH (43): the shared secret with a peer's public key, to the bus, TempKey or a slot."""

from __future__ import annotations

from typing import Final

from atcaprov.chip.commands import TEMP_KEY_SLOT, Opcode
from atcaprov.chip.memory_map import SLOT_COUNT
from atcaprov.emulator import ecc
from atcaprov.emulator.command import SUCCESS, CommandSpec, require_length, require_slot_number
from atcaprov.emulator.core import Core
from atcaprov.emulator.io_protection import chip_options, io_protection_key, protect, require_output_allowed
from atcaprov.emulator.key_rules import count_use, require_result_slot, usable_private_key
from atcaprov.emulator.refusal import Refusal, denied, illegal
from atcaprov.emulator.slot import MemorySlot

_FROM_TEMP_KEY: Final = 0x01
_ENCRYPTED: Final = 0x02
_OUTPUT: Final = 0x0C
_BY_READ_KEY: Final = 0x00
_TO_SLOT: Final = 0x04
_TO_TEMP_KEY: Final = 0x08
_TO_BUS: Final = 0x0C
_ALLOW_ECDH: Final = 0x04
_RESULT_TO_SLOT: Final = 0x08
_PROTECTION_SHIFT: Final = 8


def _check(p1: int, p2: int, length: int) -> None:
    require_length(length, 64)
    if p1 & _ENCRYPTED and p1 & _OUTPUT in (_TO_SLOT, _TO_TEMP_KEY):
        raise illegal("only an answer on the bus can be encrypted")
    if not (p1 & _FROM_TEMP_KEY and p2 == TEMP_KEY_SLOT):
        require_slot_number(p2)


def _execute(core: Core, p1: int, p2: int, data: bytes) -> bytes:
    core.require_config_locked()
    slot = None if p1 & _FROM_TEMP_KEY else core.slot(p2)
    scalar = _temp_key_scalar(core) if slot is None else usable_private_key(core, p2)
    if slot is not None and not slot.read_key & _ALLOW_ECDH:
        raise denied("the key does not allow ECDH", slot=slot.number, bit="SlotConfig.ReadKey bit 2")
    output = _output(p1 & _OUTPUT, slot)
    require_output_allowed(
        chip_options(core) >> _PROTECTION_SHIFT,
        on_bus=output == _TO_BUS,
        encrypted=bool(p1 & _ENCRYPTED),
        bit="ChipOptions bits 9-8",
    )
    target = _partner(core, p2) if output == _TO_SLOT else None
    if p1 & _ENCRYPTED and output == _TO_BUS:
        io_protection_key(core)
    if not ecc.on_curve(data):
        raise Refusal(core.open_points.offcurve_ecdh, "the peer's key is not a point on the curve")
    if slot is not None:
        count_use(core, slot, Opcode.ECDH)
    return _deliver(core, p1, output, target, ecc.shared_secret(scalar, data))


def _temp_key_scalar(core: Core) -> bytes:
    temp_key = core.temp_key
    if not temp_key.valid or not ecc.is_scalar(temp_key.key):
        raise denied("TempKey holds no private key")
    return temp_key.key


def _output(output: int, slot: MemorySlot | None) -> int:
    to_slot = slot is not None and bool(slot.read_key & _RESULT_TO_SLOT)
    if output == _BY_READ_KEY:
        return _TO_SLOT if to_slot else _TO_BUS
    if output == _TO_BUS and to_slot and slot is not None:
        raise denied("the key's result does not go to the bus", slot=slot.number, bit="SlotConfig.ReadKey bit 3")
    return output


def _partner(core: Core, key_id: int) -> MemorySlot:
    if key_id == TEMP_KEY_SLOT:
        raise denied("a result that goes into a slot needs a slot number")
    number = core.slot(key_id).number
    target = number | 1
    if number == target and core.rules.ecdh_odd_partner == "next":
        target += 1
    if target >= SLOT_COUNT:
        raise denied("slot 15 has no next slot for the result", slot=number)
    partner = core.slot(target)
    require_result_slot(core, partner)
    return partner


def _deliver(core: Core, p1: int, output: int, target: MemorySlot | None, secret: bytes) -> bytes:
    if p1 & _FROM_TEMP_KEY:
        core.temp_key.use_up()
    if target is not None:
        target.write(0, secret)
        return SUCCESS
    if output == _TO_TEMP_KEY:
        core.temp_key.load(secret, from_input=True)
        return SUCCESS
    return protect(core, secret) if p1 & _ENCRYPTED else secret


COMMAND: Final = CommandSpec(Opcode.ECDH, 0x0F, _check, _execute)
