"""The newest counts of the ledger, read once for all who look."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import datetime
from typing import Final

from atcaprov.errors import AtcaProvError
from provisioning_server.web.figures.ledger_follower import Counted, LedgerFollower
from provisioning_server.web.figures.ledger_reader import LedgerReader

FRESH_SECONDS: Final = 2.0
"""So long counts are shown again without asking the ledger."""


class PageFigures:
    """Follows the ledger while someone looks. Its methods run on the event loop."""

    def __init__(self, reader: LedgerReader, now: Callable[[], datetime]) -> None:
        """`now` returns the time in UTC."""
        self.now: Final = now
        self.counted = Counted()
        self.trouble = ""
        """Why the counts are old; empty while they are not."""
        self._reader = reader
        self._follower = LedgerFollower(now)
        self._asking: asyncio.Task[None] | None = None
        self._asked_at = float("-inf")

    async def refresh(self) -> Counted:
        """Return the counts, which are at most some seconds old; of many who ask at once one asks the ledger."""
        if self._asking is None and time.monotonic() >= self._asked_at + FRESH_SECONDS:
            self._asking = asyncio.create_task(self._follow())
        if self._asking is not None:
            await asyncio.shield(self._asking)
        return self.counted

    def expire(self) -> None:
        """Let the next look ask the ledger: it was changed from a page."""
        self._asked_at = float("-inf")

    async def keep(self, watched: Callable[[], bool]) -> None:
        """Keep the counts new while someone looks, until cancelled."""
        while True:
            if watched():
                await self.refresh()
            await asyncio.sleep(FRESH_SECONDS)

    async def _follow(self) -> None:
        try:
            self.counted = await self._reader.ask(self._follower.follow)
            self.trouble = ""
        except AtcaProvError as error:
            self.trouble = error.what
            self._follower = LedgerFollower(self.now)  # how far it came is not known
        finally:
            self._asked_at = time.monotonic() if self.counted.complete or self.trouble else float("-inf")
            self._asking = None
