from __future__ import annotations

from pathlib import Path

import pytest

from atcaprov.hal import usb as usb_sysfs
from atcaprov.hal.usb import is_hidraw, libusb_node, plugged_name_of_hid, usb_path_of_hid


@pytest.fixture
def sysfs(tmp_path: Path) -> Path:
    """One HID kit at port 1-2.3, which the kernel calls hidraw4."""
    interface = tmp_path / "devices" / "usb1" / "1-2.3" / "1-2.3:1.0"
    hid = interface / "0003:03EB:2312.0001"
    hid.mkdir(parents=True)
    (interface / "bInterfaceNumber").write_text("00\n")
    (interface.parent / "idVendor").write_text("03eb\n")
    (interface.parent / "busnum").write_text("1\n")
    (interface.parent / "devnum").write_text("42\n")
    entry = tmp_path / "class" / "hidraw" / "hidraw4"
    entry.mkdir(parents=True)
    (entry / "device").symlink_to(hid)
    devices = tmp_path / "bus" / "usb" / "devices"
    devices.mkdir(parents=True)
    (devices / "1-2.3").symlink_to(interface.parent)
    return tmp_path


@pytest.mark.parametrize("path", ["/dev/hidraw4", "1-2.3:1.0"])
def test_hidraw_and_libusb_give_the_same_usb_port(sysfs: Path, path: str) -> None:
    assert usb_path_of_hid(path, sysfs) == "1-2.3"
    assert plugged_name_of_hid(path, sysfs) == "USB port 1-2.3:1.0, device 42"


def test_reconnected_device_has_another_name(sysfs: Path) -> None:
    (sysfs / "bus" / "usb" / "devices" / "1-2.3" / "devnum").write_text("43\n")
    assert plugged_name_of_hid("1-2.3:1.0", sysfs) == "USB port 1-2.3:1.0, device 43"


@pytest.mark.parametrize("path", ["/dev/hidraw5", "/hid/other", "DevSrvsID:4294969133", ""])
def test_device_missing_in_sysfs_has_no_usb_port(sysfs: Path, path: str) -> None:
    assert usb_path_of_hid(path, sysfs) == plugged_name_of_hid(path, sysfs) == libusb_node(path, sysfs) == ""


def test_device_file_that_libusb_opens(sysfs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usb_sysfs, "_USB_NODES", tmp_path / "nodes")
    assert libusb_node("1-2.3:1.0", sysfs) == ""
    node = tmp_path / "nodes" / "001" / "042"
    node.parent.mkdir(parents=True)
    node.touch()
    assert libusb_node("1-2.3:1.0", sysfs) == str(node)
    assert libusb_node("1-2.4:1.0", sysfs) == ""


def test_hidraw_files_are_recognised(tmp_path: Path) -> None:
    null = tmp_path / "dev" / "char" / "1:3"
    null.mkdir(parents=True)
    (null / "subsystem").symlink_to(tmp_path / "class" / "mem")
    assert not is_hidraw("/dev/null", tmp_path)
    (null / "subsystem").unlink()
    (null / "subsystem").symlink_to(tmp_path / "class" / "hidraw")
    assert is_hidraw("/dev/null", tmp_path)
    assert is_hidraw("/dev/null", tmp_path / "missing"), "nothing speaks against it"
    assert not is_hidraw("/etc/passwd", tmp_path)
