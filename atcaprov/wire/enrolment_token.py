"""The enrolment token: one line of text that a supervisor hands to whoever sets up a station.

    atcaprov-station-BASE64URL        of a CBOR map (RFC 8949, deterministic) and the first 4 bytes of its SHA-256

    1  SHA-256 of the station CA's certificate (DER), 32 bytes
    2  secret, 32 bytes
    3  servers, an array of texts HOST:PORT
    4  end, in seconds since 1970-01-01 UTC
    5  name of the station

The secret admits one station. It is no part of a repr.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Self

from atcaprov.errors import AtcaProvError, Code, ProtocolError, UsageError
from atcaprov.wire.cbor_map import decode_map, encode_map
from atcaprov.wire.messages import DIGEST_SIZE, NAME_SIZE_MAX, TIME_MAX, TOKEN_SIZE
from atcaprov.wire.server_place import ServerPlace

PREFIX: Final = "atcaprov-station-"
TOKEN_TEXT_MAX: Final = 4096
SERVERS_MAX: Final = 8
_CHECK_SIZE: Final = 4


@dataclass(frozen=True, slots=True)
class EnrolmentToken:
    """A token: which CA the servers must have, the secret, where the servers are, until when, for which station."""

    ca_sha256: bytes
    secret: bytes = field(repr=False)
    servers: tuple[ServerPlace, ...]
    expires: datetime
    station: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the text, with any space around it or in it; raises UsageError TOKEN_INVALID, which never quotes it."""
        packed = "".join(text.split())
        if not packed.startswith(PREFIX):
            raise _invalid(f"It does not begin with {PREFIX}")
        if len(packed) > TOKEN_TEXT_MAX:
            raise _invalid("It is too long")
        data = _decoded(packed.removeprefix(PREFIX))
        body, check = data[:-_CHECK_SIZE], data[-_CHECK_SIZE:]
        if len(data) <= _CHECK_SIZE or _check(body) != check:
            raise _invalid("A part is missing or wrong")
        try:
            return cls._of(decode_map(body, what="token"))
        except ProtocolError:
            raise _invalid("Its contents are wrong") from None

    def __str__(self) -> str:
        body = encode_map(
            {
                1: self.ca_sha256,
                2: self.secret,
                3: [str(server) for server in self.servers],
                4: int(self.expires.timestamp()),
                5: self.station,
            }
        )
        return PREFIX + base64.urlsafe_b64encode(body + _check(body)).decode().rstrip("=")

    @classmethod
    def _of(cls, fields: dict[int, Any]) -> Self:
        match fields:
            case {1: bytes(digest), 2: bytes(secret), 3: list(servers), 4: int(end), 5: str(station)} if (
                len(digest) == DIGEST_SIZE
                and len(secret) == TOKEN_SIZE
                and 1 <= len(servers) <= SERVERS_MAX
                and 0 <= end <= TIME_MAX
                and 1 <= len(station) <= NAME_SIZE_MAX
                and station.isascii()
                and station.isprintable()
            ):
                return cls(digest, secret, _places(servers), datetime.fromtimestamp(end, UTC), station)
        raise _invalid("Its contents are wrong")


def _places(servers: list[object]) -> tuple[ServerPlace, ...]:
    try:
        return tuple(ServerPlace.parse(str(server)) for server in servers)
    except UsageError:
        raise _invalid("Its contents are wrong") from None


def token_hash(secret: bytes) -> bytes:
    """Return what a server keeps of a secret: its SHA-256."""
    return hashlib.sha256(secret).digest()


def _check(body: bytes) -> bytes:
    return hashlib.sha256(body).digest()[:_CHECK_SIZE]


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise _invalid("It holds characters that no token has") from None


def _invalid(why: str) -> AtcaProvError:
    return UsageError(
        f"The text is not a whole enrolment token. {why}.",
        advice="Copy the line again, all of it.",
        code=Code.TOKEN_INVALID,
    )
