"""Time, watchdog, busy, power, addresses, self tests."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from atcaprov.chip.commands import MAX_EXECUTION_MS_M0, Opcode
from atcaprov.chip.execution_times import (
    EXECUTION_TIMES_508A,
    MAX_EXECUTION_MS_508A,
    MAX_EXECUTION_MS_M1,
    MAX_EXECUTION_MS_M2,
    TYPICAL_EXECUTION_MS_508A,
    TYPICAL_EXECUTION_MS_M0,
    Times,
    execution_times_608,
)
from atcaprov.emulator.chip import Chip, Power
from atcaprov.emulator.images import load_image
from atcaprov.emulator.random_source import SeededRandom
from atcaprov.emulator.timing import Clock, RealClock, VirtualClock
from tests.support.chips import SERIAL, configured_memory, packet, reply_body

INFO = packet(Opcode.INFO)
WAKE = bytes.fromhex("04113343")


class StandingClock(Clock):
    """A clock that a test moves by hand and that never jumps."""

    def __init__(self) -> None:
        self.time = 0.0

    def now(self) -> float:
        return self.time

    def reached(self, moment: float) -> bool:
        return self.time >= moment

    def wait_until(self, moment: float) -> None:
        self.time = max(self.time, moment)


def virtual_chip(**config_bytes: bytes) -> tuple[Chip, VirtualClock]:
    clock = VirtualClock()
    memory = configured_memory(
        config_bytes={int(name.removeprefix("at_")): value for name, value in config_bytes.items()}
    )
    return Chip(memory, clock=clock), clock


class TestTime:
    def test_waking_takes_1_5_ms_and_a_command_its_time(self) -> None:
        chip, clock = virtual_chip()
        chip.wake()
        assert clock.now() == pytest.approx(0.0015)
        chip.exchange(INFO)
        assert clock.now() == pytest.approx(0.0015 + 0.005)
        chip.exchange(packet(Opcode.RANDOM))
        assert clock.now() == pytest.approx(0.0015 + 0.005 + 0.023)

    @pytest.mark.parametrize(
        ("divider", "times"), [(0x00, MAX_EXECUTION_MS_M0), (0x28, MAX_EXECUTION_MS_M1), (0x68, MAX_EXECUTION_MS_M2)]
    )
    def test_the_clock_divider_slows_the_heavy_commands(self, divider: int, times: dict[Opcode, int]) -> None:
        chip, clock = virtual_chip(at_19=bytes((divider,)))
        chip.wake()
        before = clock.now()
        chip.exchange(packet(Opcode.GEN_KEY, 4, 0))
        assert clock.now() - before == pytest.approx(times[Opcode.GEN_KEY] / 1000)

    def test_a_508a_has_its_own_times(self) -> None:
        clock = VirtualClock()
        chip = Chip(load_image("atecc508a").make(SeededRandom(b""), SERIAL), clock=clock)
        chip.wake()
        before = clock.now()
        chip.exchange(INFO)
        assert clock.now() - before == pytest.approx(MAX_EXECUTION_MS_508A[Opcode.INFO] / 1000)

    def test_every_command_has_a_time(self) -> None:
        from atcaprov.emulator.dispatch import COMMANDS_508, COMMANDS_608

        assert set(COMMANDS_508) == set(MAX_EXECUTION_MS_508A)
        assert set(COMMANDS_608) == set(MAX_EXECUTION_MS_M0) == set(MAX_EXECUTION_MS_M1) == set(MAX_EXECUTION_MS_M2)

    def test_a_refused_packet_costs_no_time(self) -> None:
        chip, clock = virtual_chip()
        chip.wake()
        before = clock.now()
        chip.exchange(INFO[:-1] + b"\0")
        assert clock.now() == before

    def test_a_real_clock_runs_at_its_speed(self) -> None:
        clock = RealClock(speed=1_000_000)
        chip = Chip(clock=clock)
        assert chip.wake() == WAKE
        start = clock.now()
        clock.wait_until(start + 100)
        assert clock.now() >= start + 100
        assert clock.reached(start)

    @pytest.mark.parametrize("speed", [0, -1, float("inf"), float("nan")])
    def test_a_clock_goes_forward(self, speed: float) -> None:
        with pytest.raises(ValueError, match="speed"):
            RealClock(speed)


class TestTables:
    """DS20005927A, table 9-4, and the library's maxima."""

    def test_times_of_the_508a_are_those_of_the_data_sheet(self) -> None:
        found = {
            opcode: (TYPICAL_EXECUTION_MS_508A[opcode], MAX_EXECUTION_MS_508A[opcode])
            for opcode in (Opcode.INFO, Opcode.READ, Opcode.NONCE, Opcode.SIGN, Opcode.VERIFY, Opcode.GEN_KEY)
        }
        assert found == {
            Opcode.INFO: (0.1, 1),
            Opcode.READ: (0.1, 1),
            Opcode.NONCE: (0.1, 7),
            Opcode.SIGN: (42, 50),
            Opcode.VERIFY: (38, 58),
            Opcode.GEN_KEY: (11, 115),
        }

    @pytest.mark.parametrize("mode", [None, 0x00, 0x28, 0x68])
    def test_nothing_typical_is_longer_than_its_maximum(self, mode: int | None) -> None:
        typical, maximum = EXECUTION_TIMES_508A if mode is None else execution_times_608(mode)
        assert set(typical) == set(maximum)
        assert all(typical[opcode] <= maximum[opcode] for opcode in typical)

    @pytest.mark.parametrize(
        ("image", "times", "milliseconds"),
        [
            ("atecc508a", Times.TYPICAL, (0.1, 0.1)),
            ("atecc508a", Times.MAXIMUM, (1, 115)),
            ("atecc608a", Times.TYPICAL, (0.3, 0.3)),
            ("atecc608a", Times.MAXIMUM, (5, 115)),
        ],
    )
    def test_a_refused_command_answers_quickly_unless_all_is_at_its_maximum(
        self, image: str, times: Times, milliseconds: tuple[float, float]
    ) -> None:
        clock = VirtualClock()
        chip = Chip(load_image(image).make(SeededRandom(b""), SERIAL), clock=clock, times=times)
        chip.wake()
        taken = []
        for sent in (INFO, packet(Opcode.GEN_KEY, 4, 0)):
            before = clock.now()
            chip.exchange(sent)
            taken.append(1000 * (clock.now() - before))
        assert taken == pytest.approx(milliseconds)
        assert chip.last_refusal is not None


class TestWatchdog:
    def test_it_puts_the_chip_to_sleep(self) -> None:
        chip, clock = virtual_chip()
        chip.wake()
        chip.exchange(packet(Opcode.NONCE, 3, 0, bytes(32)))
        clock.advance(1.3)
        assert chip.exchange(INFO) == b""
        assert chip.power is Power.ASLEEP
        assert chip.wake() == WAKE
        assert not chip.core.temp_key.valid

    def test_idle_and_wake_restart_it_and_keep_everything(self) -> None:
        chip, clock = virtual_chip()
        chip.wake()
        chip.exchange(packet(Opcode.NONCE, 3, 0, bytes(32)))
        for _ in range(5):
            clock.advance(1.0)
            chip.idle()
            clock.advance(100.0)
            chip.wake()
        assert chip.core.temp_key.valid
        assert reply_body(chip.exchange(INFO)) == bytes.fromhex("00006002")

    @pytest.mark.parametrize(
        ("times", "milliseconds"),
        [
            (Times.MAXIMUM, MAX_EXECUTION_MS_M0[Opcode.GEN_KEY]),
            (Times.TYPICAL, TYPICAL_EXECUTION_MS_M0[Opcode.GEN_KEY]),
        ],
    )
    def test_a_command_that_would_be_cut_is_refused(self, times: Times, milliseconds: float) -> None:
        clock = StandingClock()
        chip = Chip(configured_memory(), clock=clock, times=times)
        chip.wake()
        clock.time += 1.3 - milliseconds / 1000 + 0.001
        assert reply_body(chip.exchange(packet(Opcode.GEN_KEY, 4, 0))) == b"\xee"
        assert reply_body(chip.exchange(INFO)) == bytes.fromhex("00006002")
        assert reply_body(chip.exchange(packet(Opcode.GEN_KEY, 3, 0))) == b"\x03"

    @pytest.mark.parametrize("times", Times)
    def test_watchdog_counts_typical_times_on_a_virtual_clock(self, times: Times) -> None:
        """108 Writes last 4.86 s at their maxima and 1.296 s on a part, whose watchdog lets it do so many."""
        clock = VirtualClock()
        chip = Chip(clock=clock, times=times)
        chip.wake()
        write = packet(Opcode.WRITE, 0, 5, bytes(4))
        assert [reply_body(chip.exchange(write)) for _ in range(109)] == 108 * [b"\0"] + [b"\xee"]
        assert clock.now() == pytest.approx(0.0015 + 108 * 0.045 if times is Times.MAXIMUM else 0.0004 + 108 * 0.012)

    def test_watchdog_does_not_count_maxima_that_no_chip_takes(self) -> None:
        chip, clock = virtual_chip()
        chip.wake()
        clock.advance(1.2)
        assert len(reply_body(chip.exchange(packet(Opcode.RANDOM)))) == 32
        assert len(reply_body(chip.exchange(packet(Opcode.GEN_KEY, 4, 0)))) == 64
        clock.advance(0.08)
        assert reply_body(chip.exchange(packet(Opcode.GEN_KEY, 4, 0))) == b"\xee"
        assert reply_body(chip.exchange(INFO)) == bytes.fromhex("00006002")
        assert reply_body(chip.exchange(packet(Opcode.GEN_KEY, 3, 0))) == b"\x03"

    def test_chip_mode_bit_2_makes_it_long(self) -> None:
        chip, clock = virtual_chip(at_19=b"\x04")
        chip.wake()
        clock.advance(9.0)
        assert chip.exchange(INFO) != b""
        clock.advance(1.0)
        assert chip.exchange(INFO) == b""


class TestBus:
    """The chip as its bus sees it: acknowledge or not, a read pointer, busy times."""

    def test_it_is_busy_until_the_time_has_passed(self) -> None:
        clock = StandingClock()
        chip = Chip(configured_memory(), clock=clock)
        assert not chip.send(INFO)
        assert chip.wake_pulse()
        assert chip.receive(4) is None
        clock.time += 0.0015
        assert chip.receive(4) == WAKE
        assert chip.send(INFO)
        assert chip.receive(7) is None
        assert not chip.send(INFO)
        chip.idle()
        assert chip.power is Power.AWAKE
        clock.time += 0.005
        assert chip.receive(1) == b"\x07"
        assert chip.receive(6) == bytes.fromhex("000060028038")
        assert chip.receive(2) == b"\xff\xff"
        chip.rewind()
        assert chip.receive(9) == bytes.fromhex("07000060028038ffff")

    def test_a_virtual_clock_jumps_to_the_answer(self) -> None:
        chip, _ = virtual_chip()
        chip.wake_pulse()
        assert chip.receive(4) == WAKE
        assert chip.send(INFO)
        assert chip.receive(7) == bytes.fromhex("07000060028038")

    def test_awake_or_unpowered_chip_does_not_wake(self) -> None:
        chip, _ = virtual_chip()
        assert chip.wake_pulse()
        assert not chip.wake_pulse()
        chip.power_off()
        assert not chip.wake_pulse()
        assert chip.exchange(INFO) == b""
        chip.power_on()
        chip.power_on()
        assert chip.wake() == WAKE


class TestAddress:
    def test_it_is_byte_16(self) -> None:
        chip, _ = virtual_chip(at_16=b"\x6c")
        assert chip.i2c_address == 0x36

    def test_byte_85_counts_after_sleep_or_power_off(self) -> None:
        chip, _ = virtual_chip(at_19=b"\x01")
        assert chip.i2c_address == 0x60
        chip.wake()
        assert reply_body(chip.exchange(packet(Opcode.UPDATE_EXTRA, 1, 0x6A))) == b"\x00"
        assert chip.i2c_address == 0x60
        chip.idle()
        assert chip.i2c_address == 0x60
        chip.wake()
        chip.sleep()
        assert chip.i2c_address == 0x35

    def test_byte_85_means_nothing_without_chip_mode_bit_0(self) -> None:
        chip, _ = virtual_chip(at_85=b"\x6a")
        assert chip.i2c_address == 0x60


def failed_chip(tests: int) -> Chip:
    """Return a chip without the test at power-on, on which these tests have failed by command."""
    chip, _ = virtual_chip()
    chip.wake()
    chip.core.powered.failing_tests = tests
    assert reply_body(chip.exchange(packet(Opcode.SELF_TEST, 0x3F))) == bytes((tests,))
    return chip


class TestSelfTest:
    def test_a_failed_power_on_test_shows_in_the_wake_answer(self) -> None:
        chip, _ = virtual_chip(at_90=b"\x01")
        chip.core.powered.failing_tests = 0x10
        chip.power_cycle()
        assert chip.wake() == bytes.fromhex("0407c440")
        assert reply_body(chip.exchange(INFO)) == b"\x07"
        assert reply_body(chip.exchange(INFO[:-1] + b"\0")) == b"\xff"
        assert reply_body(chip.exchange(packet(Opcode.SELF_TEST, 0x3F))) == b"\x10"
        chip.core.powered.failing_tests = 0
        assert reply_body(chip.exchange(packet(Opcode.SELF_TEST, 0x3F))) == b"\x00"
        assert reply_body(chip.exchange(INFO)) == bytes.fromhex("00006002")

    def test_without_the_option_nothing_is_tested_at_power_on(self) -> None:
        chip, _ = virtual_chip()
        chip.core.powered.failing_tests = 0x10
        chip.power_cycle()
        assert chip.wake() == WAKE
        chip.idle()
        chip.wake()
        assert reply_body(chip.exchange(packet(Opcode.SELF_TEST, 0x20))) == b"\x00"
        assert reply_body(chip.exchange(packet(Opcode.SELF_TEST, 0x3F))) == b"\x10"
        assert reply_body(chip.exchange(INFO)) == b"\x07"

    def test_the_configuration_zone_can_still_be_read(self) -> None:
        """TNGTLS data sheet, 5.1.7, as the next three."""
        chip = failed_chip(0x10)
        assert reply_body(chip.exchange(packet(Opcode.READ, 0x80))) == bytes(chip.memory.config[:32])
        for request in (packet(Opcode.READ, 0x81), packet(Opcode.READ, 0x82, 8 << 3), packet(Opcode.NONCE, 9)):
            assert reply_body(chip.exchange(request)) == b"\x07"

    def test_mode_0_answers_the_failures_and_clears_none(self) -> None:
        chip = failed_chip(0x30)
        for _ in range(2):
            assert reply_body(chip.exchange(packet(Opcode.SELF_TEST, 0))) == b"\x30"
        assert reply_body(chip.exchange(INFO)) == b"\x07"

    def test_a_test_that_passes_clears_its_own_bit(self) -> None:
        chip = failed_chip(0x30)
        chip.core.powered.failing_tests = 0
        assert reply_body(chip.exchange(packet(Opcode.SELF_TEST, 0x11))) == b"\x00"
        assert reply_body(chip.exchange(packet(Opcode.SELF_TEST, 0))) == b"\x20"
        assert reply_body(chip.exchange(INFO)) == b"\x07"
        assert reply_body(chip.exchange(packet(Opcode.SELF_TEST, 0x20))) == b"\x00"
        assert reply_body(chip.exchange(INFO)) == bytes.fromhex("00006002")

    @pytest.mark.parametrize("end", [Chip.sleep, Chip.idle, Chip.power_cycle])
    def test_a_wake_clears_them(self, end: Callable[[Chip], None]) -> None:
        chip = failed_chip(0x10)
        end(chip)
        assert chip.wake() == WAKE
        assert reply_body(chip.exchange(INFO)) == bytes.fromhex("00006002")

    @pytest.mark.parametrize(("options", "again"), [(b"\x00", b"\x08"), (b"\x08", None)])
    def test_a_failed_health_test_stops_randomness(self, options: bytes, again: bytes | None) -> None:
        chip, _ = virtual_chip(at_90=options)
        chip.wake()
        chip.core.powered.health_failed = True
        before = chip.memory.image()
        assert reply_body(chip.exchange(packet(Opcode.GEN_KEY, 4, 0))) == b"\x08"
        assert chip.memory.image() == before
        answer = reply_body(chip.exchange(packet(Opcode.RANDOM)))
        assert (answer == again) if again else len(answer) == 32
        chip.power_cycle()
        chip.wake()
        assert len(reply_body(chip.exchange(packet(Opcode.RANDOM)))) == 32
