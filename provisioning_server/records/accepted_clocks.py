"""Each `--accept-clock`: that the clock is right although records are newer. `clock-accepted.tsv` in the data folder.

One line for each, after a header line. Earlier records no longer count against the clock.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Final, NamedTuple

from atcaprov import durable_files
from atcaprov.errors import Code, UsageError

FILE_NAME: Final = "clock-accepted.tsv"
_HEADER: Final = "time\tnewest_record\tsigning_log\treason"
_MODE: Final = 0o640


class AcceptedClock(NamedTuple):
    """What the clock said then (UTC), the time of the newest record, and the signing log of that start."""

    time: datetime
    newest_record: datetime
    signing_log: str
    reason: str

    def to_line(self) -> str:
        """Return the line without its end."""
        times = (f"{moment:%Y-%m-%dT%H:%M:%SZ}" for moment in (self.time, self.newest_record))
        return "\t".join((*times, self.signing_log, " ".join(self.reason.split())))

    @classmethod
    def from_line(cls, line: str) -> AcceptedClock:
        """Read a line; raises ValueError."""
        time, newest_record, signing_log, reason = line.split("\t")
        return cls(_utc(time), _utc(newest_record), signing_log, reason)


def _utc(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("a time without its zone")
    return moment


def last_accepted(data: Path) -> AcceptedClock | None:
    """Return the newest line of a data folder; raises OSError, UsageError FILE_INVALID for a damaged file."""
    lines = all_accepted(data)
    return lines[-1] if lines else None


def accept(data: Path, clock: AcceptedClock) -> None:
    """Add a line, durably; raises as `last_accepted`."""
    text = "\n".join((_HEADER, *(line.to_line() for line in (*all_accepted(data), clock)), ""))
    durable_files.replace(data / FILE_NAME, text.encode(), _MODE)


def all_accepted(data: Path) -> list[AcceptedClock]:
    """Return all lines of a data folder, oldest first; raises as `last_accepted`."""
    path = data / FILE_NAME
    try:
        header, *lines = path.read_text(encoding="utf-8").splitlines()
        if header != _HEADER:
            raise ValueError("another header")
        return [AcceptedClock.from_line(line) for line in lines]
    except FileNotFoundError:
        return []
    except ValueError as error:
        raise UsageError(
            f"{path} is damaged.",
            advice="Restore it from a backup, or delete it: then the clock is compared with all records again.",
            code=Code.FILE_INVALID,
        ) from error
