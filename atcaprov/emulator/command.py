"""What all commands share: how dispatch knows them, checks of their parameters, and pieces of their digests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from atcaprov.chip.commands import Opcode
from atcaprov.emulator.core import Core
from atcaprov.emulator.refusal import illegal

SUCCESS = b"\x00"
_TRANSPORT_KEYS = 0x8000
OTP_88, OTP_64, _FULL_SERIAL = 0x10, 0x20, 0x40
"""Bits of P1 of MAC and HMAC: OTP bytes 0 to 10, OTP bytes 0 to 7, and all of the serial number in the message."""


def data_count(_core: Core, _p1: int, _p2: int) -> bool:
    """Return False: the command has data in every mode."""
    return False


def data_never_count(_core: Core, _p1: int, _p2: int) -> bool:
    """Return True: the command has no data, and the data sheet lets it ignore what is sent as data."""
    return True


@dataclass(frozen=True, slots=True)
class CommandSpec:
    """One command: `check` sees P1, P2 and the data length and refuses what is illegal in every state; `execute` gets
    core, P1, P2 and data and returns the body of the reply, one status byte or the data. `has_no_data` says for P1 and
    P2 whether the command's page calls the data "ignored"; where it gives a length of 0, other lengths are illegal.
    """

    opcode: Opcode
    p1_mask: int
    check: Callable[[int, int, int], None]
    execute: Callable[[Core, int, int, bytes], bytes]
    has_no_data: Callable[[Core, int, int], bool] = data_count


def require_length(length: int, *allowed: int) -> None:
    """Refuse a data length that does not fit the mode."""
    if length not in allowed:
        raise illegal(f"{length} data bytes instead of {' or '.join(map(str, allowed))}")


def require_slot_number(p2: int) -> None:
    """Refuse a KeyID that names no slot; of one below 8000 the low four bits choose it (DS20005927A section 3.2.8).

    From 8000 on it names a transport key of the vendor, which serves GenDig only and whose value is not published.
    """
    if p2 >= _TRANSPORT_KEYS:
        raise illegal(f"KeyID {p2:04X} names no slot")


def require_p2(p2: int, *allowed: int) -> None:
    """Refuse any other P2."""
    if p2 not in allowed:
        raise illegal(f"P2 is {p2:04X} instead of {' or '.join(f'{value:04X}' for value in allowed)}")


def command_header(core: Core, opcode: int, p1: int, p2: int) -> bytes:
    """Return opcode, P1, P2 (low byte first), SN[8], SN[0:2]: 7 bytes."""
    serial = core.memory.serial
    return bytes((opcode, p1)) + p2.to_bytes(2, "little") + serial[8:] + serial[:2]


def otp_and_serial(core: Core, p1: int) -> bytes:
    """Return the OTP and serial-number fields of MAC and HMAC, 20 bytes, zeros where the mode leaves them out."""
    otp, serial = bytes(core.memory.otp), core.memory.serial
    full = bool(p1 & _FULL_SERIAL)
    return b"".join(
        (
            otp[:8] if p1 & (OTP_88 | OTP_64) else bytes(8),
            otp[8:11] if p1 & OTP_88 else bytes(3),
            serial[8:],
            serial[4:8] if full else bytes(4),
            serial[:2],
            serial[2:4] if full else bytes(2),
        )
    )


def xor(left: bytes, right: bytes) -> bytes:
    """Return the bytes of two strings of one length, combined by exclusive or."""
    return bytes(a ^ b for a, b in zip(left, right, strict=True))
