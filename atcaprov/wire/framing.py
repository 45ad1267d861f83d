"""The 8-byte header in front of every message body: wire protocol 1 of docs/reference/wire-protocol.md.

offset  size  name     meaning
0       2     magic    41 50, "AP"
2       1     version  01
3       1     type     message type
4       4     length   bytes of the body that follows, big-endian
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final, Self

from atcaprov.errors import Code, ProtocolError

MAGIC: Final = b"AP"
VERSION: Final = 1
HEADER_SIZE: Final = 8

_LAYOUT: Final = struct.Struct(">2sBBI")
_ADVICE: Final = "Check that the other end is an atcaprov program of this protocol version."


@dataclass(frozen=True, slots=True)
class Header:
    """One parsed header: the message type (one byte, known or not) and the length of the body in bytes."""

    message_type: int
    body_length: int

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Read exactly 8 bytes.

        Raises:
            ProtocolError: BAD_FRAME if they are not a header of protocol version 1.
        """
        if len(data) != HEADER_SIZE:
            raise ProtocolError(f"A header has {HEADER_SIZE} bytes, not {len(data)}.", code=Code.BAD_FRAME)
        magic, version, message_type, body_length = _LAYOUT.unpack(data)
        if magic != MAGIC:
            raise ProtocolError(
                f"The other end does not speak this protocol: it began with {data.hex(' ').upper()}.",
                advice=_ADVICE,
                code=Code.BAD_FRAME,
            )
        if version != VERSION:
            raise ProtocolError(
                f"The other end speaks protocol version {version}, this one version {VERSION}.",
                advice=_ADVICE,
                code=Code.BAD_FRAME,
            )
        return cls(message_type, body_length)

    def pack(self) -> bytes:
        """Return the 8 bytes."""
        return _LAYOUT.pack(MAGIC, VERSION, self.message_type, self.body_length)
