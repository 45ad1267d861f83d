"""The program at a terminal, with boards of chips at serial ports: plugged in, worked on, pulled out, exchanged."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pytest

from atcaprov.chip.memory_map import LOCK_VALUE, UNLOCKED
from atcaprov.emulator.chip import Chip
from atcaprov.hal.trace import read_trace
from atcaprov.kit.board import CdcBoard
from atcaprov.kit.interpreter import Interpreter
from atcaprov.kit.profiles import PARSER3
from tests.hal.ways import kit_board
from tests.support.faulty_board import FaultyBoard
from tests.support.kit_chips import EmulatedBus
from tests.support.program_runs import program
from tests.support.server import PATIENCE, running_server
from tests.support.signer_folders import make_signer_folder
from tests.support.wires import PtyBoard, plugged

WAITING = "Waiting for board to be connected..."


class Station:
    """A place with one name, where boards are plugged in: a link, as udev makes it."""

    def __init__(self, folder: Path) -> None:
        self.link = folder / "station"
        self.url = f"kit-cdc://{self.link}"

    def plug(self, board: PtyBoard) -> None:
        self.link.symlink_to(board.path)

    def pull(self) -> None:
        self.link.unlink()


@pytest.fixture
def chips() -> list[Chip]:
    return [Chip(), Chip()]


@pytest.fixture
def boards(chips: list[Chip]) -> Iterator[list[PtyBoard]]:
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


def sn(chip: Chip) -> str:
    config = bytes(chip.memory.config)
    return (config[:4] + config[8:13]).hex().upper()


def test_boards_come_and_go(
    console: pexpect.spawn, station: Station, boards: list[PtyBoard], chips: list[Chip], tmp_path: Path
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


def test_a_board_pulled_at_the_prompt_is_waited_for_again(
    console: pexpect.spawn, station: Station, boards: list[PtyBoard], chips: list[Chip]
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
    """Pulls its board out when a number of commands have reached the chip, before the answer to the last is out."""

    def __init__(self, chip: Chip, talks: int) -> None:
        super().__init__({0xC0: chip})
        self.left = talks
        self.board = FaultyBoard(CdcBoard(Interpreter(self, PARSER3)).receive_data)

    def exchange(self, address: int, packet: bytes) -> bytes:
        self.left -= 1
        self.board.unplugged = self.left == 0
        return super().exchange(address, packet)


@pytest.mark.parametrize("talks", [14, 22, 40])
def test_a_board_pulled_in_the_middle_fails_and_goes_on_when_it_comes_back(
    console: pexpect.spawn, station: Station, chips: list[Chip], talks: int
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
