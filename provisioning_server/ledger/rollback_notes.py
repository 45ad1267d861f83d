"""What the server found that its ledger lacks, kept until an operator accepts it: `rollback.json` in the data folder.

It stands beside the ledger, so a server that is started again signs nothing either.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from atcaprov import durable_files
from atcaprov.bounded_reading import MalformedError, parse_json, read_bytes, status
from atcaprov.errors import Code, UsageError

FILE_NAME: Final = "rollback.json"
_MODE: Final = 0o640
_SERIAL_SIZE: Final = 9


@dataclass(frozen=True, slots=True)
class SignerAhead:
    """A signer that has made more signatures (`used`) than the ledger had of it (`recorded`) at a time."""

    used: int
    recorded: int
    found: datetime


@dataclass(frozen=True, slots=True)
class RollbackNotes:
    """What is missing: by signer (serial number, 9 bytes), and the signed checkpoint that the ledger lacks.

    `files` says which file of the data folder has a certificate that the ledger lacks.
    """

    signers: dict[bytes, SignerAhead] = field(default_factory=dict)
    checkpoint: bytes = b""
    files: str = ""

    def __bool__(self) -> bool:
        return bool(self.signers or self.checkpoint or self.files)

    def with_signer(self, serial: bytes, ahead: SignerAhead) -> RollbackNotes:
        """Return the notes with a signer."""
        return replace(self, signers={**self.signers, serial: ahead})

    def without_signer(self, serial: bytes) -> RollbackNotes:
        """Return the notes without a signer."""
        return replace(self, signers={each: ahead for each, ahead in self.signers.items() if each != serial})


class RollbackFile:
    """The file; an empty note is no file."""

    def __init__(self, data: Path) -> None:
        """`data` is the data folder."""
        self.path = data / FILE_NAME

    def read(self) -> RollbackNotes:
        """Return the notes; raises UsageError FILE_UNREADABLE, FILE_INVALID for a damaged file."""
        if status(self.path) is None:
            return RollbackNotes()
        try:
            return _decode(parse_json(read_bytes(self.path)))
        except (MalformedError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise UsageError(
                f"{self.path} is damaged.",
                advice="Restore it from a backup. Without it the server forgets what its ledger lacks.",
                code=Code.FILE_INVALID,
            ) from error

    def write(self, notes: RollbackNotes) -> None:
        """Keep notes durably; raises UsageError FILE_UNWRITABLE."""
        try:
            if notes:
                durable_files.replace(self.path, _encode(notes), _MODE)
            else:
                self.path.unlink(missing_ok=True)
                durable_files.sync_folder(self.path.parent)
        except OSError as error:
            raise UsageError(
                f"{self.path} cannot be written: {error.strerror}.",
                advice="Make room on the disk, or correct the permissions of the data folder.",
                code=Code.FILE_UNWRITABLE,
            ) from error


def _encode(notes: RollbackNotes) -> bytes:
    document = {
        "signers": {
            serial.hex().upper(): {
                "used": ahead.used,
                "recorded": ahead.recorded,
                "found": ahead.found.isoformat(timespec="seconds"),
            }
            for serial, ahead in notes.signers.items()
        },
        "checkpoint": b64encode(notes.checkpoint).decode(),
        "files": notes.files,
    }
    return f"{json.dumps(document, indent=2)}\n".encode()


def _decode(document: dict[str, Any]) -> RollbackNotes:
    signers = {_serial(serial): _ahead(ahead) for serial, ahead in document["signers"].items()}
    if not isinstance(document["files"], str):
        raise TypeError("not what was found in files")
    return RollbackNotes(signers, b64decode(document["checkpoint"], validate=True), document["files"])


def _serial(text: str) -> bytes:
    serial = bytes.fromhex(text)
    if len(serial) != _SERIAL_SIZE:
        raise ValueError("not a serial number")
    return serial


def _ahead(fields: dict[str, Any]) -> SignerAhead:
    used, recorded, found = fields["used"], fields["recorded"], datetime.fromisoformat(fields["found"])
    if type(used) is not int or type(recorded) is not int or found.tzinfo is None:
        raise ValueError("not what was found of a signer")
    return SignerAhead(used, recorded, found)
