"""Notices which signer modules and HSMs are plugged in and unplugged, by scanning repeatedly.

Each URL has at most one task at a time: a module that does not answer does not delay the others.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Final, Protocol, TypeVar

from atcaprov.errors import AtcaProvError, Code, ProtocolError, TransportError
from atcaprov.log import Log
from provisioning_server import rejections
from provisioning_server.internal_error import internal_error
from provisioning_server.lifecycle.signer_lifecycle import SignerLifecycle
from provisioning_server.lifecycle.signer_sources import SignerSource, open_signer
from provisioning_server.log_names import label
from provisioning_server.signers.registry import AlreadyConnectedError, SignerRegistry
from provisioning_server.signers.signer import Signer

SCAN_SECONDS: Final = 1.0
CHECK_EVERY: Final = 5
"""Scans after which a module is asked whether it is still there: not every bus can tell that it was unplugged."""
AT_ONCE: Final = 16
"""Modules that are opened or checked at the same time."""
_Answer = TypeVar("_Answer")


class RemovableSigner(Signer, Protocol):
    """A signer that can be unplugged."""

    def check_present(self) -> None:
        """Raise TransportError when it is gone."""


class ModuleWatcher:
    """Opens what is plugged in and hands it to the signer lifecycle. Its methods run on the event loop.

    Until everything that was there at the first scan has been opened, the registry refuses no request permanently.
    """

    def __init__(
        self,
        sources: Sequence[SignerSource],
        registry: SignerRegistry,
        lifecycle: SignerLifecycle,
        log: Log,
        open_module: Callable[[str], RemovableSigner] = open_signer,
    ) -> None:
        self._sources = sources
        self._registry = registry
        self._lifecycle = lifecycle
        self._log = log
        self._open_module = open_module
        self._modules: dict[str, RemovableSigner] = {}
        self._arriving: dict[str, RemovableSigner] = {}  # open, and not taken in yet
        self._opening: dict[str, asyncio.Future[None]] = {}  # what may become a module, from the scan that found it
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._unusable: dict[str, str] = {}  # by URL that is not tried again until it was empty once: why
        self._duplicates: dict[str, tuple[int, str]] = {}  # by URL: tried again after this change of the registry; why
        self._logged: dict[str, str] = {}  # by URL: the last message about it, so that it is logged once
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="module")
        self._scans = 0
        self._stopping = False
        self._first_looked_at = asyncio.Event()
        if sources:
            registry.expect_more()

    async def run(self, pause: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Scan until cancelled."""
        while self._sources:
            await pause(SCAN_SECONDS)
            await self.scan()

    async def scan(self) -> None:
        """Look once which modules were plugged in or unplugged; `settled` waits until they are handled."""
        self._scans += 1
        present = await self._present()
        self._unusable = {url: why for url, why in self._unusable.items() if url in present}
        self._duplicates = {url: why for url, why in self._duplicates.items() if url in present}
        for url in dict.fromkeys((*self._modules, *present)):
            if url not in self._tasks and (work := self._work(url, url in present)) is not None:
                self._tasks[url] = asyncio.create_task(self._guarded(url, work))
        if self._scans == 1:
            first = [*self._tasks.values()]
            self._tasks[""] = asyncio.create_task(self._first_ended(first))

    async def looked_at_first(self) -> None:
        """Wait until everything from the first scan has been opened or refused."""
        await self._first_looked_at.wait()

    async def settled(self) -> None:
        """Wait until all tasks have ended."""
        while self._tasks:
            await asyncio.wait(self._tasks.values())

    async def stop(self) -> None:
        """Open nothing more, and wait for what is being opened."""
        self._stopping = True
        await self.settled()
        self._threads.shutdown(wait=False)

    def unusable(self) -> dict[str, str]:
        """Return the URLs of signers that cannot be used, and why."""
        twice = {url: why for url, (_, why) in self._duplicates.items()}
        return {url: why for url, why in (self._unusable | twice).items() if why}

    def _work(self, url: str, present: bool) -> Coroutine[Any, Any, None] | None:
        """Return what is to be done at a URL."""
        module = self._modules.get(url)
        if module is None:
            return self._arrival(url) if self._worth_opening(url) else None
        if not present:
            return self._unplug(url, "unplugged.")
        if module not in self._registry:
            return self._unplug(url, "")
        if self._lifecycle.worth_trying_again(module):
            return self._try_again(url, module)
        if self._scans % CHECK_EVERY == 0 and not self._lifecycle.unlock_service.busy(module):
            return self._check(url, module)
        return None

    async def _guarded(self, url: str, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except Exception as error:  # an error at one URL does not stop the others
            self._refuse(url, error)
        finally:
            del self._tasks[url]

    async def _first_ended(self, first: Sequence[asyncio.Task[None]]) -> None:
        await asyncio.gather(*first)
        self._registry.expect_no_more()
        self._first_looked_at.set()
        del self._tasks[""]

    async def _present(self) -> list[str]:
        try:
            found = await asyncio.to_thread(lambda: [url for source in self._sources for url in source.present()])
        except Exception as error:
            self._say_once("", f"The scan for modules failed: {_text(error)}")
            return [*self._modules, *self._unusable, *self._duplicates]
        return list(dict.fromkeys(found))

    def _worth_opening(self, url: str) -> bool:
        duplicate = self._duplicates.get(url)
        tried_since = duplicate is not None and duplicate[0] == self._registry.changes
        return not self._stopping and url not in self._unusable and not tried_since

    def _arrival(self, url: str) -> Coroutine[Any, Any, None]:
        """Note an arrival before its task runs: a module that opens at once must not seem to be the only one."""
        self._opening[url] = asyncio.get_running_loop().create_future()
        return self._arrive(url)

    async def _arrive(self, url: str) -> None:
        try:
            module = await self._open(url)
            if module is not None:
                self._arriving[url] = module
        finally:
            self._opening.pop(url).set_result(None)
        if module is None:
            return
        try:
            await self._plug_in(url, module)
        finally:
            del self._arriving[url]

    async def _open(self, url: str) -> RemovableSigner | None:
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._threads, _once_more, lambda: self._open_module(url))
        except TransportError as error:
            self._say_once(url, f"No signer answers at {url}: {error}")
        except Exception as error:  # an error at this URL does not stop the server and its other signers
            self._refuse(url, error)
        return None

    async def _plug_in(self, url: str, module: RemovableSigner) -> None:
        self._modules[url] = module
        beside = partial(self._beside, set())
        try:
            await beside(module)
            await self._replace_quarantined(module)
            if self._stopping:
                await self._unplug(url, "")
                return
            await self._lifecycle.plug_in(module, beside)
        except TransportError:
            await self._unplug(url, "unplugged.")
        except AlreadyConnectedError as error:
            await self._unplug(url, "")
            self._duplicate(url, module, error)
        except Exception as error:
            await self._unplug(url, "")
            self._refuse(url, error)
        else:
            self._logged.pop(url, None)
            self._duplicates.pop(url, None)

    async def _beside(self, known: set[str], module: Signer) -> list[RemovableSigner]:
        """Return the others that arrive. Where a password would be guessed, first wait until each is `known`.

        Each URL is waited for once: one that never answers is opened again and again.
        """
        while (coming := self._opening.keys() - known) and self._lifecycle.would_guess(module):
            known |= coming
            await asyncio.wait([self._opening[url] for url in coming])
        return [each for each in self._arriving.values() if each is not module]

    async def _try_again(self, url: str, module: RemovableSigner) -> None:
        try:
            await self._lifecycle.try_again(module, partial(self._beside, set()))
        except Exception as error:  # a credential that cannot be read any more
            await self._unplug(url, "")
            self._refuse(url, error)

    async def _replace_quarantined(self, module: RemovableSigner) -> None:
        """Remove a signer with the same key that gave a wrong answer: it may have claimed a key that is not its own."""
        entry = self._registry.entry_of(module.documents.signer_public_key)
        if entry is None or entry.trouble is not rejections.SIGNER_QUARANTINED:
            return
        holder = self._url_of(entry.signer)
        if holder is not None and holder not in self._tasks:
            self._unusable[holder] = entry.reason
            await self._unplug(holder, "is replaced by another one with the same key.")

    def _duplicate(self, url: str, module: RemovableSigner, error: AlreadyConnectedError) -> None:
        entry = self._registry.entry_of(module.documents.signer_public_key)
        holder = self._url_of(entry.signer) if entry is not None else None
        where = f" at {holder}" if holder is not None else ""
        text = f"The signer at {url} is not used while another one with its key is connected{where}: {error}"
        tried = (
            self._registry.changes if holder not in self._tasks else -1
        )  # it may have to go, when that task has ended
        self._duplicates[url] = tried, text
        self._say_once(url, text)

    def _url_of(self, signer: Signer) -> str | None:
        return next((url for url, module in self._modules.items() if module is signer), None)

    def _say_once(self, url: str, text: str) -> None:
        if self._logged.get(url) != text:
            self._logged[url] = text
            self._log.warning(text)

    def _refuse(self, url: str, error: Exception) -> None:
        self._unusable[url] = ""
        if isinstance(error, AtcaProvError) and error.code == Code.NOT_A_MODULE:
            self._log.info(f"Ignored the device at {url}: {error}")
        else:
            self._unusable[url] = _text(error)
            self._log.error(f"The signer at {url} is out of use until it is reconnected: {_text(error)}")

    async def _unplug(self, url: str, words: str) -> None:
        await self._lifecycle.unplug(self._modules.pop(url), words)

    async def _check(self, url: str, module: RemovableSigner) -> None:
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(self._threads, _once_more, module.check_present)
        except TransportError as error:
            await self._unplug(url, f"no longer answers: {error}")
        except Exception as error:
            entry = self._registry.entry_of(module.documents.signer_public_key)
            if entry is not None and entry.trouble is None:
                self._registry.exclude(module, rejections.SIGNER_QUARANTINED, _text(error))
                self._log.error(
                    f"{label(module.serial, module.name)} gave a wrong answer and is out of use until it is "
                    f"reconnected: {_text(error)}"
                )


def _once_more(ask: Callable[[], _Answer]) -> _Answer:
    """Ask again after a damaged answer: a single one may be noise on the line."""
    try:
        return ask()
    except ProtocolError:
        return ask()


def _text(error: Exception) -> str:
    return str(internal_error(error))
