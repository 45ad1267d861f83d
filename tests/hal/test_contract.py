"""What every way to a chip promises, proven on each that needs no hardware."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import suppress

import pytest

from atcaprov import Code, Device, DeviceError, Hal, ProtocolError, TransportError
from atcaprov.chip.commands import Opcode
from atcaprov.chip.crc import with_crc
from atcaprov.emulator.chip import Power
from atcaprov.hal.kit.cdc import open_kit_cdc
from atcaprov.kit_protocol.firmware import AT90USB, KIT_HOST, PARSER3, KitFirmware
from tests.hal.ways import SHORT, WAYS, CdcWay, HidWay, TcpKitWay, Way, standing
from tests.support.chips import packet
from tests.support.faulty_board import BoardFault

INFO = packet(Opcode.INFO)
INFO_608A = bytes.fromhex("07000060028038")
SHA_START, SHA_END = packet(Opcode.SHA, 0), packet(Opcode.SHA, 2)
SHA_OF_NOTHING = bytes.fromhex("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
OK = bytes.fromhex("04000340")
READ = packet(Opcode.READ, 0x80)
FAULTY = [(name, fault) for name, way in WAYS.items() for fault in way.faults]
WIRED = [name for name, way in WAYS.items() if way.faults]


@pytest.fixture
def way(request: pytest.FixtureRequest) -> Iterator[Way]:
    with standing(WAYS[request.param]()) as way:
        yield way


@pytest.fixture
def hal(way: Way) -> Iterator[Hal]:
    hal = way.open()
    yield hal
    hal.close()


each_way = pytest.mark.parametrize("way", WAYS, indirect=True)
each_wire = pytest.mark.parametrize("way", WIRED, indirect=True)


def reply_of(way: Way, command: bytes) -> bytes:
    """Return what the chip answers to `INFO` or `READ`."""
    return INFO_608A if command == INFO else with_crc(b"\x23" + bytes(way.chip.memory.config[:32]))


def is_damaged(reply: bytes) -> bool:
    """Tell whether its receiver sees that it is not a reply: by its count or its CRC."""
    return len(reply) < 4 or reply[0] != len(reply) or with_crc(reply[:-2]) != reply


@each_way
def test_packets_and_replies_pass_unchanged(hal: Hal) -> None:
    hal.wake()
    assert hal.exchange(INFO) == INFO_608A
    assert hal.exchange(INFO[:-1] + b"\0") == bytes.fromhex("04ff0142"), "a bad CRC is the chip's affair"
    assert hal.exchange(packet(Opcode.GEN_KEY, 4)) == bytes.fromhex("040f2342"), "and so is a refusal"
    assert len(hal.exchange(packet(Opcode.READ, 0x80))) == 35
    hal.idle()


@each_way
def test_idle_keeps_what_sleep_loses(hal: Hal) -> None:
    hal.wake()
    assert hal.exchange(SHA_START) == OK
    hal.idle()
    hal.wake()
    assert hal.exchange(SHA_END) == with_crc(b"\x23" + SHA_OF_NOTHING)
    assert hal.exchange(SHA_START) == OK
    hal.sleep()
    hal.wake()
    assert len(hal.exchange(SHA_END)) == 4


@each_way
def test_chip_left_awake_by_another_program_works(way: Way) -> None:
    way.chip.wake()
    hal = way.open()
    for _ in range(2):
        hal.wake()
        assert hal.exchange(INFO) == INFO_608A
        hal.idle()
    way.chip.wake()
    hal.wake()
    assert hal.exchange(INFO) == INFO_608A
    hal.close()


@each_way
@pytest.mark.parametrize("idle", [False, True], ids=["awake", "idle"])
def test_first_wake_clears_the_state_of_a_killed_program(way: Way, idle: bool) -> None:
    """Such as an authorization, with which the next user could sign."""
    way.chip.wake()
    assert way.chip.exchange(SHA_START) == OK
    if idle:
        way.chip.idle()
    with contextlib.closing(way.open()) as hal:
        hal.wake()
        assert len(hal.exchange(SHA_END)) == 4
        assert hal.exchange(SHA_START) == OK
        hal.idle()
        hal.wake()
        assert hal.exchange(SHA_END) == with_crc(b"\x23" + SHA_OF_NOTHING), "only the first wake makes it forget"


@pytest.mark.parametrize("firmware", [PARSER3, KIT_HOST, AT90USB], ids=["parser3", "kit_host", "at90usb"])
@pytest.mark.parametrize("address", ["", "?address=0xC0"], ids=["scanned", "named"])
@pytest.mark.parametrize("idle", [False, True], ids=["awake", "idle"])
def test_first_wake_clears_state_with_every_kit_firmware_and_address(
    firmware: KitFirmware, address: str, idle: bool
) -> None:
    with standing(CdcWay(firmware)) as way:
        way.chip.wake()
        assert way.chip.exchange(SHA_START) == OK
        if idle:
            way.chip.idle()
        with contextlib.closing(open_kit_cdc(f"//{way.pty.path}{address}", SHORT)) as hal:
            hal.wake()
            assert len(hal.exchange(SHA_END)) == 4
            assert hal.exchange(INFO) == INFO_608A


@each_way
def test_sleeping_chip_gives_a_typed_error_and_works_after_wake(way: Way, hal: Hal) -> None:
    hal.wake()
    way.chip.power_cycle()
    with pytest.raises(TransportError) as refused:
        hal.exchange(INFO)
    assert refused.value.code == Code.DEVICE_NO_REPLY
    assert refused.value.advice
    hal.wake()
    assert hal.exchange(INFO) == INFO_608A


@each_way
def test_close_puts_the_chip_to_sleep_and_may_be_repeated(way: Way) -> None:
    hal = way.open()
    hal.wake()
    hal.exchange(INFO)
    with Device(hal) as device:
        assert device.info() == INFO_608A[1:5]
    hal.close()
    assert way.chip.power is Power.ASLEEP


@each_wire
def test_close_puts_the_chip_to_sleep(way: Way) -> None:
    for leave_awake in (True, False):
        hal = way.open()
        hal.wake()
        hal.exchange(INFO)
        if not leave_awake:
            hal.idle()
        hal.close()
        assert way.chip.power is Power.ASLEEP


@each_way
def test_the_vendors_driver_works_through_it(hal: Hal, way: Way) -> None:
    with Device(hal) as device:
        config = device.read_config()
        assert config == bytes(way.chip.memory.config)
        assert device.serial_number() == config[:4] + config[8:13]
        assert device.sha256(b"abc" * 30) != bytes(32)
        with pytest.raises(DeviceError) as refused:
            device.get_pubkey(0)
        assert (refused.value.command, refused.value.status) == ("GenKey", 0x0F)


@each_way
def test_closed_chip_can_be_opened_again(way: Way) -> None:
    for _ in range(3):
        hal = way.open()
        hal.wake()
        assert hal.exchange(INFO) == INFO_608A
        hal.close()


@pytest.mark.slow
@pytest.mark.parametrize(("way", "fault"), FAULTY, indirect=["way"], ids=lambda value: getattr(value, "value", value))
def test_fault_gives_a_typed_error_and_the_next_command_works(way: Way, hal: Hal, fault: BoardFault) -> None:
    hal.wake()
    way.spoil(fault)
    for command in (READ, INFO):
        with suppress(TransportError, ProtocolError):
            reply = hal.exchange(command)
            assert reply == reply_of(way, command) or is_damaged(reply), "a wrong reply passed as a right one"
    way.spoil(BoardFault.NONE)
    # One request may still meet what the fault left behind; the next ones are in step.
    with suppress(TransportError, ProtocolError):
        hal.wake()
    for command in (READ, INFO, READ):
        hal.wake()
        assert hal.exchange(command) == reply_of(way, command)
        hal.idle()


@pytest.mark.slow
@pytest.mark.parametrize(("way", "fault"), FAULTY, indirect=["way"], ids=lambda value: getattr(value, "value", value))
def test_device_works_again_after_a_fault(way: Way, fault: BoardFault) -> None:
    with Device(way.open()) as device:
        serial = device.serial_number()
        way.spoil(fault)
        for _ in range(2):
            with suppress(TransportError, ProtocolError):
                assert device.info() == INFO_608A[1:5]
            with suppress(TransportError, ProtocolError):
                assert device.serial_number() == serial
        way.spoil(BoardFault.NONE)
        with suppress(TransportError, ProtocolError):
            device.serial_number()
        assert device.info() == INFO_608A[1:5]
        assert device.serial_number() == serial


@pytest.mark.slow
@pytest.mark.parametrize(("way", "fault"), FAULTY, indirect=["way"], ids=lambda value: getattr(value, "value", value))
def test_faulty_board_opens_or_gives_a_typed_error(way: Way, fault: BoardFault) -> None:
    way.spoil(fault)
    config = bytes(way.chip.memory.config)
    with suppress(TransportError, ProtocolError), Device(way.open()) as device:
        assert device.serial_number() == config[:4] + config[8:13]
    way.spoil(BoardFault.NONE)
    with suppress(TransportError, ProtocolError), Device(way.open()) as device:
        device.info()
    with Device(way.open()) as device:
        assert device.info() == INFO_608A[1:5]


@each_wire
def test_unplugging_gives_a_typed_error(way: Way) -> None:
    hal = way.open()
    hal.wake()
    assert hal.exchange(INFO) == INFO_608A
    way.unplug()
    for call in (lambda: hal.exchange(INFO), hal.wake, hal.idle, hal.sleep):
        with pytest.raises(TransportError):
            call()
    hal.close()
    with pytest.raises(TransportError):
        way.open()


@pytest.mark.parametrize("noticed", [True, False])
@pytest.mark.parametrize("make", [CdcWay, HidWay, TcpKitWay])
def test_replugged_board_opens_while_an_old_handle_is_open(make: type[CdcWay], noticed: bool) -> None:
    with standing(make()) as way:
        old, other = way.open(), way.open()
        old.wake()
        assert old.exchange(INFO) == INFO_608A
        way.unplug()
        if noticed:
            with pytest.raises(TransportError):
                old.exchange(INFO)
        way.replug()
        new = way.open()
        new.wake()
        assert new.exchange(INFO) == INFO_608A
        for handle in (old, other):
            for call in (handle.wake, lambda handle=handle: handle.exchange(INFO), handle.idle, handle.sleep):
                with pytest.raises(TransportError) as lost:
                    call()
                assert lost.value.code == Code.DEVICE_NOT_FOUND
        old.close()
        assert new.exchange(INFO) == INFO_608A, "what the old handle leaves is not the new board"
        with Device(way.open()) as device:
            assert device.info() == INFO_608A[1:5]
        other.close()
        new.wake()
        assert new.exchange(INFO) == INFO_608A
        new.close()
        assert way.chip.power is Power.ASLEEP


@each_wire
def test_unplugging_under_the_vendors_driver(way: Way) -> None:
    with Device(way.open()) as device:
        device.info()
        way.unplug()
        with pytest.raises(TransportError):
            device.info()


@pytest.mark.parametrize("make", [CdcWay, HidWay, TcpKitWay])
@pytest.mark.parametrize("firmware", [AT90USB, PARSER3, KIT_HOST], ids=lambda firmware: firmware.name)
def test_every_firmware_serves_the_vendors_driver(make: type[CdcWay], firmware: object) -> None:
    with standing(make(firmware)) as way:  # type: ignore[arg-type]
        with Device(way.open()) as device:
            assert device.info() == INFO_608A[1:5]
            assert device.read_config() == bytes(way.chip.memory.config)
            with pytest.raises(DeviceError) as refused:
                device.get_pubkey(0)
        assert refused.value.status == 0x0F
