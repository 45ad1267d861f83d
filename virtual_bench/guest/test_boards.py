"""Several boards at once: told apart, side by side with bad ones, of every firmware, with several chips."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from atcaprov import Code, Device, ProtocolError, TransportError, UsageError
from atcaprov.emulator.chip import Power
from atcaprov.kit_protocol.firmware import FIRMWARES
from tests.support.faulty_board import BoardFault
from tests.support.programs import killed_after
from virtual_bench.boards import BoardPlan
from virtual_bench.machine import PATIENCE
from virtual_bench.plugboard import Plugboard
from virtual_bench.ways import KIT_WAYS, Way


def _serial_number(url: str) -> bytes:
    with Device.open(url) as device:
        return device.serial_number()


@pytest.mark.parametrize("way", Way)
def test_two_identical_boards_are_told_apart(plugboard: Plugboard, way: Way) -> None:
    names = ("left", "right")
    for name in names:
        plugboard.make(BoardPlan(name, way.kind))
    urls = {name: way.url(plugboard.plug(name)) for name in names}
    with Device.open(urls["left"]) as left, Device.open(urls["right"]) as right:
        for _ in range(2):
            assert left.serial_number() == plugboard.serial_number("left")
            assert right.serial_number() == plugboard.serial_number("right")


@pytest.mark.parametrize("way", [Way.HIDRAW, Way.CDC])
def test_a_kit_is_named_by_its_usb_port_or_its_usb_serial_number(plugboard: Plugboard, way: Way) -> None:
    for name in ("left", "right"):
        plugboard.make(BoardPlan(name, way.kind, usb_serial_number=f"kit-{name}"))
        node = plugboard.plug(name)
        assert _serial_number(f"kit-{way.kind}://{node.bus_id}") == plugboard.serial_number(name)
    for name in ("left", "right"):
        assert _serial_number(f"kit-{way.kind}://kit-{name}") == plugboard.serial_number(name)


@pytest.mark.parametrize("way", [Way.HIDRAW, Way.CDC])
def test_of_two_kits_none_is_chosen_by_chance(plugboard: Plugboard, way: Way) -> None:
    plugboard.make(BoardPlan("one", way.kind))
    nodes = {"one": plugboard.plug("one")}
    assert _serial_number(f"kit-{way.kind}://") == plugboard.serial_number("one")
    plugboard.make(BoardPlan("two", way.kind))
    nodes["two"] = plugboard.plug("two")
    with pytest.raises(UsageError, match=r"^2 boards match") as refused:
        _serial_number(f"kit-{way.kind}://")
    for name in ("one", "two"):
        assert f"kit-{way.kind}://{nodes[name].bus_id}" in refused.value.advice
        assert plugboard.chip(name).power is Power.ASLEEP


@pytest.mark.parametrize("way", Way)
def test_all_chips_of_a_board_are_reached_by_their_addresses(plugboard: Plugboard, way: Way) -> None:
    addresses = (0xC0, 0xC2, 0x6A)
    plugboard.make(BoardPlan("board", way.kind, addresses=addresses))
    node = plugboard.plug("board")
    for index, address in enumerate(addresses):
        assert _serial_number(way.url(node, address)) == plugboard.serial_number("board", index)


@pytest.mark.parametrize("firmware", FIRMWARES)
@pytest.mark.parametrize("way", [Way.HIDRAW, Way.CDC])
def test_every_firmware_serves(plugboard: Plugboard, way: Way, firmware: str) -> None:
    plugboard.make(BoardPlan("kit", way.kind, firmware=firmware))
    with Device.open(way.url(plugboard.plug("kit"))) as device:
        assert device.serial_number() == plugboard.serial_number("kit")
        assert device.read_config() == plugboard.chip("kit").config


@pytest.mark.parametrize("fault", [BoardFault.SILENT, BoardFault.ENDLESS])
@pytest.mark.parametrize("way", Way)
def test_a_bad_board_ends_in_a_typed_error_and_harms_no_other(
    plugboard: Plugboard, way: Way, fault: BoardFault
) -> None:
    plugboard.make(BoardPlan("good", way.kind))
    plugboard.make(BoardPlan("bad", way.kind))
    plugboard.spoil("bad", fault)
    good, bad = way.url(plugboard.plug("good")), way.url(plugboard.plug("bad"))
    with Device.open(good) as device:
        device.info()
        with pytest.raises((TransportError, ProtocolError)) as refused:
            _serial_number(bad)
        assert refused.value.code in (Code.DEVICE_NO_REPLY, Code.BAD_FRAME, Code.BAD_PACKET)
        assert device.serial_number() == plugboard.serial_number("good")


@pytest.mark.parametrize("noticed", [True, False])
@pytest.mark.parametrize("way", KIT_WAYS)
def test_after_a_replug_the_old_handle_fails_and_a_new_one_serves(
    plugboard: Plugboard, way: Way, noticed: bool
) -> None:
    plugboard.make(BoardPlan("board", way.kind))
    with Device.open(way.url(plugboard.plug("board"))) as old:
        old.info()
        plugboard.unplug("board")
        if noticed:
            with pytest.raises(TransportError):
                old.info()
        new = way.url(plugboard.plug("board"))  # through libusb it has the name of the dead handle
        for _ in range(2):
            assert _serial_number(new) == plugboard.serial_number("board")
            with pytest.raises(TransportError):
                old.info()
    assert _serial_number(new) == plugboard.serial_number("board")


def test_after_a_replug_of_an_adapter_its_bus_serves(plugboard: Plugboard) -> None:
    plugboard.make(BoardPlan("board", Way.I2C.kind))
    with Device.open(Way.I2C.url(plugboard.plug("board"))) as device:
        device.info()
        plugboard.unplug("board")
        with pytest.raises(TransportError):
            device.info()
    assert _serial_number(Way.I2C.url(plugboard.plug("board"))) == plugboard.serial_number("board")


@pytest.mark.parametrize("way", [Way.HIDRAW, Way.CDC])
def test_a_board_belongs_to_one_program_at_a_time(plugboard: Plugboard, way: Way) -> None:
    plugboard.make(BoardPlan("board", way.kind))
    url = way.url(plugboard.plug("board"))
    script = (
        "import sys; from atcaprov.device.device import Device; from atcaprov.errors import TransportError\n"
        "try: Device.open(sys.argv[1])\n"
        "except TransportError as error: print(error.code)\n"
    )
    with Device.open(url) as device:
        other = subprocess.run((sys.executable, "-c", script, url), capture_output=True, text=True, check=False)
        assert (other.stdout, other.stderr) == (f"{Code.DEVICE_BUSY}\n", "")
        assert device.serial_number() == plugboard.serial_number("board")


def test_a_board_that_is_held_through_hidraw_is_refused_through_libusb(plugboard: Plugboard) -> None:
    plugboard.make(BoardPlan("board", Way.HIDRAW.kind))
    node = plugboard.plug("board")
    with Device.open(Way.HIDRAW.url(node)) as device:
        with pytest.raises(TransportError) as refused:  # libusb would take the board from the kernel's driver
            Device.open(Way.LIBUSB.url(node))
        assert refused.value.code == Code.DEVICE_BUSY
        assert device.serial_number() == plugboard.serial_number("board")


def test_ctrl_c_ends_a_program_that_waits_for_a_silent_kit(plugboard: Plugboard) -> None:
    plugboard.make(BoardPlan("kit", Way.HIDRAW.kind))
    node = plugboard.plug("kit")
    plugboard.spoil("kit", BoardFault.SILENT)
    script = (
        "import sys; from atcaprov.hal.kit.hid import open_kit_hid; from atcaprov.hal.kit.line_port import KitTimeouts;"
        "print('go', flush=True); open_kit_hid(sys.argv[1], KitTimeouts(greeting=3600))"
    )
    with subprocess.Popen(
        (sys.executable, "-c", script, f"//{node.path}"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as program:
        assert program.stdout is not None
        program.stdout.readline()
        os.kill(program.pid, signal.SIGINT)
        with killed_after(program, PATIENCE):
            _, errors = program.communicate()
    assert errors.rstrip().endswith("KeyboardInterrupt")
