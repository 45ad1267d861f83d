"""I2C through the vendor's transport over a played kernel: the contract of all ways, and what each errno becomes.

Runs in a process of its own, which `test_i2c_library.py` starts with the kernel's calls preloaded.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator

import pytest

from atcaprov import Code, Hal, SoftwareChip, TransportError
from atcaprov.hal.i2c.hal import open_i2c
from atcaprov.hal.i2c.linux_bus import LibraryI2cBus
from tests.hal import ways
from tests.hal.ways import FakeI2cBus, I2cWay
from tests.support.fake_i2c_kernel import FakeI2cKernel, played

KERNEL = FakeI2cKernel()
BUS_NUMBER = 213
"""Of no bus that other tests lock."""


class LibraryWay(I2cWay):
    def __init__(self) -> None:
        super().__init__()
        KERNEL.reset()
        KERNEL.bus = self.bus

    def open(self) -> Hal:
        return open_i2c(f"//{BUS_NUMBER}/0x60", seconds=0.3)


ways.WAYS.clear()
ways.WAYS["i2c"] = LibraryWay

from tests.hal.test_contract import *  # noqa: E402, F403 - reads the table of ways when it is imported

del test_every_firmware_serves_the_vendors_driver  # noqa: F821


@pytest.fixture
def kernel() -> Iterator[FakeI2cKernel]:
    with played(KERNEL) as kernel:
        yield kernel


def test_each_transfer_opens_addresses_and_closes(kernel: FakeI2cKernel) -> None:
    bus = LibraryI2cBus(5)
    assert bus.write(0x60, b"\x03abc")
    assert bus.write(0, b"\x01")
    assert bus.read(0x60, 4) == bytes(4)
    assert kernel.calls == [
        ("open", "/dev/i2c-5"),
        ("ioctl", 0x60),
        ("write", b"\x03abc"),
        ("open", "/dev/i2c-5"),
        ("ioctl", 0),
        ("write", b"\x01"),
        ("open", "/dev/i2c-5"),
        ("ioctl", 0x60),
        ("read", 4),
    ]
    bus.close()


@pytest.mark.parametrize("size", [1, 2, 152, 156])
def test_transfers_of_every_length_arrive_unchanged(kernel: FakeI2cKernel, size: int) -> None:
    bus, data = LibraryI2cBus(255), bytes(range(100, 100 + size))
    assert bus.write(0x77, data)
    assert len(bus.read(0x77, size)) == size
    assert ("write", data) in kernel.calls
    assert ("read", size) in kernel.calls
    bus.close()


@pytest.mark.parametrize("number", [errno.ENXIO, errno.EREMOTEIO])
def test_nak_is_not_an_error_and_is_checked_once(kernel: FakeI2cKernel, number: int) -> None:
    kernel.errors = {"write": number, "read": number}
    bus = LibraryI2cBus(5)
    assert not bus.write(0x60, b"\x00")
    assert bus.read(0x60, 4) == b""
    assert [call for call in kernel.calls if call[0] in ("write", "read")] == [("write", b"\x00"), ("read", 4)]
    bus.close()


@pytest.mark.parametrize(
    ("call", "number", "code"),
    [
        ("open", errno.ENOENT, Code.DEVICE_NOT_FOUND),
        ("open", errno.EACCES, Code.DEVICE_NO_PERMISSION),
        ("open", errno.ENODEV, Code.DEVICE_NOT_FOUND),
        ("open", errno.ENXIO, Code.DEVICE_NOT_FOUND),
        ("ioctl", errno.EBUSY, Code.DEVICE_BUSY),
        ("ioctl", errno.EIO, Code.DEVICE_NOT_FOUND),
        ("write", errno.EBUSY, Code.DEVICE_NOT_FOUND),
        ("write", errno.EIO, Code.DEVICE_NOT_FOUND),
        ("read", errno.ETIMEDOUT, Code.DEVICE_NOT_FOUND),
    ],
)
def test_refusal_of_the_kernel_is_a_typed_error(kernel: FakeI2cKernel, call: str, number: int, code: Code) -> None:
    kernel.errors = {call: number}
    bus = LibraryI2cBus(5)
    with pytest.raises(TransportError) as refused:
        bus.read(0x60, 4) if call == "read" else bus.write(0x60, b"\x00")
    assert refused.value.code == code
    assert refused.value.advice
    bus.close()


def test_bus_fault_differs_from_silence(kernel: FakeI2cKernel) -> None:
    kernel.errors = {"write": errno.ETIMEDOUT}
    with pytest.raises(TransportError, match="timed out"):
        LibraryI2cBus(5).write(0x60, b"\x03abc")


def test_lost_error_number_counts_as_silence(kernel: FakeI2cKernel, monkeypatch: pytest.MonkeyPatch) -> None:
    kernel.errors = {"write": errno.ETIMEDOUT}
    monkeypatch.setattr("ctypes.get_errno", lambda: 0)
    assert not LibraryI2cBus(5).write(0x60, b"\x03abc")
    kernel.errors = {"open": errno.EACCES}
    with pytest.raises(TransportError) as refused:
        LibraryI2cBus(5).write(0x60, b"\x03abc")
    assert refused.value.code == Code.DEVICE_NO_PERMISSION


def test_missing_permission_names_the_udev_rules(kernel: FakeI2cKernel) -> None:
    kernel.errors = {"open": errno.EACCES}
    with pytest.raises(TransportError, match="'atcaprov udev-rule --install'"):
        open_i2c(f"//{BUS_NUMBER}/0x60")


def test_closed_bus_works_again(kernel: FakeI2cKernel) -> None:
    bus = LibraryI2cBus(5)
    for _ in range(3):
        assert bus.write(0x60, b"\x00")
        bus.close()
        bus.close()


def test_chips_of_one_bus_have_interfaces_of_their_own(kernel: FakeI2cKernel) -> None:
    chips = [SoftwareChip(), SoftwareChip()]
    chips[1].memory.config[16] = 0x6A
    chips[1].power_cycle()
    kernel.bus = FakeI2cBus(chips)
    hals = [open_i2c(f"//{BUS_NUMBER}/{address}") for address in ("0x60", "0x35")]
    for _ in range(3):
        for hal, chip in zip(hals, chips, strict=True):
            hal.wake()
            reply = hal.exchange(bytes.fromhex("07028000 0009ad"))
            hal.idle()
            assert reply[1:5] == bytes(chip.memory.config[:4])
    for hal in hals:
        hal.close()
