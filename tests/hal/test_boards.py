"""Boards with several chips, sharing of their port, and what the host asks of them."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atcaprov.device.device import Device
from atcaprov.emulator.chip import Chip, Power
from atcaprov.errors import AtcaProvError, Code, ProtocolError, TransportError, UsageError
from atcaprov.hal.kit_board import KitBoard
from atcaprov.hal.kit_hid import HidPort, open_kit_hid
from atcaprov.hal.line_port import Limits, LinePort, silent
from atcaprov.kit.board import CdcBoard
from atcaprov.kit.interpreter import Interpreter
from atcaprov.kit.profiles import AT90USB, KIT_HOST, PARSER3, PROFILES, Profile
from tests.hal.ways import SHORT, kit_board
from tests.support.fake_hid import FakeHid
from tests.support.faulty_board import FaultyBoard
from tests.support.kit_chips import EmulatedBus

INFO = bytes.fromhex("0730000000035d")
NO_TIME = Limits(greeting=0.0, control=0.0, talk=0.0, resync=0.0)


class DirectPort(LinePort):
    """A board without a cable; answers are there at once or never, so no test waits. Keeps what was asked."""

    def __init__(self, interpreter: Interpreter) -> None:
        self.url = "test:"
        self._board = CdcBoard(interpreter)
        self.lines: list[bytes] = []
        self.asked: list[bytes] = []

    def send(self, message: bytes) -> None:
        self.asked.append(message)
        self.lines += self._board.receive_data(message).splitlines()

    def receive(self, seconds: float) -> bytes:
        if not self.lines:
            raise silent(self.url, seconds)
        return self.lines.pop(0)

    def drain(self) -> None:
        self.lines.clear()

    def close(self) -> None:
        pass


class LossyPort(DirectPort):
    """Answers suffer as a plan says: passed on, lost, kept for the next turn, doubled, or replaced by noise."""

    def __init__(self, interpreter: Interpreter, plan: list[str]) -> None:
        super().__init__(interpreter)
        self.plan = plan
        self._late: list[bytes] = []

    def send(self, message: bytes) -> None:
        super().send(message)
        fate = self.plan.pop(0) if self.plan else "pass"
        answers, self.lines = self.lines, []
        late, self._late = self._late, []
        if fate == "late":
            self._late = answers
        elif fate == "noise":
            self.lines = [b"\xff17(", b"00(0", b""]
        elif fate != "lost":
            self.lines = answers * (2 if fate == "doubled" else 1)
        self.lines = late + self.lines


def board_of(chips: dict[int, Chip], profile: Profile = PARSER3) -> FaultyBoard:
    return FaultyBoard(CdcBoard(Interpreter(EmulatedBus(chips), profile)).receive_data)


def test_a_board_with_several_chips_wants_one_named() -> None:
    hid = FakeHid({"/hid/several": board_of({0xC0: Chip(), 0x6A: Chip()})})
    with pytest.raises(UsageError, match=r"0xC0 \(7-bit 0x60\), 0x6A \(7-bit 0x35\)") as refused:
        open_kit_hid("///hid/several", SHORT, hid)
    assert "?address=0xC0" in refused.value.advice
    open_kit_hid("///hid/several?address=0x6A", SHORT, hid).close()


def test_a_board_without_a_chip_is_said_to_have_none() -> None:
    hid = FakeHid({"/hid/empty": board_of({})})
    with pytest.raises(TransportError) as refused:
        open_kit_hid("///hid/empty", SHORT, hid)
    assert refused.value.code == Code.DEVICE_NOT_FOUND


@pytest.mark.parametrize("profile", PROFILES.values(), ids=lambda profile: profile.name)
def test_chips_of_one_board_work_side_by_side(profile: Profile) -> None:
    chips = {address: Chip() for address in (0xC0, 0x6A, 0x6C)}
    hid = FakeHid({"/hid/shared": board_of(chips, profile)})
    devices = {address: Device(open_kit_hid(f"///hid/shared?address=0x{address:X}", SHORT, hid)) for address in chips}
    assert hid.opened == ["/hid/shared"], "they share the port"
    errors: list[BaseException] = []

    def read(address: int) -> None:
        try:
            for _ in range(20):
                assert devices[address].read_config() == bytes(chips[address].memory.config)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=read, args=(address,)) for address in chips]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    for device in devices.values():
        device.close()
    # In its atomic mode this firmware wakes a chip for talk only, and an idle chip hears no sleep.
    assert {chip.power for chip in chips.values()} == {Power.IDLE if profile is AT90USB else Power.ASLEEP}
    open_kit_hid("///hid/shared?address=0xC0", SHORT, hid).close()
    assert hid.opened == ["/hid/shared"] * 2, "the last one closed it"


def test_a_port_of_another_program_is_busy() -> None:
    hid = FakeHid({"/hid/taken": kit_board(Chip())})
    other = HidPort("/hid/taken", hid)
    with pytest.raises(TransportError) as refused:
        open_kit_hid("///hid/taken", SHORT, hid)
    assert refused.value.code == Code.DEVICE_BUSY
    other.close()
    open_kit_hid("///hid/taken", SHORT, hid).close()


def test_requests_of_a_command_are_few() -> None:
    port = DirectPort(Interpreter(EmulatedBus(), PARSER3))
    board = KitBoard(port)
    for _ in range(2):
        board.wake(0xC0)
        board.talk(0xC0, INFO)
        board.idle(0xC0)
    assert port.asked == [b"e:physical:select(C0)\n"] + [b"e:w()\n", b"e:t(0730000000035D)\n", b"e:i()\n"] * 2


def test_a_talk_is_never_sent_twice() -> None:
    bus = EmulatedBus()
    port = LossyPort(Interpreter(bus, PARSER3), ["pass", "pass", "lost"])
    board = KitBoard(port, NO_TIME)
    board.wake(0xC0)
    with pytest.raises(TransportError):
        board.talk(0xC0, INFO)
    assert bus.talks == 1
    board.idle(0xC0)
    assert port.asked.count(b"e:t(0730000000035D)\n") == bus.talks == 1


FATES = st.lists(st.sampled_from(["pass", "pass", "lost", "late", "doubled", "noise"]), max_size=14)


@given(FATES, st.sampled_from(list(PROFILES.values())))
def test_no_loss_desynchronises_for_longer_than_one_exchange(plan: list[str], profile: Profile) -> None:
    chips = {0xC0: Chip(), 0x6A: Chip()}
    port = LossyPort(Interpreter(EmulatedBus(chips), profile), list(plan))
    board = KitBoard(port, NO_TIME)
    while port.plan:
        try:
            board.wake(0x6A)
            reply = board.talk(0x6A, INFO)
            board.idle(0x6A)
        except (TransportError, ProtocolError):
            continue
        assert reply.hex() == "07000060028038"
    try:
        board.wake(0x6A)
    except AtcaProvError:
        board.wake(0x6A)
    assert board.talk(0x6A, INFO).hex() == "07000060028038"
    assert {chip.power for chip in chips.values()} != {Power.OFF}


def test_the_canned_wake_of_atomic_kits_hides_no_missing_chip() -> None:
    hid = FakeHid({"/hid/atomic": board_of({0xC0: Chip()}, AT90USB)})
    with Device(open_kit_hid("///hid/atomic", SHORT, hid)) as device:
        device.info()
    gone = Chip()
    gone.power_off()
    hid = FakeHid({"/hid/atomic": board_of({0xC0: gone}, AT90USB)})
    with Device(open_kit_hid("///hid/atomic", SHORT, hid)) as device, pytest.raises(TransportError):
        device.info()


@pytest.mark.parametrize("profile", PROFILES.values(), ids=lambda profile: profile.name)
def test_a_wrong_address_is_told_with_the_right_ones(profile: Profile) -> None:
    hid = FakeHid({"/hid/two": board_of({0x6A: Chip(), 0x6C: Chip()}, profile)})
    with Device(open_kit_hid("///hid/two?address=0xC0", SHORT, hid)) as device:
        for _ in range(2):
            with pytest.raises(TransportError) as refused:
                device.serial_number()
            assert refused.value.code == Code.DEVICE_OTHER_ADDRESS
    assert "0xC0 (7-bit 0x60)" in refused.value.what
    assert "0x6A (7-bit 0x35), 0x6C (7-bit 0x36)" in refused.value.what
    assert "?address=0x6A or ?address=0x6C" in refused.value.advice
    with Device(open_kit_hid("///hid/two?address=0x6C", SHORT, hid)) as device:
        assert len(device.serial_number()) == 9


@pytest.mark.parametrize("profile", [PARSER3, KIT_HOST], ids=lambda profile: profile.name)
def test_an_empty_board_is_not_said_to_have_its_chips_elsewhere(profile: Profile) -> None:
    hid = FakeHid({"/hid/empty": board_of({}, profile)})
    with Device(open_kit_hid("///hid/empty?address=0xC0", SHORT, hid)) as device:
        with pytest.raises(TransportError) as refused:
            device.serial_number()
        assert refused.value.code in (Code.DEVICE_NO_REPLY, Code.DEVICE_NOT_FOUND)


def test_a_chip_that_answered_before_and_is_gone_is_not_looked_for_elsewhere() -> None:
    chips = {0xC0: Chip(), 0x6A: Chip()}
    hid = FakeHid({"/hid/two": board_of(chips)})
    with Device(open_kit_hid("///hid/two?address=0xC0", SHORT, hid)) as device:
        device.info()
        chips.pop(0xC0).power_off()
        with pytest.raises(TransportError) as lost:
            device.info()
        assert lost.value.code == Code.DEVICE_NO_REPLY
