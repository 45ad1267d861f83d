"""Write old records into an empty ledger, and compare them with what stands there afterwards."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import islice
from typing import Final, TypeVar

from atcaprov.errors import AtcaProvError, Code, UsageError
from provisioning_server.folder_import.old_records import OldRecords
from provisioning_server.ledger.changes import Changes, Event, FolderImported, Issued
from provisioning_server.ledger.entry_bodies import decode
from provisioning_server.ledger.store import Ledger, LogEntry

STEP: Final = 1000
"""Events in one commit: what is in memory at a time."""
_Item = TypeVar("_Item")


def write(old: OldRecords, ledger: Ledger, now: datetime) -> FolderImported:
    """Write all old records, each verified, and at last that they were imported; raises as `OldRecords.events`."""
    ledger.commit(Changes(documents=list(old.documents.values())))
    for events in _batches(old.events(verify=True)):
        ledger.commit(Changes(events=list(events)))
    imported = FolderImported(now.replace(microsecond=0), tuple(old.files))
    ledger.commit(Changes(events=[imported]))
    return imported


def compare(old: OldRecords, ledger: Ledger) -> None:
    """Return when the ledger has exactly what the files have, as entries and where chips and keys are looked up.

    The files are read again, so that one that changed meanwhile is found, too.

    Raises:
        UsageError: FILE_INVALID for a record that stands twice in the files.
        AtcaProvError: RECORDS_FAILED for any difference.
    """
    size = 0
    for events in _batches(old.events(verify=False)):
        if _events(ledger.entries(size, len(events))) != events:
            raise _different(f"entries {size} to {size + len(events) - 1} are not the records of the files")
        _compare_chips(events, size, ledger)
        size += len(events)
    _compare_end(old, ledger, size)


def _compare_chips(events: Sequence[Event], first: int, ledger: Ledger) -> None:
    """Compare what the ledger finds by chip and by key with the records."""
    issued = [(index, event.record) for index, event in enumerate(events, first) if isinstance(event, Issued)]
    known = ledger.known({record.chip_serial for _, record in issued}, {record.public_key for _, record in issued})
    for index, record in issued:
        places = [found.index for found in known.of_chip(record.chip_serial) if found.record == record]
        chip = record.chip_serial.hex().upper()
        if len(places) > 1:
            raise UsageError(
                f"The certificate of chip {chip} of {record.time:%Y-%m-%d %H:%M:%S} stands twice in the signing logs.",
                advice="Move the copy of its signing log to another folder. Nothing was imported.",
                code=Code.FILE_INVALID,
            )
        if places != [index] or known.chip_of(record.public_key) is None:
            raise _different(f"the certificate of chip {chip} is not found by its chip and its key")


def _compare_end(old: OldRecords, ledger: Ledger, size: int) -> None:
    imported = _events(ledger.entries(size, 2))
    if len(imported) != 1 or getattr(imported[0], "logs", None) != tuple(old.files):
        raise _different("the files changed meanwhile")
    if [each.document_id for each in ledger.known_documents()] != list(old.documents):
        raise _different("its signer documents are not those of the files")


def _events(entries: Iterable[LogEntry]) -> list[Event]:
    try:
        return [decode(entry.body.decode("ascii")) for entry in entries]
    except ValueError as error:
        raise _different("an entry is damaged") from error


def _batches(items: Iterable[_Item]) -> Iterator[list[_Item]]:
    following = iter(items)
    while batch := list(islice(following, STEP)):
        yield batch


def _different(reason: str) -> AtcaProvError:
    return AtcaProvError(
        f"The new ledger differs from the records that it was made from: {reason}.",
        advice="Nothing was imported, and the records are unchanged. Check the disk, then start the server again.",
        code=Code.RECORDS_FAILED,
    )
