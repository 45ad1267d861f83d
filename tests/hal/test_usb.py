from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from atcaprov import Code, Device, SoftwareChip, TransportError, UsageError
from atcaprov.hal import device_url, hotplug, usb
from atcaprov.hal.detect import i2c_buses
from atcaprov.hal.kit.cdc import open_kit_cdc
from atcaprov.hal.kit.hid import open_kit_hid
from atcaprov.hal.usb import find_one, plugged_kits, usb_path_of
from tests.hal.ways import SHORT, kit_board
from tests.support.fake_hid import FakeHid

FIRST, SECOND = "1-1.2:1.0", "1-1.3:1.0"


@pytest.fixture
def serial_ports(monkeypatch: pytest.MonkeyPatch) -> list[SimpleNamespace]:
    ports: list[SimpleNamespace] = []
    monkeypatch.setattr(usb, "_serial_ports", lambda: ports)
    return ports


def port(device: str, vid: int | None, pid: int | None, location: str, serial: str = "") -> SimpleNamespace:
    return SimpleNamespace(
        device=device, vid=vid, pid=pid, location=location, serial_number=serial or None, product="Kit"
    )


def test_two_identical_kits_are_told_apart_by_their_usb_port(serial_ports: list[SimpleNamespace]) -> None:
    chips = {FIRST: SoftwareChip(), SECOND: SoftwareChip()}
    hid = FakeHid({path: kit_board(chip) for path, chip in chips.items()})
    assert [(kit.usb_path, kit.url) for kit in plugged_kits(hid)] == [
        ("1-1.2", f"kit-hid://{FIRST}"),
        ("1-1.3", f"kit-hid://{SECOND}"),
    ]
    for path, chip in chips.items():
        with Device(open_kit_hid(f"//{path.partition(':')[0]}", SHORT, hid)) as device:
            config = bytes(chip.memory.config)
            assert device.serial_number() == config[:4] + config[8:13]
    assert hid.opened == [FIRST, SECOND]
    with pytest.raises(UsageError, match="2 boards") as refused:
        open_kit_hid("//", SHORT, hid)
    assert "kit-hid://1-1.2, kit-hid://1-1.3" in refused.value.advice


@pytest.mark.parametrize("path", ["1-1.2:1.0", "\\\\?\\hid#vid_03eb&pid_2312#6&1a", "DevSrvsID:4294969133"])
def test_the_url_of_a_kit_opens_it_on_every_system(path: str, serial_ports: list[SimpleNamespace]) -> None:
    hid = FakeHid({path: kit_board(SoftwareChip()), "1-9:1.0": kit_board(SoftwareChip())})
    kit = next(kit for kit in plugged_kits(hid) if kit.path == path)
    open_kit_hid(kit.url.partition(":")[2] + "?address=0xC0", SHORT, hid).close()
    assert hid.opened == [path]


def test_only_kit_needs_no_name(serial_ports: list[SimpleNamespace]) -> None:
    hid = FakeHid({FIRST: kit_board(SoftwareChip())})
    open_kit_hid("//", SHORT, hid).close()
    assert hid.opened == [FIRST]
    hid.ids = (0x03EB, 0x2111)
    with pytest.raises(TransportError) as refused:
        open_kit_hid("//", SHORT, hid)
    assert refused.value.code == Code.DEVICE_NOT_FOUND, "a debugger beside a kit is none"


def test_device_listed_once_per_use_is_one_kit(serial_ports: list[SimpleNamespace]) -> None:
    class Twice(FakeHid):
        def enumerate(self, vendor_id: int = 0, product_id: int = 0) -> list[dict[str, Any]]:
            return super().enumerate() * 2

    hid = Twice({FIRST: kit_board(SoftwareChip())})
    assert len(plugged_kits(hid)) == 1
    open_kit_hid("//", SHORT, hid).close()


def test_missing_pyserial_ends_the_wait_for_a_serial_kit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "serial.tools", None)
    monkeypatch.setitem(sys.modules, "serial", None)
    hid = FakeHid({FIRST: kit_board(SoftwareChip())})
    for look in (lambda: find_one("cdc", "1-2.3"), lambda: hotplug.is_plugged("kit-cdc://1-2.3")):
        with pytest.raises(TransportError, match="pyserial") as refused:
            look()
        assert refused.value.code == Code.LIBRARY_MISSING
    assert [kit.path for kit in plugged_kits(hid)] == [find_one("hid", "", hid).path] == [FIRST]


def test_com_port_counts_as_plugged_in_on_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_url, "os", SimpleNamespace(name="nt", fsencode=os.fsencode))
    assert device_url.names_a_file("COM3")
    assert hotplug.is_plugged("kit-cdc://COM12")
    assert not device_url.names_a_file("COMPANY1")


def test_serial_kits_by_path_port_and_serial_number(serial_ports: list[SimpleNamespace]) -> None:
    serial_ports += [
        port("/dev/ttyACM0", 0x03EB, 0x2122, "1-2.3:1.0"),
        port("/dev/ttyACM1", 0x03EB, 0x2404, "1-2.4", "A1B2"),
        port("/dev/ttyS0", None, None, ""),
        port("/dev/ttyUSB0", 0x0403, 0x6001, "1-2.5"),
    ]
    assert [kit.url for kit in plugged_kits(None)] == ["kit-cdc:///dev/ttyACM0", "kit-cdc:///dev/ttyACM1"]
    assert find_one("cdc", "1-2.3").path == "/dev/ttyACM0"
    assert find_one("cdc", "A1B2").path == "/dev/ttyACM1"
    with pytest.raises(TransportError, match=r"at '1-2\.5'"):
        find_one("cdc", "1-2.5")
    assert hotplug.is_plugged("kit-cdc://1-2.3")
    assert not hotplug.is_plugged("kit-cdc://1-9")


def test_i2c_buses_and_where_their_adapters_are(tmp_path: Path) -> None:
    usb = tmp_path / "devices" / "usb1" / "1-4"
    (usb / "1-4:1.0" / "i2c-11").mkdir(parents=True)
    (usb / "idVendor").write_text("1c40\n")
    for name, device in (("i2c-11", usb / "1-4:1.0" / "i2c-11"), ("i2c-2", None), ("other", None)):
        entry = tmp_path / "class" / "i2c-dev" / name
        entry.mkdir(parents=True)
        (entry / "name").write_text(f"adapter of {name}\n")
        if device:
            (entry / "device").symlink_to(device)
    assert [(bus.number, bus.name, bus.usb_path) for bus in i2c_buses(tmp_path)] == [
        (2, "adapter of i2c-2", ""),
        (11, "adapter of i2c-11", "1-4"),
    ]
    assert i2c_buses(tmp_path / "missing") == []
    assert usb_path_of(tmp_path / "missing") == ""


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("emulator:", True),
        ("tcp://127.0.0.1:1", True),
        ("kit-cdc://COMPANY1", False),
        ("kit-cdc:///dev/null", True),
        ("kit-cdc:///dev/no-such-tty", False),
        ("kit-hid:///dev/no-such-hidraw?address=0xC0", False),
        ("kit-hid://9-9.9", False),
        ("i2c://4095/0x60", False),
        ("i2c://999999999/0x60", False),
    ],
)
def test_presence_is_found_without_opening(url: str, expected: bool) -> None:
    assert hotplug.is_plugged(url) is expected


def test_port_that_disappears_during_search_hides_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[object] = []

    def comports() -> list[SimpleNamespace]:
        looks.append(None)
        if len(looks) == 1:
            raise TypeError("int() cannot convert non-string with explicit base")  # as pyserial 3.5 does
        return [port("/dev/ttyACM1", 0x03EB, 0x2122, "1-1.4:1.0")]

    monkeypatch.setattr("serial.tools.list_ports.comports", comports)
    assert [kit.path for kit in plugged_kits(None)] == ["/dev/ttyACM1"]


@pytest.mark.parametrize("open_it", [open_kit_cdc, open_kit_hid])
@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errno.ENOENT, Code.DEVICE_NOT_FOUND),
        (errno.ENODEV, Code.DEVICE_NOT_FOUND),
        (errno.EACCES, Code.DEVICE_NO_PERMISSION),
    ],
)
def test_device_file_that_disappears_before_it_is_opened(
    open_it: Callable[..., object], error: int, code: Code, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "tty"
    looked: list[Path] = []
    stat, exists = Path.stat, Path.exists

    def failing_stat(self: Path, **options: Any) -> os.stat_result:
        if self == path:
            looked.append(path)
            raise OSError(error, "gone")
        return stat(self, **options)

    monkeypatch.setattr(Path, "exists", lambda self: not looked if self == path else exists(self))
    monkeypatch.setattr(Path, "stat", failing_stat)
    monkeypatch.setattr("atcaprov.hal.kit.cdc.device_file", str)
    monkeypatch.setattr("atcaprov.hal.kit.hid.device_file", str)
    extra = {"module": FakeHid()} if open_it is open_kit_hid else {}
    with pytest.raises(TransportError) as refused:
        open_it(f"//{path}?address=0xC0", SHORT, **extra)
    assert refused.value.code == code
