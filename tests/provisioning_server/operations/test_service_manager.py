"""What a service manager is told, on a socket as systemd has it."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from provisioning_server.issuing.requests import Delivery, Item
from provisioning_server.issuing.worker import IssuingWorker
from provisioning_server.operations.service_manager import ServiceManager, service_manager
from provisioning_server.operations.signs_of_life import give_signs_of_life
from tests.support.notified import notify_socket

pytestmark = pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="no service manager here")


def test_states_are_told_as_documented(tmp_path: Path) -> None:
    with notify_socket(tmp_path) as heard:
        manager = service_manager({"NOTIFY_SOCKET": str(heard.path)})
        before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        for early in (manager.reloading, manager.reloaded):
            early()  # a SIGHUP while it starts must not make it ready
        for tell in (manager.ready, manager.reloading, manager.reloaded, manager.stopping, manager.alive):
            tell()
        manager.status("2 signers\nready")
        manager.status("2 signers\nready")
        told = heard.waiting()
    assert [list(each) for each in told] == [
        ["READY"],
        ["RELOADING", "MONOTONIC_USEC"],
        ["READY"],
        ["STOPPING"],
        ["WATCHDOG"],
        ["STATUS"],
    ]
    assert before <= int(told[1]["MONOTONIC_USEC"]) <= time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    assert "\n" not in told[5]["STATUS"]


@pytest.mark.skipif(sys.platform != "linux", reason="abstract sockets are Linux' own")
def test_abstract_socket_is_reached(tmp_path: Path) -> None:
    name = f"atcaprov-{os.getpid()}-{tmp_path.name}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind(f"\0{name}")
        heard.settimeout(60)
        service_manager({"NOTIFY_SOCKET": f"@{name}"}).ready()
        assert heard.recv(100) == b"READY=1"


def test_variables_are_taken_from_the_environment() -> None:
    environment = {
        "NOTIFY_SOCKET": "/nowhere",
        "WATCHDOG_USEC": "3000000",
        "WATCHDOG_PID": str(os.getpid()),
        "HOME": "/",
    }
    assert service_manager(environment).watchdog_seconds == 3.0
    assert environment == {"HOME": "/"}


@pytest.mark.parametrize(
    "watchdog", [{}, {"WATCHDOG_USEC": "0"}, {"WATCHDOG_USEC": "soon"}, {"WATCHDOG_USEC": "9", "WATCHDOG_PID": "1"}]
)
def test_watchdog_that_is_not_for_this_process_is_left_alone(watchdog: dict[str, str]) -> None:
    assert service_manager({"NOTIFY_SOCKET": "/nowhere", **watchdog}).watchdog_seconds is None


@pytest.mark.parametrize("environment", [{}, {"NOTIFY_SOCKET": "vsock:2:1234"}, {"NOTIFY_SOCKET": "/nowhere/at/all"}])
def test_manager_that_cannot_be_reached_ends_nothing(environment: dict[str, str]) -> None:
    manager = service_manager(environment)
    manager.ready()
    manager.alive()


class _Hanging:
    """Stands for an authority whose step hangs, such as in a disk that does not answer."""

    def __init__(self) -> None:
        self.hangs, self.may_go_on = threading.Event(), threading.Event()
        self.hang_at_next = False
        self.waits: float | None = None

    def step(self, items: Sequence[Item], deliver: Callable[[list[Delivery]], None]) -> None:
        if self.hang_at_next:
            self.hang_at_next = False
            self.hangs.set()
            assert self.may_go_on.wait(60)


def test_thread_that_hangs_gives_no_sign_of_life(tmp_path: Path) -> None:
    async def work() -> None:
        authority = _Hanging()
        worker = IssuingWorker(authority, asyncio.get_running_loop())
        manager = ServiceManager(str(heard.path), watchdog_seconds=0.003)
        signs = asyncio.create_task(give_signs_of_life(manager, worker.answers, lambda: "Ready."))
        while not any("WATCHDOG" in each for each in heard.waiting()):
            await asyncio.sleep(0)
        authority.hang_at_next = True
        await asyncio.to_thread(authority.hangs.wait, 60)
        for _ in range(3):  # an answer from before the step began may still be on its way
            await asyncio.sleep(0)
        heard.waiting()
        for _ in range(10):
            await asyncio.sleep(0.002)
        assert not any("WATCHDOG" in each for each in heard.waiting())
        authority.may_go_on.set()
        while not any("WATCHDOG" in each for each in heard.waiting()):
            await asyncio.sleep(0)
        signs.cancel()
        await worker.stop()

    with notify_socket(tmp_path) as heard:
        asyncio.run(work())
