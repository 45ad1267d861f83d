"""Verify (45): an ECDSA signature by a key in the packet."""

from __future__ import annotations

from typing import Final

from atcaprov.chip.commands import Opcode
from atcaprov.emulator import ecc
from atcaprov.emulator.command import SUCCESS, Command, require_length, require_p2
from atcaprov.emulator.core import Core
from atcaprov.emulator.refusal import denied, illegal, mismatch

_MODE: Final = 0x07
_EXTERNAL: Final = 2
_MESSAGE_DIGEST: Final = 0x20
_CURVE_P256: Final = 0x0004
_SIGNATURE_SIZE: Final = 64


def _check(p1: int, p2: int, length: int) -> None:
    if p1 & _MODE != _EXTERNAL:
        raise illegal(f"Verify has no mode {p1:02X}")
    require_p2(p2, _CURVE_P256)
    require_length(length, 2 * _SIGNATURE_SIZE)


def _execute(core: Core, p1: int, _p2: int, data: bytes) -> bytes:
    signature, public_key = data[:_SIGNATURE_SIZE], data[_SIGNATURE_SIZE:]
    message = _message(core, p1)
    if not ecc.on_curve(public_key):
        raise denied("the public key is no point of the curve")
    if not p1 & _MESSAGE_DIGEST:
        core.temp_key.valid = False
    if not ecc.verify(public_key, message, signature):
        raise mismatch("the signature does not fit message and key")
    return SUCCESS


def _message(core: Core, p1: int) -> bytes:
    if p1 & _MESSAGE_DIGEST:
        if core.volatile.message_digest is None:
            raise denied("the Message Digest Buffer holds no message")
        return core.volatile.message_digest[:32]
    if not core.temp_key.valid:
        raise denied("TempKey holds no message")
    return core.temp_key.key


COMMAND: Final = Command(Opcode.VERIFY, 0xA7, _check, _execute)
