"""Where the files of earlier starts end: what they have, and what they lack of the ledger.

The lines after the last sync are compared with the ledger: they stay as far as they are what comes next. What follows a
damaged or cut line is cut off and written again, if the ledger has it.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final, NamedTuple

from atcaprov.bounded_reading import paths_in
from atcaprov.certs.issued_record import IssuedRecord
from atcaprov.errors import Code, UsageError
from provisioning_server.guide_files.issued_entries import IssuedEntries
from provisioning_server.guide_files.progress import Progress
from provisioning_server.guide_files.signing_log import cut, last_record, lines_from
from provisioning_server.ledger.store import Ledger

_PROGRAM_LOG_TAIL: Final = 4 * 1024 * 1024


class Found(NamedTuple):
    """The first entry that no signing log has, and the first one whose certificate files are to be compared."""

    next: int
    unsettled: int


def find(logs: Path, certs: Path, ledger: Ledger) -> Found:
    """Look at the files of earlier starts, before this one makes any.

    Raises:
        UsageError: RECORD_MISSING if a signing log has a certificate that the ledger lacks, or the ledger is shorter
            than it was.
        OSError: they cannot be read.
    """
    identity, size = ledger.identity, ledger.head().size
    progress = Progress.read(logs)
    if progress is None or not progress.is_of(identity):
        found = _by_last_line(logs, IssuedEntries(ledger))
    elif progress.epoch < identity.epoch:
        found = Found(min(progress.next, size), min(progress.unsettled, size))  # an operator said why
    elif progress.next > size:
        raise _missing(f"{progress.next} entries of the ledger were written to {logs}, and now it has {size}.")
    else:
        found = _by_progress(logs, progress, IssuedEntries(ledger), size)
    return found if certs.is_dir() else Found(found.next, 0)


def _by_progress(logs: Path, progress: Progress, entries: IssuedEntries, size: int) -> Found:
    path = logs / progress.signing_log
    _require_newer_known(logs, path, entries)
    if not path.exists():  # logs may be moved: they are not the record
        return Found(progress.next, progress.unsettled)
    written, after = progress.size, progress.next
    issued = (entry for _, block in entries.blocks(progress.next, size) for entry in block)
    lines = lines_from(path, progress.size)
    for end, record in lines:
        entry = next(issued, None)
        if record is None or entry is None or entry.record.certificate != record.certificate:
            _require_known(path, [record, *(each for _, each in lines)], entries)
            cut(path, written)
            break
        written, after = end, entry.index + 1
    return Found(after, min(progress.unsettled, after))


def _require_newer_known(logs: Path, path: Path, entries: IssuedEntries) -> None:
    """Raise RECORD_MISSING unless the ledger has all lines of the signing logs after the one that was written last.

    A server of an older version may have been started meanwhile, which issues without the ledger.
    """
    for newer in paths_in(logs, "signing-*.tsv"):
        if newer.name > path.name:
            _require_known(newer, (record for _, record in lines_from(newer, 0)), entries)


def _require_known(path: Path, records: Iterable[IssuedRecord | None], entries: IssuedEntries) -> None:
    """Raise RECORD_MISSING unless the ledger has all these lines."""
    for record in records:
        if record is not None and entries.index_of(record) is None:
            raise _unknown(path, record.chip_serial)


def _by_last_line(logs: Path, entries: IssuedEntries) -> Found:
    """Return what the newest line of all signing logs tells: of another ledger, or of the import of older records."""
    for path in sorted(paths_in(logs, "signing-*.tsv"), reverse=True):
        last = last_record(path)
        if last is None:
            continue
        end, record = last
        index = entries.index_of(record)
        if index is None:
            raise _unknown(path, record.chip_serial)
        if path.stat().st_size > end:
            cut(path, end)
        return Found(index + 1, index + 1)
    return Found(0, 0)


def earlier_program_logs(logs: Path) -> str:
    """Return the newest lines of earlier starts, the last 4 MiB; this start has its own log. Raises OSError."""
    text, left = "", _PROGRAM_LOG_TAIL
    for path in sorted(paths_in(logs, "server-*.log"), reverse=True)[1:]:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - left))
            data = file.read(left)
        text, left = data.decode(errors="replace") + text, left - len(data)
        if not left:
            break
    return text


def _unknown(path: Path, chip_serial: bytes) -> UsageError:
    return _missing(
        f"The signing log {path} has a certificate of the chip {chip_serial.hex().upper()} that the ledger lacks.",
    )


def _missing(what: str) -> UsageError:
    return UsageError(
        f"{what} The ledger is older than the signing logs.",
        advice="Put the newest ledger back. If it is permanently lost, see docs/howto/worst-day.md.",
        code=Code.RECORD_MISSING,
    )
