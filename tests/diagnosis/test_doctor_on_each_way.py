"""Doctor over every way to a chip that needs no hardware: kits, I2C, TCP; healthy, silent, noisy, cut, gone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from atcaprov.hal.kit.line_port import KitTimeouts
from atcaprov.kit_protocol.firmware import PARSER3
from atcaprov.kit_protocol.interpreter import CdcBoard, Interpreter
from tests.diagnosis.bench import Bench, codes, examined
from tests.hal.ways import FakeI2cBus
from tests.support.fake_machine import made_chip
from tests.support.faulty_board import BoardFault, FaultyBoard
from tests.support.kit_chips import EmulatedBus
from tests.support.pty_and_tcp_boards import PtyBoard, TcpBoard, plugged
from tests.support.served_chips import served

WAYS = ("kit-hid", "kit-cdc", "tcp-kit", "tcp-bridge", "i2c")
FAULTS = {
    BoardFault.SILENT: {"device-no-reply", "no-acknowledge"},
    BoardFault.NOISE: {"device-no-reply", "bad-frame", "bad-packet", "other-part", "damaged-transfers"},
    BoardFault.CUT: {"device-no-reply", "bad-frame", "bad-packet", "other-part", "damaged-transfers", "lost-replies"},
}


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    bench = Bench(tmp_path, monkeypatch)
    short = KitTimeouts(greeting=0.05, control=0.3, talk=0.5, resync=0.3, scan=0.5, sleep=0.3)
    for module in ("kit.board", "tcp"):
        monkeypatch.setattr(f"atcaprov.hal.{module}.KitTimeouts", lambda: short)
    with bench.left_behind:
        yield bench


def kit() -> FaultyBoard:
    return FaultyBoard(CdcBoard(Interpreter(EmulatedBus({0xC0: made_chip("atecc608a")}), PARSER3)).receive_data)


def open_way(bench: Bench, name: str) -> tuple[str, FaultyBoard | FakeI2cBus | None]:
    """Return the device URL of a chip, and what damages its answers, if the way has one."""
    if name == "kit-hid":
        return "kit-hid://", bench.machine.plug_kit("1-1.2", {0xC0: made_chip("atecc608a")})
    if name == "i2c":
        bus = bench.machine.buses[1] = FakeI2cBus([made_chip("atecc608a")])
        return "i2c://1/0x60", bus
    if name == "tcp-bridge":
        chips = bench.left_behind.enter_context(served(made_chip("atecc608a")))
        return f"tcp://127.0.0.1:{chips.port('bridge')}", None
    board = kit()
    place: PtyBoard | TcpBoard = PtyBoard(board) if name == "kit-cdc" else TcpBoard(board)
    bench.left_behind.enter_context(plugged(place))
    if isinstance(place, PtyBoard):
        return f"kit-cdc://{place.path}", board
    return f"tcp://127.0.0.1:{place.port}?protocol=kit", board


@pytest.mark.slow
@pytest.mark.parametrize("name", WAYS)
def test_healthy_chip_gives_no_problem(name: str, bench: Bench) -> None:
    url, _ = open_way(bench, name)
    found = examined("--device", url)
    assert codes(found) == ["config-open"]
    assert "32 transfers were undamaged." in found["good"]


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("name", [name for name in WAYS if name != "tcp-bridge"])
def test_damaged_way_is_named_and_good_again_afterwards(name: str, fault: BoardFault, bench: Bench) -> None:
    url, board = open_way(bench, name)
    assert board is not None
    board.fault = fault
    problems = {found["code"] for found in examined("--device", url)["findings"] if found["weight"] == "problem"}
    assert problems
    assert problems <= FAULTS[fault]
    board.fault = BoardFault.NONE
    assert codes(examined("--device", url)) in (["config-open"], ["left-awake", "config-open"])


@pytest.mark.slow
def test_unplugged_kit_is_not_found(bench: Bench) -> None:
    url, board = open_way(bench, "kit-hid")
    assert board is not None
    bench.machine.hid.boards.clear()
    assert codes(examined("--device", url)) == ["device-not-found"]
