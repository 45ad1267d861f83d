"""Ledgers for tests, and certificates in them."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from atcaprov.certs.issued_record import IssuedRecord
from provisioning_server.issuing.issuance import issue
from provisioning_server.ledger.changes import Changes, Issued
from provisioning_server.ledger.open_ledger import FILE_NAME, open_ledger
from provisioning_server.ledger.sql.sql_ledger import SqlLedger
from provisioning_server.ledger.store import Ledger
from tests.support.in_memory_signer import NOW, MemorySigner, SigningKey
from tests.support.server_parts import chip_serial


def ledger_in(data: Path) -> SqlLedger:
    """Open the ledger of a data folder, or make it."""
    data.mkdir(exist_ok=True)
    return open_ledger(data / FILE_NAME, NOW)


def records_of(ledger: Ledger, chip_serial: bytes) -> list[IssuedRecord]:
    """Return the records of a chip, oldest first."""
    return [stored.record for stored in ledger.known([chip_serial], []).of_chip(chip_serial)]


@functools.cache
def signer() -> MemorySigner:
    return MemorySigner()


@functools.cache
def record(number: int, version: int = 1) -> IssuedRecord:
    """Return a certificate of a chip; another version has another key, and was asked for from another port."""
    issued = issue(signer(), SigningKey().public_key, chip_serial(number), NOW)
    return replace(issued, client=f"192.0.2.7:{40000 + version}")


def add(ledger: SqlLedger, records: Sequence[IssuedRecord]) -> int:
    """Put certificates into a ledger; return the index of the first one."""
    return ledger.commit(Changes(documents=[signer().documents], events=[Issued(each) for each in records])).first_index
