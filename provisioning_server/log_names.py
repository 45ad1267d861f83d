"""How lines of the program log and of commands name signers, chips, clients and moments."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from atcaprov.certs.issued_record import IssuedRecord
from atcaprov.log import LogEvent, log_event
from atcaprov.terminal.printable import printable

_TO_SECONDS: Final = len("2026-11-21T10:15:40")


def label(serial: bytes, name: str) -> str:
    """Return the name of a signer in log lines and prompts: `Signer (01231E6CD82CA571EE, Example ATECC508A Signer)`."""
    return f"Signer ({serial.hex().upper()}, {printable(name)})"


def device_text(chip_serial: bytes) -> str:
    """Return how log lines name a chip."""
    return f"Device ({chip_serial.hex().upper()})"


def asker_text(client: str, station: str) -> str:
    """Return who asked: `line-3 at 127.0.0.1:40312`, or the address alone without a station."""
    return f"{station} at {client}" if station else client


def by_text(client: str, request_id: bytes = b"") -> str:
    """Return who asked and the id of the board's run, if it has one, to follow a sentence."""
    by = f", asked by {client}" if client else ""
    return f"{by}, request {request_id.hex()}" if request_id else by


def certified_text(record: IssuedRecord) -> LogEvent:
    """Return the line of the program log for a certificate."""
    signer, origin = label(record.signer_serial, record.signer_name), record.origin
    by = by_text(asker_text(record.client, origin.station), origin.request_id)
    return log_event(
        "certified",
        f"{device_text(record.chip_serial)} certified by {signer}{by}.",
        request_id=origin.request_id.hex(),
        chip=record.chip_serial,
        signer=record.signer_serial,
        certificate=record.certificate_serial,
        station=origin.station,
        client=record.client,
        order=origin.order,
        product=origin.product,
        unit=origin.unit,
        label=origin.label,
    )


def time_text(moment: datetime) -> str:
    """Return a time as `2026-11-21T10:15:40Z`."""
    return f"{moment.astimezone(UTC).isoformat()[:_TO_SECONDS]}Z"
