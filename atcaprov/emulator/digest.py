"""The pieces that most digests of the chip share (cryptoauthlib lib/host/atca_host.c)."""

from __future__ import annotations

from atcaprov.emulator.core import Core


def command_header(core: Core, opcode: int, p1: int, p2: int) -> bytes:
    """Return opcode, P1, P2 (low byte first), SN[8], SN[0:2]: 7 bytes."""
    serial = core.memory.serial
    return bytes((opcode, p1)) + p2.to_bytes(2, "little") + serial[8:] + serial[:2]


def xor(left: bytes, right: bytes) -> bytes:
    """Return the bytes of two strings of one length, combined by exclusive or."""
    return bytes(a ^ b for a, b in zip(left, right, strict=True))
