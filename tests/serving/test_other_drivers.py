"""What other people's drivers put on the bus, message by message, on 100 kHz and with a chip that takes its time.

Facts of public sources, without their code: the order of writes, reads and waits. A driver that waits as long as its
table says must find a chip with typical times ready. Time is the chip's: a wait is one of its clock.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from atcaprov import SoftwareChip
from atcaprov.chip.commands import WAKE_TOKEN, Opcode
from atcaprov.chip.crc import with_crc
from atcaprov.chip.execution_times import Times
from atcaprov.emulator.images import load_image
from atcaprov.emulator.random_source import SystemRandom
from atcaprov.serving.chips import ServedClock
from tests.support.chips import packet
from tests.support.i2c_client import ACK, NAK, I2cClient

LATE = 1e-6
"""No sleep ends before its time."""
SLOW = 1e-9
"""Speed of the clock: it passes only where a driver waits."""
READ_BLOCK_0 = packet(Opcode.READ, 0x80)


@dataclass
class Driver:
    """One chip on a bus and the waits of its driver."""

    image: str = "atecc608a"
    address: int = 0x60
    speed: int = 100_000
    times: Times = Times.TYPICAL
    chip: SoftwareChip = field(init=False)

    def __post_init__(self) -> None:
        memory = load_image(self.image).make(SystemRandom())
        self.chip = SoftwareChip(memory, clock=ServedClock(SLOW), times=self.times)
        self.line = I2cClient(self.chip, speed=self.speed)

    def write(self, data: bytes, *, ends: bool = True) -> bool:
        return self.line.write(data, address=self.address, ends=ends) == ACK

    def read(self, count: int) -> bytes:
        reply = self.line.read(count, address=self.address)
        return b"" if reply == NAK else reply[1:]

    def wait(self, seconds: float) -> None:
        self.chip.clock.wait_until(self.chip.clock.now() + seconds)


HELIUM_MS = {Opcode.READ: (0, 1), Opcode.NONCE: (0, 7), Opcode.GEN_KEY: (11, 115), Opcode.RANDOM: (1, 23)}
Exchange = Callable[[Driver, bytes], bytes]


def armoryctl(driver: Driver, content: bytes) -> bytes:
    """usbarmory/armoryctl, atecc608/atecc608.go and internal/i2c_linux.go.

    Wake: two zero bytes to the chip's own address. Each read is a combined transfer: word address, then so many bytes.
    """
    driver.write(b"\0\0")
    driver.wait(0.0015)
    driver.write(b"\0", ends=False)
    assert driver.read(4) == WAKE_TOKEN
    assert driver.write(b"\x03" + content)
    driver.wait(0.250)
    driver.write(b"\x03", ends=False)
    count = driver.read(1)[0]
    driver.write(b"\x03", ends=False)
    reply = driver.read(count)
    assert driver.write(b"\x02")
    return reply


def ucryptoauthlib(driver: Driver, content: bytes) -> bytes:
    """dmazzella/ucryptoauthlib, cryptoauthlib/device.py: the scan of all addresses wakes, and polling does the rest."""
    for address in range(0x08, 0x78):
        driver.line.write(b"", address=address)
    for _ in range(20):
        driver.write(b"\0\0")
        driver.wait(0.00015)
        if driver.write(b"\x03" + content):
            break
    for _ in range(250):
        if first := driver.read(1):
            return first + driver.read(first[0] - 1)
        driver.wait(0.001)
    return b""


def helium(driver: Driver, content: bytes) -> bytes:
    """helium/ecc508, src/ecc508.erl: a packet of opcode 00 wakes; replies come in pieces of 32 bytes.

    It asks after the typical time of the ATECC508A's sheet and once more after the maximum; then it gives up.
    """
    driver.write(b"\x03" + with_crc(bytes((30, 0)) + bytes(26)))
    for wait in (0.0, 0.002):
        driver.wait(wait)
        if first := driver.read(1):
            assert first + driver.read(3) == WAKE_TOKEN
    assert driver.write(b"\x03" + content)
    typical, maximum = HELIUM_MS[Opcode(content[1])]
    driver.wait(typical / 1000)
    if not (reply := driver.read(1)):
        driver.wait((maximum - typical) / 1000 + LATE)
        reply = driver.read(1)
    assert reply, "no answer within the time of the sheet"
    left = reply[0] - 1
    while left:
        reply += driver.read(min(left, 32))
        left = reply[0] - len(reply)
    return reply


def nerves(driver: Driver, content: bytes) -> bytes:
    """nerves-hub/atecc508a, i2c_server.ex: byte 00 to the general call, reply in one read of the expected size."""
    driver.line.write(b"\0", address=0)
    driver.wait(0.002)
    assert driver.read(4) == WAKE_TOKEN
    assert driver.write(b"\x03" + content)
    while not (reply := driver.read(35)):
        driver.wait(0.002)
    assert driver.write(b"\x01")
    return reply


def picowallet(driver: Driver, content: bytes) -> bytes:
    """jmcpheron/picowallet, firmware/atecc.py: reads three bytes more than the data, and trusts the count."""
    driver.line.write(b"\0", address=0)
    driver.wait(0.002)
    assert driver.read(4) == WAKE_TOKEN
    assert driver.write(b"\x03" + content)
    driver.wait(0.002)
    while not (reply := driver.read(35)):
        driver.wait(0.003)
    return reply[: reply[0]]


DRIVERS: dict[str, Exchange] = {
    "armoryctl": armoryctl,
    "ucryptoauthlib": ucryptoauthlib,
    "helium/ecc508": helium,
    "nerves-hub": nerves,
    "picowallet": picowallet,
}
ONLY_FOR_THE_508A = ("helium/ecc508",)


@pytest.mark.parametrize(
    ("name", "image"),
    [(name, "atecc508a") for name in DRIVERS]
    + [(name, image) for name in DRIVERS for image in ("atecc608a", "atecc608b") if name not in ONLY_FOR_THE_508A],
)
def test_a_driver_wakes_the_chip_and_reads_its_serial_number(name: str, image: str) -> None:
    driver = Driver(image)
    reply = DRIVERS[name](driver, READ_BLOCK_0)
    assert reply == with_crc(b"\x23" + bytes(driver.chip.memory.config[:32]))


def test_armoryctl_runs_its_commands_one_after_the_other() -> None:
    driver = Driver()
    for _ in range(3):
        assert armoryctl(driver, packet(Opcode.SELF_TEST, 0x3B)) == bytes.fromhex("04000340")
        assert len(armoryctl(driver, READ_BLOCK_0)) == 35


@pytest.mark.parametrize("exchange", [armoryctl, ucryptoauthlib, helium])
def test_driver_that_wakes_by_the_chips_address_finds_no_chip_at_400_khz(exchange: Exchange) -> None:
    driver = Driver(speed=400_000)
    with pytest.raises((AssertionError, IndexError)):
        assert exchange(driver, READ_BLOCK_0)


@pytest.mark.parametrize("times", Times)
@pytest.mark.parametrize("content", [READ_BLOCK_0, packet(Opcode.NONCE, 3, 0, bytes(32)), packet(Opcode.RANDOM)])
def test_a_driver_with_the_times_of_the_508as_sheet_is_in_time(times: Times, content: bytes) -> None:
    """DS20005927A, table 9-4: Read 1, Nonce 7, Random 23 ms at most."""
    assert helium(Driver("atecc508a", times=times), content)
