"""The data folder of a server: names of its files, and the lock that keeps a second server out."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Final, TextIO

from atcaprov.bounded_reading import paths_in, status
from atcaprov.errors import Code, UsageError
from atcaprov.file_lock import try_lock

LOCK_NAME: Final = "lock"
STATIONS: Final = "stations"
"""The folder of the station CA and of the server's own TLS key."""
STATION_CA: Final = "station-ca.pem"
_NUMBERED: Final = "_"
"""Sorts behind the dot of the ending: a name with a number comes after the same one without."""
_MADE_HERE: Final = re.compile(rf"[a-z]+-\d{{8}}-\d{{6}}({_NUMBERED}\d{{4,}})?", re.ASCII)


class FolderInUseError(UsageError):
    """A server, or a command that writes, holds the data folder."""


class DataFolder:
    """`logs/`, `certs/`, `signers/`, `modules/` and the lock in one folder."""

    def __init__(self, path: Path, started: datetime) -> None:
        """Create what is missing; raises UsageError FILE_UNREADABLE if that is not possible."""
        self.path = path
        self._started = f"{started:%Y%m%d-%H%M%S}"
        try:
            self.logs.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _unusable(path, error) from error

    @property
    def logs(self) -> Path:
        """Return the folder of the program logs and signing logs."""
        return self.path / "logs"

    @property
    def certs(self) -> Path:
        """Return the folder of the certificate files; it may not exist yet."""
        return self.path / "certs"

    @property
    def signers(self) -> Path:
        """Return the folder of the signer documents; it may not exist yet."""
        return self.path / "signers"

    @property
    def modules(self) -> Path:
        """Return the folder of the module pins; it may not exist yet."""
        return self.path / "modules"

    @property
    def crls(self) -> Path:
        """Return the folder of the lists of revoked certificates; it may not exist yet."""
        return self.path / "crls"

    def signing_log(self) -> Path:
        """Return the path of the signing log of this start, which does not exist yet."""
        return self._new("signing", "tsv")

    def open_to_all(self) -> list[Path]:
        """Return the folders in which every user of this computer may remove or replace records."""
        folders = (self.path, self.logs, self.certs, self.signers, self.modules, self.crls)
        return [folder for folder in folders if (found := status(folder)) and found.st_mode & stat.S_IWOTH]

    @contextlib.contextmanager
    def program_log(self) -> Iterator[TextIO]:
        """Create the program log of this start, and close it; raises UsageError FILE_UNREADABLE."""
        try:
            file = self._new("server", "log").open("x", encoding="utf-8")
        except OSError as error:
            raise _unusable(self.path, error) from error
        try:
            yield file
        finally:
            with contextlib.suppress(OSError):  # the disk is full: its last lines stand on the console
                file.close()

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder; raises UsageError if another server has it. The system frees it when a program dies.

        The file `lock` is what a person sees and may delete; the folder itself is locked too, where the system can.
        """
        with contextlib.ExitStack() as stack:
            stack.enter_context(_locked(self.path / LOCK_NAME, os.O_RDWR | os.O_CREAT, self.path))
            if hasattr(os, "O_DIRECTORY"):
                stack.enter_context(_locked(self.path, os.O_RDONLY | os.O_DIRECTORY, self.path))
            yield

    def _new(self, kind: str, ending: str) -> Path:
        """Return a path named by the start that sorts after all earlier ones: the records are read in that order.

        Two starts may fall into one second, and a clock may be set back: then it is the newest name, and a number.
        """
        name = f"{kind}-{self._started}"
        earlier = (path.stem for path in paths_in(self.logs, f"{kind}-*.{ending}"))
        newest = max(filter(_MADE_HERE.fullmatch, earlier), default="")
        if name > newest:
            return self.logs / f"{name}.{ending}"
        base, _, number = newest.partition(_NUMBERED)
        return self.logs / f"{base}{_NUMBERED}{int(number or 1) + 1:04}.{ending}"


@contextlib.contextmanager
def _locked(what: Path, flags: int, folder: Path) -> Iterator[None]:
    try:
        descriptor = os.open(what, flags, 0o640)
    except OSError as error:
        raise _unusable(folder, error) from error
    try:
        try:
            free = try_lock(descriptor)
        except OSError as error:
            free = True
            if what != folder:  # not every network drive can lock a folder
                raise _unusable(folder, error) from error
        if not free:
            raise _in_use(folder)
        yield
    finally:
        os.close(descriptor)


def _in_use(path: Path) -> FolderInUseError:
    return FolderInUseError(
        f"A Provisioning Server or one of its commands uses the data folder {path}.",
        advice="Stop it, or name another folder with --data.",
    )


def _unusable(path: Path, error: OSError) -> UsageError:
    full = error.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))
    return UsageError(
        f"The data folder {path} cannot be used: {error.strerror}.",
        advice="Make room on its disk, or choose another folder with --data."
        if full
        else "Choose a folder that this user may write with --data.",
        code=Code.FILE_UNREADABLE,
    )
