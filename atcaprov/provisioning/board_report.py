"""What a client reports to the server of a chip whose certificates came with a challenge, and how it is kept."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass
from typing import Any, Final, Self

from atcaprov.bounded_reading import MalformedError, parse_json
from atcaprov.errors import Board, Code, ProtocolError, UsageError
from atcaprov.wire.messages import CERTIFICATE_SIZE_MAX, ReportRequest

FILE_SIZE_MAX: Final = 8 * 1024
SERVER_SIZE_MAX: Final = 300
_VERSION: Final = 1


@dataclass(frozen=True)
class Acknowledgement:
    """The server has recorded a report durably. `proven`: it has seen a proof of the certificate, now or before.

    `checkpoint` is a signed checkpoint of the server's log that covers the report; empty if it gives none.
    """

    proven: bool
    checkpoint: bytes


@dataclass(frozen=True)
class BoardReport:
    """The report on one chip; `certificate` is its device certificate (DER).

    It belongs to the server that sent the challenge, or another one on its ledger, which records it once, however often
    it is sent. `server` names that server as the station reaches it; empty if that is unknown.
    """

    request: ReportRequest
    certificate: bytes
    server: str = ""

    @property
    def serial_number(self) -> bytes:
        """Serial number of the chip, 9 bytes."""
        return self.request.chip_serial

    @property
    def fate(self) -> Board:
        """What became of the board."""
        return Board(self.request.fate)

    @property
    def code(self) -> str:
        """Code of the error that ended the run; empty if none did."""
        return self.request.code

    @property
    def has_proof(self) -> bool:
        """Whether it carries the chip's signature."""
        return bool(self.request.signature)

    def to_bytes(self) -> bytes:
        """Return it as JSON, with a checksum, for a file of at most 8 KiB."""
        request, certificate = self.request.body(), self.certificate
        fields = {
            "version": _VERSION,
            "chip": self.serial_number.hex().upper(),
            "fate": self.request.fate,
            "server": self.server,
            "report": base64.b64encode(request).decode(),
            "certificate": base64.b64encode(certificate).decode(),
            "sha256": _checksum(request, certificate),
        }
        return (json.dumps(fields, indent=1) + "\n").encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read what `to_bytes` returned.

        Raises:
            UsageError: the bytes are damaged, or of a newer version (code FILE_INVALID).
        """
        try:
            fields = parse_json(data)
            if type(fields) is not dict or fields.get("version") != _VERSION:
                raise MalformedError("it is not a report of this version")
            request, certificate = _octets(fields, "report"), _octets(fields, "certificate")
            if fields.get("sha256") != _checksum(request, certificate) or len(certificate) > CERTIFICATE_SIZE_MAX:
                raise MalformedError("its checksum is wrong")
            server = fields.get("server", "")
            if type(server) is not str or len(server) > SERVER_SIZE_MAX:
                raise MalformedError("its server is not a short text")
            report = cls(ReportRequest.from_body(request), certificate, server)
            if report.request.fate not in tuple(Board):
                raise MalformedError("its fate is unknown")
        except (MalformedError, ProtocolError) as error:
            raise UsageError(f"The report is damaged: {error}.", code=Code.FILE_INVALID) from error
        return report


def _octets(fields: dict[str, Any], name: str) -> bytes:
    value = fields.get(name)
    try:
        return base64.b64decode(value, validate=True) if type(value) is str else b""
    except ValueError as error:
        raise MalformedError(f"its {name} is not Base64") from error


def _checksum(request: bytes, certificate: bytes) -> str:
    return hashlib.sha256(request + certificate).hexdigest()
