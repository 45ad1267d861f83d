"""Verify (45): an ECDSA signature by a key in the packet or in a slot; validation of stored keys.

A signature that fits a stored key authorizes its slot, as CheckMac does.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Final

from atcaprov.chip.commands import Opcode
from atcaprov.chip.memory_map import X509_FORMAT
from atcaprov.emulator import ecc
from atcaprov.emulator.command import SUCCESS, CommandSpec, require_length, require_p2, require_slot_number
from atcaprov.emulator.core import Core
from atcaprov.emulator.io_protection import io_protection_key
from atcaprov.emulator.key_rules import (
    LAST_KEY_SLOT,
    count_use,
    end_authorization_by_failure,
    require_public_key_slot,
    require_use_left,
    usable_public_key,
)
from atcaprov.emulator.refusal import Refusal, denied, illegal, mismatch
from atcaprov.emulator.slot import INVALIDATED, VALIDATED, MemorySlot
from atcaprov.emulator.temp_key_rules import require_random_temp_key, require_temp_key_of_nonce

_MODE: Final = 0x07
_STORED: Final = 0
_VALIDATE_EXTERNAL: Final = 1
_EXTERNAL: Final = 2
_VALIDATE: Final = 3
_INVALIDATE: Final = 7
_MESSAGE_DIGEST: Final = 0x20
_MAC: Final = 0x80
_CURVE_P256: Final = 0x0004
_SIGNATURE_SIZE: Final = 64
_OTHER_DATA_SIZE: Final = 19
_DATA_SIZES: Final = {
    _STORED: _SIGNATURE_SIZE,
    _VALIDATE_EXTERNAL: 2 * _SIGNATURE_SIZE,
    _EXTERNAL: 2 * _SIGNATURE_SIZE,
    _VALIDATE: _SIGNATURE_SIZE + _OTHER_DATA_SIZE,
    _INVALIDATE: _SIGNATURE_SIZE + _OTHER_DATA_SIZE,
}


def _check(p1: int, p2: int, length: int) -> None:
    mode = p1 & _MODE
    size = _DATA_SIZES.get(mode)
    if size is None:
        raise illegal(f"Verify has no mode {mode}")
    require_length(length, size)
    if mode == _EXTERNAL:
        require_p2(p2, _CURVE_P256)
    else:
        require_slot_number(p2)


def _execute(core: Core, p1: int, p2: int, data: bytes) -> bytes:
    mode = p1 & _MODE
    signature, rest = data[:_SIGNATURE_SIZE], data[_SIGNATURE_SIZE:]
    if mode == _VALIDATE_EXTERNAL:
        raise _refuse_validate_external(core)
    subject = core.slot(p2) if mode in (_VALIDATE, _INVALIDATE) else None
    key_slot = _key_slot(core, mode, p2)
    message = _message(core, p1) if subject is None else _validation(core, subject, p1, rest)
    from_buffer = subject is None and bool(p1 & _MESSAGE_DIGEST)
    public_key = _external_key(rest) if key_slot is None else _stored_key(core, key_slot, from_buffer=from_buffer)
    answer = _mac_answer(core, p1, p2, message, signature) if p1 & _MAC else SUCCESS
    _count_uses(core, key_slot, subject)
    if not from_buffer:
        core.temp_key.use_up()
    if not ecc.verify(public_key, message, signature):
        if mode == _STORED:
            end_authorization_by_failure(core)
        raise mismatch("the signature does not fit the message and the key")
    if subject is not None:
        subject.mark(VALIDATED if mode == _VALIDATE else INVALIDATED)
    elif key_slot is not None:
        core.volatile.authorized = key_slot.number
    return answer


def _key_slot(core: Core, mode: int, p2: int) -> MemorySlot | None:
    """Return the slot of the key that verifies: the slot in P2, its parent, or None for a key in the packet."""
    if mode == _EXTERNAL:
        return None
    slot = core.slot(p2)
    return slot if mode == _STORED else core.slot(slot.read_key)


def _count_uses(core: Core, key_slot: MemorySlot | None, subject: MemorySlot | None) -> None:
    """Count for the key that verifies, and on the ATECC508A for slot 15 also if it is validated (3.2.6)."""
    if subject is not None and core.memory.is_508 and subject.number == LAST_KEY_SLOT:
        if key_slot is not None:
            require_use_left(core, key_slot)  # neither is counted if one is used up
        count_use(core, subject, Opcode.VERIFY)
    if key_slot is not None:
        count_use(core, key_slot, Opcode.VERIFY)


def _message(core: Core, p1: int) -> bytes:
    if p1 & _MESSAGE_DIGEST:
        if core.volatile.message_digest is None:
            raise denied("the Message Digest Buffer holds no message")
        return core.volatile.message_digest[:32]
    if not core.temp_key.valid:
        raise denied("TempKey holds no message")
    return core.temp_key.key


def _external_key(public_key: bytes) -> bytes:
    if not ecc.on_curve(public_key):
        raise denied("the public key is not a point on the curve")
    return public_key


def _stored_key(core: Core, slot: MemorySlot, *, from_buffer: bool) -> bytes:
    public_key = usable_public_key(core, slot)
    if from_buffer:
        require_temp_key_of_nonce(core, slot)
    else:
        require_random_temp_key(core, slot)
    return public_key


def _validation(core: Core, slot: MemorySlot, p1: int, other: bytes) -> bytes:
    """Return the digest that the slot's parent must have signed."""
    core.require_config_locked()
    require_public_key_slot(core, slot)
    if not slot.pub_info:
        raise denied("the slot's public key needs no validation", slot=slot.number, bit="KeyConfig.PubInfo")
    _require_free_format(core, slot)
    # A locked slot can be validated and invalidated (DS20005927A sections 2.4.3, 9.20).
    temp_key = core.temp_key
    if not temp_key.valid or not temp_key.gen_key or temp_key.key_id != slot.number:
        raise denied("TempKey is not GenKey's digest of this slot's public key", slot=slot.number)
    if other[17] & 1 != p1 >> 2 & 1:
        raise denied("the signed message is for the other direction", slot=slot.number)
    serial = core.memory.serial
    signed = bytes((Opcode.SIGN,)) + other[:10] + serial[8:] + other[10:14] + serial[:2] + other[14:]
    return sha256(temp_key.key + signed).digest()


def _require_free_format(core: Core, slot: MemorySlot) -> None:
    """Refuse a slot whose X509format byte asks for the digest of a certificate; the chip's own message is not one."""
    if core.memory.config[X509_FORMAT][slot.x509_id] and core.rules.x509_format_stops_validation:
        raise denied("the slot's key is validated by a certificate", slot=slot.number, bit="X509format")


def _mac_answer(core: Core, p1: int, p2: int, message: bytes, signature: bytes) -> bytes:
    """Return SHA-256(I/O key | message | system nonce | signature | 45 | P1 | P2)."""
    key = io_protection_key(core)
    start = 32 if p1 & _MESSAGE_DIGEST else 0
    nonce = (core.volatile.message_digest or b"")[start : start + 32]
    if len(nonce) < 32:
        raise denied("the Message Digest Buffer holds no system nonce")
    header = bytes((Opcode.VERIFY, p1)) + p2.to_bytes(2, "little")
    return sha256(key + message + nonce + signature + header).digest()


def _refuse_validate_external(core: Core) -> Refusal:
    if any(core.memory.config[X509_FORMAT]):
        return denied("how a certificate validates a key is not published", bit="X509format")
    return Refusal(core.open_points.validate_external_code, "no X.509 format is configured", bit="X509format")


COMMAND: Final = CommandSpec(Opcode.VERIFY, 0xA7, _check, _execute)
