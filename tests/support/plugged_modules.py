"""A module watcher over signer modules that a test plugs in and pulls: no sockets, no waiting."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Any

from atcaprov import TransportError
from provisioning_server.issuing.signing_queue import SigningQueue
from provisioning_server.issuing.signing_thread import SigningThreads
from provisioning_server.lifecycle.module_watcher import ModuleWatcher
from provisioning_server.lifecycle.signer_lifecycle import SignerLifecycle
from provisioning_server.log_names import label
from provisioning_server.passwords.given_passwords import GivenPasswords, password_lines
from provisioning_server.passwords.password_choice import PasswordChoice
from provisioning_server.signers.registry import SignerRegistry
from tests.support.in_memory_signer import NOW, MemorySigner
from tests.support.server import PATIENCE
from tests.support.server_parts import RememberingLog

URL = "test:module"
GONE = TransportError("Nobody answers.")


class TestModule(MemorySigner):
    """A module that can be absent."""

    __test__ = False
    slow = True

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.absent: Exception | None = None
        self.closed = 0

    def check_present(self) -> None:
        if self.absent is not None:
            raise self.absent

    def close(self) -> None:
        super().close()
        self.closed += 1


class ModuleRig:
    """A module watcher under test: `plugged` maps URLs to modules or to what opening them raises."""

    def __init__(self, *passwords: bytes) -> None:
        self.plugged: dict[str, TestModule | Exception] = {}
        self.scan_fails: Exception | None = None
        self.opened: list[str] = []
        self.held: dict[str, threading.Event] = {}
        self.log = RememberingLog()
        self.registry = SignerRegistry()
        self.queue = SigningQueue(self.registry, lambda _: None)
        given = GivenPasswords(password_lines(b"\n".join(passwords), "the test"))
        threads = SigningThreads(self.registry, self.queue, self.log, lambda: NOW)
        self.lifecycle = SignerLifecycle(self.registry, threads, self.log, lambda: NOW, PasswordChoice(given))
        self.watcher = ModuleWatcher([self], self.registry, self.lifecycle, self.log, self._open)

    async def scan(self) -> None:
        """Scan once, and wait until everything that follows from it is done."""
        await self.watcher.scan()
        await self.watcher.settled()

    def present(self) -> list[str]:
        if self.scan_fails is not None:
            raise self.scan_fails
        return list(self.plugged)

    def _open(self, url: str) -> TestModule:
        self.opened.append(url)
        if url in self.held:
            assert self.held[url].wait(PATIENCE)
        found = self.plugged[url]
        if isinstance(found, Exception):
            raise found
        return found


def run(work: Callable[[ModuleRig], Awaitable[None]], *passwords: bytes) -> ModuleRig:
    async def main() -> ModuleRig:
        bench = ModuleRig(*passwords)
        await work(bench)
        bench.queue.stop()
        await bench.watcher.stop()
        await bench.lifecycle.stop()
        return bench

    return asyncio.run(main())


def threads_of(module: TestModule) -> int:
    return sum(thread.name == label(module.serial, module.name) for thread in threading.enumerate())


def said(bench: ModuleRig, module: TestModule) -> list[str]:
    name = label(module.serial, module.name)
    return [line.replace(name, "{}") for line in bench.log.lines if name in line]


async def asked(bench: ModuleRig) -> asyncio.Task[None]:
    """Let the console ask for passwords; return when it does."""
    asking = asyncio.create_task(bench.lifecycle.ask())
    while not bench.log.prompts:
        await asyncio.sleep(0)
    return asking
