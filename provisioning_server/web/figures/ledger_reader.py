"""Asks the ledger for the pages: on threads of its own and a connection that only reads, a bounded number at a time.

What fails here fails for the page alone: the server's own ledger goes on issuing.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from atcaprov.errors import AtcaProvError, Code
from provisioning_server.ledger.sql.sql_ledger import SqlLedger

THREADS: Final = 2
WAITING_MAX: Final = 32
THREAD_NAME: Final = "page"
_Answer = TypeVar("_Answer")


class LedgerReader:
    """Opens the ledger when it is first asked, and again after an error."""

    def __init__(self, opened: Callable[[], SqlLedger]) -> None:
        """`opened` returns a ledger for reading; raises AtcaProvError."""
        self._opened = opened
        self._ledger: SqlLedger | None = None
        self._opening = threading.Lock()
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix=THREAD_NAME)
        self._waiting = 0

    async def ask(self, question: Callable[[SqlLedger], _Answer]) -> _Answer:
        """Return the answer to a question, which one of the threads asks.

        Raises:
            AtcaProvError: as the ledger, or SERVER_BUSY when too many questions wait.
        """
        if self._waiting >= WAITING_MAX:
            raise AtcaProvError("Too many pages are being made.", advice="Load the page again.", code=Code.SERVER_BUSY)
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, self._ask, question)
        finally:
            self._waiting -= 1

    def close(self) -> None:
        """End the threads, after the questions that they are at."""
        self._threads.shutdown(cancel_futures=True)
        if self._ledger is not None:
            self._ledger.close()

    def _ask(self, question: Callable[[SqlLedger], _Answer]) -> _Answer:
        with self._opening:
            if self._ledger is not None and self._ledger.failed:
                with contextlib.suppress(AtcaProvError):
                    self._ledger.close()
                self._ledger = None
            if self._ledger is None:
                self._ledger = self._opened()
            ledger = self._ledger
        return question(ledger)
