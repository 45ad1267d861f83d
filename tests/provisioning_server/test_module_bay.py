"""What comes and goes at the bay, scan by scan: no sockets, no time."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from atcaprov.errors import Code, ProtocolError, ProvisioningError, TransportError
from atcaprov.hal.discovery import PluggedKit
from atcaprov.terminal import Key, KeyPress
from provisioning_server import refusals
from provisioning_server.given_passwords import GivenPasswords, password_lines
from provisioning_server.password_tries import PasswordTries
from provisioning_server.signers.attendant import SignerAttendant
from provisioning_server.signers.module_bay import CHECK_EVERY, ModuleBay
from provisioning_server.signers.roster import SignerRoster
from provisioning_server.signers.signer import label
from provisioning_server.signers.signing_queue import SigningQueue
from provisioning_server.signers.sources import ModuleFolder, NamedModules, PluggedKits
from tests.support.memory_signer import NOW, MemorySigner
from tests.support.server_parts import RememberingLog

URL = "test:module"
GONE = TransportError("Nobody answers.")


class TestModule(MemorySigner):
    """A module that can fail to be there."""

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


class Bench:
    """A bay whose plugs a test holds: `plugged` maps URLs to modules or to what opening them raises."""

    def __init__(self, *passwords: bytes) -> None:
        self.plugged: dict[str, TestModule | Exception] = {}
        self.scan_fails: Exception | None = None
        self.opened: list[str] = []
        self.log = RememberingLog()
        self.roster = SignerRoster()
        self.queue = SigningQueue(self.roster, lambda _: None)
        given = GivenPasswords(password_lines(b"\n".join(passwords), "the test"))
        self.attendant = SignerAttendant(self.roster, self.queue, self.log, lambda: NOW, PasswordTries(given))
        self.bay = ModuleBay([self], self.roster, self.attendant, self.log, self._open)

    def present(self) -> list[str]:
        if self.scan_fails is not None:
            raise self.scan_fails
        return list(self.plugged)

    def _open(self, url: str) -> TestModule:
        self.opened.append(url)
        found = self.plugged[url]
        if isinstance(found, Exception):
            raise found
        return found


def run(work: Callable[[Bench], Awaitable[None]], *passwords: bytes) -> Bench:
    async def main() -> Bench:
        bench = Bench(*passwords)
        await work(bench)
        bench.queue.stop()
        await bench.attendant.stop()
        return bench

    return asyncio.run(main())


def test_a_module_is_welcomed_once_and_let_go_when_it_is_away() -> None:
    module = TestModule()

    async def work(bench: Bench) -> None:
        bench.plugged[URL] = module
        for _ in range(3):
            await bench.bay.scan()
        assert list(bench.roster) == [module]
        del bench.plugged[URL]
        await bench.bay.scan()
        assert list(bench.roster) == []

    bench = run(work)
    name = label(module.serial, module.name)
    assert bench.log.lines == [f"info: {name} ready.", f"warning: {name} unplugged."]
    assert (bench.opened, module.closed) == ([URL], 1)


def test_a_password_is_forgotten_when_the_module_is_unplugged() -> None:
    module = TestModule(password=b"secret")

    async def work(bench: Bench) -> None:
        bench.plugged[URL] = module
        await bench.bay.scan()
        asking = asyncio.create_task(bench.attendant.ask())
        while not bench.log.prompts:
            await asyncio.sleep(0)
        for press in (KeyPress(Key.TEXT, "secret"), KeyPress(Key.ENTER)):
            bench.attendant.prompt.press(press)
        while not bench.roster.usable(module):
            await asyncio.sleep(0)
        del bench.plugged[URL]
        await bench.bay.scan()
        assert not module.ready
        bench.plugged[URL] = module
        await bench.bay.scan()
        assert bench.roster.waiting() == [module]
        while bench.log.prompts.count(bench.log.prompts[0]) < 2:
            await asyncio.sleep(0)
        asking.cancel()

    bench = run(work)
    assert "secret" not in str(bench.log.lines + bench.log.prompts)


def test_what_does_not_answer_is_tried_again_and_said_once() -> None:
    async def work(bench: Bench) -> None:
        bench.plugged[URL] = GONE
        for _ in range(3):
            await bench.bay.scan()
        bench.plugged[URL] = TestModule()
        await bench.bay.scan()

    bench = run(work)
    assert bench.log.lines[0] == f"warning: No signer answers at {URL}: Nobody answers."
    assert bench.log.lines[1].endswith("ready.")
    assert len(bench.log.lines) == 2
    assert bench.opened == [URL] * 4


@pytest.mark.parametrize(
    ("error", "level"),
    [
        (ProvisioningError("A client's kit.", code=Code.NOT_A_MODULE), "info"),
        (ProtocolError("Garbage."), "error"),
        (RuntimeError("bug"), "error"),
    ],
)
def test_what_is_no_module_is_left_alone_until_it_was_away(error: Exception, level: str) -> None:
    async def work(bench: Bench) -> None:
        bench.plugged[URL] = error
        for _ in range(3):
            await bench.bay.scan()
        del bench.plugged[URL]
        await bench.bay.scan()
        bench.plugged[URL] = TestModule()
        await bench.bay.scan()

    bench = run(work)
    assert [line.partition(":")[0] for line in bench.log.lines] == [level, "info"]
    assert bench.opened == [URL] * 2


def test_the_same_module_at_two_urls_is_used_once() -> None:
    module = TestModule()

    async def work(bench: Bench) -> None:
        bench.plugged[URL] = module
        bench.plugged["test:other-way"] = copy.copy(module)
        await bench.bay.scan()
        assert list(bench.roster) == [module]

    assert "is here already" in run(work).log.lines[-1]


def test_a_module_that_is_gone_without_a_sign_is_found_out() -> None:
    quiet, faulty = TestModule(), TestModule()

    async def work(bench: Bench) -> None:
        bench.plugged.update({URL: quiet, "test:faulty": faulty})
        await bench.bay.scan()
        quiet.absent, faulty.absent = GONE, ProtocolError("Another chip.")
        bench.plugged[URL] = GONE
        for _ in range(CHECK_EVERY):
            await bench.bay.scan()
        assert quiet not in bench.roster
        assert bench.roster.choose(faulty.documents.signer_public_key) == refusals.SIGNER_QUARANTINED

    bench = run(work)
    assert f"warning: {label(quiet.serial, quiet.name)} does not answer any more: Nobody answers." in bench.log.lines
    assert any(line.startswith(f"error: {label(faulty.serial, faulty.name)}") for line in bench.log.lines)


def test_a_scan_that_fails_changes_nothing() -> None:
    async def work(bench: Bench) -> None:
        bench.plugged[URL] = TestModule()
        await bench.bay.scan()
        bench.scan_fails = TransportError("hidapi is missing.", code=Code.LIBRARY_MISSING)
        for _ in range(2):
            await bench.bay.scan()
        assert len(list(bench.roster)) == 1

    assert run(work).log.lines[1:] == ["warning: The scan for modules failed: hidapi is missing."]


def test_a_module_that_goes_while_its_password_is_tried(tmp_path: Path) -> None:
    class Going(TestModule):
        def unlock(self, password: bytes | None) -> None:
            raise GONE

    going = Going(password=b"secret")

    async def work(bench: Bench) -> None:
        bench.plugged[URL] = going
        await bench.bay.scan()
        assert list(bench.roster) == []

    run(work, b"secret")
    assert going.closed == 1


def test_sources_tell_what_is_there(tmp_path: Path) -> None:
    chip = tmp_path / "chip.json"
    named = NamedModules([f"emulator:{chip}", "i2c://1/0x60", "kit-hid:///dev/no-such-node", "i2c://1/0x60"])
    assert named.present() == ["i2c://1/0x60"]
    chip.touch()
    assert named.present() == [f"emulator:{chip}", "i2c://1/0x60"]
    assert ModuleFolder(tmp_path).present() == [f"emulator:{chip}"]
    kit = PluggedKit("hid", "/dev/hidraw3", "1-2", 0x03EB, 0x2312, "", "", "")
    assert PluggedKits(lambda: [kit]).present() == ["kit-hid:///dev/hidraw3"]
