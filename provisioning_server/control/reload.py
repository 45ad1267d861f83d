"""Settings that a running server takes over from changed files: all of them, or none if one file is broken."""

from __future__ import annotations

import asyncio
from typing import Any, Protocol

from atcaprov.errors import AtcaProvError
from atcaprov.log import Log
from provisioning_server.internal_error import internal_error
from provisioning_server.operations.service_manager import ServiceManager


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

    def __init__(self, log: Log, manager: ServiceManager | None = None) -> None:
        """`manager` is told when a reload begins and ends."""
        self._log = log
        self._manager = manager or ServiceManager()
        self._readers: list[ReadAgain] = []
        self._one_at_a_time = asyncio.Lock()
        self._begun: set[asyncio.Task[None]] = set()

    def add(self, read: ReadAgain) -> None:
        """Reload these settings, too."""
        self._readers.append(read)

    async def reload(self) -> list[str]:
        """Read all files, then take all over; return what changed.

        Raises:
            AtcaProvError: as the reader that failed; nothing has changed then.
        """
        async with self._one_at_a_time:
            self._manager.reloading()
            try:
                changed = await self._reload()
            except AtcaProvError as error:
                self._log.error(f"Nothing was reloaded, the old settings stay. {error}")
                raise
            finally:
                self._manager.reloaded()
        for sentence in changed:
            self._log.info(f"Reloaded: {sentence}")
        self._log.info("Settings reloaded." if changed else "Settings reloaded: nothing has changed.")
        return changed

    def soon(self) -> None:
        """Reload for a signal, on the running loop; what is wrong stands in the log."""
        task = asyncio.create_task(self._reload_and_log())
        self._begun.add(task)
        task.add_done_callback(self._begun.discard)

    async def _reload_and_log(self) -> None:
        try:
            await self.reload()
        except AtcaProvError:
            pass  # it is logged
        except Exception as error:
            self._log.error(str(internal_error(error)))

    async def _reload(self) -> list[str]:
        take_overs = [await asyncio.to_thread(read) for read in self._readers]
        return [sentence for take_over in take_overs for sentence in take_over()]

    async def answer(self, _: dict[str, Any]) -> dict[str, Any]:
        """Answer the command `reload`."""
        return {"changed": await self.reload()}
