from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from atcaprov.hal import hotplug
from atcaprov.hal.hotplug import PlugWatcher


class Monitor:
    """Stands for pyudev.Monitor."""

    events: list[str]
    broken = False

    def __init__(self) -> None:
        self.events = []
        self.subsystems: list[str] = []
        self.started = False

    def filter_by(self, subsystem: str) -> None:
        self.subsystems.append(subsystem)

    def start(self) -> None:
        self.started = True

    def poll(self, timeout: float) -> Any:
        assert timeout == 0, "the console must not wait here"
        if self.broken:
            raise OSError("netlink is gone")
        return self.events.pop() if self.events else None


@pytest.fixture
def monitor(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Monitor:
    monitor = Monitor()
    pyudev = ModuleType("pyudev")
    pyudev.Context = object  # type: ignore[attr-defined]
    pyudev.Monitor = type("M", (), {"from_netlink": staticmethod(lambda _context: monitor)})  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pyudev", pyudev)
    monkeypatch.setattr(hotplug, "_UDEV_RUNS", tmp_path)
    monkeypatch.setattr("time.monotonic", lambda: 100.0)
    return monitor


def test_events_tell_when_to_look(monitor: Monitor) -> None:
    watcher = PlugWatcher()
    assert watcher.has_events
    assert monitor.started
    assert set(monitor.subsystems) == {"hidraw", "tty", "usb", "i2c-dev"}
    assert [watcher.worth_looking() for _ in range(3)] == [True, False, False]
    monitor.events = ["add", "bind"]
    assert [watcher.worth_looking() for _ in range(2)] == [True, False]


def test_lost_event_is_made_up_for_after_a_while(monitor: Monitor, monkeypatch: pytest.MonkeyPatch) -> None:
    watcher = PlugWatcher()
    assert [watcher.worth_looking() for _ in range(2)] == [True, False]
    monkeypatch.setattr("time.monotonic", lambda: 102.5)
    assert [watcher.worth_looking() for _ in range(2)] == [True, False]


def test_without_events_every_look_is_due(monitor: Monitor, monkeypatch: pytest.MonkeyPatch) -> None:
    watcher = PlugWatcher()
    watcher.worth_looking()
    monitor.broken = True
    assert [watcher.worth_looking() for _ in range(3)] == [True] * 3
    assert not watcher.has_events
    monkeypatch.setattr(hotplug, "_UDEV_RUNS", Path("/no/such/socket"))
    watcher = PlugWatcher()
    assert not watcher.has_events
    assert [watcher.worth_looking() for _ in range(3)] == [True] * 3
