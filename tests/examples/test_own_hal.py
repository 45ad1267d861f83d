"""examples/own_hal.py through a fixture that is played by a thread, with a software chip in it."""

from __future__ import annotations

import importlib.util
import os
import re
import socketserver
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from atcaprov import (
    CertInfo,
    Code,
    Device,
    Hal,
    Profile,
    ProtocolError,
    Provisioner,
    SoftwareChip,
    TcpClient,
    TransportError,
)
from atcaprov.chip.crc import with_crc
from atcaprov.emulator.chip import Power
from tests.examples.conftest import EXAMPLES, Line, run_example
from tests.support.programs import run

INFO: Final = with_crc(bytes.fromhex("0730000000"))
SHA_START, SHA_END = with_crc(bytes.fromhex("0747000000")), with_crc(bytes.fromhex("0747020000"))
PAGE: Final = EXAMPLES.parent / "docs" / "howto" / "write-your-own-hal.md"
OK: Final = bytes.fromhex("04000340")


class Fixture(socketserver.ThreadingTCPServer):
    """What a fixture's microcontroller does with the lines that it gets."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Lines)
        self.chip = SoftwareChip()
        self.garbage = False

    def answer(self, line: str) -> str:
        word, _, packet = line.partition(" ")
        if word == "WAKE":
            self.chip.wake()
        elif word == "IDLE":
            self.chip.idle()
        elif word == "SLEEP":
            self.chip.sleep()
        elif self.garbage:
            return "GARBAGE"
        else:
            return self.chip.exchange(bytes.fromhex(packet)).hex() or "ERROR no acknowledge"
        return "OK"


class _Lines(socketserver.StreamRequestHandler):
    server: Fixture

    def handle(self) -> None:
        for line in self.rfile:
            self.wfile.write(self.server.answer(line.decode().strip()).encode() + b"\n")


@pytest.fixture
def fixture() -> Iterator[Fixture]:
    with Fixture() as fixture:
        thread = threading.Thread(target=fixture.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield fixture
        fixture.shutdown()
        thread.join()


@pytest.fixture
def hal(fixture: Fixture) -> Iterator[Hal]:
    spec = importlib.util.spec_from_file_location("own_hal", EXAMPLES / "own_hal.py")
    assert spec is not None
    assert spec.loader is not None
    example: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    hal: Hal = example.FixtureHal("127.0.0.1", fixture.server_address[1])
    yield hal
    hal.close()


def test_the_program_prints_what_it_finds(fixture: Fixture, tmp_path: Path) -> None:
    done = run_example("own_hal.py", f"fixture://127.0.0.1:{fixture.server_address[1]}", cwd=tmp_path)
    config = bytes(fixture.chip.memory.config)
    serial = (config[:4] + config[8:13]).hex().upper()
    assert (done.returncode, done.stdout) == (0, f"revision 00 00 60 02\nserial number {serial}\n")


def test_a_board_is_provisioned_through_it(hal: Hal, line: Line) -> None:
    server = TcpClient("127.0.0.1", line.port)
    with Device(hal) as device:
        provisioned = Provisioner(Profile(), CertInfo.parse(line.certinfo.read_text()), server).provision(device)
        assert provisioned.serial_number == device.serial_number()
    server.close()


@pytest.mark.slow
def test_a_program_finds_it_by_an_entry_point(fixture: Fixture, line: Line, tmp_path: Path) -> None:
    block = re.search(r"^```toml\n\[project.*?\n(.*?)\n```", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    assert block is not None
    metadata = tmp_path / "site" / "own_hal-1.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: own-hal\nVersion: 1\n")
    (metadata / "entry_points.txt").write_text("[atcaprov.hal]\n" + block[1].replace('"', "") + "\n")
    done = run(
        "provisioning-client",
        *("--auto", "--json", "--certinfo", line.certinfo, "--port", line.port),
        *("--device", f"fixture://127.0.0.1:{fixture.server_address[1]}"),
        cwd=tmp_path,
        PYTHONPATH=f"{metadata.parent}{os.pathsep}{EXAMPLES}",
    )
    assert '"result": "pass"' in done.stdout, done.stdout + done.stderr


def test_idle_keeps_what_sleep_loses(hal: Hal) -> None:
    hal.wake()
    assert hal.exchange(SHA_START) == OK
    hal.idle()
    hal.wake()
    assert len(hal.exchange(SHA_END)) == 35
    assert hal.exchange(SHA_START) == OK
    hal.sleep()
    hal.wake()
    assert len(hal.exchange(SHA_END)) == 4


def test_the_first_wake_forgets_what_another_program_left(hal: Hal, fixture: Fixture) -> None:
    fixture.chip.wake()
    assert fixture.chip.exchange(SHA_START) == OK
    hal.wake()
    assert len(hal.exchange(SHA_END)) == 4


def test_closing_leaves_the_chip_asleep(hal: Hal, fixture: Fixture) -> None:
    hal.wake()
    hal.idle()
    hal.close()
    assert fixture.chip.power is Power.ASLEEP


def test_a_chip_that_sleeps_is_reported_and_serves_again(hal: Hal, fixture: Fixture) -> None:
    hal.wake()
    fixture.chip.sleep()
    with pytest.raises(TransportError) as caught:
        hal.exchange(INFO)
    assert caught.value.code == Code.DEVICE_NO_REPLY
    hal.wake()
    assert hal.exchange(INFO) == bytes.fromhex("07000060028038")


def test_garbage_ends_in_a_typed_error_and_is_forgotten(hal: Hal, fixture: Fixture) -> None:
    hal.wake()
    fixture.garbage = True
    with pytest.raises(ProtocolError):
        hal.exchange(INFO)
    fixture.garbage = False
    assert hal.exchange(INFO) == bytes.fromhex("07000060028038")


def test_a_missing_fixture_is_reported(tmp_path: Path) -> None:
    done = run_example("own_hal.py", "fixture://127.0.0.1:1", cwd=tmp_path)
    assert done.returncode == 3
    assert "There is no fixture at fixture://127.0.0.1:1" in done.stderr
