"""A HAL that logs by name what passes through another one, and never a byte of it; a trace file has the bytes."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Final, TypeVar

from atcaprov.chip.commands import Opcode, Status
from atcaprov.errors import AtcaProvError
from atcaprov.hal.base import ForwardingHal, Hal

_COMMAND_BYTES_MIN: Final = 7
_STATUS_REPLY: Final = 4
_OPCODE_NAMES: Final = {opcode.value: opcode.name for opcode in Opcode}
_STATUS_NAMES: Final = {status.value: status.name for status in Status}
_Result = TypeVar("_Result")


class LoggedHal(ForwardingHal):
    """Passes every call to `hal` and logs it to `log` at level debug, with the chip's status and the time it took."""

    def __init__(self, hal: Hal, log: logging.Logger) -> None:
        super().__init__(hal)
        self._log = log

    def wake(self) -> None:
        """Wake the chip."""
        self._logged("wake", self._hal.wake, lambda _: "ok")

    def idle(self) -> None:
        """Send the chip to idle."""
        self._logged("idle", self._hal.idle, lambda _: "ok")

    def sleep(self) -> None:
        """Send the chip to sleep."""
        self._logged("sleep", self._hal.sleep, lambda _: "ok")

    def exchange(self, packet: bytes) -> bytes:
        """Return the chip's reply."""
        return self._logged(command_text(packet), lambda: self._hal.exchange(packet), reply_text)

    def close(self) -> None:
        """Release the chip."""
        self._log.debug("%s: closed.", self.url)
        self._hal.close()

    def _logged(self, what: str, act: Callable[[], _Result], outcome: Callable[[_Result], str]) -> _Result:
        begin = time.monotonic()
        told = "interrupted"
        try:
            result = act()
            told = outcome(result)
        except AtcaProvError as error:
            told = error.code
            raise
        finally:
            milliseconds = (time.monotonic() - begin) * 1000
            self._log.debug("%s: %s: %s (%.1f ms)", self.url, what, told, milliseconds)
        return result


def command_text(packet: bytes) -> str:
    """Return the name and the parameters of a command, such as `GEN_KEY(04, 0000)`; its data are left out."""
    if len(packet) < _COMMAND_BYTES_MIN:
        return f"a packet of {len(packet)} bytes"
    opcode, param1, param2 = packet[1], packet[2], int.from_bytes(packet[3:5], "little")
    return f"{_OPCODE_NAMES.get(opcode, f'command {opcode:02X}')}({param1:02X}, {param2:04X})"


def reply_text(reply: bytes) -> str:
    """Return the status of a reply, or how many bytes of data it has."""
    if len(reply) != _STATUS_REPLY:
        return f"{len(reply)} bytes"
    status = reply[1]
    return f"status {status:02X} {_STATUS_NAMES.get(status, '')}".rstrip()
