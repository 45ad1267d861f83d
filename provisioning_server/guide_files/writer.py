"""The thread that writes the guide's files. Issuing never waits for it: it hands over what was replied, and goes on.

An error of these files is logged once and shown, and stops nothing: the ledger is the record. They are written again
after a while, until there is room.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Final, NamedTuple

from atcaprov.errors import AtcaProvError
from atcaprov.log import Log
from provisioning_server.guide_files.guide_files import GuideFiles
from provisioning_server.guide_files.issued_entries import IssuedEntry
from provisioning_server.ledger.store import Ledger

PAUSE_SECONDS: Final = 0.25
"""A pause in issuing: then the files are written. Making two of them takes as long as a certificate, or longer."""
LATEST_SECONDS: Final = 10.0
"""How long the files wait for a pause."""
SYNC_SECONDS: Final = 5.0
RETRY_SECONDS: Final = 5.0
WAITING_ENOUGH: Final = 10_000
"""As many certificates are written without a pause."""
WAITING_MAX: Final = 20_000
"""Certificates that wait in memory; further ones are read from the ledger."""


class _Step(NamedTuple):
    """The certificates among the entries from `start` to before `end`."""

    start: int
    end: int
    entries: Sequence[IssuedEntry]


class GuideFilesWriter:
    """Writes in a thread of its own from `start` to `stop`."""

    def __init__(self, files: GuideFiles, ledger: Ledger, log: Log, retry_seconds: float = RETRY_SECONDS) -> None:
        self.trouble = ""
        """Why the files cannot be written now; empty if they can."""
        self._files = files
        self._ledger = ledger
        self._log = log
        self._retry_seconds = retry_seconds
        self._lock = threading.Lock()
        self._waiting: list[_Step] = []
        self._count = 0
        self._steps = 0
        """How many steps were handed over; those with reports alone show that stations are at work, too."""
        self._synced = time.monotonic()
        self._missed = True
        self._stopping = threading.Event()
        self._more = threading.Event()
        self._thread = threading.Thread(target=self._run, name="guide's files", daemon=True)

    def start(self) -> None:
        """Begin with what earlier starts missed."""
        self._thread.start()

    def add(self, start: int, end: int, entries: Sequence[IssuedEntry]) -> None:
        """Hand over the certificates among the entries from `start` to before `end`; from the issuing thread."""
        with self._lock:
            self._steps += 1
            self._count += len(entries)
            if self._count > WAITING_MAX:
                self._waiting.clear()
                self._count, self._missed = 0, True
            else:
                self._waiting.append(_Step(start, end, entries))
        if not self._more.is_set():
            self._more.set()

    def stop(self) -> None:
        """Write what waits, and end the thread. What earlier starts missed may be left to the next one."""
        self._stopping.set()
        self._more.set()
        if self._thread.ident is None:  # the start has failed before
            self._files.close()
        else:
            self._thread.join()

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                self._write()
                if not self._more.wait(self._retry_seconds if self.trouble else SYNC_SECONDS):
                    continue
                if self.trouble:
                    self._stopping.wait(self._retry_seconds)
                else:
                    self._wait_for_a_pause()
            self._write()
        except Exception as error:  # the files are made for people: a bug in them must stop nothing
            self._fail(repr(error))
        finally:
            self._files.close()

    def _wait_for_a_pause(self) -> None:
        """Wait until stations ask for nothing more: what they wait for comes first."""
        latest = time.monotonic() + LATEST_SECONDS
        busy = True
        while busy and time.monotonic() < latest and self._count < WAITING_ENOUGH:
            before = self._steps
            busy = not self._stopping.wait(PAUSE_SECONDS) and self._steps != before

    def _write(self) -> None:
        self._more.clear()
        with self._lock:
            steps, self._waiting = self._waiting, []
            missed, self._missed, self._count = self._missed, False, 0
        try:
            if missed or self.trouble:
                self._files.write_missed(self._ledger.head().size, self._stopping.is_set)
            for step in steps:
                if step.end <= self._files.next:
                    continue
                if step.start == self._files.next:
                    self._files.write_new(step.entries, step.end)
                else:  # another server's entries came in between
                    self._files.write_missed(step.end, self._stopping.is_set)
            self._sync()
        except OSError as error:
            self._missed = True
            self._fail(error.strerror or str(error))
        except AtcaProvError as error:  # the ledger has failed: this start issues nothing any more
            self._fail(error.what.rstrip("."))
        else:
            self._recover()

    def _sync(self) -> None:
        now = time.monotonic()
        if self._stopping.is_set() or now - self._synced >= SYNC_SECONDS:
            self._files.sync()
            self._synced = now

    def _fail(self, reason: str) -> None:
        if not self.trouble:
            self._log.error(
                f"The signing log and the certificate files cannot be written: {reason}. The ledger has every"
                " certificate, and the files are completed when they can be written again."
            )
        self.trouble = reason

    def _recover(self) -> None:
        if self.trouble:
            self.trouble = ""
            self._log.info("The signing log and the certificate files are complete again.")
