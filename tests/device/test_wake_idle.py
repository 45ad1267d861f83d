"""A chip that stays awake between commands: fewer calls, the same results."""

from __future__ import annotations

import pytest

from atcaprov import Act, Code, Device, EmulatedHal, SoftwareChip, TransportError
from atcaprov.chip.commands import Opcode
from atcaprov.chip.memory_map import CHIP_MODE, LOCK_CONFIG
from atcaprov.device.wake_idle import AWAKE_SECONDS, AwakeChip
from atcaprov.emulator.chip import Power
from atcaprov.emulator.timing import Clock
from atcaprov.serving.chips import ServedClock
from tests.support.chips import packet

READ, GEN_KEY = packet(Opcode.READ, 0x80), packet(Opcode.GEN_KEY, 4)


class CountedHal(EmulatedHal):
    """Keeps the calls."""

    def __init__(self, chip: SoftwareChip | None = None) -> None:
        super().__init__(chip or SoftwareChip(), "test:")
        self.calls: list[str] = []
        self.gone = False

    def _count(self, name: str) -> None:
        self.calls.append(name)
        if self.gone:
            raise TransportError("gone")

    def wake(self) -> None:
        self._count("wake")
        super().wake()

    def idle(self) -> None:
        self._count("idle")
        super().idle()

    def sleep(self) -> None:
        self._count("sleep")
        super().sleep()

    def exchange(self, packet: bytes) -> bytes:
        self._count("exchange")
        return super().exchange(packet)


def locked_chip(mode: int = 0, clock: Clock | None = None) -> SoftwareChip:
    chip = SoftwareChip(clock=clock)
    chip.memory.config[CHIP_MODE] = mode
    chip.memory.config[LOCK_CONFIG] = 0
    return chip


def test_a_burst_wakes_and_idles_once() -> None:
    hal = CountedHal()
    with Device(hal) as device:
        with device.burst(), device.burst():
            config = device.read_config()
        assert hal.calls == ["wake"] + ["exchange"] * 4 + ["idle"]
        assert hal.chip.power is Power.IDLE
        hal.calls.clear()
        assert device.read_config() == config
        assert hal.calls == ["wake", "exchange", "idle"] * 4


def test_a_burst_does_not_outlast_the_watchdog() -> None:
    hal = CountedHal(locked_chip())
    with Device(hal) as device, device.burst(), device.permit(Act.CREATE_KEY):
        keys = {device.gen_key(0) for _ in range(12)}
    assert len(keys) == 12
    per_wake = int(AWAKE_SECONDS / 0.115)
    assert hal.calls.count("exchange") == 12
    assert hal.calls.count("wake") == -(-12 // per_wake)


@pytest.mark.parametrize("mode", [0x28, 0x68])
def test_command_is_sent_again_to_a_slow_chip_whose_time_ran_out(mode: int) -> None:
    slowest = ServedClock(1e-9)  # maxima that count against the watchdog
    hal = CountedHal(locked_chip(mode, slowest))
    with Device(hal) as device, device.burst(), device.permit(Act.CREATE_KEY):
        for _ in range(6):
            assert device.gen_key(0) == device.get_pubkey(0)
            assert len(device.sign(0, bytes(32))) == 64
    refused = hal.calls.count("exchange") - 6 * 4
    assert refused > 0 or mode == 0x28, "at the slowest clock the chip refuses some for its watchdog"
    assert hal.chip.power is Power.ASLEEP


def test_chip_is_woken_before_a_command_after_a_pause() -> None:
    hal, time = CountedHal(), [0.0]
    chip = AwakeChip(hal, now=lambda: time[0])
    chip.begin_burst()
    for pause in (0.0, 0.1, 5.0):
        time[0] += pause
        chip.wake()
        assert len(chip.exchange(READ)) == 35
        chip.idle()
    assert hal.calls == ["wake", "exchange", "exchange", "idle", "wake", "exchange"]
    chip.end_burst()
    assert hal.calls[-1] == "idle"


def test_chip_that_fell_asleep_before_its_first_command_is_woken() -> None:
    hal, time = CountedHal(), [0.0]
    chip = AwakeChip(hal, now=lambda: time[0])
    chip.begin_burst()
    chip.wake()
    chip.idle()
    hal.chip.power_cycle()
    time[0] += 5
    chip.wake()
    assert len(chip.exchange(READ)) == 35


def test_long_command_wakes_the_chip_once() -> None:
    hal = CountedHal(locked_chip())
    chip = AwakeChip(hal, now=lambda: 0.0)
    chip.wake()
    chip.exchange(packet(Opcode.SELF_TEST, 0x01))
    assert hal.calls == ["wake", "exchange"]


def test_lost_chip_ends_the_burst_and_the_next_command_reports_it() -> None:
    hal = CountedHal()
    with Device(hal) as device:
        with device.burst():
            device.info()
            hal.gone = True
        with pytest.raises(TransportError):
            device.info()
        hal.gone = False
        with device.burst():
            device.info()
            hal.gone = True
            with pytest.raises(TransportError):
                device.info()
        hal.gone = False
        assert len(device.info()) == 4


def test_rest_sleeps_once_in_a_burst() -> None:
    hal = CountedHal()
    with Device(hal) as device:
        with device.burst():
            device.info()
            device.rest()
            assert hal.chip.power is Power.ASLEEP
            device.rest()
            device.info()
            device.rest()
        device.rest()
    assert hal.calls == ["wake", "exchange", "sleep"] * 2


def test_rest_puts_an_idle_chip_to_sleep() -> None:
    hal = CountedHal()
    with Device(hal) as device:
        device.info()
        assert hal.calls[-1] == "idle"
        device.rest()
        assert hal.chip.power is Power.ASLEEP


def asleep_unseen(*packets: bytes) -> tuple[CountedHal, AwakeChip]:
    """Return a chip in a burst that has fallen asleep after some commands, and a host that takes it for awake."""
    hal = CountedHal()
    chip = AwakeChip(hal, now=lambda: 0.0)
    chip.begin_burst()
    for command in packets:
        chip.wake()
        chip.exchange(command)
        chip.idle()
    hal.chip.power_cycle()
    hal.calls.clear()
    chip.wake()
    return hal, chip


@pytest.mark.parametrize("command", [READ, packet(Opcode.INFO), packet(Opcode.GEN_KEY, 0)], ids=["Read", "Info", "key"])
def test_harmless_command_is_repeated_to_a_chip_that_fell_asleep(command: bytes) -> None:
    hal, chip = asleep_unseen(READ)
    assert chip.exchange(command)
    assert hal.calls == ["exchange", "wake", "exchange"]


@pytest.mark.parametrize(
    "command",
    [
        packet(Opcode.WRITE, 0x00, 5, bytes(4)),
        packet(Opcode.LOCK, 0x00),
        packet(Opcode.GEN_KEY, 0x04),
        packet(Opcode.SIGN, 0xA0),
        packet(Opcode.SHA, 0x01, 64, bytes(64)),
    ],
    ids=["Write", "Lock", "GenKey", "Sign", "SHA"],
)
def test_command_that_changes_or_needs_state_is_never_repeated(command: bytes) -> None:
    hal, chip = asleep_unseen(READ)
    with pytest.raises(TransportError) as lost:
        chip.exchange(command)
    assert lost.value.code == Code.DEVICE_NO_REPLY
    assert hal.calls == ["exchange"]


def test_chip_with_volatile_state_is_not_woken_silently() -> None:
    hal, chip = asleep_unseen(packet(Opcode.NONCE, 0x43, 0, bytes(32)))
    with pytest.raises(TransportError):
        chip.exchange(READ)
    assert hal.calls == ["exchange"]
    chip.rest()
    chip.wake()
    assert len(chip.exchange(READ)) == 35


def test_lost_chip_is_reported_with_the_first_error() -> None:
    hal, chip = asleep_unseen(READ)
    hal.chip.power_off()
    with pytest.raises(TransportError, match="does not answer"):
        chip.exchange(READ)
