"""A board stays synchronized, or synchronizes again, after lost, late or noisy answers."""

from __future__ import annotations

import itertools
from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atcaprov import AtcaProvError, DeviceError, ProtocolError, SoftwareChip, TransportError
from atcaprov.emulator.chip import Power
from atcaprov.hal.errors import silent
from atcaprov.hal.kit.board import KitBoard
from atcaprov.hal.kit.dialogue import KitDialogue
from atcaprov.hal.kit.hal import KitHal, open_kit
from atcaprov.hal.kit.line_port import KitTimeouts
from atcaprov.kit_protocol import device_table, host
from atcaprov.kit_protocol.firmware import AT90USB, FIRMWARES, PARSER3, KitFirmware
from atcaprov.kit_protocol.interpreter import Interpreter
from tests.hal.direct_port import (
    INFO,
    NO_TIME,
    READ,
    DirectPort,
    LaggingPort,
    LossyPort,
    chips_at,
    reply_of,
)
from tests.support.kit_chips import EmulatedBus


def test_talk_is_never_sent_twice() -> None:
    bus = EmulatedBus()
    port = LossyPort(Interpreter(bus, PARSER3), ["pass", "pass", "pass", "lost"])
    board = KitBoard(port, NO_TIME)
    board.wake(0xC0)
    with pytest.raises(TransportError):
        board.talk(0xC0, INFO)
    assert bus.talks == 1
    board.idle(0xC0)
    assert port.asked.count(b"e:t(0730000000035D)\n") == bus.talks == 1


def test_silent_board_does_not_delay_close() -> None:
    class Patient(DirectPort):
        """Says how long it would have waited."""

        silent = False
        waited = 0.0

        def receive(self, seconds: float) -> bytes:
            if self.silent:
                self.waited += seconds
                raise silent(self.url, seconds)
            return super().receive(seconds)

    port = Patient(Interpreter(EmulatedBus(), PARSER3))
    hal = KitHal(KitBoard(port), 0xC0, lambda: None)
    hal.wake()
    port.silent = True
    with pytest.raises(TransportError):
        hal.exchange(INFO)
    port.waited = 0.0
    hal.close()
    assert 0 < port.waited <= KitTimeouts().sleep


def test_time_limit_of_sleep_does_not_shorten_the_next_command() -> None:
    class Noting(DirectPort):
        waits: ClassVar[list[float]] = []

        def receive(self, seconds: float) -> bytes:
            self.waits.append(seconds)
            return super().receive(seconds)

    port = Noting(Interpreter(EmulatedBus(), PARSER3))
    board = KitBoard(port, KitTimeouts(sleep=60.0, talk=90.0))
    board.wake(0xC0)
    board.sleep(0xC0)
    board.wake(0xC0)
    board.talk(0xC0, INFO)
    assert port.waits[-1] == 90.0


def test_cut_request_is_ended_before_the_next_one() -> None:
    class Cutting(DirectPort):
        cut = False

        def send(self, message: bytes) -> None:
            if self.cut:
                super().send(message[:3])
                raise silent(self.url, 0)
            super().send(message)

    port = Cutting(Interpreter(EmulatedBus(), PARSER3))
    dialogue = KitDialogue(port, NO_TIME)
    dialogue.select(0xC0)
    port.cut = True
    with pytest.raises(TransportError):
        dialogue.ask(host.WAKE, 0, host.check_awake)
    port.cut = False
    for ending in ([b"\n"], []):
        port.asked.clear()
        dialogue.select(0xC0)
        assert port.asked == [*ending, host.WAKE, host.select(0xC0)]
        dialogue.select(0xC0)
        assert port.asked[2 + len(ending) :] == []
        dialogue.in_step = False


def test_late_error_is_not_taken_for_the_answer_to_select() -> None:
    gone = SoftwareChip()
    gone.power_off()
    port = LaggingPort(Interpreter(EmulatedBus({0xC0: gone}), PARSER3))
    dialogue = KitDialogue(port, NO_TIME)
    with pytest.raises((TransportError, DeviceError)):
        dialogue.ask(host.WAKE, 0, host.check_awake)
    port.send(host.WAKE)
    dialogue.in_step = False
    dialogue.select(0xC0)
    assert dialogue.in_step
    assert port.lines == []


def test_endless_garbage_ends_in_an_error() -> None:
    class Endless(DirectPort):
        count = 0

        def receive(self, seconds: float) -> bytes:
            self.count += 1
            assert self.count < 1000, "it would have listened without end"
            return b"babble"

    dialogue = KitDialogue(Endless(Interpreter(EmulatedBus(), PARSER3)), NO_TIME)
    dialogue.in_step = False
    with pytest.raises(TransportError, match="wrong order"):
        dialogue.select(0xC0)


def test_no_request_is_sent_after_the_time_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr("atcaprov.hal.kit.dialogue.time.monotonic", lambda: clock[0])
    port = DirectPort(Interpreter(EmulatedBus(), PARSER3))
    dialogue = KitDialogue(port, KitTimeouts())
    with dialogue.within(5.0):
        clock[0] = 5.0
        with pytest.raises(TransportError, match="wrong order"):
            dialogue.ask(host.WAKE, 1.5, host.check_awake)
    assert port.asked == []


def test_repeated_answer_is_skipped() -> None:
    bus = EmulatedBus()
    port = LossyPort(Interpreter(bus, PARSER3), ["doubled"] * 9)
    board = KitBoard(port, NO_TIME)
    board.wake(0xC0)
    assert board.talk(0xC0, INFO) == reply_of(bus.chips[0xC0], INFO)
    board.idle(0xC0)
    board.wake(0xC0)


@pytest.mark.parametrize(("port_of", "limits"), [(DirectPort, NO_TIME), (LaggingPort, KitTimeouts())])
def test_garbage_that_has_ended_is_skipped(port_of: type[DirectPort], limits: KitTimeouts) -> None:
    """What has come is thrown away at once; for what is still under way there is time."""
    port = port_of(Interpreter(EmulatedBus(), PARSER3))
    port.lines = [b"babble"] * 100
    dialogue = KitDialogue(port, limits)
    dialogue.in_step = False
    dialogue.select(0xC0)
    assert dialogue.in_step


@pytest.mark.parametrize("in_step", [True, False])
def test_refused_select_is_followed_by_a_select_of_the_former_chip(in_step: bool) -> None:
    port = DirectPort(Interpreter(EmulatedBus(), AT90USB))
    dialogue = KitDialogue(port, NO_TIME)
    dialogue.select(0xC0)
    dialogue.in_step = in_step
    with pytest.raises(TransportError, match="no chip"):
        dialogue.select(0x6A)
    port.asked.clear()
    dialogue.select(0xC0)
    assert port.asked == [host.select(0xC0)]


FATES = st.lists(st.sampled_from(["pass", "pass", "lost", "late", "doubled", "noise"]), max_size=14)


@pytest.mark.slow
@given(FATES, st.sampled_from(list(FIRMWARES.values())))
def test_lost_answer_desynchronises_one_exchange_at_most(plan: list[str], firmware: KitFirmware) -> None:
    chips = chips_at(0xC0, 0x6A)
    port = LossyPort(Interpreter(EmulatedBus(chips), firmware), list(plan))
    board = KitBoard(port, NO_TIME)
    turns = itertools.cycle(itertools.product((INFO, READ), chips))
    while port.plan:
        command, address = next(turns)
        try:
            board.wake(address)
            reply = board.talk(address, command)
            board.idle(address)
        except (TransportError, ProtocolError):
            continue
        assert reply == reply_of(chips[address], command)
    for command, address in itertools.islice(turns, 4):
        try:
            board.wake(address)
        except AtcaProvError:
            board.wake(address)
        assert board.talk(address, command) == reply_of(chips[address], command)
        board.sleep(address)
        # Noise may hide an atomic mode at first, and an unnoticed mode cannot be left.
        assert firmware is AT90USB or chips[address].power is Power.ASLEEP


def test_garbage_is_reported_as_wrong_order() -> None:
    class Babbling(DirectPort):
        def send(self, message: bytes) -> None:
            super().send(message)
            self.lines = [b"00()"] * 3

    board = KitBoard(Babbling(Interpreter(EmulatedBus(), PARSER3)))
    with pytest.raises(ProtocolError):
        board.wake(0xC0)
    with pytest.raises(TransportError, match="wrong order"):
        board.wake(0xC0)


def test_silence_error_names_the_time_waited() -> None:
    port = LossyPort(Interpreter(EmulatedBus(), PARSER3), ["lost"] * 9)
    with pytest.raises(TransportError, match=r"within 2\.1 s"):
        KitBoard(port).greet()


@pytest.mark.parametrize("firmware", FIRMWARES.values(), ids=lambda firmware: firmware.name)
@pytest.mark.parametrize(
    "left_behind",
    [
        b"00()",
        b"00(04000340)",
        b"00(04113343)",
        b"C5()",
        b"E7()",
        b"no_device C5()",
        b"ECC608A TWI 00(6A)",
        b"\xff(",
        b"00",
    ],
)
def test_answer_to_a_killed_program_is_skipped(firmware: KitFirmware, left_behind: bytes) -> None:
    chips = chips_at(0xC0)
    port = LaggingPort(Interpreter(EmulatedBus(chips), firmware))
    port.lines = [left_behind]
    hal = open_kit(f"test:{id(port)}", lambda: port, None)
    hal.wake()
    assert hal.address == 0xC0
    assert hal.exchange(READ) == reply_of(chips[0xC0], READ)
    hal.close()


@pytest.mark.parametrize("number", range(1, 4), ids=["wake", "select", "sleep"])
@pytest.mark.parametrize("fate", ["lost", "noise", "doubled", "late"])
def test_one_bad_answer_during_opening_is_tolerated(number: int, fate: str) -> None:
    port = LossyPort(Interpreter(EmulatedBus(), PARSER3), ["pass"] * number + [fate])
    board = KitBoard(port, NO_TIME)
    board.greet()
    assert [chip.address for chip in board.scan()] == [0xC0]


class BeatingPort(DirectPort):
    """Says the same every second, for any request; the test does not really wait."""

    def __init__(self, clock: list[float], said: bytes) -> None:
        super().__init__(Interpreter(EmulatedBus(), PARSER3))
        self._clock = clock
        self._said = said

    def receive(self, seconds: float) -> bytes:
        self._clock[0] += min(1.0, seconds)
        if seconds < 1:
            raise silent(self.url, seconds)
        return self._said


@pytest.mark.parametrize("said", [b"Temp: 23.5 C", b"no_device "])
def test_slow_device_table_ends_in_time(said: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr("atcaprov.hal.kit.dialogue.time.monotonic", lambda: clock[0])
    board = KitBoard(BeatingPort(clock, said))
    with pytest.raises(TransportError):
        board.scan()
    assert clock[0] <= KitTimeouts().scan


@pytest.mark.parametrize("fate", ["lost", "noise"])
def test_device_table_is_read_in_step_only(fate: str) -> None:
    port = LossyPort(Interpreter(EmulatedBus(), PARSER3), ["lost", "pass", *[fate] * 8])
    board = KitBoard(port, NO_TIME)
    board.greet()
    with pytest.raises(TransportError):
        board.scan()
    assert device_table.device(0) not in port.asked
    port.plan = []
    assert len(board.scan()) == 1
