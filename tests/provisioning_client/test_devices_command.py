from __future__ import annotations

import contextlib
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from atcaprov import Code, SoftwareChip, TransportError
from atcaprov.diagnosis import candidates as listing
from atcaprov.hal.errors import missing
from atcaprov.hal.i2c.hal import open_i2c
from atcaprov.kit_protocol.firmware import PARSER3
from atcaprov.kit_protocol.interpreter import CdcBoard, Interpreter
from provisioning_client.cli import command
from tests.hal.ways import FakeI2cBus
from tests.support.fake_machine import FakeMachine, made_chip
from tests.support.faulty_board import BoardFault, FaultyBoard
from tests.support.kit_chips import EmulatedBus
from tests.support.programs import run_in_process


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> FakeMachine:
    machine = FakeMachine()
    machine.replace_devices(monkeypatch)
    return machine


def sn(chip: SoftwareChip) -> str:
    config = bytes(chip.memory.config)
    return (config[:4] + config[8:13]).hex().upper()


def objects(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_kits_are_listed_with_their_unchanged_chips(machine: FakeMachine) -> None:
    blank, trust = made_chip("atecc608a", locked=True), made_chip("atecc608b")
    before = bytes(blank.memory.config), bytes(trust.memory.config)
    machine.plug_kit("1-1.2", {0xC0: blank, 0x6A: trust})
    machine.plug_kit("1-1.3", {})
    done = run_in_process(command, "devices")
    assert done.code == 0
    assert done.out == (
        "kit-hid://1-1.2:1.0  Crypto Device Demo  03EB:2312  USB 1-1.2\n"
        f"    0xC0 (7-bit 0x60)  ATECC608A  {sn(blank)}  configuration locked, data open\n"
        "        revision 00 00 60 02, in the configuration zone 00 00 60 02\n"
        "        --device 'kit-hid://1-1.2:1.0?address=0xC0'\n"
        f"    0x6A (7-bit 0x35)  ATECC608B  {sn(trust)}  configuration open, data open\n"
        "        revision 00 00 60 03, in the configuration zone 00 00 60 03\n"
        "        --device 'kit-hid://1-1.2:1.0?address=0x6A'\n"
        "kit-hid://1-1.3:1.0  Crypto Device Demo  03EB:2312  USB 1-1.3\n"
        "    no chip\n"
    )
    assert (bytes(blank.memory.config), bytes(trust.memory.config)) == before


def test_listed_urls_open_their_chips(machine: FakeMachine) -> None:
    from atcaprov import Device

    chips = {0xC0: made_chip("atecc608a"), 0x6A: made_chip("atecc508a")}
    machine.plug_kit("1-1.2", chips)
    port, *_ = objects(run_in_process(command, "devices", "--json").out)
    assert [(chip["part"], chip["address"], chip["address_7_bit"]) for chip in port["chips"]] == [
        ("ATECC608A", "0xC0", "0x60"),
        ("ATECC508A", "0x6A", "0x35"),
    ]
    assert (port["kind"], port["usb_path"], port["usb_id"]) == ("kit-hid", "1-1.2", "03EB:2312")
    for chip in port["chips"]:
        with Device.open(chip["url"]) as device:
            assert device.serial_number().hex().upper() == chip["sn"]


def test_part_comes_from_info_and_both_revisions_are_shown(machine: FakeMachine) -> None:
    chip = made_chip("atecc608c")
    chip.memory.config[4:8] = bytes.fromhex("00005000")
    machine.plug_kit("1-1.2", {0xC0: chip})
    done = run_in_process(command, "devices")
    assert f"  ATECC608C  {sn(chip)}  " in done.out
    assert "        revision 00 00 60 04, in the configuration zone 00 00 50 00\n" in done.out
    (port,) = objects(run_in_process(command, "devices", "--json").out)
    (listed,) = port["chips"]
    assert (listed["part"], listed["revision"], listed["config_revision"]) == ("ATECC608C", "00006004", "00005000")


def test_newer_silicon_is_listed_with_its_revision(machine: FakeMachine) -> None:
    chip = made_chip("atecc608c")
    chip.memory.revision = bytes.fromhex("00006009")
    machine.plug_kit("1-1.2", {0xC0: chip})
    done = run_in_process(command, "devices")
    assert done.code == 0
    assert f"  ATECC608, unknown revision 00 00 60 09  {sn(chip)}  configuration open" in done.out
    (port,) = objects(run_in_process(command, "devices", "--json").out)
    (listed,) = port["chips"]
    assert (listed["part"], listed["revision"]) == ("ATECC608, unknown revision 00 00 60 09", "00006009")
    assert "code" not in listed


def test_silent_kit_does_not_hide_the_others(machine: FakeMachine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("atcaprov.hal.kit.board.KitTimeouts", lambda: SimpleNamespace(greeting=0.01))
    machine.plug_kit("1-1.2", {0xC0: made_chip("atecc608a")}).fault = BoardFault.SILENT
    machine.plug_kit("1-1.4", {}).unplugged = True
    silent, gone = objects(run_in_process(command, "devices", "--json").out)
    assert (silent["code"], silent["chips"]) == ("device-no-reply", [])
    assert gone["code"] == "device-busy"
    text = run_in_process(command, "devices").out
    assert "did not answer within" in text


@pytest.mark.slow
def test_i2c_buses_are_searched_on_demand(machine: FakeMachine) -> None:
    chip = made_chip("atecc608a")
    machine.buses = {1: FakeI2cBus([chip]), 7: FakeI2cBus([])}
    done = run_in_process(command, "devices", "--i2c", "1")
    assert done.out == (
        "i2c://1  fake adapter\n"
        f"    0xC0 (7-bit 0x60)  ATECC608A  {sn(chip)}  configuration open, data open\n"
        "        revision 00 00 60 02, in the configuration zone 00 00 60 02\n"
        "        --device 'i2c://1/0x60'\n"
        "i2c://7  fake adapter\n"
        "    not searched; 'provisioning-client devices --i2c 7' looks for chips\n"
    )
    missing = objects(run_in_process(command, "devices", "--json", "--i2c", "9").out)[-1]
    assert (missing["url"], missing["code"]) == ("i2c://9", "device-not-found")


class Stranger(FakeI2cBus):
    """A bus with parts at 0x38 and 0x48 that acknowledge everything, and a kernel driver at 0x50."""

    def __init__(self, chips: list[SoftwareChip]) -> None:
        super().__init__(chips)
        self.written: list[int] = []

    def write(self, address: int, data: bytes) -> bool:
        self.written.append(address)
        return address in (0x38, 0x48) or super().write(address, data)

    def read(self, address: int, count: int) -> bytes:
        if address == 0x50:
            raise TransportError("A driver holds it.", code=Code.DEVICE_BUSY)
        return bytes(count) if address in (0x38, 0x48) else super().read(address, count)


def at(address: int) -> SoftwareChip:
    chip = made_chip("atecc608a")
    chip.memory.config[16] = address
    chip.power_cycle()
    return chip


@pytest.mark.slow
def test_chip_left_awake_by_a_killed_program_is_found(machine: FakeMachine) -> None:
    class Deaf(FakeI2cBus):
        reads_to_come = 5

        def read(self, address: int, count: int) -> bytes:
            self.reads_to_come -= address == 0x60
            return b"" if self.reads_to_come > 0 else super().read(address, count)

    machine.buses[1] = Deaf([made_chip("atecc608a")])
    (port,) = objects(run_in_process(command, "devices", "--json", "--i2c", "1").out)
    assert [chip["address_7_bit"] for chip in port["chips"]] == ["0x60"]


@pytest.mark.slow
def test_chips_at_other_addresses_are_found_on_demand(machine: FakeMachine) -> None:
    bus = machine.buses[1] = Stranger([made_chip("atecc608a"), at(0xD6)])

    def found(*options: str) -> list[str]:
        (port,) = objects(run_in_process(command, "devices", "--json", "--i2c", "1", *options).out)
        assert "code" not in port
        return [chip["address_7_bit"] for chip in port["chips"]]

    assert found() == ["0x60"]
    assert set(bus.written) == {0, 0x60}, "nothing is written where no chip was found"
    assert found("--address", "0x6b", "--address", "0x60") == ["0x60", "0x6B"]
    assert found("--all-addresses") == ["0x60", "0x6B"]
    assert set(bus.written) == {0, 0x60, 0x6B}, "nothing is written to strangers"


@pytest.mark.parametrize(
    ("options", "what"),
    [
        (("--i2c", "1", "--address", "0xD6"), "not a 7-bit address"),
        (("--i2c", "1", "--address", "x"), "not a 7-bit address"),
        (("--address", "0x6B"), "Add --i2c BUS"),
        (("--all-addresses",), "Add --i2c BUS"),
    ],
)
def test_malformed_addresses_are_refused(machine: FakeMachine, options: tuple[str, ...], what: str) -> None:
    done = run_in_process(command, "devices", *options)
    assert (done.code, done.out) == (2, "")
    assert what in done.err


@pytest.mark.slow
def test_chip_in_use_is_listed_and_does_not_hide_others(machine: FakeMachine) -> None:
    machine.buses[1] = FakeI2cBus([made_chip("atecc608a"), at(0x6A)])
    with contextlib.closing(open_i2c("//1/0x60", machine.buses[1])):
        (port,) = objects(run_in_process(command, "devices", "--json", "--i2c", "1").out)
    assert [(chip["address"], chip.get("code")) for chip in port["chips"]] == [("0xC0", "device-busy"), ("0x6A", None)]


def test_silent_chip_is_listed_with_its_error(machine: FakeMachine) -> None:
    class Odd(EmulatedBus):
        def exchange(self, address: int, packet: bytes) -> bytes:
            return b"\x07" * 7 if packet[1] == 0x02 else super().exchange(address, packet)

    machine.hid.boards["1-9:1.0"] = FaultyBoard(CdcBoard(Interpreter(Odd(), PARSER3)).receive_data)
    (port,) = objects(run_in_process(command, "devices", "--json").out)
    assert port["chips"][0]["code"] == "bad-packet"
    assert "wrong CRC" in run_in_process(command, "devices").out


def test_nothing_connected_is_reported(machine: FakeMachine) -> None:
    done = run_in_process(command, "devices")
    assert (done.code, done.out) == (0, "")
    assert done.err.startswith("[no-adapter] No kit and no I2C bus is connected to this computer. Connect a kit")


def test_missing_bus_advises_another_command() -> None:
    missing = next(number for number in range(200) if not Path(f"/dev/i2c-{number}").exists())
    done = run_in_process(command, "devices", "--i2c", str(missing))
    assert f"/dev/i2c-{missing} does not exist. 'provisioning-client devices' without --i2c lists the buses" in done.out


def test_bus_without_permission_is_listed_with_the_command_that_gives_it(
    machine: FakeMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.buses[7] = FakeI2cBus([])
    monkeypatch.setattr("atcaprov.hal.i2c.linux_bus.may_be_there", lambda path: True)
    monkeypatch.setattr("os.access", lambda path, mode: str(path) != "/dev/i2c-7")
    (port,) = objects(run_in_process(command, "devices", "--json").out)
    assert (port["url"], port["code"], port["searched"]) == ("i2c://7", "device-no-permission", False)
    text = run_in_process(command, "devices").out
    assert "    [device-no-permission] /dev/i2c-7 cannot be opened: no permission. Run 'atcaprov udev-rule" in text


def test_kits_that_cannot_be_seen_are_named_with_what_is_missing(
    machine: FakeMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing_hid() -> Any:
        raise missing("hidapi", "a HID kit")

    def missing_serial() -> Any:
        raise missing("pyserial", "a serial port")

    monkeypatch.setattr(listing, "hid_module", missing_hid)
    monkeypatch.setattr(listing, "require_serial_ports", missing_serial)
    ports = objects(run_in_process(command, "devices", "--json").out)
    assert [(port["url"], port["code"]) for port in ports] == [
        ("kit-hid://", "library-missing"),
        ("kit-cdc://", "library-missing"),
    ]
    assert "The Python package pyserial is not installed" in run_in_process(command, "devices").out
