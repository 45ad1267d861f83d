"""The data folder of a server: names of its files, and the lock that keeps a second server out."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Final, TextIO

from atcaprov.errors import Code, UsageError

LOCK_NAME: Final = "lock"


class DataFolder:
    """`logs/`, `certs/`, `signers/`, `modules/` and the lock in one folder."""

    def __init__(self, path: Path, started: datetime) -> None:
        """Create what is missing; raises UsageError FILE_UNREADABLE if that can't be done."""
        self.path = path
        self._started = f"{started:%Y%m%d-%H%M%S}"
        try:
            self._logs.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _unusable(path, error) from error

    @property
    def _logs(self) -> Path:
        return self.path / "logs"

    @property
    def modules(self) -> Path:
        """Return the folder of what is remembered of signer modules; it may not be there yet."""
        return self.path / "modules"

    def signing_log(self) -> Path:
        """Return the path of the signing log of this start, which does not exist yet."""
        return self._new("signing", "tsv")

    def open_program_log(self) -> TextIO:
        """Create the program log of this start; raises UsageError FILE_UNREADABLE."""
        try:
            return self._new("server", "log").open("x", encoding="utf-8")
        except OSError as error:
            raise _unusable(self.path, error) from error

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder; raises UsageError if another server has it. The system frees it when a program dies."""
        try:
            descriptor = os.open(self.path / LOCK_NAME, os.O_RDWR | os.O_CREAT, 0o640)
        except OSError as error:
            raise _unusable(self.path, error) from error
        try:
            _lock(descriptor, self.path)
            yield
        finally:
            os.close(descriptor)

    def _new(self, kind: str, ending: str) -> Path:
        """A name by the time of the start, with a number behind it if two starts fell into one second."""
        path = self._logs / f"{kind}-{self._started}.{ending}"
        number = 2
        while path.exists():
            path = self._logs / f"{kind}-{self._started}-{number}.{ending}"
            number += 1
        return path


def _lock(descriptor: int, path: Path) -> None:
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise UsageError(
            f"Another Provisioning Server uses the data folder {path}.",
            advice="Stop it, or give this one its own folder with --data.",
        ) from error


def _unusable(path: Path, error: OSError) -> UsageError:
    return UsageError(
        f"The data folder {path} can't be used: {error.strerror}.",
        advice="Choose a folder that this user may write with --data.",
        code=Code.FILE_UNREADABLE,
    )
