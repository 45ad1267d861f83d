"""The client at a terminal, with boards at serial ports that are plugged in, provisioned, pulled out, exchanged."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import termios
from collections.abc import Callable, Iterator
from pathlib import Path

import pexpect
import pytest

from atcaprov import SoftwareChip, read_trace
from atcaprov.chip.memory_map import LOCK_VALUE, UNLOCKED
from atcaprov.emulator.chip import Power
from atcaprov.kit_protocol.firmware import PARSER3
from atcaprov.kit_protocol.interpreter import CdcBoard, Interpreter
from tests.hal.ways import kit_board
from tests.support.faulty_board import FaultyBoard
from tests.support.kit_chips import EmulatedBus
from tests.support.programs import program
from tests.support.pty_and_tcp_boards import PtyBoard, plugged
from tests.support.server import PATIENCE, running_server
from tests.support.signer_folders import make_signer_folder

pytestmark = pytest.mark.slow

WAITING = "Waiting for board to be connected..."


class Station:
    """A port with a fixed name where boards are plugged in: a link, as udev makes it."""

    def __init__(self, folder: Path) -> None:
        self.link = folder / "station"
        self.url = f"kit-cdc://{self.link}"

    def plug(self, board: PtyBoard) -> None:
        self.link.symlink_to(board.path)

    def pull(self) -> None:
        self.link.unlink()


@pytest.fixture
def chips() -> list[SoftwareChip]:
    return [SoftwareChip(), SoftwareChip()]


@pytest.fixture
def boards(chips: list[SoftwareChip]) -> Iterator[list[PtyBoard]]:
    first, second = (PtyBoard(kit_board(chip)) for chip in chips)
    with plugged(first), plugged(second):
        yield [first, second]


@pytest.fixture
def station(tmp_path: Path) -> Station:
    return Station(tmp_path)


@pytest.fixture
def console(tmp_path: Path, station: Station) -> Iterator[pexpect.spawn]:
    signer = make_signer_folder(tmp_path)
    with running_server(tmp_path / "signer", tmp_path / "data") as (host, port):
        words = ["--host", host, "--port", str(port), "--certinfo", str(signer.path / "atcaprov_cert_info_0.c")]
        words += ["--device", station.url, "--trace", str(tmp_path / "trace.jsonl")]
        child = pexpect.spawn(program("provisioning-client"), words, encoding="utf-8", timeout=PATIENCE, echo=False)
        yield child
        child.close(force=True)


def sn(chip: SoftwareChip) -> str:
    config = bytes(chip.memory.config)
    return (config[:4] + config[8:13]).hex().upper()


def test_boards_come_and_go(
    console: pexpect.spawn, station: Station, boards: list[PtyBoard], chips: list[SoftwareChip], tmp_path: Path
) -> None:
    console.expect_exact(WAITING)
    station.plug(boards[0])
    console.expect_exact(f"ok\r\n    Device SN: {sn(chips[0])}\r\n    Press ENTER to provision...\r\n")
    console.send("\r")
    console.expect_exact("Writing config zone.......done")
    console.expect_exact("Provisioning successful! Please remove board...")
    station.pull()
    console.expect_exact(f"Board removed. {WAITING}")
    station.plug(boards[1])
    console.expect_exact(f"Device SN: {sn(chips[1])}")
    console.expect_exact("Press ENTER to provision...")
    console.send("\x1b")
    console.expect(pexpect.EOF)
    console.close()
    assert console.exitstatus == 0
    assert [chip.memory.config[LOCK_VALUE] == UNLOCKED for chip in chips] == [False, True]
    traced = [event.sent for event in read_trace(tmp_path / "trace.jsonl").events if event.do == "exchange"]
    assert len(traced) > 30


def test_auto_waits_for_one_board(
    tmp_path: Path, station: Station, boards: list[PtyBoard], chips: list[SoftwareChip]
) -> None:
    signer = make_signer_folder(tmp_path)
    with running_server(tmp_path / "signer", tmp_path / "data") as (host, port):
        words = ["--host", host, "--port", str(port), "--certinfo", str(signer.path / "atcaprov_cert_info_0.c")]
        words += ["--device", station.url, "--auto"]
        child = pexpect.spawn(program("provisioning-client"), words, encoding="utf-8", timeout=PATIENCE, echo=False)
        child.expect_exact(f"...ok\r\n{WAITING}")
        station.plug(boards[0])
        child.expect_exact(f"ok\r\n    Device SN: {sn(chips[0])}\r\nWriting config zone.......done")
        child.expect_exact("Provisioning successful! Please remove board...\r\n")
        child.expect(pexpect.EOF)
        child.close()
    assert child.exitstatus == 0


def test_board_pulled_at_the_prompt_may_come_back(
    console: pexpect.spawn, station: Station, boards: list[PtyBoard], chips: list[SoftwareChip]
) -> None:
    station.plug(boards[0])
    console.expect_exact("Press ENTER to provision...")
    station.pull()
    boards[0].unplug()
    console.expect_exact(f"Board removed. {WAITING}")
    station.plug(boards[1])
    console.expect_exact(f"Device SN: {sn(chips[1])}")
    console.send("\r")
    console.expect_exact("Provisioning successful!")
    os.kill(console.pid, signal.SIGINT)
    console.expect(pexpect.EOF)
    console.close()
    assert console.exitstatus == 130
    assert chips[0].memory.config[LOCK_VALUE] == UNLOCKED


class PulledAt(EmulatedBus):
    """Pulls its board out after a number of commands have reached the chip, before the reply to the last."""

    def __init__(self, chip: SoftwareChip, talks: int) -> None:
        super().__init__({0xC0: chip})
        self.left = talks
        self.board = FaultyBoard(CdcBoard(Interpreter(self, PARSER3)).receive_data)

    def exchange(self, address: int, packet: bytes) -> bytes:
        self.left -= 1
        self.board.unplugged = self.left == 0
        return super().exchange(address, packet)


@pytest.mark.parametrize("talks", [14, 22, 40])
def test_board_pulled_during_a_run_fails_and_resumes_when_it_comes_back(
    console: pexpect.spawn, station: Station, chips: list[SoftwareChip], talks: int
) -> None:
    falling, back = PtyBoard(PulledAt(chips[0], talks).board), PtyBoard(kit_board(chips[0]))
    with plugged(falling), plugged(back):
        station.plug(falling)
        console.expect_exact("Press ENTER to provision...")
        console.send("\r")
        console.expect_exact("error\r\n")
        station.pull()
        console.expect_exact("The board is not lost: it can be tried again.")
        console.expect_exact(f"Board removed. {WAITING}")
        station.plug(back)
        console.expect_exact(f"Device SN: {sn(chips[0])}")
        console.send("\r")
        console.expect_exact("Provisioning successful!")
        console.send("\x1b")
        console.expect(pexpect.EOF)
    assert chips[0].memory.config[LOCK_VALUE] != UNLOCKED


class AtTalk(EmulatedBus):
    """Does something after a number of commands have reached the chip, before the reply to the last."""

    def __init__(self, chip: SoftwareChip, talks: int) -> None:
        super().__init__({0xC0: chip})
        self.left = talks
        self.act: Callable[[], object] = lambda: None
        self.board = FaultyBoard(CdcBoard(Interpreter(self, PARSER3)).receive_data)

    def exchange(self, address: int, packet: bytes) -> bytes:
        self.left -= 1
        if self.left == 0:
            self.act()
        return super().exchange(address, packet)


ENDS = [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
TALKS = [14, 18, 40]  # writing the configuration, on the way to the server, writing the data zone


def _is_key_by_key(console: pexpect.spawn) -> bool:
    return not termios.tcgetattr(console.child_fd)[3] & termios.ICANON


@pytest.mark.parametrize(("number", "code"), ENDS)
@pytest.mark.parametrize("talks", TALKS)
def test_signal_during_a_run_ends_it_between_two_commands(
    console: pexpect.spawn, station: Station, chips: list[SoftwareChip], talks: int, number: signal.Signals, code: int
) -> None:
    bus = AtTalk(chips[0], talks)
    bus.act = lambda: os.kill(console.pid, number)
    board = PtyBoard(bus.board)
    with plugged(board):
        station.plug(board)
        console.expect_exact("Press ENTER to provision...")
        assert _is_key_by_key(console)
        console.send("\r")
        console.expect_exact("error\r\n    The run was interrupted between two commands to the chip.")
        console.expect_exact("The board is not lost: it can be tried again.\r\nProvisioning failed!")
        console.expect_exact("Interrupted." if number == signal.SIGINT else f"Ended by {number.name}.")
        console.expect(pexpect.EOF)
        console.close()
    assert console.exitstatus == code
    assert chips[0].power is Power.ASLEEP


@pytest.mark.parametrize(("number", "code"), ENDS)
@pytest.mark.parametrize("at_prompt", [True, False])
def test_signal_while_waiting_restores_the_terminal(
    console: pexpect.spawn,
    station: Station,
    boards: list[PtyBoard],
    chips: list[SoftwareChip],
    at_prompt: bool,
    number: signal.Signals,
    code: int,
) -> None:
    console.expect_exact(WAITING)
    if at_prompt:
        station.plug(boards[0])
        console.expect_exact("Press ENTER to provision...")
    assert _is_key_by_key(console)
    os.kill(console.pid, number)
    console.expect_exact("Interrupted." if number == signal.SIGINT else f"Ended by {number.name}.")
    assert not _is_key_by_key(console)
    console.expect(pexpect.EOF)
    console.close()
    assert console.exitstatus == code
    assert chips[0].power is Power.ASLEEP
    assert chips[0].memory.config[LOCK_VALUE] == UNLOCKED


def test_terminal_closed_during_a_run_leaves_the_chip_asleep(
    console: pexpect.spawn, station: Station, chips: list[SoftwareChip]
) -> None:
    bus = AtTalk(chips[0], 30)
    bus.act = console.ptyproc.fileobj.close
    board = PtyBoard(bus.board)
    with plugged(board):
        station.plug(board)
        console.expect_exact("Press ENTER to provision...")
        console.send("\r")
        console.ptyproc.wait()
    assert console.ptyproc.exitstatus == 129
    assert chips[0].power is Power.ASLEEP
    assert chips[0].memory.config[LOCK_VALUE] == UNLOCKED


@pytest.mark.parametrize(("number", "code"), ENDS)
def test_json_has_one_result_for_a_board_cut_by_a_signal(
    tmp_path: Path, chips: list[SoftwareChip], number: signal.Signals, code: int
) -> None:
    bus = AtTalk(chips[0], 25)
    board = PtyBoard(bus.board)
    signer = make_signer_folder(tmp_path)
    with running_server(tmp_path / "signer", tmp_path / "data") as (host, port), plugged(board):
        words = ["--host", host, "--port", str(port), "--certinfo", str(signer.path / "atcaprov_cert_info_0.c")]
        client = subprocess.Popen(
            [program("provisioning-client"), *words, "--auto", "--json", "--device", f"kit-cdc://{board.path}"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        bus.act = lambda: client.send_signal(number)
        out, _ = client.communicate(timeout=PATIENCE)
    events = [json.loads(line) for line in out.splitlines()]
    results = [event for event in events if event["event"] == "result"]
    assert [(event["sn"], event["result"], event["code"], event["board"]) for event in results] == [
        (sn(chips[0]), "fail", "interrupted", "retry")
    ]
    assert (events[-1]["event"], events[-1]["done"], events[-1]["failed"]) == ("summary", 0, 1)
    assert client.returncode == code
    assert chips[0].power is Power.ASLEEP
