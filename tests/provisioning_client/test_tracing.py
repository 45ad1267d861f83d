from __future__ import annotations

from pathlib import Path

import pytest

from atcaprov.device.device import Device
from atcaprov.errors import Code, TransportError, UsageError
from atcaprov.hal.trace import read_trace
from provisioning_client.boards import BoardList
from provisioning_client.tracing import Tracing


def test_each_board_has_a_trace_of_its_own(tmp_path: Path) -> None:
    boards = BoardList(["emulator:"] * 3, Tracing(tmp_path / "run.jsonl").open)
    serials = []
    while not boards.is_exhausted():
        device = boards.look()
        assert device is not None
        with device:
            serials.append(device.serial_number())
    names = ["run.jsonl", "run-2.jsonl", "run-3.jsonl"]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names)
    for name, serial in zip(names, serials, strict=True):
        trace = read_trace(tmp_path / name)
        assert trace.device == "emulator:"
        assert any(serial[:4].hex() in event.got for event in trace.events)
        assert {event.do for event in trace.events} >= {"wake", "exchange", "idle", "sleep"}


def test_a_trace_that_can_not_be_written_stops_before_the_chip_is_asked(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as refused:
        Tracing(tmp_path / "missing" / "run.jsonl").open(f"emulator:{tmp_path / 'chip.json'}")
    assert refused.value.code == Code.FILE_UNWRITABLE


def test_a_chip_that_can_not_be_driven_is_released(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> None:
        raise TransportError("no driver", code=Code.LIBRARY_MISSING)

    closed: list[str] = []
    monkeypatch.setattr("atcaprov.device.device.load_library", missing)
    monkeypatch.setattr("atcaprov.hal.emulated.EmulatedHal.close", lambda hal: closed.append(hal.url), raising=False)
    for opener in (Tracing(tmp_path / "run.jsonl").open, Device.open):
        with pytest.raises(TransportError):
            opener("emulator:")
    assert closed == ["emulator:"] * 2
