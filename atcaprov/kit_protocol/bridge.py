"""Facts of the binary kit bridge of cryptoauthlib, protocol version 2, which carries packets without text lines.

A frame is `02`, interface << 4 | command, 8-bit address of the chip, then the body. The reply repeats these three
bytes, then a status byte and data (cryptoauthlib lib/hal/hal_kit_bridge.c). Over a byte stream each frame, both ways,
follows its length.
"""

from __future__ import annotations

import enum
from typing import Final

PROTOCOL_VERSION: Final = 2
INTERFACE_I2C: Final = 1
HEADER_SIZE: Final = 3
LENGTH_SIZE: Final = 2
"""Bytes of a length in front of a frame in a stream, little-endian."""
LARGEST_FRAME: Final = 1024
"""In a stream, bytes; the library's largest frame to a chip of this family has 155."""
SUCCESS: Final = 0x00
_COMMAND_MASK: Final = 0x0F
"""The command is the low half of a frame's second byte."""


class BridgeCommand(enum.IntEnum):
    """What a frame asks for."""

    SEND = 1
    RECEIVE = 2
    WAKE = 3
    IDLE = 4
    SLEEP = 5


def header(command: BridgeCommand, address: int) -> bytes:
    """Return the first three bytes of a frame to the chip at an 8-bit address; 0 is the first chip."""
    return bytes((PROTOCOL_VERSION, INTERFACE_I2C << 4 | command, address))


def command_of(frame: bytes) -> int:
    """Return the number of a frame's command, which may be unknown."""
    return frame[1] & _COMMAND_MASK
