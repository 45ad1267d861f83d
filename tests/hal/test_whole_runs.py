"""The ten stages over every way, and what the way adds to them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from io import StringIO

import pytest

from atcaprov import Device, Provisioner, Stage, StageStatus, UserFunctions
from atcaprov import Profile as Product
from atcaprov.chip.memory_map import LOCK_CONFIG, LOCK_VALUE, UNLOCKED
from atcaprov.emulator.chip import Power
from atcaprov.emulator.images import BLANK, load_image
from atcaprov.emulator.random_source import SystemRandom
from atcaprov.hal.tracing.hal import TracedHal
from atcaprov.hal.tracing.trace_file import TraceWriter, parse_trace
from atcaprov.kit_protocol.firmware import FIRMWARES, KitFirmware
from atcaprov.recording.replay import replay
from tests.hal.ways import WAYS, CdcWay, HidWay, Way, standing
from tests.support.counted_requests import commands_of, keep_requests, opening_of
from tests.support.faulty_board import BoardFault
from tests.support.in_memory_server import InMemory, MemoryCa


@pytest.fixture(scope="module")
def authority() -> MemoryCa:
    return MemoryCa()


@pytest.fixture
def way(request: pytest.FixtureRequest) -> Iterator[Way]:
    with standing(WAYS[request.param]()) as way:
        yield way


class Unheard(InMemory):
    def notify(self, stage: Stage, status: StageStatus) -> None:
        pass


def provision(device: Device, authority: MemoryCa, functions: type[InMemory] = Unheard) -> None:
    provisioner = Provisioner(Product(), authority.cert_info, functions(authority))
    provisioner.prepare()
    provisioner.provision(device)


@pytest.mark.parametrize("way", WAYS, indirect=True)
def test_ten_stages(way: Way, authority: MemoryCa) -> None:
    with Device(way.open()) as device:
        provision(device, authority)
    config = way.chip.memory.config
    assert UNLOCKED not in (config[LOCK_CONFIG], config[LOCK_VALUE])
    assert way.chip.power is Power.ASLEEP


@pytest.mark.parametrize("way", WAYS, indirect=True)
def test_the_trace_of_a_run_can_be_replayed(way: Way, authority: MemoryCa) -> None:
    file = StringIO()
    with Device(TracedHal(way.open(), TraceWriter(file, "traced"))) as device:
        provision(device, authority)
        text = file.getvalue()
    result = replay(parse_trace(text), load_image(BLANK).make(SystemRandom()))
    assert (result.difference, result.passed_over) == (None, 0)


class Silent(Unheard):
    """An integrator who writes no data of his own."""

    write_data_zone = UserFunctions.write_data_zone


@pytest.mark.parametrize("make", [CdcWay, HidWay])
@pytest.mark.parametrize("firmware", FIRMWARES.values(), ids=lambda firmware: firmware.name)
def test_run_over_a_kit_has_few_requests_besides_commands(
    authority: MemoryCa, firmware: KitFirmware, make: type[CdcWay] | type[HidWay]
) -> None:
    with standing(make(firmware)) as way:
        requests = keep_requests(way.board)
        with Device(way.open(), now=lambda: 0.0) as device:
            provision(device, authority, Silent)
    commands, opening = commands_of(requests), opening_of(requests)
    assert len(commands) == 48, "four of them read the serial number before a stage that changes the chip"
    assert opening.count(b"e:a(1)") == (2 if firmware.name == "at90usb" else 1)  # that of the first sleep
    assert opening.count(b"e:s()") == 2  # one to get into step, one that ends what a killed program left
    # Awake from the first read to the question to the server, and from its answer to the end.
    others = [request for request in requests[len(opening) :] if request not in commands]
    sleep = {
        "at90usb": [b"e:a(0)", b"e:w()", b"e:s()", b"e:a(1)"],
        "kit_host": [b"e:w()", b"e:s()"],
        "parser3": [b"e:s()"],
    }[firmware.name]
    assert others == [b"e:w()", *sleep] * 2


@pytest.mark.slow
def test_proof_for_the_server_costs_no_further_command(authority: MemoryCa, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(authority, "gives_challenges", True)
    with standing(HidWay()) as way:
        requests = keep_requests(way.board)
        with Device(way.open(), now=lambda: 0.0) as device:
            provision(device, authority, Silent)
    assert len(commands_of(requests)) == 48


def test_own_data_stage_costs_one_more_sleep(authority: MemoryCa) -> None:
    with standing(HidWay()) as way:
        requests = keep_requests(way.board)
        with Device(way.open(), now=lambda: 0.0) as device:
            provision(device, authority)
    after = requests[len(opening_of(requests)) :]
    assert after.count(b"e:w()") == after.count(b"e:s()") == 3


OPEN_SILENT = """
import sys
from atcaprov.hal.registry import open_hal
print("opening", flush=True)
open_hal(sys.argv[1])
"""


def test_ctrl_c_ends_the_wait_for_a_silent_board() -> None:
    with standing(CdcWay()) as way:
        way.spoil(BoardFault.SILENT)
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
        way.spoil(BoardFault.NONE)
        way.open().close()
