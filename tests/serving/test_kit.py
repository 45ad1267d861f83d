"""Kit protocol lines to served chips, over TCP and at a pseudo-terminal."""

from __future__ import annotations

import os
import select
import stat
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atcaprov import Code, SoftwareChip, UsageError
from atcaprov.chip.crc import with_crc
from atcaprov.emulator.memory import Memory
from atcaprov.kit_protocol.firmware import FIRMWARES, PARSER3, KitFirmware
from atcaprov.serving.bus import Buses
from atcaprov.serving.chips import ServedChip, ServedClock
from atcaprov.serving.framing import Wait
from atcaprov.serving.kit import KitSession
from atcaprov.serving.serve import ServeOptions
from tests.support.served_chips import LIMIT, Served, served

_INFO = b"e:t(0730000000035D)\n"
_REVISION = b"00(07000060028038)\n"


def session(*chips: SoftwareChip, firmware: KitFirmware = PARSER3) -> KitSession:
    return KitSession(Buses([ServedChip(chip) for chip in chips or (SoftwareChip(),)]), firmware)


def answered(client: KitSession, lines: bytes) -> bytes:
    return b"".join(step for step in client.receive(lines) if isinstance(step, bytes))


def moved(address: int) -> SoftwareChip:
    chip = SoftwareChip()
    chip.memory.config[16] = address
    chip.power_cycle()
    return chip


@pytest.mark.parametrize("firmware", FIRMWARES.values(), ids=FIRMWARES)
def test_every_firmware_answers_the_library_dialogue(firmware: KitFirmware) -> None:
    client = session(firmware=firmware)
    lines = b"E:physical:select(C0)\nE:w()\nE:t(0730000000035D)\nE:i()\n"
    assert answered(client, lines) == b"00()\n00(04113343)\n" + _REVISION + b"00()\n"


@pytest.mark.parametrize("firmware", FIRMWARES.values(), ids=FIRMWARES)
def test_a_packet_goes_to_the_chip_byte_by_byte(firmware: KitFirmware) -> None:
    """DS20005927A, 6.2: a short packet gets no reply, and is lost at the next wake; bytes behind are ignored."""
    client = session(firmware=firmware)
    short = answered(client, b"e:w()\ne:t(0730)\ne:i()\n").splitlines()
    assert short[1] in (b"E7()", b"FFFFFFF0()")
    assert answered(client, b"e:w()\n" + _INFO) == b"00(04113343)\n" + _REVISION
    assert answered(client, b"e:t(0730000000035DFFFF)\n") == _REVISION


def test_the_chips_stand_in_the_device_table() -> None:
    client = session(SoftwareChip(), moved(0x6A))
    found = answered(client, b"board:device(00)\nboard:device(01)\nboard:device(02)\n").splitlines()
    assert found[:2] == [b"ECC608A TWI 00(C0)", b"ECC608A TWI 00(6A)"]
    assert b"(" not in found[2]


def test_the_selected_chip_takes_the_commands() -> None:
    first, second = SoftwareChip(), moved(0x6A)
    client = session(first, second)
    for address, chip in ((b"6A", second), (b"C0", first)):
        answer = answered(client, b"e:physical:select(" + address + b")\ne:w()\ne:t(070280000009AD)\ne:i()\n")
        assert bytes(chip.memory.config[:32]).hex().upper().encode() in answer


def test_an_absent_chip_has_no_reply() -> None:
    client = session()
    assert b"(04113343)" not in answered(client, b"e:physical:select(44)\ne:w()\ne:s()\ne:i()\n" + _INFO)
    assert answered(client, b"e:physical:select(00)\n" + _INFO).endswith(b"()\n")


def test_each_client_has_its_own_selection(server: Served) -> None:
    with server.client("kit") as one, server.client("kit") as other:
        one.send(b"e:physical:select(44)\n")
        other.send(b"e:w()\n" + _INFO)
        assert (one.take_line(), other.take_line(), other.take_line()) == (b"00()\n", b"00(04113343)\n", _REVISION)


def test_in_real_time_the_answer_is_due_when_the_chip_is_done() -> None:
    client = session(SoftwareChip(clock=ServedClock(1e-6)))
    steps = list(client.receive(b"e:w()\n" + _INFO))
    assert isinstance(steps[0], Wait)
    assert round(steps[0].seconds, -2) == 6500, "wake 1.5 ms and Info 5 ms, a million times slower"
    assert steps[1:] == [b"00(04113343)\n" + _REVISION]


@given(st.binary(max_size=200))
def test_garbage_is_answered_line_by_line(garbage: bytes) -> None:
    client = session()
    found = answered(client, garbage + b"\n")
    assert found.count(b"\n") == garbage.count(b"\n") + 1
    assert answered(client, b"e:w()\n" + _INFO).endswith(_REVISION)


# At a pseudo-terminal


@contextmanager
def opened(port: Path) -> Iterator[int]:
    descriptor = os.open(port, os.O_RDWR | os.O_NOCTTY)
    try:
        tty.setraw(descriptor)
        yield descriptor
    finally:
        os.close(descriptor)


def take_line(descriptor: int) -> bytes:
    line = b""
    while not line.endswith(b"\n"):
        assert select.select([descriptor], [], [], LIMIT)[0]
        line += os.read(descriptor, 1)
    return line


def test_pseudo_terminal_leads_to_the_same_chip(tmp_path: Path) -> None:
    port, chip = tmp_path / "ttyKit", SoftwareChip()
    with served(chip, ways=ServeOptions(bridge=0), pty=port) as server:
        assert f"pty: {port}" in server.said
        with opened(port) as descriptor:
            os.write(descriptor, b"e:w()\n" + _INFO)
            assert (take_line(descriptor), take_line(descriptor)) == (b"00(04113343)\n", _REVISION)
    assert not port.is_symlink()


def test_pseudo_terminal_outlives_its_programs(tmp_path: Path) -> None:
    port = tmp_path / "ttyKit"
    with served(ways=ServeOptions(), pty=port):
        for _ in range(3):
            with opened(port) as descriptor:
                os.write(descriptor, b"e:i()\n")
                assert take_line(descriptor) == b"00()\n"


class FullDisk:
    """A keeper that cannot save changes."""

    def keep(self, memory: Memory) -> None:
        if memory.config[84] != 0:
            raise UsageError("The disk is full.")


def test_the_pseudo_terminal_goes_on_after_an_error_of_a_chip(tmp_path: Path) -> None:
    port = tmp_path / "ttyKit"
    update_extra = with_crc(bytes.fromhex("0720005a00")).hex().encode()
    with served(SoftwareChip(keeper=FullDisk()), ways=ServeOptions(), pty=port) as server, opened(port) as descriptor:
        for count in (1, 2):
            os.write(descriptor, b"e:w()\ne:t(" + update_extra + b")\n")
            while len(server.reported) < count:
                os.sched_yield()
            os.write(descriptor, b"e:i()\n")
            assert take_line(descriptor) == b"00()\n"
    assert server.reported == ["pty: The disk is full. The board starts again."] * 2


def test_a_link_of_an_earlier_run_is_replaced_and_a_file_is_not(tmp_path: Path) -> None:
    port = tmp_path / "ttyKit"
    port.symlink_to(tmp_path / "gone")
    with served(ways=ServeOptions(), pty=port):
        assert stat.S_ISCHR(port.stat().st_mode)
    port.write_text("precious")
    with pytest.raises(UsageError) as caught:
        _serve_at(port)
    assert caught.value.code == Code.FILE_UNWRITABLE
    assert port.read_text() == "precious"


def _serve_at(port: Path) -> None:
    import asyncio

    from atcaprov.serving.serve import serve

    asyncio.run(
        serve(
            Buses([ServedChip(SoftwareChip())]),
            ServeOptions(pty=port),
            say=lambda _: None,
            report=lambda _: None,
            stop=asyncio.Event(),
        )
    )
