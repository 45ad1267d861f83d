"""The device table of a board: which chips it has, asked for entry by entry."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from atcaprov.errors import ProtocolError
from atcaprov.kit_protocol.host import VERSION
from atcaprov.kit_protocol.reply import NO_DEVICE, STATUS_OK, KitReply, late, parse_reply

TABLE_SIZE: Final = 16
"""Entries of the device table that a scan asks for at most; published firmwares have up to eight."""

Scan = Generator[bytes, bytes, "DeviceTable"]
"""Gives request lines, takes answer lines, returns what was found."""


@dataclass(frozen=True)
class DeviceEntry:
    """One chip of a board's device table."""

    type_name: str
    """Name from the firmware, not reliable: an ATECC508A may be called ECC108. The command Info identifies the part."""
    interface: str
    """TWI, SWI or SPI."""
    address: int
    """8-bit form, such as C0."""

    @property
    def is_atecc(self) -> bool:
        """Whether the firmware calls it an ATECC part; boards carry others too, such as SHA204 and AES132."""
        return self.type_name.upper().startswith(("ECC", "ATECC"))


@dataclass(frozen=True)
class DeviceTable:
    """A board's device table."""

    chips: tuple[DeviceEntry, ...]
    is_whole: bool
    """Every entry was read: a chip that is not among `chips` is not there."""


def device(index: int) -> bytes:
    """Return the request for an entry of the device table."""
    return b"board:device(%02X)\n" % index


def converse(dialogue: Scan, ask: Callable[[bytes], bytes]) -> DeviceTable:
    """Run a dialogue; `ask` takes a request line with LF and returns the answer without."""
    request = next(dialogue)
    while True:
        try:
            request = dialogue.send(ask(request))
        except StopIteration as ended:
            table: DeviceTable = ended.value
            return table


def scan() -> Scan:
    """Ask for all chips of a board, a dialogue for `converse`.

    Empty entries, and those that are garbled twice, are skipped, so that later entries are found. For a board without a
    device table `board:version()` decides; noise never counts as a board without a chip.

    Raises:
        ProtocolError: no chip was found, and an answer does not say whether there is one (code BAD_FRAME).
    """
    found: list[DeviceEntry] = []
    is_whole = True
    for index in range(TABLE_SIZE):
        reply = yield from _reply_to(device(index))
        if reply is None:
            is_whole = False
        elif not reply.text:
            break  # past the end of the table, or the board knows no such command
        elif (entry := _entry(reply)) and entry not in found:
            found.append(entry)
    if found:
        return DeviceTable(tuple(found), is_whole)
    line = yield VERSION
    only = _entry(_table_reply(line))
    if only is None and not is_whole:
        raise late(line)
    return DeviceTable((only,) if only else (), True)


def _reply_to(request: bytes) -> Generator[bytes, bytes, KitReply | None]:
    """Ask for an entry; one that comes damaged is asked for again."""
    for _ in range(2):
        with suppress(ProtocolError):
            reply = _table_reply((yield request))
            if not reply.text or _is_empty(reply) or _entry(reply):
                return reply
    return None


def _table_reply(line: bytes) -> KitReply:
    """Parse the answer to a request for chips: words, or without words, the status of an error and `()`."""
    reply = parse_reply(line)
    if not reply.text and (reply.argument != "" or not reply.status):
        raise late(line)
    return reply


def _is_empty(reply: KitReply) -> bool:
    """Tell whether an entry says that it has no chip: in words, or by the status of an error."""
    return reply.text.split()[0].lower() == NO_DEVICE or bool(reply.status and reply.argument is not None)


def _entry(reply: KitReply) -> DeviceEntry | None:
    words = reply.text.split()
    if len(words) < 2 or words[0].lower() == NO_DEVICE or reply.status not in (None, STATUS_OK):
        return None
    try:
        address = reply.data
    except ProtocolError:
        return None
    return DeviceEntry(words[-2], words[-1], address[0]) if len(address) == 1 else None
