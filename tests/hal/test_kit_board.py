"""What a board is asked to wake a chip, to use it, and to send it to sleep, with every firmware."""

from __future__ import annotations

from contextlib import suppress

import pytest

from atcaprov import Board, Device, DeviceError, ProtocolError, SoftwareChip, TransportError
from atcaprov.emulator.chip import Power
from atcaprov.hal.errors import gone
from atcaprov.hal.kit.board import KitBoard
from atcaprov.hal.kit.hal import KitHal
from atcaprov.hal.kit.hid import open_kit_hid
from atcaprov.kit_protocol import device_table
from atcaprov.kit_protocol.firmware import AT90USB, PARSER3, KitFirmware
from atcaprov.kit_protocol.interpreter import Interpreter
from tests.hal.direct_port import (
    INFO,
    NO_TIME,
    SHA_END,
    SHA_START,
    DirectPort,
    LossyPort,
    board_of,
    chips_at,
    each_firmware,
    reply_of,
)
from tests.hal.ways import SHORT
from tests.support.fake_hid import FakeHid
from tests.support.kit_chips import EmulatedBus


@each_firmware
@pytest.mark.parametrize("awake", [True, False])
def test_close_clears_the_chips_volatile_state(firmware: KitFirmware, awake: bool) -> None:
    chip = SoftwareChip()
    hid = FakeHid({"/hid/kept": board_of({0xC0: chip}, firmware)})
    for command, size in ((SHA_START, 4), (SHA_END, 4), (SHA_START, 4)):
        hal = open_kit_hid("///hid/kept", SHORT, hid)
        hal.wake()
        reply = hal.exchange(command)
        if not awake:
            hal.idle()
        hal.close()
        assert chip.power is Power.ASLEEP
        assert len(reply) == size, "an authorization would live on as this digest does"


@pytest.mark.parametrize("fate", ["lost", "noise"])
@pytest.mark.parametrize("step", range(4))
def test_cut_sleep_leaves_atomic_mode_on(step: int, fate: str) -> None:
    chip = SoftwareChip()
    port = LossyPort(Interpreter(EmulatedBus({0xC0: chip}), AT90USB), [])
    board = KitBoard(port, NO_TIME)
    assert len(board.scan()) == 1
    board.wake(0xC0)
    board.talk(0xC0, INFO)
    port.plan = ["pass"] * step + [fate]
    with pytest.raises((TransportError, ProtocolError)):
        board.sleep(0xC0)
    board.wake(0xC0)
    assert board.talk(0xC0, INFO) == reply_of(chip, INFO)
    powers = [chip.power]
    board.sleep(0xC0)
    assert [*powers, chip.power] == [Power.IDLE, Power.ASLEEP], "talk alone idles the chip in atomic mode only"


def test_command_takes_few_requests() -> None:
    port = DirectPort(Interpreter(EmulatedBus(), PARSER3))
    board = KitBoard(port)
    board.scan()
    port.asked.clear()
    for _ in range(2):
        board.wake(0xC0)
        board.talk(0xC0, INFO)
        board.idle(0xC0)
    command = [b"e:w()\n", b"e:t(0730000000035D)\n", b"e:i()\n"]
    assert port.asked == [b"e:physical:select(C0)\n", b"e:a(1)\n", *command * 2]


@pytest.mark.parametrize("address", [0xC0, 0x6A])
def test_each_wake_selects_its_chip_among_several(address: int) -> None:
    port = DirectPort(Interpreter(EmulatedBus(chips_at(0xC0, 0x6A)), PARSER3))
    board = KitBoard(port)
    board.scan()
    board.wake(address)
    port.asked.clear()
    board.talk(address, INFO)
    board.idle(address)
    board.wake(address)
    assert [request[:4] for request in port.asked] == [b"e:t(", b"e:i(", b"e:ph", b"e:w("]


def test_idle_reaches_the_named_chip() -> None:
    chips = chips_at(0xC0, 0x6A)
    board = KitBoard(DirectPort(Interpreter(EmulatedBus(chips), PARSER3)))
    for address in chips:
        board.wake(address)
    board.idle(0xC0)
    assert [chip.power for chip in chips.values()] == [Power.IDLE, Power.AWAKE]


def test_reading_the_table_after_an_error_disturbs_no_chip() -> None:
    port = LossyPort(Interpreter(EmulatedBus(chips_at(0xC0, 0x6A)), PARSER3), [])
    board = KitBoard(port, NO_TIME)
    board.greet()
    board.wake(0xC0)
    board.talk(0xC0, SHA_START)
    port.plan = ["lost"]
    with pytest.raises(TransportError):
        board.wake(0x6A)
    assert len(board.scan()) == 2
    assert len(board.talk(0xC0, SHA_END)) == 35


def test_lost_wake_answer_is_followed_by_no_other_request() -> None:
    port = LossyPort(Interpreter(EmulatedBus(), PARSER3), [])
    board = KitBoard(port, NO_TIME)
    board.scan()
    board.wake(0xC0)
    board.sleep(0xC0)
    port.asked.clear()
    port.plan = ["lost"]
    with pytest.raises(TransportError):
        board.wake(0xC0)
    assert port.asked == [b"e:w()\n"]


def test_other_parts_are_not_listed_but_counted() -> None:
    class Mixed(DirectPort):
        def send(self, message: bytes) -> None:
            super().send(message)
            if message.startswith(b"board:device"):
                self.lines = [b"SHA204 SWI 00(00)" if b"(00)" in message else b"ECC508A TWI 00(C0)"]

    port = Mixed(Interpreter(EmulatedBus(), PARSER3))
    board = KitBoard(port)
    assert [entry.type_name for entry in board.scan()] == ["ECC508A"]
    for _ in range(2):
        board.wake(0xC0)
        board.sleep(0xC0)
    assert port.asked.count(b"e:physical:select(C0)\n") == 4


def test_each_wake_selects_its_chip_after_an_unreadable_entry() -> None:
    class Damaged(DirectPort):
        def send(self, message: bytes) -> None:
            super().send(message)
            if message.startswith(b"board:device(01)"):
                self.lines = [b"ECC608A TWI 0"]

    port = Damaged(Interpreter(EmulatedBus(chips_at(0xC0, 0x6A)), PARSER3))
    board = KitBoard(port)
    table = board.table()
    assert ([entry.address for entry in table.chips], table.is_whole) == ([0xC0], False)
    board.wake(0xC0)
    port.asked.clear()
    board.wake(0xC0)
    assert port.asked[0] == b"e:physical:select(C0)\n"


@pytest.mark.parametrize("late", range(3))
def test_kind_of_firmware_is_learned_in_step(late: int) -> None:
    """Whichever of its answers comes late, the next request gets its own."""

    class Lagging(LossyPort):
        def drain(self) -> None:
            pass

    into_step = ["pass", "pass"]
    plan = ["pass", *["lost", *into_step] * late, "late"]
    bus = EmulatedBus()
    port = Lagging(Interpreter(bus, PARSER3), plan)
    board = KitBoard(port, NO_TIME)
    board.wake(0xC0)
    assert board.talk(0xC0, INFO) == reply_of(bus.chips[0xC0], INFO)


def test_close_sends_nothing_to_a_chip_that_was_never_woken() -> None:
    port = DirectPort(Interpreter(EmulatedBus(), PARSER3))
    KitHal(KitBoard(port), 0xC0, lambda: None).close()
    assert port.asked == []


def test_only_an_idle_chip_is_woken_before_sleep() -> None:
    port = DirectPort(Interpreter(EmulatedBus(), PARSER3))
    hal = KitHal(KitBoard(port), 0xC0, lambda: None)
    hal.wake()
    hal.idle()
    hal.wake()
    for before, requests in ((hal.wake, [b"e:s()\n"]), (hal.idle, [b"e:w()\n", b"e:s()\n"])):
        before()
        port.asked.clear()
        hal.sleep()
        assert port.asked[-len(requests) :] == requests
        assert port.asked.count(b"e:w()\n") == requests.count(b"e:w()\n")
        hal.wake()


def test_silent_board_is_not_asked_for_its_chips() -> None:
    port = LossyPort(Interpreter(EmulatedBus(), PARSER3), [])
    board = KitBoard(port, NO_TIME)
    board.wake(0xC0)
    port.plan = ["pass", "lost"]
    with pytest.raises(TransportError, match="did not answer"):
        KitHal(board, 0xC0, lambda: None).wake()
    assert device_table.device(0) not in port.asked


def test_unplugged_board_is_reported_and_closes_without_error() -> None:
    class Unplugged(DirectPort):
        closed = False

        def drain(self) -> None:
            raise gone(self.url, "no such device")

        def close(self) -> None:
            self.closed = True

    port = Unplugged(Interpreter(EmulatedBus(), PARSER3))
    KitBoard(port).close()
    assert port.closed
    port.closed = False
    assert not KitBoard(port).is_there()
    assert port.closed


def test_a_chip_whose_self_test_fails_at_wake_scraps_its_board() -> None:
    class Failing(EmulatedBus):
        def wake(self, address: int) -> bytes:
            return bytes.fromhex("0407c440") if super().wake(address) else b""

    bus = Failing()
    port = LossyPort(Interpreter(bus, PARSER3), [])
    board = KitBoard(port, NO_TIME)
    for plan in ([], ["lost"]):
        port.plan = list(plan)
        with suppress(TransportError, DeviceError):
            board.wake(0xC0)
        with Device(KitHal(board, 0xC0, lambda: None)) as device, pytest.raises(DeviceError) as refused:
            device.info()
        assert (refused.value.status, refused.value.board) == (7, Board.SCRAP)
        assert bus.chips[0xC0].power is Power.ASLEEP


def test_canned_wake_of_atomic_kits_hides_no_missing_chip() -> None:
    hid = FakeHid({"/hid/atomic": board_of({0xC0: SoftwareChip()}, AT90USB)})
    with Device(open_kit_hid("///hid/atomic", SHORT, hid)) as device:
        device.info()
    gone = SoftwareChip()
    gone.power_off()
    hid = FakeHid({"/hid/atomic": board_of({0xC0: gone}, AT90USB)})
    with Device(open_kit_hid("///hid/atomic", SHORT, hid)) as device, pytest.raises(TransportError):
        device.info()
