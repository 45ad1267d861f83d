"""Between the C library and a HAL: the binary kit bridge, protocol version 2.

The library hands over one frame per send() and asks for its reply by one recv(). A frame is `02`, interface << 4 |
command, identity, then the body; a reply repeats the three bytes, then a status byte and data (cryptoauthlib
lib/hal/hal_kit_bridge.c, ABI of 3.8). An exception in a ctypes callback would be printed and swallowed, so it is kept
here and raised again by `Device`; the C code meanwhile gets a harmless packet, which ends its polling at once.
"""

from __future__ import annotations

import ctypes
from typing import Any, Final

from atcaprov.chip.commands import Status
from atcaprov.chip.crc import with_crc
from atcaprov.device import library_abi as library
from atcaprov.device.command_guard import Act, require_permit
from atcaprov.device.replies import STATUS_REPLY_SIZE, check_reply
from atcaprov.device.wake_idle import AwakeChip
from atcaprov.errors import Code, ProtocolError, TransportError
from atcaprov.kit_protocol.bridge import HEADER_SIZE, BridgeCommand, command_of

_SUCCESS: Final = 0
_COMM_FAIL: Final = -16
_FILLER: Final = with_crc(bytes([STATUS_REPLY_SIZE, Status.EXECUTION_ERROR]))


class KitBridge:
    """Carries one device's frames; must live as long as the C library's handle, which points into it."""

    def __init__(self, chip: AwakeChip, url: str) -> None:
        self.failure: BaseException | None = None
        """What a callback raised since `begin`."""
        self.packet = b""
        """The last command packet of the library, count to CRC."""
        self.last_status: int | None = None
        """Status byte of the last reply of four bytes; None after a reply with data."""
        self._chip = chip
        self._url = url
        self._permitted: frozenset[Act] = frozenset()
        self._reply = b""
        self._answer = b""
        self._send = library.PhySend(self._on_send)
        self._receive = library.PhyReceive(self._on_receive)
        allocate, free = library.c_runtime()
        self.phy = library.KitPhy(self._send, self._receive, allocate, free, None)

    def begin(self, permitted: frozenset[Act]) -> None:
        """Forget what the last call left behind; the next one may do what is `permitted`."""
        self._permitted = permitted
        self.failure = None
        self.last_status = None

    def _on_send(self, _context: Any, data: Any, size: int) -> int:
        try:
            self._answer = self._handle(ctypes.string_at(data, size))
        except BaseException as error:
            self.failure = self.failure or error
            self._answer = ctypes.string_at(data, HEADER_SIZE) + b"\0" + _FILLER
        return _SUCCESS

    def _on_receive(self, _context: Any, data: Any, size: Any) -> int:
        # The buffer holds exactly what the library says: never write more.
        answer = self._answer[: size[0]]
        if not answer:
            return _COMM_FAIL
        ctypes.memmove(data, answer, len(answer))
        size[0] = len(answer)
        return _SUCCESS

    def _handle(self, frame: bytes) -> bytes:
        kind, body = command_of(frame), frame[HEADER_SIZE:]
        accepted = frame[:HEADER_SIZE] + b"\0"
        if kind == BridgeCommand.RECEIVE:
            return accepted + self._reply
        self._reply = _FILLER
        if self.failure is not None:
            return accepted  # the call has failed already: keep the chip out of it
        if kind == BridgeCommand.SEND:
            self._reply = self._exchange(body[1:])
        else:
            {
                BridgeCommand.WAKE: self._chip.wake,
                BridgeCommand.IDLE: self._chip.idle,
                BridgeCommand.SLEEP: self._chip.sleep,
            }[BridgeCommand(kind)]()
        return accepted

    def _exchange(self, packet: bytes) -> bytes:
        self.packet = packet
        require_permit(packet, self._permitted)
        reply = self._chip.exchange(packet)
        if not reply:
            raise TransportError(
                f"The chip at {self._url} did not answer.",
                advice="Check that the board sits in its fixture and has power.",
                code=Code.DEVICE_NO_REPLY,
            )
        check_reply(packet, reply)
        self.last_status = reply[1] if len(reply) == STATUS_REPLY_SIZE else None
        return reply

    def raise_failure(self) -> None:
        """Raise what a callback met, as itself."""
        failure, self.failure = self.failure, None
        if failure is not None:
            raise failure

    def unexplained(self, status: int) -> ProtocolError:
        """Return the error for a library status that no reply of the chip explains."""
        return ProtocolError(f"The vendor's driver ended with status {status}.", code=Code.PROTOCOL)
