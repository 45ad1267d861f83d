"""The host's side: requests as lines, and what the board's answers mean. Sends lower-case words, which all understand.

Source of the forms: the public firmwares of AT88CK590 and AT88CKECCSIGNER (AT90USB), MicrochipTech/KitProtocol_Parser,
cryptoauthlib app/kit_host, and the zero-touch kits.
"""

from __future__ import annotations

import enum
from typing import Final

from atcaprov.chip.commands import SELF_TEST_FAILED, WAKE_TOKEN, Status
from atcaprov.chip.crc import with_crc
from atcaprov.chip.status_errors import refusal
from atcaprov.errors import Code, ProtocolError, TransportError
from atcaprov.kit_protocol.reply import STATUS_OK, late, parse_reply

WAKE: Final = b"e:w()\n"
IDLE: Final = b"e:i()\n"
SLEEP: Final = b"e:s()\n"
ATOMIC_ON: Final = b"e:a(1)\n"
ATOMIC_OFF: Final = b"e:a(0)\n"
VERSION: Final = b"board:version()\n"
MIN_REPLY_SIZE: Final = 4
NO_DEVICE_STATUS: Final = 0xC5
DEFAULT_ADDRESS: Final = 0xC0
_SHOWN: Final = 60

_KIT_STATUS: Final = {
    0xC0: "it does not know the command",
    0xC1: "its receive buffer is full",
    0xC2: "its send buffer is full",
    0xC3: "it does not accept the parameter",
    0xC4: "it does not know the function of the interface",
    0xC5: "there is no chip",
    # From here on the low byte of a number of the vendor's library, such as -48 (atca_status.h).
    0xD0: "the chip did not wake",
    0xD2: "the chip does not know the command or a parameter of it",
    0xE2: "it does not accept the parameter",
    0xE4: "a size is wrong",
    0xE5: "the chip's answer was damaged",
    0xE6: "it could not read the chip's answer",
    0xE7: "the chip did not answer",
    0xEA: "it could not send to the chip in time",
    0xEB: "the chip did not answer in time",
    0xED: "the answer does not fit its buffer",
    0xF0: "the bus to the chip failed",
    0xF4: "the chip could not execute the command",
    0xF7: "it could not send to the chip",
}
_LIBRARY_STATUS: Final[dict[int, int]] = {
    # Numbers of the vendor's library for status bytes of the chip; the kit_host firmware sends them
    # instead of the chip's packet.
    -47: Status.MISMATCH,
    -46: Status.PARSE_ERROR,
    -44: Status.CRC_ERROR,
    -42: Status.ECC_FAULT,
    -41: Status.SELF_TEST_ERROR,
    -12: Status.EXECUTION_ERROR,
    -6: Status.HEALTH_TEST_ERROR,
}


class Talk(enum.Enum):
    """What a firmware does in a talk."""

    PLAIN = "plain"
    """It sends and receives; waking and idling the chip is the host's."""
    WHOLE = "whole"
    """It wakes the chip, and leaves it idle."""
    ATOMIC = "atomic"
    """The same; and until its atomic mode is left, wake alone is a canned answer that reaches no chip."""


def select(address: int) -> bytes:
    """Return the request that chooses the chip at an 8-bit address."""
    return b"e:physical:select(%02X)\n" % address


def talk(packet: bytes) -> bytes:
    """Return the request that sends a packet, count to CRC, and waits for the chip's reply."""
    return b"e:t(%s)\n" % packet.hex().upper().encode()


def check_done(line: bytes) -> None:
    """Check the answer to select, idle or sleep: status 00 and no data.

    Raises:
        TransportError: the board reports an error (code DEVICE_NOT_FOUND: no chip at the address).
        ProtocolError: it does not answer one of these.
    """
    if _successful(line):
        raise late(line)


def kind_of_talk(line: bytes) -> Talk:
    """Tell from the answer to `ATOMIC_ON` how a firmware talks.

    The AT90USB firmwares alone know the request; kit_host, whose talk is a whole command of the vendor's library, is
    known by that library's numbers.

    Raises:
        ProtocolError: it answers another request.
    """
    status, data = _bare(line)
    if data:
        raise late(line)
    if status == STATUS_OK:
        return Talk.ATOMIC
    return Talk.WHOLE if _signed(status) < 0 else Talk.PLAIN


def check_awake(line: bytes) -> None:
    """Check the answer to wake: status 00 and 04 11 33 43.

    Raises:
        TransportError: the board reports an error, or the chip gave something else (code DEVICE_NO_REPLY).
        DeviceError: the chip's self test has failed (status 07).
        ProtocolError: it does not answer wake.
    """
    answer = _successful(line)
    if len(answer) != len(WAKE_TOKEN):
        raise late(line)
    if answer.startswith(SELF_TEST_FAILED):
        raise refusal("Wake", Status.SELF_TEST_ERROR)
    if answer != WAKE_TOKEN:
        raise TransportError(
            f"The chip woke with {answer.hex(' ').upper()} instead of 04 11 33 43.",
            advice="Check that the board sits in its fixture and has power.",
            code=Code.DEVICE_NO_REPLY,
        )


def chip_reply(line: bytes) -> bytes:
    """Return the chip's packet out of the answer to talk; its CRC is the caller's to check.

    A firmware that reports a refusal of the chip by a number of the vendor's library gets the chip's packet back.

    Raises:
        TransportError: the board reports an error of its own or of the bus.
        ProtocolError: it does not answer talk.
    """
    refusal = _LIBRARY_STATUS.get(_signed(_bare(line)[0]))
    if refusal is not None:
        return with_crc(bytes((MIN_REPLY_SIZE, refusal)))
    data = _successful(line)
    if len(data) < MIN_REPLY_SIZE or data == WAKE_TOKEN:  # no command has the answer to wake for a reply
        raise late(line)
    return data


def describe(line: bytes) -> str:
    """Return a board's answer to `VERSION` as it may be shown: printable, short."""
    try:
        reply = parse_reply(line)
    except ProtocolError:
        return ""
    return f"{reply.text} {reply.argument}".strip()[:_SHOWN] if reply.text else ""


def _successful(line: bytes) -> bytes:
    """Return the data of an answer about a chip that reports no error."""
    status, data = _bare(line)
    if status == STATUS_OK:
        return data
    meaning = _KIT_STATUS.get(status & 0xFF, "it gives no reason")
    raise TransportError(
        f"The kit reports status {status:02X}: {meaning}.",
        advice="Check that the chip sits in its place; if it does, reconnect the board.",
        code=Code.DEVICE_NOT_FOUND if status == NO_DEVICE_STATUS else Code.DEVICE_NO_REPLY,
    )


def _bare(line: bytes) -> tuple[int, bytes]:
    """Return status and data of an answer about a chip; one with words is about the board, such as `no_device C5()`."""
    reply = parse_reply(line)
    if reply.text or reply.status is None or reply.argument is None:
        raise late(line)
    return reply.status, reply.data


def _signed(status: int) -> int:
    """Return a status of eight digits as the negative number that it is; others stay."""
    return status - (1 << 32 if status >> 31 else 0)
