"""Linux' device files of I2C buses, with the kernel's answers played: what each errno becomes."""

from __future__ import annotations

import errno
import os
from types import SimpleNamespace
from typing import Any

import pytest

from atcaprov.emulator.chip import Chip
from atcaprov.errors import Code, ProtocolError, TransportError
from atcaprov.hal.i2c import I2cHal
from atcaprov.hal.i2c_dev import LinuxI2cBus, open_i2c
from tests.hal.ways import FakeI2cBus
from tests.support.faulty_board import Fault


class Kernel:
    """Plays open, ioctl, read, write and close of /dev/i2c-5."""

    def __init__(self) -> None:
        self.errors: dict[str, int] = {}
        self.calls: list[tuple[Any, ...]] = []
        self.open_files = 0

    def _do(self, name: str, *arguments: Any) -> None:
        self.calls.append((name, *arguments))
        if name in self.errors:
            raise OSError(self.errors[name], os.strerror(self.errors[name]))

    def open(self, path: str, flags: int) -> int:
        self._do("open", path)
        self.open_files += 1
        return 1000

    def close(self, file: int) -> None:
        self.open_files -= 1

    def write(self, file: int, data: bytes) -> int:
        self._do("write", data)
        return len(data)

    def read(self, file: int, count: int) -> bytes:
        self._do("read", count)
        return bytes(count)

    def ioctl(self, file: int, request: int, address: int) -> None:
        self._do("ioctl", request, address)


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Kernel:
    kernel = Kernel()
    played = {name: getattr(kernel, name) for name in ("open", "close", "read", "write")}
    flags = {"O_RDWR": os.O_RDWR, "O_CLOEXEC": os.O_CLOEXEC}
    monkeypatch.setattr("atcaprov.hal.i2c_dev.os", SimpleNamespace(**played, **flags))
    monkeypatch.setattr("atcaprov.hal.i2c_dev.fcntl", SimpleNamespace(ioctl=kernel.ioctl))
    return kernel


def test_each_transfer_opens_addresses_and_closes(kernel: Kernel) -> None:
    bus = LinuxI2cBus(5)
    assert bus.write(0x60, b"\x03abc")
    assert bus.read(0x60, 4) == bytes(4)
    assert kernel.calls == [
        ("open", "/dev/i2c-5"),
        ("ioctl", 0x703, 0x60),
        ("write", b"\x03abc"),
        ("open", "/dev/i2c-5"),
        ("ioctl", 0x703, 0x60),
        ("read", 4),
    ]
    assert kernel.open_files == 0


@pytest.mark.parametrize("number", [errno.ENXIO, errno.EREMOTEIO])
def test_a_nak_is_no_error(kernel: Kernel, number: int) -> None:
    kernel.errors = {"write": number, "read": number}
    assert not LinuxI2cBus(5).write(0x60, b"\x00")
    assert LinuxI2cBus(5).read(0x60, 4) == b""
    assert kernel.open_files == 0


@pytest.mark.parametrize(
    ("call", "number", "code"),
    [
        ("open", errno.ENOENT, Code.DEVICE_NOT_FOUND),
        ("open", errno.EACCES, Code.DEVICE_NO_PERMISSION),
        ("open", errno.ENODEV, Code.DEVICE_NOT_FOUND),
        ("ioctl", errno.EBUSY, Code.DEVICE_BUSY),
        ("ioctl", errno.EIO, Code.DEVICE_NOT_FOUND),
        ("write", errno.EIO, Code.DEVICE_NOT_FOUND),
        ("read", errno.ETIMEDOUT, Code.DEVICE_NOT_FOUND),
    ],
)
def test_what_the_kernel_refuses_is_a_typed_error(kernel: Kernel, call: str, number: int, code: Code) -> None:
    kernel.errors = {call: number}
    bus = LinuxI2cBus(5)
    with pytest.raises(TransportError) as refused:
        bus.read(0x60, 4) if call == "read" else bus.write(0x60, b"\x00")
    assert refused.value.code == code
    assert refused.value.advice
    assert kernel.open_files == 0


def test_a_missing_right_names_the_rules(kernel: Kernel) -> None:
    kernel.errors = {"open": errno.EACCES}
    with pytest.raises(TransportError, match=r"60-atcaprov\.rules"):
        open_i2c("//5/0x60")


def test_a_wake_pulse_that_the_adapter_reports_as_failed_is_a_wake_pulse() -> None:
    class Grumpy(FakeI2cBus):
        def write(self, address: int, data: bytes) -> bool:
            acknowledged = super().write(address, data)
            if address == 0:
                raise TransportError("EIO")
            return acknowledged

    hal = _hal(Grumpy([Chip()]))
    hal.wake()
    assert hal.exchange(bytes.fromhex("0730000000035d")).hex() == "07000060028038"
    hal.close()


def _hal(bus: FakeI2cBus) -> I2cHal:
    return open_i2c(f"//{id(bus)}/0x60", bus, seconds=0.0)


def test_chips_of_one_bus_work_side_by_side() -> None:
    chips = [Chip(), Chip()]
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


def test_one_chip_serves_one_program() -> None:
    bus = FakeI2cBus([Chip()])
    first = _hal(bus)
    with pytest.raises(TransportError) as refused:
        _hal(bus)
    assert refused.value.code == Code.DEVICE_BUSY
    first.close()
    _hal(bus).close()


def test_a_chip_that_stays_busy_is_given_up() -> None:
    class Stuck(FakeI2cBus):
        stuck = False

        def write(self, address: int, data: bytes) -> bool:
            return not (self.stuck and data == b"\x00" and address) and super().write(address, data)

    bus = Stuck([Chip()])
    hal = _hal(bus)
    hal.wake()
    bus.stuck = True
    with pytest.raises(TransportError, match="did not answer within"):
        hal.exchange(bytes.fromhex("0730000000035d"))
    bus.stuck = False
    hal.wake()
    assert len(hal.exchange(bytes.fromhex("0730000000035d"))) == 7
    hal.close()


def test_a_count_that_can_not_be_is_refused_before_more_is_read() -> None:
    bus = FakeI2cBus([Chip()])
    hal = _hal(bus)
    hal.wake()
    bus.fault = Fault.NOISE
    with pytest.raises(ProtocolError, match="255 bytes") as refused:
        hal.exchange(bytes.fromhex("0730000000035d"))
    assert refused.value.code == Code.BAD_PACKET
    hal.close()
