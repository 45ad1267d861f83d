"""How far the guide's files are written: `logs/guide-files.json`, which is replaced as a whole now and then.

What was written after it is found again by the last lines of the signing log.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Final

from atcaprov import durable_files
from atcaprov.bounded_reading import MalformedError, parse_json, read_bytes
from atcaprov.errors import UsageError
from provisioning_server.ledger.store import LogIdentity

FILE_NAME: Final = "guide-files.json"
_MODE: Final = 0o640


@dataclass(frozen=True, slots=True)
class Progress:
    """Entries of the log before `next` stand in the signing logs; the last of these has `size` bytes.

    The certificate files of entries from `unsettled` on may not be on the disk yet. `ledger` (32 hex digits) and
    `epoch` say which log it is.
    """

    ledger: str
    epoch: int
    next: int
    unsettled: int
    signing_log: str
    size: int

    def is_of(self, log: LogIdentity) -> bool:
        """Return whether it was written from this ledger."""
        return self.ledger == log.ledger_id.hex()

    def write(self, folder: Path) -> None:
        """Replace the file durably; raises OSError."""
        data = json.dumps(asdict(self), indent=1).encode() + b"\n"
        durable_files.replace(folder / FILE_NAME, data, _MODE)

    @classmethod
    def read(cls, folder: Path) -> Progress | None:
        """Read the file; None if there is none, or it is damaged: then the signing logs tell it."""
        try:
            found = parse_json(read_bytes(folder / FILE_NAME))
        except (UsageError, MalformedError):
            return None
        types = {"ledger": str, "signing_log": str}
        if not isinstance(found, dict) or set(found) != {field.name for field in fields(cls)}:
            return None
        if any(type(value) is not types.get(name, int) for name, value in found.items()):
            return None
        return cls(**found)
