"""The ten stages over every way, and what the way adds to them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from atcaprov.chip.memory_map import LOCK_CONFIG, LOCK_VALUE, UNLOCKED
from atcaprov.device.device import Device
from atcaprov.emulator.chip import Power
from atcaprov.hal.kit import KitHal
from atcaprov.hal.line_port import LinePort
from atcaprov.kit.profiles import PROFILES, Profile
from atcaprov.provisioning.profile import Profile as Product
from atcaprov.provisioning.provision import Provisioner
from atcaprov.provisioning.stages import Stage, StageStatus
from tests.hal.ways import WAYS, CdcWay, HidWay, Way, standing
from tests.support.faulty_board import Fault
from tests.support.in_memory_server import Authority, InMemory


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture
def way(request: pytest.FixtureRequest) -> Iterator[Way]:
    with standing(WAYS[request.param]()) as way:
        yield way


class Unheard(InMemory):
    def notify(self, stage: Stage, status: StageStatus) -> None:
        pass


def provision(device: Device, authority: Authority) -> None:
    provisioner = Provisioner(Product(), authority.cert_info, Unheard(authority))
    provisioner.prepare()
    provisioner.provision(device)


@pytest.mark.parametrize("way", WAYS, indirect=True)
def test_ten_stages(way: Way, authority: Authority) -> None:
    with Device(way.open()) as device:
        provision(device, authority)
    config = way.chip.memory.config
    assert UNLOCKED not in (config[LOCK_CONFIG], config[LOCK_VALUE])
    assert way.chip.power is Power.ASLEEP


class CountingPort(LinePort):
    """Passes everything on and keeps the requests."""

    def __init__(self, port: LinePort) -> None:
        self.url = port.url
        self._port = port
        self.requests: list[bytes] = []

    def send(self, message: bytes) -> None:
        self.requests.append(message)
        self._port.send(message)

    def receive(self, seconds: float) -> bytes:
        return self._port.receive(seconds)

    def drain(self) -> None:
        self._port.drain()

    def close(self) -> None:
        self._port.close()


@pytest.mark.parametrize("profile", PROFILES.values(), ids=lambda profile: profile.name)
def test_a_run_over_a_kit_has_few_requests_but_those_of_the_chip(authority: Authority, profile: Profile) -> None:
    with standing(HidWay(profile)) as way:
        hal = way.open()
        assert isinstance(hal, KitHal)
        port = hal._board._port = CountingPort(hal._board._port)
        with Device(hal) as device:
            provision(device, authority)
    talks = [request for request in port.requests if request.startswith(b"e:t(")]
    assert len(talks) > 30
    stages = 10
    # Wake and idle once in a stage or a few, and to open and close; the library alone has both around each command.
    assert len(port.requests) - len(talks) <= 2 * stages + 8
    assert len(port.requests) < 2 * len(talks)


OPEN_SILENT = """
import sys
from atcaprov.hal.registry import open_hal
print("opening", flush=True)
open_hal(sys.argv[1])
"""


def test_ctrl_c_ends_the_wait_for_a_silent_board() -> None:
    with standing(CdcWay()) as way:
        way.spoil(Fault.SILENT)
        assert isinstance(way, CdcWay)
        program = subprocess.Popen(
            [sys.executable, "-c", OPEN_SILENT, f"kit-cdc://{way.pty.path}"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        with program:
            assert program.stdout is not None
            assert program.stdout.readline() == "opening\n"
            os.kill(program.pid, signal.SIGINT)
            _, error = program.communicate(timeout=60)
        assert error.rstrip().endswith("KeyboardInterrupt")
        way.spoil(Fault.NONE)
        way.open().close()
