"""When a backup was made last, and when the log was audited last: a note in the data folder, for the web page."""

from __future__ import annotations

import contextlib
import enum
import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from atcaprov import durable_files
from atcaprov.bounded_reading import MalformedError, parse_json, read_bytes
from atcaprov.errors import AtcaProvError

_MODE: Final = 0o640
_FILE_MAX: Final = 4096
_TEXT_MAX: Final = 500


class Done(enum.StrEnum):
    """What is noted; the value is the name of the file."""

    BACKUP = "last-backup.json"
    AUDIT = "last-audit.json"


@dataclass(frozen=True, slots=True)
class LastDone:
    """When it was done (UTC), and what came of it."""

    time: datetime
    text: str


def note_done(data: Path, what: Done, done: LastDone) -> None:
    """Write the note. One that cannot be written is left out: whoever only reads the folder may do both, too."""
    body = {"time": done.time.isoformat(timespec="seconds"), "text": done.text[:_TEXT_MAX]}
    with contextlib.suppress(OSError):
        durable_files.replace(data / what, f"{json.dumps(body)}\n".encode(), _MODE)


def last_done(data: Path, what: Done) -> LastDone | None:
    """Return what the note says; None if there is none, or it is none."""
    try:
        found = parse_json(read_bytes(data / what, _FILE_MAX))
        time, text = datetime.fromisoformat(found["time"]), found["text"]
    except (AtcaProvError, OSError, MalformedError, KeyError, TypeError, ValueError):
        return None
    return LastDone(time, text) if isinstance(text, str) and time.tzinfo is not None else None
