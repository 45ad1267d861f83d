"""A certificate of the ledger as fields for other programs: the names are stable, new ones are added at the end."""

from __future__ import annotations

import base64
from typing import Final

from provisioning_server.ledger.store import StoredCertificate
from provisioning_server.log_names import time_text

Field = str | int | None
COLUMNS: Final = (
    "index",
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
    "proven",
    "fate",
    "station",
    "order",
    "product",
    "unit",
    "label",
    "request",
    "revoked",
)


def certificate_fields(stored: StoredCertificate) -> dict[str, Field]:
    """Return the fields by their names, in the order of the columns.

    Bytes are hexadecimal digits as in the signing log, the certificate is DER as Base64. What is unknown is None.
    """
    record = stored.record
    origin = record.origin
    values: tuple[Field, ...] = (
        stored.index,
        time_text(record.time),
        record.chip_serial.hex().upper(),
        record.signer_serial.hex().upper(),
        record.signer_name,
        record.signer_id.hex().upper(),
        record.certificate_serial.hex().upper(),
        record.public_key.hex().upper(),
        record.compressed.hex().upper(),
        record.documents,
        base64.b64encode(record.certificate).decode(),
        record.client or None,
        record.revision.hex().upper() or None,
        record.config_revision.hex().upper() or None,
        None if stored.proven is None else time_text(stored.proven),
        stored.fate or None,
        origin.station or None,
        origin.order or None,
        origin.product or None,
        origin.unit or None,
        origin.label or None,
        origin.request_id.hex() or None,
        None if stored.revoked is None else time_text(stored.revoked),
    )
    return dict(zip(COLUMNS, values, strict=True))


def certificate_line(stored: StoredCertificate) -> str:
    """Return the fields that tell certificates apart, as one line for people."""
    record = stored.record
    proof = "unproven" if stored.proven is None else "proven"
    state = proof if stored.revoked is None else "revoked"
    return "  ".join(
        (
            time_text(record.time),
            record.chip_serial.hex().upper(),
            record.certificate_serial.hex().upper(),
            f"{state:8}",
            f"{stored.fate or '-':9}",
            record.origin.station or record.client or "-",
            record.signer_name,
        )
    )
