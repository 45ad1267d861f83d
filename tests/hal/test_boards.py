"""Boards with several chips, sharing of their port, and what the host asks of them."""

from __future__ import annotations

import itertools
import threading
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atcaprov.chip.commands import Opcode
from atcaprov.chip.crc import with_crc
from atcaprov.device.device import Act, Device
from atcaprov.emulator.chip import Chip, Power
from atcaprov.emulator.factory import blank_608a
from atcaprov.errors import AtcaProvError, Board, Code, DeviceError, ProtocolError, TransportError, UsageError
from atcaprov.hal.kit import KitHal
from atcaprov.hal.kit_board import KitBoard
from atcaprov.hal.kit_hid import HidPort, open_kit_hid
from atcaprov.hal.line_port import Limits, LinePort, silent
from atcaprov.kit.board import CdcBoard
from atcaprov.kit.interpreter import Interpreter
from atcaprov.kit.profiles import AT90USB, KIT_HOST, PARSER3, PROFILES, Profile
from tests.hal.ways import SHORT, kit_board
from tests.support.chips import packet
from tests.support.fake_hid import FakeHid
from tests.support.faulty_board import FaultyBoard
from tests.support.kit_chips import EmulatedBus

INFO = packet(Opcode.INFO)
READ = packet(Opcode.READ, 0x80)
SHA_START, SHA_END = packet(Opcode.SHA, 0), packet(Opcode.SHA, 2)
each_firmware = pytest.mark.parametrize("profile", PROFILES.values(), ids=lambda profile: profile.name)
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

    def restart(self, interpreter: Interpreter) -> None:
        """Start the board's controller anew; the port stays open."""
        self._board = CdcBoard(interpreter)
        self.lines.clear()


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


def chips_at(*addresses: int) -> dict[int, Chip]:
    """Return chips that differ in their serial numbers."""
    return {address: Chip(blank_608a(b"\x01\x23" + bytes((address,)) * 6 + b"\xee")) for address in addresses}


def reply_of(chip: Chip, command: bytes) -> bytes:
    """Return what a chip answers to `INFO` or `READ`."""
    return with_crc(b"\x07\x00\x00\x60\x02" if command == INFO else b"\x23" + bytes(chip.memory.config[:32]))


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


@each_firmware
def test_chips_of_one_board_work_side_by_side(profile: Profile) -> None:
    chips = chips_at(0xC0, 0x6A, 0x6C)
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
    assert {chip.power for chip in chips.values()} == {Power.ASLEEP}
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


@each_firmware
@pytest.mark.parametrize("greeting", ["pass", "lost"])
def test_a_chip_that_is_not_there_is_not_replaced_by_another(profile: Profile, greeting: str) -> None:
    chips = chips_at(0xC0)
    bus, before = EmulatedBus(chips), bytes(chips[0xC0].memory.config)
    port = LossyPort(Interpreter(bus, profile), [greeting])
    board = KitBoard(port, NO_TIME)
    board.greet()
    for _ in range(2):
        with (
            pytest.raises(TransportError) as refused,
            Device(KitHal(board, 0xC2, lambda: None)) as device,
            device.permit(Act.WRITE_CONFIG),
        ):
            device.write_config(5, b"\x11\x22\x33\x44")
        assert refused.value.code == Code.DEVICE_OTHER_ADDRESS
    assert not [request for request in port.asked if request.startswith(b"e:t(")]
    assert bytes(chips[0xC0].memory.config) == before
    board.wake(0xC0)
    assert board.talk(0xC0, READ) == reply_of(chips[0xC0], READ)


@each_firmware
def test_a_controller_that_starts_anew_leads_to_no_other_chip(profile: Profile) -> None:
    chips = chips_at(0xC0, 0x6A)
    bus = EmulatedBus(chips)
    port = DirectPort(Interpreter(bus, profile))
    board = KitBoard(port, NO_TIME)
    with Device(KitHal(board, 0x6A, lambda: None)) as device:
        serial_number = device.serial_number()
        for _ in range(2):
            port.restart(Interpreter(bus, profile))
            assert device.serial_number() == serial_number
        port.restart(Interpreter(bus, profile))
    assert {chip.power for chip in chips.values()} == {Power.ASLEEP}


@each_firmware
@pytest.mark.parametrize("awake", [True, False])
def test_what_a_chip_keeps_is_lost_at_close(profile: Profile, awake: bool) -> None:
    chip = Chip()
    hid = FakeHid({"/hid/kept": board_of({0xC0: chip}, profile)})
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
def test_a_sleep_that_was_cut_leaves_an_atomic_kit_as_it_was(step: int, fate: str) -> None:
    chip = Chip()
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


def test_requests_of_a_command_are_few() -> None:
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


def test_among_several_chips_each_wake_chooses_its_own() -> None:
    port = DirectPort(Interpreter(EmulatedBus(chips_at(0xC0, 0x6A)), PARSER3))
    board = KitBoard(port)
    board.scan()
    board.wake(0x6A)
    port.asked.clear()
    board.talk(0x6A, INFO)
    board.idle(0x6A)
    board.wake(0x6A)
    assert [request[:4] for request in port.asked] == [b"e:t(", b"e:i(", b"e:ph", b"e:w("]


def test_of_other_parts_a_board_says_nothing_but_they_count() -> None:
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


def test_a_talk_is_never_sent_twice() -> None:
    bus = EmulatedBus()
    port = LossyPort(Interpreter(bus, PARSER3), ["pass", "pass", "pass", "lost"])
    board = KitBoard(port, NO_TIME)
    board.wake(0xC0)
    with pytest.raises(TransportError):
        board.talk(0xC0, INFO)
    assert bus.talks == 1
    board.idle(0xC0)
    assert port.asked.count(b"e:t(0730000000035D)\n") == bus.talks == 1


def test_a_silent_board_holds_up_no_close() -> None:
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
    assert 0 < port.waited <= Limits().sleep


FATES = st.lists(st.sampled_from(["pass", "pass", "lost", "late", "doubled", "noise"]), max_size=14)


@given(FATES, st.sampled_from(list(PROFILES.values())))
def test_no_loss_desynchronises_for_longer_than_one_exchange(plan: list[str], profile: Profile) -> None:
    chips = chips_at(0xC0, 0x6A)
    port = LossyPort(Interpreter(EmulatedBus(chips), profile), list(plan))
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
        # Noise may hide an atomic mode at first, and what nobody knows of can't be left.
        assert profile is AT90USB or chips[address].power is Power.ASLEEP


def test_a_board_that_babbles_answers_without_order() -> None:
    class Babbling(DirectPort):
        def send(self, message: bytes) -> None:
            super().send(message)
            self.lines = [b"00()"] * 3

    board = KitBoard(Babbling(Interpreter(EmulatedBus(), PARSER3)))
    with pytest.raises(ProtocolError):
        board.wake(0xC0)
    with pytest.raises(TransportError, match="without order"):
        board.wake(0xC0)


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


def test_silence_is_told_in_the_time_that_was_waited() -> None:
    port = LossyPort(Interpreter(EmulatedBus(), PARSER3), ["lost"] * 9)
    with pytest.raises(TransportError, match=r"within 2\.1 s"):
        KitBoard(port).greet()


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
