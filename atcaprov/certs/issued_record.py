"""Records of issued certificates: the lines of a server's signing log.

Tab-separated, with a header line. The last column is the CRC-32 of the line before it, so that a damaged line is seen.
The columns are listed in docs/reference/server-records.md.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from atcaprov.errors import Code, UsageError

COLUMNS: Final = (
    "time",
    "chip_serial",
    "signer_serial",
    "signer_name",
    "signer_id",
    "certificate_serial",
    "public_key",
    "compressed",
    "documents",
    "certificate",
    "client",
    "revision",
    "config_revision",
    "station",
    "order",
    "product",
    "unit",
    "label",
    "request",
    "check",
)
_ADDED: Final = (
    "client", "revision", "config_revision", "station", "order", "product", "unit", "label", "request"
)  # fmt: skip
"""Columns that older logs do not have, in the order in which they came."""
HEADER: Final = "\t".join(COLUMNS).encode() + b"\n"
_HEADERS: Final = tuple(
    "\t".join(column for column in COLUMNS if column not in _ADDED[known:]).encode() + b"\n"
    for known in range(len(_ADDED) + 1)
)
_TO_SECONDS: Final = len("2026-11-21T10:15:40")


@dataclass(frozen=True, slots=True)
class Origin:
    """Who asked for a certificate, and for what. Each is empty where there is none, or the client did not tell.

    `station` is the name that a server admitted it under, `order` the work order, `product` the product profile, `unit`
    the unit's own name, `label` what is written on it; printable characters. `request_id` (16 bytes) stands in all
    messages of the board's run.
    """

    station: str = ""
    order: str = ""
    product: str = ""
    unit: str = ""
    label: str = ""
    request_id: bytes = b""


NO_ORIGIN: Final = Origin()


@dataclass(frozen=True, slots=True)
class IssuedRecord:
    """One issued device certificate.

    `time` in UTC; `chip_serial` and `signer_serial` 9 bytes, `signer_id` 2, `public_key` 64 (X||Y), `compressed` 72,
    `certificate` DER; `documents` is the id of the SignerDocuments it was issued with; `client` is the address that
    asked for it, such as `127.0.0.1:40312`; `revision` is what the chip answered to Info and `config_revision` what
    stands in its configuration zone, 4 bytes each. These three are empty in records of older versions, and where the
    client did not tell.
    """

    time: datetime
    chip_serial: bytes
    signer_serial: bytes
    signer_name: str
    signer_id: bytes
    certificate_serial: bytes
    public_key: bytes
    compressed: bytes
    documents: str
    certificate: bytes
    client: str = ""
    revision: bytes = b""
    config_revision: bytes = b""
    origin: Origin = NO_ORIGIN

    def to_line(self) -> bytes:
        """Return the line with its line end."""
        origin = self.origin
        text = "\t".join(
            (
                f"{self.time.isoformat()[:_TO_SECONDS]}Z",
                self.chip_serial.hex().upper(),
                self.signer_serial.hex().upper(),
                " ".join(self.signer_name.split()),
                self.signer_id.hex().upper(),
                self.certificate_serial.hex().upper(),
                self.public_key.hex().upper(),
                self.compressed.hex().upper(),
                self.documents,
                base64.b64encode(self.certificate).decode(),
                " ".join(self.client.split()),
                self.revision.hex().upper(),
                self.config_revision.hex().upper(),
                *(" ".join(text.split()) for text in (origin.station, origin.order, origin.product)),
                *(" ".join(text.split()) for text in (origin.unit, origin.label)),
                origin.request_id.hex(),
            )
        ).encode()
        return b"%s\t%08X\n" % (text, zlib.crc32(text))

    @classmethod
    def from_line(cls, line: bytes) -> IssuedRecord:
        """Read a line of `to_line`; raises ValueError for anything else."""
        text, _, check = line.rstrip(b"\n").rpartition(b"\t")
        if int(check, 16) != zlib.crc32(text):
            raise ValueError("the line does not fit its check")
        when, chip, signer, name, signer_id, serial, key, compressed, documents, der, *added = text.decode().split("\t")
        if len(added) > len(_ADDED):
            raise ValueError("too many columns to unpack")
        client, revision, config_revision, station, order, product, unit, label, request = (
            *added,
            *("" for _ in _ADDED),
        )[: len(_ADDED)]
        return cls(
            time=datetime.fromisoformat(when),
            chip_serial=bytes.fromhex(chip),
            signer_serial=bytes.fromhex(signer),
            signer_name=name,
            signer_id=bytes.fromhex(signer_id),
            certificate_serial=bytes.fromhex(serial),
            public_key=bytes.fromhex(key),
            compressed=bytes.fromhex(compressed),
            documents=documents,
            certificate=base64.b64decode(der, validate=True),
            client=client,
            revision=bytes.fromhex(revision),
            config_revision=bytes.fromhex(config_revision),
            origin=Origin(station, order, product, unit, label, bytes.fromhex(request)),
        )


def read_signing_log(path: Path) -> Iterator[tuple[int, int, IssuedRecord]]:
    """Yield (offset, size, record) of each line of a signing log.

    A last line without its end was cut while it was written: its certificate was never sent, so it is skipped.

    Raises:
        UsageError: FILE_INVALID with file and line, for a damaged line. Going on without it could sign a chip twice.
    """
    offset = 0
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.endswith(b"\n"):
                return
            if number == 1:
                if line not in _HEADERS:
                    raise _damaged(path, number)
            else:
                yield offset, len(line), _record(path, number, line)
            offset += len(line)


def _record(path: Path, number: int, line: bytes) -> IssuedRecord:
    try:
        return IssuedRecord.from_line(line)
    except ValueError as error:
        raise _damaged(path, number) from error


def _damaged(path: Path, number: int) -> UsageError:
    return UsageError(
        f"Line {number} of the signing log {path} is damaged.",
        advice="Restore the file from a backup; without it a chip could get a second certificate.",
        code=Code.FILE_INVALID,
    )
