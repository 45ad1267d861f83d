"""The kernel's own view of the boards: the device files it makes for each, without atcaprov on the host's side."""

from __future__ import annotations

import fcntl
import os
import select
import termios
import tty
from pathlib import Path

import pytest

from virtual_bench.boards import BoardKind, BoardPlan
from virtual_bench.machine import PATIENCE
from virtual_bench.plugboard import Plugboard

INFO = bytes.fromhex("0730000000035d")
REVISION_REPLY = bytes.fromhex("07000060028038")
_I2C_SLAVE = 0x0703


@pytest.mark.parametrize(
    ("kind", "pattern"),
    [(BoardKind.HID, "/dev/hidraw*"), (BoardKind.CDC, "/dev/ttyACM*"), (BoardKind.I2C, "/dev/i2c-*")],
)
def test_a_board_brings_its_device_file_and_takes_it_away(plugboard: Plugboard, kind: BoardKind, pattern: str) -> None:
    plugboard.make(BoardPlan("board", kind))
    node = plugboard.plug("board")
    assert node.path.match(pattern)
    assert node.path.is_char_device()
    plugboard.unplug("board")
    assert not node.path.exists()


def test_hidraw_carries_reports(plugboard: Plugboard) -> None:
    plugboard.make(BoardPlan("kit", BoardKind.HID))
    with _opened(plugboard.plug("kit").path) as device:
        _write(device, b"\0" + b"e:w()\n".ljust(64, b"\0"))
        assert _read(device, 64) == b"00(04113343)\n".ljust(64, b"\0")
        assert _talk(device, INFO).rstrip(b"\0") == f"00({REVISION_REPLY.hex().upper()})\n".encode()


def test_the_serial_port_carries_lines(plugboard: Plugboard) -> None:
    plugboard.make(BoardPlan("kit", BoardKind.CDC))
    with _opened(plugboard.plug("kit").path) as device:
        tty.setraw(device, termios.TCSANOW)
        _write(device, b"e:w()\ne:t(" + INFO.hex().encode() + b")\n")
        expected = f"00(04113343)\n00({REVISION_REPLY.hex().upper()})\n".encode()
        assert _read(device, len(expected)) == expected


def test_the_i2c_bus_wakes_and_reaches_the_chip(plugboard: Plugboard) -> None:
    plugboard.make(BoardPlan("adapter", BoardKind.I2C, addresses=(0xC0, 0xC2)))
    with _opened(plugboard.plug("adapter").path) as device:
        fcntl.ioctl(device, _I2C_SLAVE, 0)
        with pytest.raises(OSError, match="No such device or address"):
            _write(device, b"\0")
        for address in (0x60, 0x61):
            fcntl.ioctl(device, _I2C_SLAVE, address)
            assert os.read(device, 4) == bytes.fromhex("04113343")
            _write(device, b"\x03" + INFO)
            assert os.read(device, 7) == REVISION_REPLY
        fcntl.ioctl(device, _I2C_SLAVE, 0x62)
        with pytest.raises(OSError, match="No such device or address"):
            os.read(device, 1)


def test_boards_of_every_kind_stand_side_by_side(plugboard: Plugboard) -> None:
    for kind in BoardKind:
        for number in range(2):
            plugboard.make(BoardPlan(f"{kind}{number}", kind, usb_serial_number=f"{kind}-{number}"))
    nodes = {plugboard.plug(f"{kind}{number}").path for kind in BoardKind for number in range(2)}
    assert len(nodes) == 6


def test_a_read_ends_when_the_board_is_pulled(plugboard: Plugboard) -> None:
    plugboard.make(BoardPlan("kit", BoardKind.HID))
    with _opened(plugboard.plug("kit").path) as device:
        plugboard.cut_at_command("kit", 1, before=True)
        _write(device, b"\0" + b"e:w()\n".ljust(64, b"\0"))
        _read(device, 64)
        with pytest.raises(OSError):  # noqa: PT011 - EIO, ENODEV or ESHUTDOWN, as the moment wants
            _talk(device, INFO)
    plugboard.wait_until_gone("kit")


class _opened:  # noqa: N801 - reads as a function
    def __init__(self, path: Path) -> None:
        self._device = os.open(path, os.O_RDWR | os.O_NOCTTY)

    def __enter__(self) -> int:
        return self._device

    def __exit__(self, *error: object) -> None:
        os.close(self._device)


def _talk(device: int, packet: bytes) -> bytes:
    _write(device, b"\0" + f"e:t({packet.hex()})\n".encode().ljust(64, b"\0"))
    return _read(device, 64)


def _write(device: int, data: bytes) -> None:
    assert os.write(device, data) == len(data)


def _read(device: int, count: int) -> bytes:
    data = b""
    while len(data) < count:
        ready, _, _ = select.select((device,), (), (), PATIENCE)
        assert ready, f"no answer after {data!r}"
        data += os.read(device, count - len(data))
    return data
