"""What wakes a chip on an I2C bus: SDA low for 60 us (DS20005927A, 6.1.1), by any byte, at any speed."""

from __future__ import annotations

import pytest

from atcaprov import SoftwareChip
from atcaprov.chip.commands import WAKE_TOKEN, Opcode
from atcaprov.emulator.chip import Power
from atcaprov.serving.chips import ServedClock
from tests.support.chips import packet
from tests.support.i2c_client import ACK, NAK, I2cClient

INFO = packet(Opcode.INFO)
GENERAL_CALL = 0x00
OWN_ADDRESS = 0x60
NOBODY = 0x55


@pytest.mark.parametrize(
    ("speed", "address", "wakes"),
    [
        (100_000, GENERAL_CALL, True),
        (133_000, GENERAL_CALL, True),
        (134_000, GENERAL_CALL, False),
        (400_000, GENERAL_CALL, False),
        (100_000, OWN_ADDRESS, True),
        (101_000, OWN_ADDRESS, False),
        (50_000, OWN_ADDRESS, True),
        (400_000, OWN_ADDRESS, False),
        (100_000, NOBODY, False),
        (100_000, 0x08, False),
        (66_000, 0x08, True),
    ],
)
def test_a_write_wakes_if_its_zero_bits_last_60_us(speed: int, address: int, wakes: bool) -> None:
    chip = SoftwareChip()
    line = I2cClient(chip, speed=speed)
    assert line.write(b"\0", address=address) == NAK, "who sleeps acknowledges nothing"
    assert (chip.power is Power.AWAKE) is wakes
    assert line.read(4) == (ACK + WAKE_TOKEN if wakes else NAK)


def test_a_read_wakes_too_but_with_one_zero_bit_less() -> None:
    """The address byte of a read ends in 1: C1 has five zeros in a row."""
    line = I2cClient()
    assert [line.read(4), line.read(4)] == [NAK, NAK]
    assert line.request(b"S", 0, 0, 80) == ACK
    assert [line.read(4), line.read(4)] == [NAK, ACK + WAKE_TOKEN]


@pytest.mark.parametrize(("microseconds", "power"), [(59, Power.ASLEEP), (60, Power.AWAKE)])
def test_a_pulse_on_the_pin_wakes_at_any_speed(microseconds: int, power: Power) -> None:
    chip = SoftwareChip()
    assert I2cClient(chip, speed=1_000_000).request(b"P", 0, 0, microseconds) == ACK
    assert chip.power is power


def test_a_program_may_slow_its_bus_down_for_the_wake_alone() -> None:
    line = I2cClient(speed=400_000)
    assert line.request(b"S", 0, 0, 100) == ACK
    assert line.write(b"", address=GENERAL_CALL) == NAK
    assert line.request(b"S", 0, 0, 400) == ACK
    assert line.command(INFO, 7) == bytes.fromhex("07000060028038")


def test_traffic_with_a_neighbour_wakes_on_a_slow_bus() -> None:
    neighbour, chip = SoftwareChip(), SoftwareChip()
    neighbour.memory.config[16] = 0xFE
    neighbour.power_cycle()
    for speed, power in ((400_000, Power.ASLEEP), (100_000, Power.AWAKE)):
        line = I2cClient(neighbour, chip, speed=speed)
        line.wake()
        chip.sleep()
        assert line.command(INFO, 7, address=0x7F) == bytes.fromhex("07000060028038")
        assert chip.power is power


@pytest.mark.parametrize(("speed", "power"), [(300_000, Power.AWAKE), (301_000, Power.ASLEEP)])
def test_traffic_wakes_up_to_300_khz(speed: int, power: Power) -> None:
    """ATECC608B-TFLXTLS data sheet, 7.1.1: zero bytes that are acknowledged are one low phase."""
    neighbour, chip = SoftwareChip(), SoftwareChip()
    neighbour.memory.config[16] = 0xFE
    neighbour.power_cycle()
    line = I2cClient(neighbour, chip, speed=speed)
    line.wake()
    chip.sleep()
    assert line.write(bytes(20), address=0x7F) == ACK
    assert chip.power is power


def test_the_byte_that_sends_a_chip_to_sleep_does_not_wake_it() -> None:
    chip = SoftwareChip()
    line = I2cClient(chip)
    line.wake()
    assert line.write(b"\x01") == ACK
    assert chip.power is Power.ASLEEP


def test_an_awake_chip_keeps_its_reply_when_it_is_addressed_with_zero_bits() -> None:
    line = I2cClient()
    line.wake()
    line.command(INFO, 2)
    line.write(b"", address=GENERAL_CALL)
    assert line.read(5) == ACK + bytes.fromhex("0060028038")


@pytest.mark.parametrize(("options", "seconds"), [(0x00, 0.0015), (0x01, 0.020)])
def test_the_power_on_self_test_of_a_608_makes_the_wake_longer(options: int, seconds: float) -> None:
    """ChipOptions bit 0."""
    chip = SoftwareChip(clock=ServedClock(1e-6))
    chip.memory.config[90] = options
    line = I2cClient(chip)
    line.wake()
    chip.clock.wait_until(seconds - 0.0001)
    assert line.read(4) == NAK
    chip.clock.wait_until(seconds + 0.0001)
    assert line.read(4) == ACK + WAKE_TOKEN
