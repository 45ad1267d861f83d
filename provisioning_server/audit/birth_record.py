"""The birth record of a unit: all that the log says of its chip, with proofs, in one file that verifies alone.

JSON; the fields are listed in docs/reference/audit-log.md.
"""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from atcaprov.bounded_reading import MalformedError, parse_json
from atcaprov.errors import Code, UsageError
from atcaprov.transparency.checkpoint import SignedCheckpoint
from atcaprov.transparency.line_fields import encode_base64
from atcaprov.transparency.tiles import inclusion_proof
from atcaprov.transparency.tlog_proof import TlogProof
from atcaprov.transparency.verifier_keys import VerifierKey
from provisioning_server.ledger.changes import Issued
from provisioning_server.ledger.entry_bodies import decode
from provisioning_server.ledger.store import Ledger
from provisioning_server.records.signer_documents import SignerDocuments

FORMAT: Final = "atcaprov birth record"
VERSION: Final = 1
MAX_BIRTH_RECORD: Final = 1 << 24
_SERIAL_SIZE: Final = 9


@dataclass(frozen=True, slots=True)
class LoggedEvent:
    """An entry of the log, its bytes as text, and the proof that it is in the log (tlog-proof)."""

    entry: bytes
    proof: TlogProof


@dataclass(frozen=True, slots=True)
class BirthRecord:
    """What the log says of a chip (serial number, 9 bytes), with the documents and keys that are needed to check it."""

    chip_serial: bytes
    log_key: VerifierKey
    witness_keys: tuple[VerifierKey, ...]
    events: tuple[LoggedEvent, ...]
    documents: Mapping[str, SignerDocuments]

    def to_bytes(self) -> bytes:
        """Return the file."""
        fields = {
            "format": FORMAT,
            "version": VERSION,
            "chip_serial": self.chip_serial.hex(),
            "certificates": self._chain(),
            "log_key": str(self.log_key),
            "witness_keys": [str(key) for key in self.witness_keys],
            "events": [
                {"entry": event.entry.decode("ascii"), "proof": event.proof.to_bytes().decode()}
                for event in self.events
            ],
            "documents": {name: encode_base64(each.to_bytes()) for name, each in sorted(self.documents.items())},
        }
        return json.dumps(fields, indent=1).encode() + b"\n"

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Read a file, whose proofs are not checked; raises UsageError (FILE_INVALID, LOG_INVALID)."""
        try:
            fields = parse_json(data)
            if (fields["format"], fields["version"]) != (FORMAT, VERSION):
                raise ValueError("another format or version")
            record = cls(
                _hex(fields["chip_serial"], _SERIAL_SIZE),
                VerifierKey.parse(_text(fields["log_key"])),
                tuple(VerifierKey.parse(_text(key)) for key in _list(fields["witness_keys"])),
                tuple(_event(each) for each in _list(fields["events"])),
                {name: _documents(value) for name, value in fields["documents"].items()},
            )
        except (MalformedError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise UsageError(
                "The file is not a birth record of this version.",
                advice="Get it again from where it came.",
                code=Code.FILE_INVALID,
            ) from error
        return record

    def _chain(self) -> str:
        """Return the newest certificate with those of its signer and root as PEM, for other programs."""
        issued = [event for event in map(_decoded, self.events) if isinstance(event, Issued)]
        if not issued:
            return ""
        documents = self.documents[issued[-1].record.documents]
        chain = (issued[-1].record.certificate, documents.signer_certificate, documents.root_certificate)
        return "".join(x509.load_der_x509_certificate(der).public_bytes(Encoding.PEM).decode() for der in chain)


def make_birth_record(
    ledger: Ledger,
    chip_serial: bytes,
    checkpoint: SignedCheckpoint,
    log_key: VerifierKey,
    witness_keys: Collection[VerifierKey] = (),
) -> BirthRecord:
    """Collect what the log says of a chip up to a checkpoint of it.

    Raises:
        UsageError: RECORD_MISSING if the log has nothing of the chip up to there.
    """
    size = checkpoint.checkpoint.size
    events = tuple(
        LoggedEvent(
            entry.body, TlogProof(entry.index, tuple(inclusion_proof(entry.index, size, ledger.tile)), checkpoint)
        )
        for entry in ledger.history(chip_serial)
        if entry.index < size
    )
    if not events:
        raise UsageError(
            f"The log has no entry of chip {chip_serial.hex().upper()} among its first {size}.",
            advice="Check the serial number, or take a newer checkpoint.",
            code=Code.RECORD_MISSING,
        )
    issued = [event for event in map(_decoded, events) if isinstance(event, Issued)]
    documents = {each.record.documents: ledger.documents(each.record.documents) for each in issued}
    return BirthRecord(chip_serial, log_key, tuple(witness_keys), events, documents)


def _decoded(event: LoggedEvent) -> object:
    try:
        return decode(event.entry.decode("ascii"))
    except ValueError:
        return None


def _event(fields: Any) -> LoggedEvent:
    return LoggedEvent(_text(fields["entry"]).encode("ascii"), TlogProof.parse(_text(fields["proof"]).encode()))


def _documents(value: object) -> SignerDocuments:
    return SignerDocuments.from_bytes(b64decode(_text(value), validate=True))


def _hex(value: object, size: int) -> bytes:
    data = bytes.fromhex(_text(value))
    if len(data) != size or data.hex() != value:
        raise ValueError("not lower-case hex digits of the right number")
    return data


def _list(value: object) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError("not a list")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("not a text")
    return value
