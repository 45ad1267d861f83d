"""Sign (41): ECDSA over a loaded digest, or over a message that the chip builds from its own state."""

from __future__ import annotations

from hashlib import sha256
from typing import Final

from atcaprov.chip.commands import Opcode
from atcaprov.emulator import ecc
from atcaprov.emulator.command import CommandSpec, require_length, require_slot_number
from atcaprov.emulator.core import Core
from atcaprov.emulator.key_rules import count_use, usable_private_key
from atcaprov.emulator.refusal import denied, illegal
from atcaprov.emulator.slot import MemorySlot

_EXTERNAL: Final = 0x80
_FULL_SERIAL: Final = 0x40
_MESSAGE_DIGEST: Final = 0x20
_INVALIDATE: Final = 0x01
_ALLOW_EXTERNAL: Final = 0x01
_ALLOW_INTERNAL: Final = 0x02


def _check(p1: int, p2: int, length: int) -> None:
    require_length(length, 0)
    require_slot_number(p2)
    if p1 & _MESSAGE_DIGEST and not p1 & _EXTERNAL:
        raise illegal("an internal message comes from TempKey only")


def _execute(core: Core, p1: int, p2: int, _data: bytes) -> bytes:
    external = bool(p1 & _EXTERNAL)
    if not external:
        _require_internal_allowed(core, p2)
    scalar = usable_private_key(core, p2)
    slot = core.slot(p2)
    if not slot.read_key & (_ALLOW_EXTERNAL if external else _ALLOW_INTERNAL):
        raise denied(
            f"the key does not sign {'external' if external else 'internal'} messages",
            slot=slot.number,
            bit=f"SlotConfig.ReadKey bit {0 if external else 1}",
        )
    digest = _external_digest(core, p1) if external else _internal_digest(core, slot, p1, p2)
    count_use(core, slot, Opcode.SIGN)
    if not p1 & _MESSAGE_DIGEST:
        core.temp_key.use_up()
    return ecc.sign(scalar, digest)


def _require_internal_allowed(core: Core, slot: int) -> None:
    core.require_config_locked()
    if not core.memory.data_locked and not core.rules.data_open_sign_internal:
        raise denied("no internal signature before the data lock", slot=slot, bit="LockValue")


def _external_digest(core: Core, p1: int) -> bytes:
    if p1 & _MESSAGE_DIGEST:
        if core.volatile.message_digest is None:
            raise denied("the Message Digest Buffer holds no message")
        return core.volatile.message_digest[:32]
    if not core.temp_key.valid:
        raise denied("TempKey holds no message")
    return core.temp_key.key


def _internal_digest(core: Core, slot: MemorySlot, p1: int, key_id: int) -> bytes:
    temp_key = core.temp_key
    if not temp_key.valid or not (temp_key.gen_dig or temp_key.gen_key):
        raise denied("TempKey does not come from GenDig or GenKey", slot=slot.number)
    return sha256(internal_message(core, key_id, p1)).digest()


def internal_message(core: Core, key_id: int, p1: int) -> bytes:
    """Return the 55 bytes that Sign(internal) hashes (cryptoauthlib lib/host/atca_host.c, atcah_sign_internal_msg)."""
    memory = core.memory
    serial = memory.serial
    subject = core.slot(core.temp_key.key_id)
    full = bool(p1 & _FULL_SERIAL)
    return b"".join(
        (
            core.temp_key.key,
            bytes((Opcode.SIGN, p1)),
            key_id.to_bytes(2, "little"),
            subject.slot_config.to_bytes(2, "little"),
            subject.key_config.to_bytes(2, "little"),
            bytes((core.temp_key.flags(), 0, 0)),
            serial[8:],
            serial[4:8] if full else bytes(4),
            serial[:2],
            serial[2:4] if full else bytes(2),
            bytes((subject.unlocked, _public_key_valid(core, subject, p1), 0)),
        )
    )


def _public_key_valid(core: Core, subject: MemorySlot, p1: int) -> int:
    """Return the byte "public key valid" of the message: the state of the slot that TempKey names, or bit 0 of P1.

    Both are the same while a key is validated and invalidated in turn. The sheet has the state (DS20005927A section
    9.18), cryptoauthlib's host calculation the bit.
    """
    if core.rules.sign_internal_validity == "mode":
        return p1 & _INVALIDATE
    return int(subject.needs_validation and subject.validated)


COMMAND: Final = CommandSpec(Opcode.SIGN, 0xE1, _check, _execute)
