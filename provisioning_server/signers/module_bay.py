"""The places where signer modules and HSMs are plugged in: looks again and again what came and what went."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Protocol

from atcaprov.errors import AtcaProvError, Code, TransportError
from provisioning_server import refusals
from provisioning_server.signers.attendant import SignerAttendant
from provisioning_server.signers.opening import open_signer
from provisioning_server.signers.roster import SignerRoster
from provisioning_server.signers.signer import Signer, label
from provisioning_server.signers.signing_thread import SigningLog
from provisioning_server.signers.sources import ModuleSource

SCAN_SECONDS: Final = 1.0
CHECK_EVERY: Final = 5
"""Scans after which a module is asked whether it is still there: not every bus can tell that it was unplugged."""


class Module(Signer, Protocol):
    """A signer that can be unplugged."""

    def check_present(self) -> None:
        """Raise TransportError when it is gone."""


class ModuleBay:
    """Opens what is plugged in and gives it to the attendant. Its methods run on the event loop."""

    def __init__(
        self,
        sources: Sequence[ModuleSource],
        roster: SignerRoster,
        attendant: SignerAttendant,
        log: SigningLog,
        open_module: Callable[[str], Module] = open_signer,
    ) -> None:
        self._sources = sources
        self._roster = roster
        self._attendant = attendant
        self._log = log
        self._open_module = open_module
        self._modules: dict[str, Module] = {}
        self._unusable: dict[str, str] = {}  # by URL that is not tried again until nothing is there any more: why
        self._told: dict[str, str] = {}  # by URL: why nothing answers there, so that it is said once
        self._scans = 0

    async def run(self, pause: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Scan without end."""
        while self._sources:
            await pause(SCAN_SECONDS)
            await self.scan()

    async def scan(self) -> None:
        """Look once which modules came and which went."""
        self._scans += 1
        present = await self._present()
        self._unusable = {url: why for url, why in self._unusable.items() if url in present}
        for url, module in list(self._modules.items()):
            if url not in present:
                await self._dismiss(url, "unplugged.")
            elif module not in self._roster:
                await self._dismiss(url, "")
            elif self._scans % CHECK_EVERY == 0 and self._roster.usable(module):
                await self._check(url, module)
        new = [url for url in present if url not in self._modules and url not in self._unusable]
        opened = [(url, arrived) for url in new if (arrived := await self._open(url)) is not None]
        for url, arrived in opened:  # all are open by now, so no password is guessed with while others are to come
            await self._welcome(url, arrived, [other for _, other in opened if other is not arrived])

    def unusable(self) -> dict[str, str]:
        """Return the URLs where something is that should be a signer and is none that can be used, and why not."""
        return {url: why for url, why in self._unusable.items() if why}

    async def _present(self) -> list[str]:
        try:
            found = await asyncio.to_thread(lambda: [url for source in self._sources for url in source.present()])
        except (AtcaProvError, OSError) as error:
            self._say_once("", f"The scan for modules failed: {error}")
            return list(self._modules)
        return list(dict.fromkeys(found))

    async def _open(self, url: str) -> Module | None:
        try:
            module = await asyncio.to_thread(self._open_module, url)
        except TransportError as error:
            self._say_once(url, f"No signer answers at {url}: {error}")
            return None
        except Exception as error:  # whatever hangs there, the server and its other signers go on
            self._refuse(url, error)
            return None
        self._told.pop(url, None)
        return module

    async def _welcome(self, url: str, module: Module, beside: Sequence[Module]) -> None:
        self._modules[url] = module
        try:
            await self._attendant.welcome(module, beside)
        except TransportError:
            await self._dismiss(url, "unplugged.")
        except Exception as error:
            await self._dismiss(url, "")
            self._refuse(url, error)

    def _say_once(self, url: str, text: str) -> None:
        if self._told.get(url) != text:
            self._told[url] = text
            self._log.warning(text)

    def _refuse(self, url: str, error: Exception) -> None:
        self._unusable[url] = ""
        if isinstance(error, AtcaProvError) and error.code == Code.NOT_A_MODULE:
            self._log.info(f"What is at {url} is not used: {error}")
        else:
            text = str(error) if isinstance(error, AtcaProvError) else repr(error)
            self._unusable[url] = text
            self._log.error(f"The signer at {url} is not used until it is plugged in anew: {text}")

    async def _dismiss(self, url: str, words: str) -> None:
        await self._attendant.dismiss(self._modules.pop(url), words)

    async def _check(self, url: str, module: Module) -> None:
        try:
            await asyncio.to_thread(module.check_present)
        except TransportError as error:
            await self._dismiss(url, f"does not answer any more: {error}")
        except AtcaProvError as error:
            self._roster.exclude(module, refusals.SIGNER_QUARANTINED, str(error))
            name = label(module.serial, module.name)
            self._log.error(f"{name} gave a wrong answer and is used no more until it is plugged in anew: {error}")
