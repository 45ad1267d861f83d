"""One line of a board: `[text ]SS(HEX)`, in all the forms that published firmwares give it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from atcaprov.errors import Code, ProtocolError
from atcaprov.kit_protocol.framing import LINE_LIMIT

NO_DEVICE: Final = "no_device"
STATUS_OK: Final = 0x00
_STATUS: Final = re.compile(r"[0-9A-Fa-f]{1,2}|[0-9A-Fa-f]{8}")
_HEX: Final = re.compile(r"(?:[0-9A-Fa-f]{2})*")
_SHOWN: Final = 60
_PACKET: Final = re.compile(r"(?<=\()([^)]{2})[^)]+|[0-9A-Fa-f]{9,}")
"""What may be a packet: all in parentheses, of which the first byte may be shown, and more digits than a status has."""


@dataclass(frozen=True)
class KitReply:
    """A board's answer in its parts; the status is None where a firmware leaves it out."""

    text: str
    """Text before the status, such as `ECC608A TWI`; often empty."""
    status: int | None
    """One or two hex digits, or eight for a negative number of the vendor's library."""
    argument: str | None
    """Text in the parentheses; None without parentheses."""

    @property
    def data(self) -> bytes:
        """The bytes in the parentheses; none if they are missing.

        Raises:
            ProtocolError: they are not pairs of hex digits (code BAD_FRAME).
        """
        digits = "".join((self.argument or "").split())
        if not _HEX.fullmatch(digits):
            raise _bad("has no pairs of hex digits in its parentheses", f"({self.argument})")
        return bytes.fromhex(digits)


def parse_reply(line: bytes) -> KitReply:
    """Parse a line without its LF; a missing `)` and everything after the first one are ignored.

    Raises:
        ProtocolError: the line is empty, too long or not ASCII text (code BAD_FRAME).
    """
    text = line.decode("ascii", "replace").strip("\0 \r\n\t\x04")
    if not text or len(line) > LINE_LIMIT or not text.isprintable() or "\ufffd" in text:
        raise _bad("is not a line of the kit protocol", text)
    head, opened, rest = text.partition("(")
    words = head.split()
    status = None
    if words and _STATUS.fullmatch(words[-1]):
        status = int(words.pop(), 16)
    return KitReply(" ".join(words), status, rest.partition(")")[0] if opened else None)


def shown(text: str) -> str:
    """Return a line as an error may show it: short, ASCII, quoted, and without the bytes of a packet.

    A late answer may carry a secret of the chip, and a port that echoes may show what was written to it.
    """
    return ascii(_PACKET.sub(lambda found: f"{found[1] or ''}..", text)[:_SHOWN])


def late(line: bytes) -> ProtocolError:
    """Return the error for a valid answer to another request."""
    return ProtocolError(
        f"The kit gave an answer that belongs to another request: {shown(line.decode('ascii', 'replace'))}.",
        advice="Try again; check that no other program uses the port.",
        code=Code.BAD_FRAME,
    )


def _bad(what: str, text: str) -> ProtocolError:
    return ProtocolError(
        f"An answer of the kit {what}: {shown(text)}.",
        advice="Check that no other program uses the port, and reconnect the board.",
        code=Code.BAD_FRAME,
    )
