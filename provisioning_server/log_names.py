"""How lines of the program log and of commands name signers, chips, clients and moments."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from atcaprov.certs.issued_record import IssuedRecord
from atcaprov.terminal.printable import printable

_TO_SECONDS: Final = len("2026-11-21T10:15:40")


def label(serial: bytes, name: str) -> str:
    """Return the name of a signer in log lines and prompts: `Signer (01231E6CD82CA571EE, Example ATECC508A Signer)`."""
    return f"Signer ({serial.hex().upper()}, {printable(name)})"


def device_text(chip_serial: bytes) -> str:
    """Return how log lines name a chip."""
    return f"Device ({chip_serial.hex().upper()})"


def by_text(client: str) -> str:
    """Return who asked, to follow a sentence."""
    return f", asked by {client}" if client else ""


def certified_text(record: IssuedRecord) -> str:
    """Return the line of the program log for a certificate."""
    signer = label(record.signer_serial, record.signer_name)
    station = record.origin.station
    by = by_text(f"{station} at {record.client}" if station else record.client)
    return f"{device_text(record.chip_serial)} certified by {signer}{by}."


def time_text(moment: datetime) -> str:
    """Return a time as `2026-11-21T10:15:40Z`."""
    return f"{moment.astimezone(UTC).isoformat()[:_TO_SECONDS]}Z"
