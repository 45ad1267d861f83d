"""The lines of the control channel: one JSON object each, sealed with the secret of the server's control file.

A line is `{"mac": "64 hex digits", "body": "a JSON object as text"}` and a newline. The MAC is HMAC-SHA256 over the
direction, a colon and the body. So the secret itself never travels: a program that listens where a server has died
learns nothing, and cannot answer in its place.
"""

from __future__ import annotations

import enum
import hashlib
import hmac
import json
from typing import Any, Final

from atcaprov.bounded_reading import MalformedError, parse_json
from atcaprov.errors import Code, ProtocolError

SECRET_SIZE: Final = 32
REQUEST_MAX: Final = 1 << 16
ANSWER_MAX: Final = 1 << 22
"""Bytes of a line with its end: a list of all stations and orders fits."""
_END: Final = b"\n"


class Direction(enum.StrEnum):
    """Who sealed a line: neither can be sent back as the other."""

    REQUEST = "request"
    ANSWER = "answer"


class SealBrokenError(ProtocolError):
    """A line is not sealed with the secret."""


class SealedLineBuffer:
    """Collects the one line that comes on a connection, of at most `most` bytes with its end."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._received = bytearray()

    def receive(self, data: bytes) -> bytes | None:
        """Add bytes; return the line without its end as soon as it is complete.

        Raises:
            ProtocolError: FRAME_TOO_LARGE, or BAD_FRAME when something follows the line.
        """
        self._received += data
        line, end, rest = self._received.partition(_END)
        if rest:
            raise _bad("Bytes follow the line.")
        if len(self._received) > self._most or (not end and len(self._received) == self._most):
            raise ProtocolError(f"The line is longer than {self._most} bytes.", code=Code.FRAME_TOO_LARGE)
        return bytes(line) if end else None


def seal(secret: bytes, direction: Direction, body: dict[str, Any]) -> bytes:
    """Return an object as a sealed line with its end."""
    text = json.dumps(body)
    return json.dumps({"mac": _mac(secret, direction, text), "body": text}).encode() + _END


def unseal(secret: bytes, direction: Direction, line: bytes) -> dict[str, Any]:
    """Return the object in a line.

    Raises:
        SealBrokenError: REQUEST_INVALID, it was sealed with another secret or for the other direction.
        ProtocolError: BAD_FRAME, it is no such line.
    """
    outer = _object(line)
    mac, body = outer.get("mac"), outer.get("body")
    if set(outer) != {"mac", "body"} or not isinstance(mac, str) or not isinstance(body, str):
        raise _bad("It has other fields than mac and body.")
    if not hmac.compare_digest(mac.encode(errors="replace"), _mac(secret, direction, body).encode()):
        raise SealBrokenError("The line is not sealed with the secret of this server.", code=Code.REQUEST_INVALID)
    return _object(body)


def _mac(secret: bytes, direction: Direction, body: str) -> str:
    return hmac.new(secret, f"{direction}:{body}".encode(errors="surrogatepass"), hashlib.sha256).hexdigest()


def _object(text: str | bytes) -> dict[str, Any]:
    try:
        found = parse_json(text)
    except (MalformedError, RecursionError) as error:
        raise _bad("It is not JSON.") from error
    if not isinstance(found, dict):
        raise _bad("It is not a JSON object.")
    return found


def _bad(why: str) -> ProtocolError:
    return ProtocolError(f"A line of the control channel is invalid. {why}", code=Code.BAD_FRAME)
