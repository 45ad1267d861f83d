"""Locks of buses, ports and chips: files that the kernel unlocks when their holder dies.

The files lie in `/run/lock` where there is one, so that all users of the machine meet there, else in the user's
runtime folder. A lock excludes other processes, and other holders in this process. A forked process holds none of its
parent's locks.

A waiting program takes a second file first, named `.next`. A program that releases the lock and wants it again at
once finds that file taken, so it comes after the one that waits.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from weakref import WeakSet

import platformdirs

from atcaprov.errors import Code, TransportError
from atcaprov.file_lock import try_lock, unlock
from atcaprov.hal.port_users import lock_holders, users_text

_LOG: Final = logging.getLogger(__name__)

_SHARED_FOLDER: Final = Path("/run/lock")
_RETRY_SECONDS: Final = 0.001
_LONGEST_NAME: Final = 100
_ANYONE_MAY_LOCK: Final = 0o666


class BusLock:
    """The lock of one bus, port or chip, named by what it guards, such as `/dev/hidraw3`."""

    def __init__(self, name: str, folder: Path | None = None) -> None:
        path = (folder or _folder()) / f"atcaprov-{_file_name(name)}.lock"
        self._lock = _FileLock(name, path)
        self._next = _FileLock(name, path.with_suffix(".next"))

    def acquire(self, seconds: float = 0.0) -> None:
        """Take the lock, waiting up to `seconds` for its holder; taking it twice does no harm.

        Raises:
            TransportError: another program or holder has it (code DEVICE_BUSY), or the lock file cannot be opened.
        """
        deadline = time.monotonic() + seconds
        if not seconds:
            self._lock.acquire(deadline)
            return
        try:
            self._next.acquire(deadline)
            self._lock.acquire(deadline)
        finally:
            self._next.release()

    def release(self) -> None:
        """Release the lock; releasing twice does no harm."""
        self._lock.release()

    @contextmanager
    def held(self, seconds: float) -> Iterator[None]:
        """Hold the lock until the block ends."""
        self.acquire(seconds)
        try:
            yield
        finally:
            self.release()


class _FileLock:
    """An exclusive lock on one file, tried until a deadline (monotonic seconds)."""

    def __init__(self, name: str, path: Path) -> None:
        self._name = name
        self._path = path
        self._file: int | None = None
        self._held = False

    def acquire(self, deadline: float) -> None:
        if self._file is not None:
            return
        try:
            self._file = self._open()
            _open_locks.add(self)
            self._wait(self._file, deadline)
        except BaseException:
            self.release()
            raise

    def release(self) -> None:
        if self._file is not None:
            if self._held:
                unlock(self._file)
            self.forget()

    def forget(self) -> None:
        """Close the file; the lock stays with a process that has it open, too."""
        file, self._file, self._held = self._file, None, False
        if file is not None:
            os.close(file)

    def _open(self) -> int:
        flags = os.O_RDWR | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)
        try:
            try:
                return os.open(self._path, flags)  # a sticky folder forbids O_CREAT on another user's file
            except FileNotFoundError:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                file = os.open(self._path, flags | os.O_CREAT, _ANYONE_MAY_LOCK)
                if sys.platform != "win32":
                    os.fchmod(file, _ANYONE_MAY_LOCK)
                return file
        except OSError as error:
            raise TransportError(
                f"The lock file {self._path} cannot be opened: {error.strerror}.",
                advice="Remove it if no program of another user is running.",
            ) from error

    def _wait(self, file: int, deadline: float) -> None:
        is_told = False
        while not self._try(file):
            if not is_told:
                _LOG.info("Waiting for another program that uses %s.", self._name)
                is_told = True
            if time.monotonic() >= deadline:
                raise TransportError(
                    f"{self._name} is in use by {users_text(lock_holders(self._path))}.",
                    advice="End that program, or use another board.",
                    code=Code.DEVICE_BUSY,
                )
            time.sleep(_RETRY_SECONDS)

    def _try(self, file: int) -> bool:
        try:
            self._held = try_lock(file)
        except OSError as error:
            raise TransportError(f"{self._name} cannot be locked: {error.strerror}.") from error
        return self._held


_open_locks: WeakSet[_FileLock] = WeakSet()


def _forget_inherited() -> None:
    for lock in list(_open_locks):
        lock.forget()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_forget_inherited)


def _file_name(name: str) -> str:
    """Return a file name for a name; a long or unusual name gets a digest of the whole."""
    plain = re.sub("[^A-Za-z0-9._-]+", "-", name).strip("-")
    if len(plain) <= _LONGEST_NAME and name in (plain, "/" + plain.replace("-", "/")):
        return plain
    return f"{plain[-_LONGEST_NAME:]}-{hashlib.sha256(name.encode(errors='surrogateescape')).hexdigest()[:8]}"


def _folder() -> Path:
    if _SHARED_FOLDER.is_dir() and os.access(_SHARED_FOLDER, os.W_OK):
        return _SHARED_FOLDER
    return Path(platformdirs.user_runtime_dir("atcaprov"))
