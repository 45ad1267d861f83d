"""The board's side: the firmware that answers request lines and drives a bus of chips."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, Protocol

from atcaprov.chip.commands import WAKE_TOKEN, Opcode, Status
from atcaprov.chip.crc import with_crc
from atcaprov.chip.parts import REVISION_608A, is_508
from atcaprov.kit_protocol.firmware import KitFirmware, KitStatus, WordMatch
from atcaprov.kit_protocol.framing import LINE_END, LINE_LIMIT, LineBuffer
from atcaprov.kit_protocol.request import Request, parse_request

DEFAULT_ADDRESS: Final = 0xC0
_INFO: Final = with_crc(bytes((7, Opcode.INFO, 0, 0, 0)))
_NUMBER: Final = re.compile(r"[0-9A-Fa-f]{0,2}")
_TWO_DIGITS: Final = re.compile(r"[0-9A-Fa-f]{2}")
_LIBRARY_NUMBERS: Final[dict[int, int]] = {
    Status.MISMATCH: -47,
    Status.PARSE_ERROR: -46,
    Status.ECC_FAULT: -42,
    Status.SELF_TEST_ERROR: -41,
    Status.HEALTH_TEST_ERROR: -6,
    Status.EXECUTION_ERROR: -12,
    Status.CRC_ERROR: -44,
}
_GENERAL_FAILURE: Final = -31


class ChipBus(Protocol):
    """Chips at 8-bit addresses. An address without a chip wakes with nothing and replies with nothing."""

    def addresses(self) -> Sequence[int]:
        """Return the addresses that are occupied, in the order of the device table."""

    def wake(self, address: int) -> bytes:
        """Wake the chip; return its wake answer, or nothing if it is awake already or absent."""

    def idle(self, address: int) -> None:
        """Send the chip to idle."""

    def sleep(self, address: int) -> None:
        """Send the chip to sleep."""

    def exchange(self, address: int, packet: bytes) -> bytes:
        """Return the chip's reply to a packet, count to CRC; nothing if it is asleep, idle or absent."""


class _Refused(Exception):  # noqa: N818 - an answer, not an error of ours
    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class Interpreter:
    """One board: keeps the selected address and answers one line at a time. Never raises for what a host sends."""

    def __init__(self, bus: ChipBus, firmware: KitFirmware) -> None:
        self.firmware = firmware
        self._bus = bus
        self._selected = next(iter(bus.addresses()), DEFAULT_ADDRESS)
        self._atomic = firmware.atomic
        self._type_names: dict[int, str] = {}
        self._response = b""

    def answer(self, line: bytes) -> bytes:
        """Return the answer, LF included, to a request line without its LF."""
        try:
            if len(line) > LINE_LIMIT:
                raise _Refused(self.firmware.overflow)
            text = self._answer(parse_request(line, self.firmware), line)
        except _Refused as refused:
            text = self._status(refused.status)
        return text.encode("ascii", "replace") + LINE_END

    def _answer(self, request: Request | None, line: bytes) -> str:
        if request is None:
            raise _Refused(self.firmware.unknown_command)
        if request.target == "board":
            return self._board(request, line.decode("ascii", "replace"))
        if len(request.words) > 1 and self._is(request.words[0], "physical"):
            return self._physical(request.words[1], request.argument)
        return self._chip(request.words[0], request.argument)

    # The board

    def _board(self, request: Request, line: str) -> str:
        word = request.words[0]
        if word.startswith("di"):
            self._type_names.clear()
            return self._status(KitStatus.OK)
        if self._is(word, "device"):
            return self._entry(self._number(request.argument))
        if self._is(word, "version"):
            return self._version() or line
        if self._is(word, "firmware"):
            return self.firmware.firmware_answer or line
        raise _Refused(self.firmware.unknown_command)

    def _entry(self, index: int) -> str:
        if index >= self.firmware.table_size:
            return self.firmware.past_table
        occupied = self._bus.addresses()
        if index >= len(occupied):
            return self.firmware.empty_entry
        address = occupied[index]
        return f"{self._type_name(address)} TWI 00({address:02X})"

    def _version(self) -> str:
        if not self.firmware.version:
            return ""
        return f"{self.firmware.version} {self._entry(0)}"

    def _type_name(self, address: int) -> str:
        if self.firmware.type_name:
            return self.firmware.type_name
        if address not in self._type_names:
            self._type_names[address] = _name_of(self._command(address, _INFO)[1:5])
        return self._type_names[address]

    # The chips

    def _physical(self, word: str, argument: str) -> str:
        if word.startswith("se"):
            return self._select(argument)
        if word.startswith("in"):
            raise _Refused(self.firmware.unknown_command)
        return self._chip(word, argument)

    def _chip(self, word: str, argument: str) -> str:
        if self._is(word, "wake"):
            return self._wake()
        if self._is(word, "talk"):
            return self._talk(self._bytes(argument))
        if self._is(word, "idle"):
            return self._idle()
        if self._is(word, "sleep"):
            self._bus.sleep(self._selected)
            return self._status(KitStatus.OK)
        return self._without_wake_handling(word, argument)

    def _without_wake_handling(self, word: str, argument: str) -> str:
        if not self.firmware.atomic:
            raise _Refused(self.firmware.unknown_command)
        if word.startswith("a"):
            self._atomic = self._number(argument) != 0
            return self._status(KitStatus.OK)
        if word.startswith("c"):
            self._response = self._bus.exchange(self._selected, self._bytes(argument))
            return self._status(KitStatus.OK)
        if word.startswith("r"):
            return self._packet(self._response)
        raise _Refused(self.firmware.unknown_command)

    def _select(self, argument: str) -> str:
        if not _TWO_DIGITS.fullmatch(argument):
            raise _Refused(self.firmware.bad_parameter)
        address = int(argument, 16)
        if self.firmware.select_checks_address and address not in self._bus.addresses():
            raise _Refused(KitStatus.NO_DEVICE)
        self._selected = address
        return self._status(KitStatus.OK)

    def _wake(self) -> str:
        if self._atomic:
            return self._packet(WAKE_TOKEN)
        return self._packet(self._bus.wake(self._selected))

    def _idle(self) -> str:
        if not self._atomic:
            self._bus.idle(self._selected)
        return self._status(KitStatus.OK)

    def _talk(self, packet: bytes) -> str:
        whole = self._atomic or self.firmware.wakes_in_talk
        reply = self._command(self._selected, packet) if whole else self._bus.exchange(self._selected, packet)
        if self.firmware.library_numbers and len(reply) == len(WAKE_TOKEN) and reply[1] != Status.SUCCESS:
            return self._library_number(_LIBRARY_NUMBERS.get(reply[1], _GENERAL_FAILURE))
        return self._packet(reply)

    def _command(self, address: int, packet: bytes) -> bytes:
        self._bus.wake(address)
        reply = self._bus.exchange(address, packet)
        self._bus.idle(address)
        return reply

    # Words, numbers, answers

    def _is(self, word: str, name: str) -> bool:
        if self.firmware.match is WordMatch.FIRST_LETTER:
            return word[:1] == name[0]
        if self.firmware.match is WordMatch.PREFIX:
            return bool(word) and name.startswith(word)
        return word in (name, name[0])

    def _number(self, argument: str) -> int:
        if not _NUMBER.fullmatch(argument):
            raise _Refused(self.firmware.bad_parameter)
        return int(argument or "0", 16)

    def _bytes(self, argument: str) -> bytes:
        try:
            return bytes.fromhex(argument)
        except ValueError:
            raise _Refused(self.firmware.bad_parameter) from None

    def _packet(self, reply: bytes) -> str:
        if not reply:
            raise _Refused(self.firmware.no_response)
        return f"00({reply.hex().upper()})"

    def _status(self, status: int) -> str:
        if status != KitStatus.OK and self.firmware.library_numbers:
            return self._library_number(status - 0x100)
        return f"{status:02X}()"

    @staticmethod
    def _library_number(number: int) -> str:
        return f"{number & 0xFFFFFFFF:08X}()"


def _name_of(revision: bytes) -> str:
    """Name a part as the kits' firmware does; it is older than the ATECC608C and calls that one ECC608B."""
    if is_508(revision):
        return "ECC508A"
    return "ECC608A" if revision[3:4] <= REVISION_608A[3:4] else "ECC608B"


class CdcBoard:
    """A board at a serial port: takes and gives pieces of a byte stream."""

    def __init__(self, interpreter: Interpreter) -> None:
        self._interpreter = interpreter
        self._lines = LineBuffer()

    def receive_data(self, data: bytes) -> bytes:
        """Take bytes of the host and return the answers to the lines that they complete."""
        return b"".join(self._interpreter.answer(line) for line in self._lines.receive_data(data))
