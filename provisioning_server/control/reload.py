"""Settings that a running server takes over from changed files: all of them, or none if one file is broken."""

from __future__ import annotations

import asyncio
from typing import Any, Protocol

from atcaprov.errors import AtcaProvError
from atcaprov.log import Log


class TakeOver(Protocol):
    """Puts settings that were read into place; on the event loop."""

    def __call__(self) -> list[str]:
        """Return a sentence for each thing that changed, none if nothing did; raises nothing."""


class ReadAgain(Protocol):
    """Reads the files of some settings again, such as those of product profiles; in a thread."""

    def __call__(self) -> TakeOver:
        """Return what takes them over; changes nothing itself.

        Raises:
            AtcaProvError: a file is missing or broken; the message names the file, and the line if it has one.
        """


class Reload:
    """Reloads all settings that were added. A broken file leaves everything as it was."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._readers: list[ReadAgain] = []
        self._one_at_a_time = asyncio.Lock()

    def add(self, read: ReadAgain) -> None:
        """Reload these settings, too."""
        self._readers.append(read)

    async def reload(self) -> list[str]:
        """Read all files, then take all over; return what changed.

        Raises:
            AtcaProvError: as the reader that failed; nothing has changed then.
        """
        async with self._one_at_a_time:
            try:
                take_overs = [await asyncio.to_thread(read) for read in self._readers]
            except AtcaProvError as error:
                self._log.error(f"Nothing was reloaded, the old settings stay. {error}")
                raise
            changed = [sentence for take_over in take_overs for sentence in take_over()]
        for sentence in changed:
            self._log.info(f"Reloaded: {sentence}")
        self._log.info("Settings reloaded." if changed else "Settings reloaded: nothing has changed.")
        return changed

    async def answer(self, _: dict[str, Any]) -> dict[str, Any]:
        """Answer the command `reload`."""
        return {"changed": await self.reload()}
