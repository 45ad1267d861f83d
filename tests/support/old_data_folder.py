"""Data folders as servers before the ledger left them: signing logs, signer documents, certificate files."""

from __future__ import annotations

import ssl
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from atcaprov.certs.issued_record import HEADER, IssuedRecord
from provisioning_server.issuing.issuance import issue
from provisioning_server.signers.signer import Signer
from tests.support.in_memory_signer import NOW, MemorySigner, SigningKey
from tests.support.server_parts import chip_serial


def old_record(signer: MemorySigner, number: int, *, key: bytes | None = None, minutes: int = 0) -> IssuedRecord:
    """Return the record of a certificate for the chip `number`, some minutes after NOW."""
    made = issue(signer, key or SigningKey().public_key, chip_serial(number), NOW + timedelta(minutes=minutes))
    return replace(made, client="192.0.2.7:40003", revision=bytes.fromhex("00006003"))


def write_old_folder(data: Path, signers: Sequence[Signer], *logs: Sequence[IssuedRecord]) -> list[Path]:
    """Write the files of a server that was started once for each log; return the paths of the logs."""
    for name in ("logs", "signers", "certs"):
        (data / name).mkdir(parents=True)
    for signer in signers:
        documents = signer.documents
        (data / "signers" / f"{documents.document_id}.cbor").write_bytes(documents.to_bytes())
    by_id = {signer.documents.document_id: signer.documents for signer in signers}
    paths = []
    numbers: Counter[bytes] = Counter()
    for start, records in enumerate(logs, start=1):
        paths.append(data / "logs" / f"signing-2026112{start}-103015.tsv")
        paths[-1].write_bytes(HEADER + b"".join(record.to_line() for record in records))
        for record in records:
            numbers[record.chip_serial] += 1
            write_certificate_files(
                data, record, numbers[record.chip_serial], by_id[record.documents].signer_certificate
            )
    return paths


def write_certificate_files(data: Path, record: IssuedRecord, number: int, signer_certificate: bytes) -> None:
    """Write the two files of a chip's `number`-th certificate (from 1)."""
    name = record.chip_serial.hex().upper() + ("" if number == 1 else f"-{number}")
    for role, certificate in (("device", record.certificate), ("signer", signer_certificate)):
        (data / "certs" / f"{name}_{role}.pem").write_text(ssl.DER_cert_to_PEM_cert(certificate))
