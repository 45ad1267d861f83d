"""Opening and losing ports: each reason is an error with its own code and advice."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import serial

from atcaprov import Code, SoftwareChip, TransportError, UsageError, open_hal
from atcaprov.hal import bus_lock
from atcaprov.hal.bus_lock import BusLock
from atcaprov.hal.hotplug import PlugWatcher
from atcaprov.hal.kit.cdc import CdcPort, open_kit_cdc
from atcaprov.hal.kit.hid import HidPort, hid_module, open_kit_hid
from tests.hal.ways import SHORT, kit_board
from tests.support.fake_hid import FakeDevice, FakeHid
from tests.support.pty_and_tcp_boards import PtyBoard, plugged


@pytest.fixture
def pty() -> Iterator[PtyBoard]:
    board = PtyBoard(kit_board(SoftwareChip()))
    with plugged(board):
        yield board


def forbid(monkeypatch: pytest.MonkeyPatch, *paths: str) -> None:
    monkeypatch.setattr("os.access", lambda path, mode: str(path) not in paths)


def test_missing_permission_names_the_udev_rules(pty: PtyBoard, monkeypatch: pytest.MonkeyPatch) -> None:
    forbid(monkeypatch, "/dev/null", pty.path)
    monkeypatch.setattr("atcaprov.hal.kit.hid.is_hidraw", lambda path: True)
    for url in ("kit-hid:///dev/null", f"kit-cdc://{pty.path}"):
        with pytest.raises(TransportError, match="'atcaprov udev-rule --install'") as refused:
            open_hal(url)
        assert refused.value.code == Code.DEVICE_NO_PERMISSION


class Closed(FakeHid):
    """hidapi reports only that it failed."""

    def device(self) -> FakeDevice:
        self.boards = {}
        return super().device()


@pytest.mark.parametrize(
    ("node", "is_allowed", "code"),
    [
        ("/dev/bus/usb/001/042", False, Code.DEVICE_NO_PERMISSION),
        ("/dev/bus/usb/001/042", True, Code.DEVICE_BUSY),
        ("", True, Code.DEVICE_BUSY),
    ],
)
def test_missing_permission_is_found_at_libusbs_file(
    node: str, is_allowed: bool, code: Code, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("atcaprov.hal.kit.hid.libusb_node", lambda path: node)
    monkeypatch.setattr("os.access", lambda path, mode: str(path) != node or is_allowed)
    with pytest.raises(TransportError) as refused:
        open_kit_hid("//1-2.3", SHORT, Closed({"1-2.3:1.0": kit_board(SoftwareChip())}))
    assert refused.value.code == code
    assert ("udev-rule --install" in refused.value.advice) == (not is_allowed or not node), (
        "where it is not known, both"
    )


@pytest.mark.parametrize("path", ["/dev/null", "/tmp", "/etc/hostname"])
@pytest.mark.parametrize(("scheme", "kind"), [("kit-hid", "HID device"), ("kit-cdc", "serial port")])
def test_other_file_is_not_reported_as_busy(scheme: str, kind: str, path: str) -> None:
    with pytest.raises(UsageError, match=f"{path} is not a {kind}"):
        open_hal(f"{scheme}://{path}")


def test_a_kit_has_one_lock_through_hidraw_and_libusb(monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = {"/dev/hidraw3": 42, "/dev/hidraw4": 43, "9-8.7:1.0": 42}
    monkeypatch.setattr(
        "atcaprov.hal.kit.hid.plugged_name_of_hid", lambda path: f"USB port 9-8.7:1.0, device {numbers[path]}"
    )
    hid = FakeHid(dict.fromkeys(numbers, kit_board(SoftwareChip())))
    first = HidPort("/dev/hidraw3", hid)
    with pytest.raises(TransportError, match=r"USB port 9-8\.7:1\.0") as refused:
        HidPort("9-8.7:1.0", hid)
    assert refused.value.code == Code.DEVICE_BUSY
    HidPort("/dev/hidraw4", hid).close()  # plugged in again, and the old device is still held
    first.close()
    HidPort("9-8.7:1.0", hid).close()


def test_a_serial_port_that_another_program_holds_is_busy(pty: PtyBoard) -> None:
    with serial.Serial(pty.path, exclusive=True), pytest.raises(TransportError) as refused:
        open_kit_cdc(f"//{pty.path}", SHORT)
    assert refused.value.code == Code.DEVICE_BUSY
    open_kit_cdc(f"//{pty.path}", SHORT).close()


def test_a_link_to_a_port_is_the_port(pty: PtyBoard, tmp_path: Path) -> None:
    (tmp_path / "station-1").symlink_to(pty.path)
    first = open_kit_cdc(f"//{tmp_path / 'station-1'}?address=0xC0", SHORT)
    second = open_kit_cdc(f"//{pty.path}?address=0xC0", SHORT)
    assert first.url == second.url == f"kit-cdc://{pty.path}"
    first.close()
    second.close()


@pytest.mark.parametrize("use", [lambda port: port.send(b"e:w()\n"), lambda port: port.receive(1), CdcPort.drain])
def test_lost_serial_port_is_reported(pty: PtyBoard, use: Callable[[CdcPort], Any]) -> None:
    port = CdcPort(pty.path)
    pty.unplug()
    with pytest.raises(TransportError, match="Lost the connection") as refused:
        use(port)
    assert refused.value.code == Code.DEVICE_NOT_FOUND
    port.close()
    port.close()


class Failing(FakeDevice):
    """A device that misbehaves as hidapi does on a lost board."""

    def write(self, data: bytes) -> int:
        raise OSError(errno.EIO, "write error")

    def read(self, max_length: int, timeout_ms: int = 0) -> list[int]:
        raise ValueError("not open")

    def close(self) -> None:
        raise OSError("close error")


@pytest.mark.parametrize("use", [lambda port: port.send(b"e:w()\n"), lambda port: port.receive(1), HidPort.drain])
def test_lost_hid_device_is_reported(use: Callable[[HidPort], Any]) -> None:
    hid = FakeHid({"/hid/failing": kit_board(SoftwareChip())})
    hid.device = lambda: Failing(hid)  # type: ignore[method-assign]
    port = HidPort("/hid/failing", hid)
    with pytest.raises(TransportError, match="Lost the connection"):
        use(port)
    port.close()
    port.close()


def test_backends_of_hidapi() -> None:
    assert hid_module().__name__ == hid_module("hidraw").__name__ == "hidraw"
    assert hid_module("libusb").__name__ == "hid"
    with pytest.raises(UsageError, match="'winusb'"):
        open_kit_hid("//?backend=winusb")


def test_udev_events_are_used_where_it_runs() -> None:
    assert PlugWatcher().worth_looking()


def test_locks_use_the_users_folder_without_run_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bus_lock, "_SHARED_FOLDER", tmp_path / "missing")
    monkeypatch.setattr("platformdirs.user_runtime_dir", lambda name: str(tmp_path / name))
    with BusLock("bus").held(0):
        assert (tmp_path / "atcaprov" / "atcaprov-bus.lock").exists()
