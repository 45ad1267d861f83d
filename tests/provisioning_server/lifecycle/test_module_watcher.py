"""Modules that are plugged in and unplugged, scan by scan."""

from __future__ import annotations

import asyncio
import copy
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from atcaprov import Code, ProtocolError, ProvisioningError, TransportError
from atcaprov.hal.usb import PluggedKit
from atcaprov.wire.messages import ErrorReply
from provisioning_server import rejections
from provisioning_server.lifecycle.module_watcher import CHECK_EVERY
from provisioning_server.lifecycle.signer_sources import ModuleFolder, NamedModules, PluggedKits
from provisioning_server.log_names import label
from tests.support.plugged_modules import GONE, URL, ModuleRig, TestModule, run


def test_module_is_added_once_and_removed_when_unplugged() -> None:
    module = TestModule()

    async def work(bench: ModuleRig) -> None:
        bench.plugged[URL] = module
        for _ in range(3):
            await bench.scan()
        assert list(bench.registry) == [module]
        del bench.plugged[URL]
        await bench.scan()
        assert list(bench.registry) == []

    bench = run(work)
    name = label(module.serial, module.name)
    assert bench.log.lines == [f"info: {name} ready.", f"warning: {name} unplugged."]
    assert (bench.opened, module.closed) == ([URL], 1)


def test_silent_device_is_tried_again_and_logged_once() -> None:
    async def work(bench: ModuleRig) -> None:
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
def test_other_device_is_ignored_until_it_is_reconnected(error: Exception, level: str, tries: int) -> None:
    async def work(bench: ModuleRig) -> None:
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


def test_module_at_two_urls_is_used_once_and_at_the_other_url_after_unplugging() -> None:
    module = TestModule()
    twin = copy.copy(module)

    async def work(bench: ModuleRig) -> None:
        bench.plugged[URL] = module
        await bench.scan()
        bench.plugged["test:other-way"] = twin
        for _ in range(3):
            await bench.scan()
        assert list(bench.registry) == [module]
        assert list(bench.watcher.unusable()) == ["test:other-way"]
        assert bench.opened == [URL, "test:other-way"]
        del bench.plugged[URL]
        for _ in range(2):
            await bench.scan()
        assert list(bench.registry) == [twin]
        assert bench.watcher.unusable() == {}

    bench = run(work)
    (said,) = [line for line in bench.log.lines if "is connected already" in line]
    assert said.startswith(
        "warning: The signer at test:other-way is not used while another one with its key is connected"
    )
    assert f" at {URL}: " in said


def test_quarantined_module_is_replaced_by_another_with_its_key() -> None:
    fake = TestModule()
    real = copy.copy(fake)

    async def work(bench: ModuleRig) -> None:
        bench.plugged.update({URL: fake})
        await bench.scan()
        bench.plugged["test:real"] = real
        await bench.scan()
        assert list(bench.registry) == [fake]
        bench.registry.exclude(fake, rejections.SIGNER_QUARANTINED, "A wrong signature.")
        await bench.scan()
        assert list(bench.registry) == [real]
        assert bench.watcher.unusable() == {URL: "A wrong signature."}
        await bench.scan()
        assert bench.opened == [URL, "test:real", "test:real"]

    run(work)
    assert fake.closed == 1


def test_silent_module_does_not_delay_others() -> None:
    silent, good = threading.Event(), TestModule(password=b"secret")

    async def work(bench: ModuleRig) -> None:
        bench.held["test:silent"] = silent
        bench.plugged["test:silent"] = GONE
        await bench.watcher.scan()
        bench.plugged[URL] = good
        for _ in range(2):
            await bench.watcher.scan()
        while list(bench.registry) != [good]:
            await asyncio.sleep(0)
        del bench.plugged[URL]
        await bench.watcher.scan()
        while list(bench.registry):
            await asyncio.sleep(0)
        assert bench.opened.count("test:silent") == 1
        unknown = bench.registry.choose(bytes(64))
        assert isinstance(unknown, ErrorReply)
        assert unknown.retryable
        silent.set()
        await bench.watcher.settled()
        assert bench.registry.choose(bytes(64)) == rejections.SIGNER_UNKNOWN

    run(work)


def test_no_password_is_guessed_with_while_another_module_is_being_opened() -> None:
    slow, first, second = threading.Event(), TestModule(password=b"secret"), TestModule(password=b"other")

    async def work(bench: ModuleRig) -> None:
        bench.held["test:slow"] = slow
        bench.plugged.update({URL: first, "test:slow": second})
        await bench.watcher.scan()
        while bench.opened != [URL, "test:slow"]:
            await asyncio.sleep(0)
        slow.set()
        await bench.watcher.settled()
        assert sorted(bench.registry.waiting(), key=id) == sorted([first, second], key=id)

    run(work, b"secret")


def test_module_that_opens_first_is_not_taken_for_the_only_one() -> None:
    first, second = TestModule(password=b"secret"), TestModule(password=b"other")

    async def work(bench: ModuleRig) -> None:
        loop = asyncio.get_running_loop()

        def at_once(_executor: object, call: Callable[..., Any], *arguments: Any) -> asyncio.Future[Any]:
            """Hand back a result that is there already, as Python 3.14 does for work that is done quickly."""
            done = loop.create_future()
            done.set_result(call(*arguments))
            return done

        loop.run_in_executor = at_once  # type: ignore[method-assign, assignment]
        bench.plugged.update({URL: first, "test:second": second})
        await bench.scan()
        assert sorted(bench.registry.waiting(), key=id) == sorted([first, second], key=id)

    run(work, b"secret")


def test_no_password_is_guessed_with_while_a_later_scan_opens_another_module() -> None:
    first, third = TestModule(password=b"secret"), TestModule(password=b"other")

    async def work(bench: ModuleRig) -> None:
        bench.held = {"test:silent": threading.Event(), "test:later": threading.Event()}
        bench.plugged.update({URL: first, "test:silent": GONE})
        await bench.watcher.scan()
        bench.plugged["test:later"] = third
        await bench.watcher.scan()
        bench.held["test:silent"].set()
        while not any("No signer answers at test:silent" in line for line in bench.log.lines):
            await asyncio.sleep(0)
        for _ in range(10):  # turns in which the first one would be tried
            await asyncio.sleep(0)
        bench.held["test:later"].set()
        await bench.watcher.settled()
        assert sorted(bench.registry.waiting(), key=id) == sorted([first, third], key=id)

    run(work, b"secret")


def test_url_that_never_answers_does_not_delay_modules() -> None:
    module, silent = TestModule(password=b"secret"), [threading.Event() for _ in range(2)]

    async def work(bench: ModuleRig) -> None:
        bench.held = {"test:silent-0": silent[0], "test:silent-1": silent[1]}
        bench.plugged.update({URL: module, "test:silent-0": GONE, "test:silent-1": GONE})
        await bench.watcher.scan()
        while len(bench.opened) < len(bench.plugged):
            await asyncio.sleep(0)
        for url, event in bench.held.copy().items():
            bench.held[url] = threading.Event()  # its next try hangs, too
            event.set()
            while bench.opened.count(url) == 1:
                await asyncio.sleep(0)
                await bench.watcher.scan()
        while not module.ready:
            await asyncio.sleep(0)
        for event in bench.held.values():
            event.set()

    run(work, b"secret")


@pytest.mark.parametrize("trouble", [False, True], ids=["waiting", "quarantined"])
def test_idle_module_is_checked_for_presence(trouble: bool) -> None:
    module = TestModule(password=b"secret")

    async def work(bench: ModuleRig) -> None:
        bench.plugged[URL] = module
        await bench.scan()
        if trouble:
            bench.registry.exclude(module, rejections.SIGNER_QUARANTINED, "Nonsense.")
        module.absent = bench.plugged[URL] = GONE
        for _ in range(CHECK_EVERY):
            await bench.scan()
        assert list(bench.registry) == []

    assert any("no longer answers" in line for line in run(work).log.lines)


def test_one_damaged_answer_is_ignored() -> None:
    class Noisy(TestModule):
        noise = 1

        def check_present(self) -> None:
            self.noise -= 1
            if self.noise == 0:
                raise ProtocolError("Garbage.")

    module = Noisy()

    async def work(bench: ModuleRig) -> None:
        bench.plugged[URL] = module
        for _ in range(2 * CHECK_EVERY):
            await bench.scan()
        assert bench.registry.usable(module)

    run(work)
    assert module.noise < 0


def test_module_that_vanished_silently_is_noticed() -> None:
    quiet, faulty = TestModule(), TestModule()

    async def work(bench: ModuleRig) -> None:
        bench.plugged.update({URL: quiet, "test:faulty": faulty})
        await bench.scan()
        quiet.absent, faulty.absent = GONE, ProtocolError("Another chip.")
        bench.plugged[URL] = GONE
        for _ in range(CHECK_EVERY):
            await bench.scan()
        assert quiet not in bench.registry
        assert bench.registry.choose(faulty.documents.signer_public_key) == rejections.SIGNER_QUARANTINED

    bench = run(work)
    assert f"warning: {label(quiet.serial, quiet.name)} no longer answers: Nobody answers." in bench.log.lines
    assert any(line.startswith(f"error: {label(faulty.serial, faulty.name)}") for line in bench.log.lines)


def test_a_scan_that_fails_changes_nothing() -> None:
    async def work(bench: ModuleRig) -> None:
        bench.plugged[URL] = TestModule()
        await bench.scan()
        bench.scan_fails = TransportError("hidapi is missing.", code=Code.LIBRARY_MISSING)
        for _ in range(2):
            await bench.scan()
        assert len(list(bench.registry)) == 1

    assert run(work).log.lines[1:] == ["warning: The scan for modules failed: hidapi is missing."]


def test_hidden_device_file_does_not_hide_other_modules() -> None:
    urls = [f"emulator:{'x' * 300}", "i2c://1/0x60"]  # longer than a name can be
    assert NamedModules(urls).present() == urls


def test_sources_return_what_is_present(tmp_path: Path) -> None:
    chip = tmp_path / "chip.json"
    named = NamedModules([f"emulator:{chip}", "i2c://1/0x60", "kit-hid:///dev/no-such-node", "i2c://1/0x60"])
    assert named.present() == ["i2c://1/0x60"]
    chip.touch()
    assert named.present() == [f"emulator:{chip}", "i2c://1/0x60"]
    assert ModuleFolder(tmp_path).present() == [f"emulator:{chip}"]
    kit = PluggedKit("hid", "/dev/hidraw3", "1-2", 0x03EB, 0x2312, "", "", "")
    assert PluggedKits(lambda: [kit]).present() == ["kit-hid:///dev/hidraw3"]
