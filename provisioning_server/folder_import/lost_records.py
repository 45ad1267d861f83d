"""Certificate files without a record: the trace of a signing log that was moved, removed or cut off."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from atcaprov.errors import Code, UsageError
from provisioning_server.ledger.store import Ledger

_NAME: Final = re.compile(r"([0-9A-F]{18})(?:-([1-9][0-9]*))?_(?:device|signer)\.pem")
_LOOKED_UP: Final = 1000


class _File(NamedTuple):
    """A certificate file: its name, its chip (9 bytes), and that it is of the chip's `number`-th certificate."""

    name: str
    chip_serial: bytes
    number: int


def require_recorded(data: Path, ledger: Ledger) -> None:
    """Return when each certificate file of a data folder has its record in the ledger.

    Raises:
        UsageError: RECORD_MISSING, which names the first file without one.
    """
    lost: list[str] = []
    batch: list[_File] = []
    for file in _files(data / "certs"):
        batch.append(file)
        if len(batch) == _LOOKED_UP:
            lost += _without_record(batch, ledger)
            batch = []
    lost += _without_record(batch, ledger)
    if lost:
        raise UsageError(
            f"{len(lost)} certificate files in {data / 'certs'} have no record, the first is {min(lost)}: a signing"
            " log was moved, removed or cut off.",
            advice=f"Put the signing logs back into {data / 'logs'}. If they are permanently lost, rename the"
            " folder certs: their chips can then get other certificates.",
            code=Code.RECORD_MISSING,
        )


def _without_record(files: list[_File], ledger: Ledger) -> list[str]:
    known = ledger.known({file.chip_serial for file in files}, ())
    return [file.name for file in files if len(known.of_chip(file.chip_serial)) < file.number]


def _files(folder: Path) -> Iterator[_File]:
    """Yield the files one by one: there may be a million of them."""
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                found = _NAME.fullmatch(entry.name)
                if found is not None:
                    yield _File(entry.name, bytes.fromhex(found[1]), int(found[2] or 1))
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        raise UsageError(f"{folder} cannot be read: {error.strerror}.", code=Code.FILE_UNREADABLE) from error
