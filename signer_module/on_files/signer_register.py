"""`signers.tsv`, the register of the signer ids that a root has given: no id is ever given twice."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from atcaprov.bounded_reading import read_bytes
from atcaprov.certs.keys import key_id
from atcaprov.errors import Code, UsageError
from atcaprov.file_lock import try_lock, unlock

REGISTER_FILE: Final = "signers.tsv"
_HEADER: Final = "signer_id\tkey_id\tname\tissued\n"
EMPTY_REGISTER: Final = _HEADER.encode()
"""The contents of a new root's register."""
_LONGEST_ROW: Final = 512
_LONGEST_REGISTER: Final = _LONGEST_ROW << 16
"""With all signer ids given, in bytes."""
_RETRY_SECONDS: Final = 0.01


@dataclass(frozen=True)
class SignerRegister:
    """The register in a root's folder."""

    path: Path

    def issued(self) -> dict[str, str]:
        """Return signer id (4 hexadecimal digits) -> key id of the signer.

        A last row without its line end was cut while it was written, before its id was used: it is ignored.
        Raises UsageError (file-unreadable, file-invalid).
        """
        try:
            header, *lines = read_bytes(self.path, _LONGEST_REGISTER).rpartition(b"\n")[0].decode().split("\n")
        except UnicodeDecodeError:
            raise self._damaged() from None
        rows = [line.split("\t") for line in lines]
        if header + "\n" != _HEADER or any(len(row) != 4 for row in rows):
            raise self._damaged()
        return {row[0]: row[1] for row in rows}

    def require_writable(self) -> None:
        """Raise UsageError unless signer ids can be entered: better now than when a chip was changed.

        It writes the beginning of a row, which does not count without its end.
        """
        self.issued()
        try:
            with self.path.open("r+b") as file:
                size = file.seek(0, os.SEEK_END)
                file.write(bytes(_LONGEST_ROW))
                file.flush()
                os.fsync(file.fileno())
                file.truncate(size)
        except OSError as error:
            raise self._unwritable(error) from error

    def enter(self, signer_id: bytes, public_key: bytes, name: str, issued: datetime) -> None:
        """Enter a signer id (2 bytes) permanently, before its certificate exists; `public_key` is X||Y, 64 bytes."""
        row = "\t".join([signer_id.hex().upper(), key_id(public_key).hex(), name, issued.isoformat()])
        size = read_bytes(self.path, _LONGEST_REGISTER).rfind(b"\n") + 1
        try:
            with self.path.open("r+b") as file:
                file.truncate(size)
                file.seek(size)
                file.write(row.encode() + b"\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise self._unwritable(error) from error

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the register alone: two programs must not give the same id."""
        try:
            file = self.path.open("rb")
        except OSError as error:
            raise UsageError(f"{self.path} cannot be read: {error.strerror}.", code=Code.FILE_UNREADABLE) from error
        with file:
            while not try_lock(file.fileno()):
                time.sleep(_RETRY_SECONDS)
            try:
                yield
            finally:
                unlock(file.fileno())

    def _damaged(self) -> UsageError:
        return UsageError(f"{self.path} is damaged.", advice="Restore it from a copy.", code=Code.FILE_INVALID)

    def _unwritable(self, error: OSError) -> UsageError:
        return UsageError(f"{self.path} cannot be written: {error.strerror}.", code=Code.FILE_UNWRITABLE)


def id_of(issued: dict[str, str], public_key: bytes) -> bytes | None:
    """Return the signer id (2 bytes) that an interrupted run has entered for a key (X||Y, 64 bytes), if any has."""
    owner = key_id(public_key).hex()
    return next((bytes.fromhex(number) for number, known in issued.items() if known == owner), None)


def free_id(issued: dict[str, str]) -> bytes:
    """Return the lowest signer id (2 bytes) that is not in a register; raises UsageError when there is none."""
    for number in range(1, 0xFFFF):  # 0000 and FFFF are placeholders in published definitions
        if f"{number:04X}" not in issued:
            return number.to_bytes(2, "big")
    raise UsageError("The root has no unused signer id left (65,534 are in use).", advice="Create another root.")
