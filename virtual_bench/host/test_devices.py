from __future__ import annotations

import struct

import pytest

from atcaprov.chip.crc import with_crc
from tests.support.faulty_board import BoardFault
from virtual_bench.boards import BoardKind, BoardPlan, PluggableBoard
from virtual_bench.chips import CableCut
from virtual_bench.host.fake_kernel import FakeKernel

INFO = bytes.fromhex("0730000000035d")
REVISION_REPLY = bytes.fromhex("07000060028038")
STALL = -32


def _plugged(kind: BoardKind, serial_number: str = "") -> FakeKernel:
    return FakeKernel(PluggableBoard(BoardPlan("board", kind, usb_serial_number=serial_number)).plug())


@pytest.mark.parametrize("kind", BoardKind)
def test_a_device_describes_itself(kind: BoardKind) -> None:
    kernel = _plugged(kind, "B1")
    device = kernel.control_in("800600010000", 64).data
    assert len(device) == device[0] == 18
    assert kernel.control_in("800600020000", 9).data[:2] == b"\x09\x02"
    whole = kernel.control_in("800600020000", 512).data
    assert int.from_bytes(whole[2:4], "little") == len(whole)
    assert _chain(whole)[0] == 2
    assert kernel.control_in("800603030904", 255).data[2:].decode("utf-16-le") == "B1"
    assert kernel.control_in("800604030904", 255).status == STALL
    assert kernel.control_in("800600060000", 10).status == STALL
    assert kernel.control_out("000901000000").status == 0


@pytest.mark.parametrize(("kind", "size"), [(BoardKind.HID, 41), (BoardKind.CDC, 67), (BoardKind.I2C, 18)])
def test_configurations_have_the_sizes_of_their_class(kind: BoardKind, size: int) -> None:
    assert len(_plugged(kind).control_in("800600020000", 512).data) == size


def test_a_device_without_serial_number_shows_none() -> None:
    assert _plugged(BoardKind.HID).control_in("800600010000", 18).data[16] == 0


def _chain(descriptors: bytes) -> list[int]:
    """Follow the lengths; return the types."""
    types = []
    while descriptors:
        types.append(descriptors[1])
        assert 2 <= descriptors[0] <= len(descriptors)
        descriptors = descriptors[descriptors[0] :]
    return types


def test_a_hid_kit_answers_in_reports() -> None:
    kernel = _plugged(BoardKind.HID)
    assert len(kernel.control_in("810600220000", 34).data) == 34
    assert kernel.ask(1, 64) == []
    waiting = kernel.number
    taken, answer = sorted(kernel.out(2, b"e:w()\n".ljust(64, b"\0")), key=lambda found: -found.number)
    assert taken.length == 64
    assert (answer.number, answer.data) == (waiting, b"00(04113343)\n".ljust(64, b"\0"))


def test_a_request_that_was_taken_back_gets_no_data() -> None:
    kernel = _plugged(BoardKind.HID)
    kernel.ask(1, 64)
    waiting = kernel.number
    assert kernel.unlink(waiting)[0].status == -104
    assert kernel.unlink(waiting)[0].status == 0
    assert len(kernel.out(2, b"e:w()\n".ljust(64, b"\0"))) == 1
    assert kernel.ask(1, 64)[0].data.startswith(b"00(04113343)\n")


def test_a_cdc_kit_is_a_stream_in_pieces_of_any_size() -> None:
    kernel = _plugged(BoardKind.CDC)
    kernel.control_out("212000000000", bytes.fromhex("00c20100000008"))
    assert kernel.control_in("a12100000000", 7).data == bytes.fromhex("00c20100000008")
    kernel.out(2, b"e:w")
    kernel.out(2, b"()\n")
    assert b"".join(kernel.ask(1, 5)[0].data for _ in range(3)) == b"00(04113343)\n"


def test_an_i2c_adapter_carries_the_chips_word_addresses() -> None:
    kernel = _plugged(BoardKind.I2C)
    assert kernel.control_in("c10100000000", 4).data == bytes.fromhex("0100ff0e")
    assert _write(kernel, 0x60, b"\x03" + INFO) == 2, "a chip that sleeps does not acknowledge"
    assert _write(kernel, 0, b"\0") == 2
    assert _read(kernel, 0x60, 4) == (bytes.fromhex("04113343"), 1)
    assert _write(kernel, 0x60, b"\x03" + INFO) == 1
    assert _read(kernel, 0x60, 1) == (b"\x07", 1)
    assert _read(kernel, 0x60, 8) == (REVISION_REPLY[1:] + b"\xff\xff", 1)
    assert _write(kernel, 0x60, b"\0") == 1
    assert _read(kernel, 0x60, 7) == (REVISION_REPLY, 1)
    assert _write(kernel, 0x60, b"\x02") == 1
    assert _write(kernel, 0x60, b"\0") == 2
    assert _read(kernel, 0x61, 2) == (b"\xff\xff", 2)


def test_the_messages_of_a_combined_transfer_have_no_stop_between_them() -> None:
    """I2C_RDWR: the first message starts, the last one starts again and stops."""
    kernel = _plugged(BoardKind.I2C)
    _write(kernel, 0, b"\1")
    assert _write(kernel, 0x60, b"\x03" + INFO, flags=1) == 1
    assert _read(kernel, 0x60, 7) == (7 * b"\xff", 1), "a command begins with the stop behind it"
    assert _read(kernel, 0x60, 7) == (REVISION_REPLY, 1)
    for word_address in (b"\x00", b"\x03"):
        assert _write(kernel, 0x60, word_address, flags=1) == 1
        assert _read(kernel, 0x60, 7) == (REVISION_REPLY, 1)


def _write(kernel: FakeKernel, address: int, data: bytes, *, flags: int = 3) -> int:
    """Send a message with a start (1), a stop (2) or both."""
    kernel.control_out(f"410{4 + flags}" + struct.pack("<HH", 0, address).hex(), data)
    return kernel.control_in("c10300000000", 1).data[0]


def _read(kernel: FakeKernel, address: int, count: int) -> tuple[bytes, int]:
    data = kernel.control_in("c107" + struct.pack("<HH", 1, address).hex(), count).data
    return data, kernel.control_in("c10300000000", 1).data[0]


@pytest.mark.parametrize("before", [True, False])
def test_a_cable_is_pulled_before_or_after_a_command(before: bool) -> None:
    board = PluggableBoard(BoardPlan("board", BoardKind.HID))
    kernel = FakeKernel(board.plug())
    chip = board.chips[0]
    chip.cut = CableCut(1, before)
    kernel.out(2, b"e:w()\n".ljust(64, b"\0"))
    kernel.out(2, f"e:t({with_crc(bytes.fromhex('0720005500')).hex()})\n".encode().ljust(64, b"\0"))
    assert board.is_cut
    assert (chip.memory.config[84] == 0x55) is not before
    board.plug()
    assert not board.is_cut


@pytest.mark.parametrize("kind", [BoardKind.HID, BoardKind.CDC])
@pytest.mark.parametrize("fault", BoardFault)
def test_a_faulty_kit_never_gives_more_than_was_asked_for(kind: BoardKind, fault: BoardFault) -> None:
    board = PluggableBoard(BoardPlan("board", kind))
    kernel = FakeKernel(board.plug())
    board.spoil(fault)
    carried = 0
    for _ in range(50):
        answers = kernel.out(2, b"e:w()\n".ljust(64, b"\0"))
        board.babble(kernel.device)
        for answer in (*answers, *kernel.ask(1, 64)):
            assert len(answer.data) <= 64
            carried += len(answer.data)
    assert (carried == 0) is (fault is BoardFault.SILENT)
