"""A fault plan as it looks from outside: on the bus, and to the library over each leg."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import replace

import pytest

from atcaprov import SoftwareChip, open_hal
from atcaprov.chip.commands import Opcode
from atcaprov.emulator.counters import read_counter
from atcaprov.emulator.faults import Fault, FaultKind, FaultPlan
from atcaprov.recording.harmless_packets import harmless_packets, run
from tests.support.chips import packet
from tests.support.served_chips import Served, served
from tests.support.stock_cryptoauthlib import Wheel, buffer
from tests.support.stock_cryptoauthlib_links import bridge_wheel

_RX_CRC_ERROR = -27
_INFO = packet(Opcode.INFO)


@pytest.fixture
def chip(request: pytest.FixtureRequest) -> SoftwareChip:
    return SoftwareChip(faults=FaultPlan([replace(request.param)]))  # a fault counts how often it struck


@pytest.fixture
def answers(server: Served) -> Iterator[list[bytes]]:
    """What the bus gives for wake, Info, and reads of 1 and 6 bytes."""
    with server.client("i2c") as client:
        found = []
        for kind, address, data, count in (
            (b"W", 0, b"\0", 1),
            (b"W", 0x60, b"\x03" + _INFO, len(_INFO) + 1),
            (b"R", 0x60, b"", 1),
            (b"R", 0x60, b"", 6),
        ):
            client.send(struct.pack("<cBBH", kind, 0, address, count) + data)
            status = client.take(1)
            found.append(status + (client.take(count) if kind == b"R" and status == b"\0" else b""))
        yield found


@pytest.mark.parametrize("chip", [Fault(FaultKind.NO_ACKNOWLEDGE)], indirect=True)
def test_a_packet_that_is_not_taken_is_not_acknowledged(answers: list[bytes]) -> None:
    assert answers[1] == b"\1"
    assert answers[2] == b"\0\xff", "the first byte of a command makes the old reply unreadable (DS20005927A, 6.6)"


@pytest.mark.parametrize("chip", [Fault(FaultKind.STUCK)], indirect=True)
def test_a_stuck_chip_acknowledges_nothing(answers: list[bytes]) -> None:
    assert answers[1:] == [b"\0", b"\1", b"\1"]


@pytest.mark.parametrize("chip", [Fault(FaultKind.TRUNCATED, size=3)], indirect=True)
def test_behind_a_truncated_reply_the_wire_stays_high(answers: list[bytes]) -> None:
    assert answers[2:] == [b"\0\x07", b"\0\x00\x00\xff\xff\xff\xff"]


@pytest.mark.parametrize("chip", [Fault(FaultKind.POWER_AFTER)], indirect=True)
def test_a_chip_that_lost_its_power_sleeps(answers: list[bytes]) -> None:
    assert answers[1:] == [b"\0", b"\1", b"\1"]


@pytest.mark.parametrize("chip", [Fault(FaultKind.BIT_FLIP, bit=12)], indirect=True)
def test_the_library_sees_a_flipped_bit(wheel: Wheel) -> None:
    assert wheel.status("calib_info", buffer(bytes(4))) == _RX_CRC_ERROR
    assert wheel.fetch("calib_info", 4) == bytes.fromhex("00006002")


@pytest.mark.parametrize("chip", [Fault(FaultKind.OVERSIZED, opcode=Opcode.INFO, size=120)], indirect=True)
def test_the_library_survives_a_reply_that_is_too_long(wheel: Wheel) -> None:
    wheel.status("calib_info", buffer(bytes(4)))
    assert wheel.fetch("calib_info", 4) == bytes.fromhex("00006002")


@pytest.mark.parametrize(
    ("kind", "counted"), [(FaultKind.POWER_BEFORE, 1), (FaultKind.POWER_AFTER, 2)], ids=["before", "after"]
)
def test_a_cut_costs_the_answer_and_what_was_written_stays(kind: FaultKind, counted: int) -> None:
    """The first Counter is cut; the host looks, as it must, and counts again."""
    chip = SoftwareChip(faults=FaultPlan([Fault(kind, opcode=Opcode.COUNTER)]))
    with served(chip) as server, bridge_wheel(server) as wheel:
        assert wheel.status("calib_counter_increment", 0, None) != 0
        wheel.call("calib_counter_increment", 0, None)
    assert read_counter(chip.memory, 0) == counted


def test_packets_without_an_answer_are_skipped() -> None:
    hal = open_hal("emulator:")
    packets = harmless_packets()
    hal.chip.faults = FaultPlan([Fault(FaultKind.NO_ACKNOWLEDGE, command=3), Fault(FaultKind.POWER_AFTER, command=9)])  # type: ignore[attr-defined]
    assert run(hal, packets) == len(packets) - 2
