"""What comes and goes at the bay, scan by scan: no sockets, no time."""

from __future__ import annotations

import asyncio
import copy
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from atcaprov.errors import Code, ProtocolError, ProvisioningError, TransportError, UsageError
from atcaprov.hal.discovery import PluggedKit
from atcaprov.terminal import Key, KeyPress
from atcaprov.wire.messages import ErrorReply
from provisioning_server import refusals
from provisioning_server.passwords.given import GivenPasswords, password_lines
from provisioning_server.passwords.tries import PasswordTries
from provisioning_server.signers.attendant import SignerAttendant
from provisioning_server.signers.module_bay import CHECK_EVERY, ModuleBay
from provisioning_server.signers.roster import SignerRoster
from provisioning_server.signers.signer import label
from provisioning_server.signers.signing_queue import SigningQueue
from provisioning_server.signers.sources import ModuleFolder, NamedModules, PluggedKits
from tests.support.memory_signer import NOW, MemorySigner
from tests.support.server import PATIENCE
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
        self.held: dict[str, threading.Event] = {}
        self.log = RememberingLog()
        self.roster = SignerRoster()
        self.queue = SigningQueue(self.roster, lambda _: None)
        given = GivenPasswords(password_lines(b"\n".join(passwords), "the test"))
        self.attendant = SignerAttendant(self.roster, self.queue, self.log, lambda: NOW, PasswordTries(given))
        self.bay = ModuleBay([self], self.roster, self.attendant, self.log, self._open)

    async def scan(self) -> None:
        """Look once, and wait until all is done that follows of it."""
        await self.bay.scan()
        await self.bay.settled()

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


def run(work: Callable[[Bench], Awaitable[None]], *passwords: bytes) -> Bench:
    async def main() -> Bench:
        bench = Bench(*passwords)
        await work(bench)
        bench.queue.stop()
        await bench.bay.stop()
        await bench.attendant.stop()
        return bench

    return asyncio.run(main())


def test_a_module_is_welcomed_once_and_let_go_when_it_is_away() -> None:
    module = TestModule()

    async def work(bench: Bench) -> None:
        bench.plugged[URL] = module
        for _ in range(3):
            await bench.scan()
        assert list(bench.roster) == [module]
        del bench.plugged[URL]
        await bench.scan()
        assert list(bench.roster) == []

    bench = run(work)
    name = label(module.serial, module.name)
    assert bench.log.lines == [f"info: {name} ready.", f"warning: {name} unplugged."]
    assert (bench.opened, module.closed) == ([URL], 1)


def test_a_password_is_forgotten_when_the_module_is_unplugged() -> None:
    module = TestModule(password=b"secret")

    async def work(bench: Bench) -> None:
        bench.plugged[URL] = module
        await bench.scan()
        asking = asyncio.create_task(bench.attendant.ask())
        while not bench.log.prompts:
            await asyncio.sleep(0)
        for press in (KeyPress(Key.TEXT, "secret"), KeyPress(Key.ENTER)):
            bench.attendant.prompt.press(press)
        while not bench.roster.usable(module):
            await asyncio.sleep(0)
        del bench.plugged[URL]
        await bench.scan()
        assert not module.ready
        bench.plugged[URL] = module
        await bench.scan()
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
            await bench.scan()
        bench.plugged[URL] = TestModule()
        await bench.scan()

    bench = run(work)
    assert bench.log.lines[0] == f"warning: No signer answers at {URL}: Nobody answers."
    assert bench.log.lines[1].endswith("ready.")
    assert len(bench.log.lines) == 2
    assert bench.opened == [URL] * 4


@pytest.mark.parametrize(
    ("error", "level", "tries"),
    [
        (ProvisioningError("A client's kit.", code=Code.NOT_A_MODULE), "info", 1),
        (ProtocolError("Garbage."), "error", 2),
        (RuntimeError("bug"), "error", 1),
    ],
)
def test_what_is_no_module_is_left_alone_until_it_was_away(error: Exception, level: str, tries: int) -> None:
    async def work(bench: Bench) -> None:
        bench.plugged[URL] = error
        for _ in range(3):
            await bench.scan()
        del bench.plugged[URL]
        await bench.scan()
        bench.plugged[URL] = TestModule()
        await bench.scan()

    bench = run(work)
    assert [line.partition(":")[0] for line in bench.log.lines] == [level, "info"]
    assert bench.opened == [URL] * (tries + 1)


def test_the_same_module_at_two_urls_is_used_once_and_at_the_other_when_the_first_is_away() -> None:
    module = TestModule()
    twin = copy.copy(module)

    async def work(bench: Bench) -> None:
        bench.plugged[URL] = module
        await bench.scan()
        bench.plugged["test:other-way"] = twin
        for _ in range(3):
            await bench.scan()
        assert list(bench.roster) == [module]
        assert list(bench.bay.unusable()) == ["test:other-way"]
        assert bench.opened == [URL, "test:other-way"]
        del bench.plugged[URL]
        for _ in range(2):
            await bench.scan()
        assert list(bench.roster) == [twin]
        assert bench.bay.unusable() == {}

    bench = run(work)
    (said,) = [line for line in bench.log.lines if "is here already" in line]
    assert said.startswith("warning: The signer at test:other-way is not used while there is one with its key")
    assert f" at {URL}: " in said


def test_one_that_gave_a_wrong_answer_gives_way_to_another_with_its_key() -> None:
    fake = TestModule()
    real = copy.copy(fake)

    async def work(bench: Bench) -> None:
        bench.plugged.update({URL: fake})
        await bench.scan()
        bench.plugged["test:real"] = real
        await bench.scan()
        assert list(bench.roster) == [fake]
        bench.roster.exclude(fake, refusals.SIGNER_QUARANTINED, "A wrong signature.")
        await bench.scan()
        assert list(bench.roster) == [real]
        assert bench.bay.unusable() == {URL: "A wrong signature."}
        await bench.scan()
        assert bench.opened == [URL, "test:real", "test:real"]

    run(work)
    assert fake.closed == 1


def test_a_module_that_does_not_answer_keeps_no_other_waiting() -> None:
    silent, good = threading.Event(), TestModule(password=b"secret")

    async def work(bench: Bench) -> None:
        bench.held["test:silent"] = silent
        bench.plugged["test:silent"] = GONE
        await bench.bay.scan()
        bench.plugged[URL] = good
        for _ in range(2):
            await bench.bay.scan()
        while list(bench.roster) != [good]:
            await asyncio.sleep(0)
        del bench.plugged[URL]
        await bench.bay.scan()
        while list(bench.roster):
            await asyncio.sleep(0)
        assert bench.opened.count("test:silent") == 1
        unknown = bench.roster.choose(bytes(64))
        assert isinstance(unknown, ErrorReply)
        assert unknown.retryable
        silent.set()
        await bench.bay.settled()
        assert bench.roster.choose(bytes(64)) == refusals.SIGNER_UNKNOWN

    run(work)


def test_no_password_is_guessed_with_while_another_module_is_being_opened() -> None:
    slow, first, second = threading.Event(), TestModule(password=b"secret"), TestModule(password=b"other")

    async def work(bench: Bench) -> None:
        bench.held["test:slow"] = slow
        bench.plugged.update({URL: first, "test:slow": second})
        await bench.bay.scan()
        while bench.opened != [URL, "test:slow"]:
            await asyncio.sleep(0)
        slow.set()
        await bench.bay.settled()
        assert sorted(bench.roster.waiting(), key=id) == sorted([first, second], key=id)

    run(work, b"secret")


@pytest.mark.parametrize("trouble", [False, True], ids=["waiting", "quarantined"])
def test_a_module_that_does_not_sign_is_asked_too_whether_it_is_there(trouble: bool) -> None:
    module = TestModule(password=b"secret")

    async def work(bench: Bench) -> None:
        bench.plugged[URL] = module
        await bench.scan()
        if trouble:
            bench.roster.exclude(module, refusals.SIGNER_QUARANTINED, "Nonsense.")
        module.absent = bench.plugged[URL] = GONE
        for _ in range(CHECK_EVERY):
            await bench.scan()
        assert list(bench.roster) == []

    assert any("does not answer any more" in line for line in run(work).log.lines)


def test_one_damaged_answer_is_noise() -> None:
    class Noisy(TestModule):
        noise = 1

        def check_present(self) -> None:
            self.noise -= 1
            if self.noise == 0:
                raise ProtocolError("Garbage.")

    module = Noisy()

    async def work(bench: Bench) -> None:
        bench.plugged[URL] = module
        for _ in range(2 * CHECK_EVERY):
            await bench.scan()
        assert bench.roster.usable(module)

    run(work)
    assert module.noise < 0


def test_a_module_that_is_gone_without_a_sign_is_found_out() -> None:
    quiet, faulty = TestModule(), TestModule()

    async def work(bench: Bench) -> None:
        bench.plugged.update({URL: quiet, "test:faulty": faulty})
        await bench.scan()
        quiet.absent, faulty.absent = GONE, ProtocolError("Another chip.")
        bench.plugged[URL] = GONE
        for _ in range(CHECK_EVERY):
            await bench.scan()
        assert quiet not in bench.roster
        assert bench.roster.choose(faulty.documents.signer_public_key) == refusals.SIGNER_QUARANTINED

    bench = run(work)
    assert f"warning: {label(quiet.serial, quiet.name)} does not answer any more: Nobody answers." in bench.log.lines
    assert any(line.startswith(f"error: {label(faulty.serial, faulty.name)}") for line in bench.log.lines)


def test_a_scan_that_fails_changes_nothing() -> None:
    async def work(bench: Bench) -> None:
        bench.plugged[URL] = TestModule()
        await bench.scan()
        bench.scan_fails = TransportError("hidapi is missing.", code=Code.LIBRARY_MISSING)
        for _ in range(2):
            await bench.scan()
        assert len(list(bench.roster)) == 1

    assert run(work).log.lines[1:] == ["warning: The scan for modules failed: hidapi is missing."]


def test_a_module_that_goes_while_its_password_is_tried(tmp_path: Path) -> None:
    class Going(TestModule):
        def unlock(self, password: bytes | None) -> None:
            raise GONE

    going = Going(password=b"secret")

    async def work(bench: Bench) -> None:
        bench.plugged[URL] = going
        await bench.scan()
        assert list(bench.roster) == []

    run(work, b"secret")
    assert going.closed == 1


class CostlyModule(TestModule):
    """Its password takes more memory than there is, until there is enough."""

    enough = False
    tries = 0

    def unlock(self, password: bytes | None) -> None:
        self.tries += 1
        if not self.enough:
            raise UsageError("That takes 128 MiB of memory.", code=Code.PASSWORD_MEMORY)
        super().unlock(password)


def test_a_module_whose_key_is_here_already_is_given_no_password() -> None:
    first = CostlyModule(password=b"secret")
    twin, first.enough = copy.copy(first), True

    async def work(bench: Bench) -> None:
        bench.plugged[URL] = first
        await bench.scan()
        assert bench.roster.usable(first)
        bench.plugged["test:twin"] = twin
        await bench.scan()
        assert "test:twin" in bench.opened

    run(work, b"secret")
    assert twin.tries == 0


def test_a_module_for_whose_password_there_is_too_little_memory_is_not_opened_again_and_again() -> None:
    module = CostlyModule(password=b"secret")

    async def work(bench: Bench) -> None:
        bench.plugged[URL] = module
        await bench.scan()
        await bench.attendant.desk.attempt(module, b"secret")
        for _ in range(2 * CHECK_EVERY):
            await bench.scan()
        assert bench.roster.waiting() == [module]
        assert bench.opened == [URL]

    told = run(work).log.lines
    assert [line.startswith("warning: ") for line in told] == [False, True]


def test_a_given_password_for_which_there_is_too_little_memory_is_tried_again_less_and_less_often() -> None:
    module = CostlyModule(password=b"secret")

    async def work(bench: Bench) -> None:
        bench.plugged[URL] = module
        tries = []
        for _ in range(200):
            await bench.scan()
            tries.append(module.tries)
        assert [scan for scan in range(1, 200) if tries[scan] > tries[scan - 1]] == [1, 3, 7, 15, 31, 63, 127, 191]
        assert bench.roster.waiting() == [module]
        assert "tried again until it can be" in bench.attendant.desk.untried(module)
        assert sum("128 MiB" in line for line in bench.log.lines) == 1
        module.enough = True
        for _ in range(64):
            await bench.scan()
        assert bench.roster.usable(module)
        assert bench.opened == [URL]

    bench = run(work, b"secret")
    assert bench.attendant.desk.wrong(module) == 0
    assert bench.log.lines[-1] == f"info: {label(module.serial, module.name)} password accepted, ready."


def test_a_module_that_is_plugged_in_anew_has_its_given_password_tried_at_once() -> None:
    module = CostlyModule(password=b"secret")

    async def work(bench: Bench) -> None:
        bench.plugged[URL] = module
        for _ in range(5):
            await bench.scan()
        del bench.plugged[URL]
        await bench.scan()
        assert module not in bench.attendant.postponed
        bench.plugged[URL], module.enough = module, True
        await bench.scan()
        assert bench.roster.usable(module)

    run(work, b"secret")


def test_a_password_that_turns_out_to_be_wrong_when_there_is_memory_is_not_tried_again() -> None:
    module = CostlyModule(password=b"another")

    async def work(bench: Bench) -> None:
        bench.plugged[URL] = module
        await bench.scan()
        module.enough = True
        for _ in range(20):
            await bench.scan()
        assert module.tries == 2
        assert bench.roster.waiting() == [module]
        assert bench.attendant.desk.untried(module) == ""
        del bench.plugged[URL]
        await bench.scan()
        bench.plugged[URL] = module
        await bench.scan()
        assert bench.roster.waiting() == [module]
        assert module.tries == 2

    bench = run(work, b"secret")
    name = label(module.serial, module.name)
    first = bench.log.lines.index(f"warning: {name} password wrong.")
    assert bench.log.lines[first : first + 2] == [
        f"warning: {name} password wrong.",
        f"warning: {name} does not take the password that was given. It is not tried again.",
    ]


def test_a_password_typed_meanwhile_ends_the_tries_of_the_given_one() -> None:
    module = CostlyModule(password=b"typed")

    async def work(bench: Bench) -> None:
        bench.plugged[URL] = module
        await bench.scan()
        module.enough = True
        await bench.attendant.desk.attempt(module, b"typed")
        tries = module.tries
        for _ in range(CHECK_EVERY):
            await bench.scan()
        assert module.tries == tries
        assert bench.roster.usable(module)

    run(work, b"given")


class HeldModule(CostlyModule):
    """Takes long to try a password: until it is told to go on."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.trying, self.go_on = threading.Event(), threading.Event()

    def unlock(self, password: bytes | None) -> None:
        self.trying.set()
        assert self.go_on.wait(PATIENCE)
        super().unlock(password)


def test_a_given_password_waits_while_another_is_being_tried() -> None:
    module = HeldModule(password=b"typed")
    module.go_on.set()

    async def work(bench: Bench) -> None:
        bench.plugged[URL] = module
        await bench.scan()
        module.trying.clear()
        module.go_on.clear()
        attempt = asyncio.create_task(bench.attendant.desk.attempt(module, b"typed"))
        while not module.trying.is_set() and not attempt.done():
            await asyncio.sleep(0)
        meanwhile = bench.attendant.worth_trying_again(module)
        module.go_on.set()  # before any assert: the thread that tries would be waited for
        await attempt
        assert not meanwhile
        assert bench.attendant.worth_trying_again(module)

    run(work, b"given")


def threads_of(module: TestModule) -> int:
    return sum(thread.name == label(module.serial, module.name) for thread in threading.enumerate())


def test_a_module_signs_from_the_moment_at_which_it_is_ready() -> None:
    module, open_module = TestModule(password=b"secret"), TestModule()
    module.remaining = open_module.remaining = 2000

    async def work(bench: Bench) -> None:
        bench.plugged.update({URL: module, "test:open": open_module})
        await bench.scan()
        assert (threads_of(module), threads_of(open_module)) == (0, 1)
        assert said(bench, module) == ["info: {} requires password."]
        assert said(bench, open_module) == ["info: {} ready.", "info: {} can issue 2000 more."]
        await bench.attendant.desk.attempt(module, b"secret")
        assert (threads_of(module), threads_of(open_module)) == (1, 1)
        assert said(bench, module)[1:] == ["info: {} password accepted, ready.", "info: {} can issue 2000 more."]

    run(work)
    assert (threads_of(module), threads_of(open_module)) == (0, 0)


def said(bench: Bench, module: TestModule) -> list[str]:
    name = label(module.serial, module.name)
    return [line.replace(name, "{}") for line in bench.log.lines if name in line]


def test_the_console_asks_no_more_for_a_module_whose_password_came_from_elsewhere() -> None:
    module = TestModule(password=b"secret")

    async def work(bench: Bench) -> None:
        bench.plugged[URL] = module
        await bench.scan()
        asking = asyncio.create_task(bench.attendant.ask())
        while not bench.log.prompts:
            await asyncio.sleep(0)
        await bench.attendant.desk.attempt(module, b"secret")
        assert bench.log.prompts[1:] == ["answered"]
        asking.cancel()

    run(work)


def test_all_are_let_go_at_the_stop_though_one_can_not_be_closed() -> None:
    class Stuck(TestModule):
        def close(self) -> None:
            super().close()
            raise TransportError("The adapter is gone.")

    stuck, other = Stuck(), TestModule(password=b"secret")

    async def work(bench: Bench) -> None:
        bench.plugged.update({URL: stuck, "test:other": other})
        await bench.scan()
        await bench.attendant.desk.attempt(other, b"secret")
        assert other.ready

    bench = run(work)
    assert said(bench, stuck)[1:] == ["warning: {} can't be closed: The adapter is gone."]
    assert (stuck.closed, other.closed, other.ready) == (1, 1, False)


def test_a_named_module_that_the_system_does_not_show_hides_no_other() -> None:
    urls = [f"emulator:{'x' * 300}", "i2c://1/0x60"]  # longer than a name can be
    assert NamedModules(urls).present() == urls


def test_sources_tell_what_is_there(tmp_path: Path) -> None:
    chip = tmp_path / "chip.json"
    named = NamedModules([f"emulator:{chip}", "i2c://1/0x60", "kit-hid:///dev/no-such-node", "i2c://1/0x60"])
    assert named.present() == ["i2c://1/0x60"]
    chip.touch()
    assert named.present() == [f"emulator:{chip}", "i2c://1/0x60"]
    assert ModuleFolder(tmp_path).present() == [f"emulator:{chip}"]
    kit = PluggedKit("hid", "/dev/hidraw3", "1-2", 0x03EB, 0x2312, "", "", "")
    assert PluggedKits(lambda: [kit]).present() == ["kit-hid:///dev/hidraw3"]
