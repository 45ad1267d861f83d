"""The life of a signer: its passwords, when it begins to sign, and how it is removed."""

from __future__ import annotations

import asyncio
import copy
import threading
from pathlib import Path
from typing import Any

from atcaprov import Code, TransportError, UsageError
from atcaprov.terminal.keys import Key, KeyPress
from provisioning_server.lifecycle.module_watcher import CHECK_EVERY
from provisioning_server.log_names import label
from tests.support.plugged_modules import GONE, URL, ModuleRig, TestModule, asked, run, said, threads_of
from tests.support.server import PATIENCE


def test_a_password_is_forgotten_when_the_module_is_unplugged() -> None:
    module = TestModule(password=b"secret")

    async def work(bench: ModuleRig) -> None:
        bench.plugged[URL] = module
        await bench.scan()
        asking = await asked(bench)
        for press in (KeyPress(Key.TEXT, "secret"), KeyPress(Key.ENTER)):
            bench.lifecycle.prompt.press(press)
        while not bench.registry.usable(module):
            await asyncio.sleep(0)
        del bench.plugged[URL]
        await bench.scan()
        assert not module.ready
        bench.plugged[URL] = module
        await bench.scan()
        assert bench.registry.waiting() == [module]
        while bench.log.prompts.count(bench.log.prompts[0]) < 2:
            await asyncio.sleep(0)
        asking.cancel()

    bench = run(work)
    assert "secret" not in str(bench.log.lines + bench.log.prompts)


def test_module_unplugged_while_its_password_is_tried(tmp_path: Path) -> None:
    class Going(TestModule):
        def unlock(self, password: bytes | None) -> None:
            raise GONE

    going = Going(password=b"secret")

    async def work(bench: ModuleRig) -> None:
        bench.plugged[URL] = going
        await bench.scan()
        assert list(bench.registry) == []

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


def test_module_with_a_connected_key_gets_no_password() -> None:
    first = CostlyModule(password=b"secret")
    twin, first.enough = copy.copy(first), True

    async def work(bench: ModuleRig) -> None:
        bench.plugged[URL] = first
        await bench.scan()
        assert bench.registry.usable(first)
        bench.plugged["test:twin"] = twin
        await bench.scan()
        assert "test:twin" in bench.opened

    run(work, b"secret")
    assert twin.tries == 0


def test_module_without_memory_for_its_password_is_not_reopened() -> None:
    module = CostlyModule(password=b"secret")

    async def work(bench: ModuleRig) -> None:
        bench.plugged[URL] = module
        await bench.scan()
        await bench.lifecycle.unlock_service.attempt(module, b"secret")
        for _ in range(2 * CHECK_EVERY):
            await bench.scan()
        assert bench.registry.waiting() == [module]
        assert bench.opened == [URL]

    told = run(work).log.lines
    assert [line.startswith("warning: ") for line in told] == [False, True]


def test_given_password_without_memory_is_tried_again_less_and_less_often() -> None:
    module = CostlyModule(password=b"secret")

    async def work(bench: ModuleRig) -> None:
        bench.plugged[URL] = module
        tries = []
        for _ in range(200):
            await bench.scan()
            tries.append(module.tries)
        assert [scan for scan in range(1, 200) if tries[scan] > tries[scan - 1]] == [1, 3, 7, 15, 31, 63, 127, 191]
        assert bench.registry.waiting() == [module]
        assert "tried again automatically" in bench.lifecycle.unlock_service.untried(module)
        assert sum("128 MiB" in line for line in bench.log.lines) == 1
        module.enough = True
        for _ in range(64):
            await bench.scan()
        assert bench.registry.usable(module)
        assert bench.opened == [URL]

    bench = run(work, b"secret")
    assert bench.lifecycle.unlock_service.wrong(module) == 0
    assert bench.log.lines[-1] == f"info: {label(module.serial, module.name)} password accepted, ready."


def test_reconnected_module_gets_its_given_password_at_once() -> None:
    module = CostlyModule(password=b"secret")

    async def work(bench: ModuleRig) -> None:
        bench.plugged[URL] = module
        for _ in range(5):
            await bench.scan()
        del bench.plugged[URL]
        await bench.scan()
        assert module not in bench.lifecycle.postponed
        bench.plugged[URL], module.enough = module, True
        await bench.scan()
        assert bench.registry.usable(module)

    run(work, b"secret")


def test_a_password_that_turns_out_to_be_wrong_when_there_is_memory_is_not_tried_again() -> None:
    module = CostlyModule(password=b"another")

    async def work(bench: ModuleRig) -> None:
        bench.plugged[URL] = module
        await bench.scan()
        module.enough = True
        for _ in range(20):
            await bench.scan()
        assert module.tries == 2
        assert bench.registry.waiting() == [module]
        assert bench.lifecycle.unlock_service.untried(module) == ""
        del bench.plugged[URL]
        await bench.scan()
        bench.plugged[URL] = module
        await bench.scan()
        assert bench.registry.waiting() == [module]
        assert module.tries == 2

    bench = run(work, b"secret")
    name = label(module.serial, module.name)
    first = bench.log.lines.index(f"warning: {name} password wrong.")
    assert bench.log.lines[first : first + 2] == [
        f"warning: {name} password wrong.",
        f"warning: {name} refused the given password. It is not tried again.",
    ]


def test_typed_password_ends_the_tries_of_the_given_one() -> None:
    module = CostlyModule(password=b"typed")

    async def work(bench: ModuleRig) -> None:
        bench.plugged[URL] = module
        await bench.scan()
        module.enough = True
        await bench.lifecycle.unlock_service.attempt(module, b"typed")
        tries = module.tries
        for _ in range(CHECK_EVERY):
            await bench.scan()
        assert module.tries == tries
        assert bench.registry.usable(module)

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

    async def work(bench: ModuleRig) -> None:
        bench.plugged[URL] = module
        await bench.scan()
        module.trying.clear()
        module.go_on.clear()
        attempt = asyncio.create_task(bench.lifecycle.unlock_service.attempt(module, b"typed"))
        while not module.trying.is_set() and not attempt.done():
            await asyncio.sleep(0)
        meanwhile = bench.lifecycle.worth_trying_again(module)
        module.go_on.set()  # before any assert: the thread that tries would be waited for
        await attempt
        assert not meanwhile
        assert bench.lifecycle.worth_trying_again(module)

    run(work, b"given")


def test_a_module_signs_from_the_moment_at_which_it_is_ready() -> None:
    module, open_module = TestModule(password=b"secret"), TestModule()
    module.remaining = open_module.remaining = 2000

    async def work(bench: ModuleRig) -> None:
        bench.plugged.update({URL: module, "test:open": open_module})
        await bench.scan()
        assert (threads_of(module), threads_of(open_module)) == (0, 1)
        assert said(bench, module) == ["info: {} requires password."]
        assert said(bench, open_module) == ["info: {} ready.", "info: {} can issue 2000 more."]
        await bench.lifecycle.unlock_service.attempt(module, b"secret")
        assert (threads_of(module), threads_of(open_module)) == (1, 1)
        assert said(bench, module)[1:] == ["info: {} password accepted, ready.", "info: {} can issue 2000 more."]

    run(work)
    assert (threads_of(module), threads_of(open_module)) == (0, 0)


def test_console_stops_asking_when_the_password_came_from_elsewhere() -> None:
    module = TestModule(password=b"secret")

    async def work(bench: ModuleRig) -> None:
        bench.plugged[URL] = module
        await bench.scan()
        asking = await asked(bench)
        await bench.lifecycle.unlock_service.attempt(module, b"secret")
        assert bench.log.prompts[1:] == ["answered"]
        asking.cancel()

    run(work)


def test_all_signers_are_closed_at_stop_though_one_fails() -> None:
    class Stuck(TestModule):
        def close(self) -> None:
            super().close()
            raise TransportError("The adapter is gone.")

    stuck, other = Stuck(), TestModule(password=b"secret")

    async def work(bench: ModuleRig) -> None:
        bench.plugged.update({URL: stuck, "test:other": other})
        await bench.scan()
        await bench.lifecycle.unlock_service.attempt(other, b"secret")
        assert other.ready

    bench = run(work)
    assert said(bench, stuck)[1:] == ["warning: {} cannot be closed: The adapter is gone."]
    assert (stuck.closed, other.closed, other.ready) == (1, 1, False)
