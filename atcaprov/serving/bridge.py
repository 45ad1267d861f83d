"""The binary kit bridge of cryptoauthlib (protocol version 2) over a byte stream.

Each frame, both ways, follows its length (16 bits, little-endian). A frame is `02`, interface << 4 | command, 8-bit
address of the chip (0: the first one), then the body. The reply repeats these three bytes, then a status byte and data
(cryptoauthlib lib/hal/hal_kit_bridge.c). The statuses are the library's, as a byte.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from atcaprov.errors import Code, ProtocolError
from atcaprov.kit_protocol.bridge import (
    HEADER_SIZE,
    LARGEST_FRAME,
    LENGTH_SIZE,
    PROTOCOL_VERSION,
    SUCCESS,
    BridgeCommand,
    command_of,
)
from atcaprov.serving.bus import Buses
from atcaprov.serving.chips import ServedChip
from atcaprov.serving.framing import Step, Wait

_RECEIVE_BODY_SIZE: Final = 3
_BAD_PARAMETER: Final = 0xE2
_COMMUNICATION_FAILED: Final = 0xF0
_NO_DEVICE: Final = 0xF9


class BridgeSession:
    """One client of the bridge."""

    def __init__(self, buses: Buses) -> None:
        self._buses = buses
        self._buffer = b""

    def receive(self, data: bytes) -> Iterator[Step]:
        """Take bytes of the client; see `FramingSession`.

        Raises:
            ProtocolError: a frame is shorter than its header, longer than 1,024 bytes, or of another version.
        """
        self._buffer += data
        while (frame := self._next_frame()) is not None:
            yield from self._answer(frame)

    def _next_frame(self) -> bytes | None:
        if len(self._buffer) < LENGTH_SIZE:
            return None
        size = int.from_bytes(self._buffer[:LENGTH_SIZE], "little")
        if not HEADER_SIZE <= size <= LARGEST_FRAME:
            raise ProtocolError(f"Received a kit-bridge frame of {size} bytes.", code=Code.BAD_FRAME)
        if len(self._buffer) < LENGTH_SIZE + size:
            return None
        frame = self._buffer[LENGTH_SIZE : LENGTH_SIZE + size]
        self._buffer = self._buffer[LENGTH_SIZE + size :]
        return frame

    def _answer(self, frame: bytes) -> Iterator[Step]:
        if frame[0] != PROTOCOL_VERSION:
            raise ProtocolError(
                f"Received a kit-bridge frame of version {frame[0]} instead of {PROTOCOL_VERSION}.", code=Code.BAD_FRAME
            )
        status, data = _NO_DEVICE, b""
        pins = self._buses.find(frame[2])
        if pins is not None:
            status, data = _serve(pins, command_of(frame), frame[HEADER_SIZE:])
            if seconds := pins.lag():
                yield Wait(seconds)
        reply = frame[:HEADER_SIZE] + bytes((status,)) + data
        yield len(reply).to_bytes(LENGTH_SIZE, "little") + reply


def _serve(pins: ServedChip, command: int, body: bytes) -> tuple[int, bytes]:
    if command == BridgeCommand.SEND and body:  # its first byte is the word address
        return SUCCESS if pins.exchange(body[1:]) else _COMMUNICATION_FAILED, b""
    if command == BridgeCommand.RECEIVE and len(body) == _RECEIVE_BODY_SIZE:
        return SUCCESS if pins.reply else _COMMUNICATION_FAILED, pins.reply[: int.from_bytes(body[1:], "little")]
    if command == BridgeCommand.WAKE:
        pins.chip.wake()
    elif command == BridgeCommand.IDLE:
        pins.chip.idle()
    elif command == BridgeCommand.SLEEP:
        pins.chip.sleep()
    else:
        return _BAD_PARAMETER, b""
    return SUCCESS, b""
