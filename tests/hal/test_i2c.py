"""A chip on a simulated I2C bus: wake pulse, locks, polling, impossible replies."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from atcaprov import Board, Code, DeviceError, ProtocolError, SoftwareChip, TransportError
from atcaprov.emulator.chip import Power
from atcaprov.hal.bus_lock import BusLock
from atcaprov.hal.i2c.bus import GENERAL_CALL, wakes
from atcaprov.hal.i2c.hal import I2cHal, open_i2c
from atcaprov.serving.chips import ServedClock
from tests.hal.ways import FakeI2cBus
from tests.support.faulty_board import BoardFault


def test_wake_pulse_counts_though_the_adapter_reports_failure() -> None:
    class Grumpy(FakeI2cBus):
        def write(self, address: int, data: bytes) -> bool:
            acknowledged = super().write(address, data)
            if address == 0:
                raise TransportError("EIO")
            return acknowledged

    hal = _hal(Grumpy([SoftwareChip()]))
    hal.wake()
    assert hal.exchange(bytes.fromhex("0730000000035d")).hex() == "07000060028038"
    hal.close()


def test_byte_after_the_general_call_is_allowed() -> None:
    """UM10204, 3.1.13, forbids 00; the vendor's library sends 01."""

    class Noting(FakeI2cBus):
        def write(self, address: int, data: bytes) -> bool:
            if address == GENERAL_CALL:
                calls.append(data)
            return super().write(address, data)

    calls: list[bytes] = []
    _hal(Noting([SoftwareChip()])).close()
    assert set(calls) == {b"\x01"}


def test_a_chip_that_tests_itself_at_each_wake_is_awake_after_20_ms(monkeypatch: pytest.MonkeyPatch) -> None:
    """ChipOptions bit 0; no other try is needed, and it is not sent to sleep while it wakes."""
    chip = SoftwareChip(clock=ServedClock(1e-9))
    chip.memory.config[90] = 0x01
    waits = SimpleNamespace(
        monotonic=chip.clock.now, sleep=lambda seconds: chip.clock.wait_until(chip.clock.now() + seconds)
    )
    monkeypatch.setattr("atcaprov.hal.i2c.hal.time", waits)
    monkeypatch.setattr("atcaprov.hal.i2c.bus.time", waits)
    hal = _hal(FakeI2cBus([chip]))
    hal.wake()
    assert chip.clock.now() < 0.050
    hal.close()


def _hal(bus: FakeI2cBus) -> I2cHal:
    return open_i2c(f"//{id(bus)}/0x60", bus, seconds=0.0)


def test_chips_of_one_bus_work_side_by_side() -> None:
    chips = [SoftwareChip(), SoftwareChip()]
    chips[1].memory.config[16] = 0x6A
    chips[1].power_cycle()
    bus = FakeI2cBus(chips)
    hals = [open_i2c(f"//{id(bus)}/{address}", bus) for address in ("0x60", "0x35")]
    for _ in range(3):
        for hal, chip in zip(hals, chips, strict=True):
            hal.wake()
            reply = hal.exchange(bytes.fromhex("07028000 0009ad"))
            hal.idle()
            assert reply[1:5] == bytes(chip.memory.config[:4])
    for hal in hals:
        hal.close()


def test_chip_is_locked_for_one_program() -> None:
    bus = FakeI2cBus([SoftwareChip()])
    first = _hal(bus)
    with pytest.raises(TransportError) as refused:
        _hal(bus)
    assert refused.value.code == Code.DEVICE_BUSY
    first.close()
    _hal(bus).close()


def test_chip_that_stays_busy_gives_an_error() -> None:
    class Stuck(FakeI2cBus):
        stuck = False

        def write(self, address: int, data: bytes) -> bool:
            return not (self.stuck and data == b"\x00" and address) and super().write(address, data)

    bus = Stuck([SoftwareChip()])
    hal = _hal(bus)
    hal.wake()
    bus.stuck = True
    with pytest.raises(TransportError, match="did not answer within"):
        hal.exchange(bytes.fromhex("0730000000035d"))
    bus.stuck = False
    hal.wake()
    assert len(hal.exchange(bytes.fromhex("0730000000035d"))) == 7
    hal.close()


class Busy(FakeI2cBus):
    """A chip that is deaf for some reads, such as during a command that another program sent."""

    reads_to_come = 0

    def write(self, address: int, data: bytes) -> bool:
        return not (address and self.reads_to_come) and super().write(address, data)

    def read(self, address: int, count: int) -> bytes:
        if self.reads_to_come:
            self.reads_to_come -= 1
            return b""
        return super().read(address, count)


@pytest.mark.slow
def test_a_chip_that_is_busy_with_a_command_of_a_killed_program_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("atcaprov.hal.i2c.hal.BUSY_SECONDS", 60.0)
    bus = Busy([SoftwareChip()])
    bus.reads_to_come = 10
    hal = open_i2c(f"//{id(bus)}/0x60", bus, seconds=60.0)
    hal.wake()
    assert len(hal.exchange(bytes.fromhex("0730000000035d"))) == 7
    hal.close()


def test_bus_is_free_while_waiting_for_a_busy_chip(monkeypatch: pytest.MonkeyPatch) -> None:
    free: list[bool] = []
    bus = Busy([SoftwareChip()])
    lock = BusLock(f"i2c-{id(bus)}")

    def look(seconds: float) -> None:
        if seconds < 0.03:
            return  # the pauses of a wake pulse, within a try
        try:
            lock.acquire()
        except TransportError:
            free.append(False)
        else:
            lock.release()
            free.append(True)

    clock = SimpleNamespace(monotonic=lambda: 0.0, sleep=look)
    monkeypatch.setattr("atcaprov.hal.i2c.hal.time", clock)
    monkeypatch.setattr("atcaprov.hal.i2c.bus.time", clock)
    bus.reads_to_come = 8
    open_i2c(f"//{id(bus)}/0x60", bus, seconds=1.0).close()
    assert free == [True, True]


def test_impossible_count_is_refused_before_more_is_read() -> None:
    bus = FakeI2cBus([SoftwareChip()])
    hal = _hal(bus)
    hal.wake()
    bus.fault = BoardFault.NOISE
    with pytest.raises(ProtocolError, match="255 bytes") as refused:
        hal.exchange(bytes.fromhex("0730000000035d"))
    assert refused.value.code == Code.BAD_PACKET
    hal.close()


class Failing(FakeI2cBus):
    """A chip whose self test fails at wake."""

    failing = True

    def read(self, address: int, count: int) -> bytes:
        answer = super().read(address, count)
        return bytes.fromhex("040740c2") if self.failing and count == 4 and answer else answer


def test_a_chip_whose_self_test_fails_at_wake_scraps_its_board() -> None:
    chip = SoftwareChip()
    bus = Failing([chip])
    with pytest.raises(DeviceError) as refused:
        _hal(bus)
    assert (refused.value.command, refused.value.status, refused.value.board) == ("Wake", 7, Board.SCRAP)
    assert wakes(bus, 0x60), "it is still a chip"
    chip.sleep()
    bus.failing = False
    hal = _hal(bus)
    bus.failing = True
    with pytest.raises(DeviceError):
        hal.wake()
    hal.close()
    assert chip.power is Power.ASLEEP
    bus.failing = False
    _hal(bus).close()


def test_idle_chip_with_failed_self_test_sleeps_under_the_bus_lock() -> None:
    class Watched(Failing):
        failing = False

        def write(self, address: int, data: bytes) -> bool:
            if address and data == b"\x01":
                with pytest.raises(TransportError):
                    lock.acquire()
                sent_to_sleep.append(address)
            return super().write(address, data)

    chip = SoftwareChip()
    bus = Watched([chip])
    lock, sent_to_sleep = BusLock(f"i2c-{id(bus)}"), list[int]()
    hal = _hal(bus)
    hal.wake()
    hal.idle()
    bus.failing = True
    sent_to_sleep.clear()
    hal.sleep()
    assert chip.power is Power.ASLEEP
    hal.close()
    assert sent_to_sleep == [0x60]
    lock.acquire()
    lock.release()


def test_an_idle_chip_is_put_to_sleep_and_then_left_alone() -> None:
    class Noting(FakeI2cBus):
        writes = 0

        def write(self, address: int, data: bytes) -> bool:
            self.writes += 1
            return super().write(address, data)

    chip = SoftwareChip()
    bus = Noting([chip])
    hal = _hal(bus)
    hal.wake()
    hal.idle()
    powers = [chip.power]
    hal.sleep()
    assert [*powers, chip.power] == [Power.IDLE, Power.ASLEEP]
    before = bus.writes
    hal.close()
    assert bus.writes == before


def test_chip_put_to_sleep_by_its_watchdog_is_woken_again() -> None:
    chip = SoftwareChip()
    hal = _hal(FakeI2cBus([chip]))
    hal.wake()
    chip.sleep()
    hal.wake()
    assert len(hal.exchange(bytes.fromhex("0730000000035d"))) == 7
    hal.close()


def test_chip_that_acknowledges_no_read_does_not_answer() -> None:
    class Mute(FakeI2cBus):
        mute = True

        def read(self, address: int, count: int) -> bytes:
            return b"" if self.mute and count == 1 else super().read(address, count)

    bus = Mute([SoftwareChip()])
    hal = _hal(bus)
    hal.wake()
    with pytest.raises(TransportError, match="does not acknowledge a read") as refused:
        hal.exchange(bytes.fromhex("0730000000035d"))
    assert refused.value.code == Code.DEVICE_NO_REPLY
    bus.mute = False
    hal.wake()
    assert len(hal.exchange(bytes.fromhex("0730000000035d"))) == 7
    hal.close()
