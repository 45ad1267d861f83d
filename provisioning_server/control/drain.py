"""The end of a server that first answers what was asked: `provisioning-server drain`, with more time than a signal."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

from atcaprov.errors import UsageError

LONGEST_SECONDS: Final = 24 * 3600.0


class Drain:
    """Knows how long open requests may take once the server ends, and tells commands how that went."""

    def __init__(self, stop: Callable[[], None], seconds: float) -> None:
        """`stop` begins the end of the server; `seconds` are those of an end without this command."""
        self._stop = stop
        self.seconds = seconds
        self._ended = asyncio.Event()
        self._left = 0

    def ended(self, left: int) -> None:
        """Note that open requests had their time; `left` of them have no reply."""
        self._left = left
        self._ended.set()

    async def answer(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Answer the command `drain`, when all have their replies or the time is over; the server ends after it."""
        seconds = arguments.get("seconds")
        if not isinstance(seconds, int | float) or not 0 <= seconds <= LONGEST_SECONDS:
            raise UsageError(f"A server drains within 0 to {LONGEST_SECONDS:.0f} seconds.")
        self.seconds = float(seconds)
        self._stop()
        await self._ended.wait()
        return {"left": self._left}
