"""Boards with several chips: told apart by their addresses, sharing their port."""

from __future__ import annotations

import threading

import pytest

from atcaprov import Act, Code, Device, ProtocolError, SoftwareChip, TransportError, UsageError
from atcaprov.emulator.chip import Power
from atcaprov.hal.kit.board import KitBoard
from atcaprov.hal.kit.hal import KitHal, open_kit
from atcaprov.hal.kit.hid import HidPort, open_kit_hid
from atcaprov.kit_protocol.firmware import FIRMWARES, KIT_HOST, PARSER3, KitFirmware
from atcaprov.kit_protocol.interpreter import Interpreter
from tests.hal.direct_port import (
    NO_TIME,
    READ,
    DirectPort,
    LossyPort,
    board_of,
    chips_at,
    each_firmware,
    reply_of,
)
from tests.hal.ways import SHORT, kit_board
from tests.support.fake_hid import FakeHid
from tests.support.kit_chips import EmulatedBus


def test_board_with_several_chips_needs_an_address() -> None:
    hid = FakeHid({"/hid/several": board_of({0xC0: SoftwareChip(), 0x6A: SoftwareChip()})})
    with pytest.raises(UsageError, match=r"0xC0 \(7-bit 0x60\), 0x6A \(7-bit 0x35\)") as refused:
        open_kit_hid("///hid/several", SHORT, hid)
    assert "?address=0xC0" in refused.value.advice
    open_kit_hid("///hid/several?address=0x6A", SHORT, hid).close()
    assert hid.opened == ["/hid/several"] * 2, "who was refused has left the board"


def test_port_of_a_silent_board_is_closed() -> None:
    class Closing(LossyPort):
        closed = False

        def close(self) -> None:
            self.closed = True

    port = Closing(Interpreter(EmulatedBus(), PARSER3), ["lost"] * 3)
    with pytest.raises(TransportError, match="did not answer"):
        open_kit("test:closing", lambda: port, None, NO_TIME)
    assert port.closed


def test_unreadable_entry_leaves_open_whether_a_chip_is_the_only_one() -> None:
    class Damaged(DirectPort):
        def send(self, message: bytes) -> None:
            super().send(message)
            if message == b"board:device(00)\n":
                self.lines = [b"ECC608A TWI 0"]

    port = Damaged(Interpreter(EmulatedBus(chips_at(0xC0, 0x6A)), PARSER3))
    with pytest.raises(ProtocolError, match="did not list all its chips"):
        open_kit("test:damaged", lambda: port, None)
    hal = open_kit("test:damaged", lambda: port, 0x6A)
    hal.wake()
    hal.close()


def test_board_without_a_chip_is_reported() -> None:
    hid = FakeHid({"/hid/empty": board_of({})})
    with pytest.raises(TransportError) as refused:
        open_kit_hid("///hid/empty", SHORT, hid)
    assert refused.value.code == Code.DEVICE_NOT_FOUND


@pytest.mark.slow
@each_firmware
def test_chips_of_one_board_work_side_by_side(firmware: KitFirmware) -> None:
    chips = chips_at(0xC0, 0x6A, 0x6C)
    hid = FakeHid({"/hid/shared": board_of(chips, firmware)})
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


def test_port_in_use_is_busy() -> None:
    hid = FakeHid({"/hid/taken": kit_board(SoftwareChip())})
    other = HidPort("/hid/taken", hid)
    with pytest.raises(TransportError) as refused:
        open_kit_hid("///hid/taken", SHORT, hid)
    assert refused.value.code == Code.DEVICE_BUSY
    other.close()
    open_kit_hid("///hid/taken", SHORT, hid).close()


@each_firmware
@pytest.mark.parametrize("greeting", ["pass", "lost"])
def test_missing_chip_is_not_replaced_by_another(firmware: KitFirmware, greeting: str) -> None:
    chips = chips_at(0xC0)
    bus, before = EmulatedBus(chips), bytes(chips[0xC0].memory.config)
    port = LossyPort(Interpreter(bus, firmware), [greeting])
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
def test_restarted_controller_leads_to_no_other_chip(firmware: KitFirmware) -> None:
    chips = chips_at(0xC0, 0x6A)
    bus = EmulatedBus(chips)
    port = DirectPort(Interpreter(bus, firmware))
    board = KitBoard(port, NO_TIME)
    with Device(KitHal(board, 0x6A, lambda: None)) as device:
        serial_number = device.serial_number()
        for _ in range(2):
            port.restart(Interpreter(bus, firmware))
            assert device.serial_number() == serial_number
        port.restart(Interpreter(bus, firmware))
    assert {chip.power for chip in chips.values()} == {Power.ASLEEP}


@pytest.mark.parametrize("firmware", FIRMWARES.values(), ids=lambda firmware: firmware.name)
def test_wrong_address_error_names_the_right_ones(firmware: KitFirmware) -> None:
    hid = FakeHid({"/hid/two": board_of({0x6A: SoftwareChip(), 0x6C: SoftwareChip()}, firmware)})
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


@pytest.mark.parametrize("firmware", [PARSER3, KIT_HOST], ids=lambda firmware: firmware.name)
def test_empty_board_reports_no_other_addresses(firmware: KitFirmware) -> None:
    hid = FakeHid({"/hid/empty": board_of({}, firmware)})
    with Device(open_kit_hid("///hid/empty?address=0xC0", SHORT, hid)) as device:
        with pytest.raises(TransportError) as refused:
            device.serial_number()
        assert refused.value.code in (Code.DEVICE_NO_REPLY, Code.DEVICE_NOT_FOUND)


def test_chip_that_does_not_wake_is_reported_without_device_table() -> None:
    class Wordless(DirectPort):
        def send(self, message: bytes) -> None:
            super().send(message)
            if message.startswith(b"board:"):
                self.lines = [b"\xff("]

    gone = SoftwareChip()
    gone.power_off()
    port = Wordless(Interpreter(EmulatedBus({0xC0: gone}), PARSER3))
    with pytest.raises(TransportError) as refused:
        KitHal(KitBoard(port, NO_TIME), 0xC0, lambda: None).wake()
    assert refused.value.code == Code.DEVICE_NO_REPLY
    assert b"board:version()\n" in port.asked


def test_lost_chip_is_not_looked_for_at_other_addresses() -> None:
    chips = {0xC0: SoftwareChip(), 0x6A: SoftwareChip()}
    hid = FakeHid({"/hid/two": board_of(chips)})
    with Device(open_kit_hid("///hid/two?address=0xC0", SHORT, hid)) as device:
        device.info()
        chips.pop(0xC0).power_off()
        with pytest.raises(TransportError) as lost:
            device.info()
        assert lost.value.code == Code.DEVICE_NO_REPLY
