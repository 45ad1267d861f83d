from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from atcaprov import Code, Device, TransportError, UsageError, read_trace
from provisioning_client.board_source import BoardList
from provisioning_client.trace_files import TraceFiles


def never(error: UsageError) -> None:
    raise error


def test_each_board_has_its_own_trace(tmp_path: Path) -> None:
    boards = BoardList(["emulator:"] * 3, TraceFiles(tmp_path / "run.jsonl", never).open)
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
        assert trace.complete
        assert any(serial[:4].hex() in event.got for event in trace.events)
        assert {event.do for event in trace.events} >= {"wake", "exchange", "idle", "sleep"}


def test_unwritable_trace_stops_before_the_chip_is_used(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as refused:
        TraceFiles(tmp_path / "missing" / "run.jsonl", never)
    assert refused.value.code == Code.FILE_UNWRITABLE
    with pytest.raises(UsageError) as refused:
        TraceFiles(Path("/dev/full"), never)
    assert refused.value.code == Code.FILE_UNWRITABLE
    assert "/dev/full" in refused.value.what


@pytest.mark.parametrize("room", [0, 200, 1000, 1001, 1040])
def test_full_disk_ends_the_trace_but_not_the_board(tmp_path: Path, room: int) -> None:
    warnings: list[UsageError] = []
    tracing = TraceFiles(tmp_path / "run.jsonl", warnings.append)
    with file_size_limit(room):
        for _ in range(3):
            with tracing.open("emulator:") as device:
                assert [len(device.read_config()) for _ in range(3)] == [128] * 3
    assert [warning.code for warning in warnings] == [Code.FILE_UNWRITABLE]
    assert str(tmp_path / "run.jsonl") in warnings[0].what
    assert [path.name for path in tmp_path.iterdir()] == (["run.jsonl"] if room else []), "no file is empty"
    if room:
        trace = read_trace(tmp_path / "run.jsonl")
        assert not trace.complete
        assert (tmp_path / "run.jsonl").read_bytes().endswith(b"}\n"), "no line is half"


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    """Make every write beyond `size` bytes of a file fail, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_chip_is_released_if_the_driver_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> None:
        raise TransportError("no driver", code=Code.LIBRARY_MISSING)

    closed: list[str] = []
    monkeypatch.setattr("atcaprov.device.driver.load_library", missing)
    monkeypatch.setattr("atcaprov.hal.emulated.EmulatedHal.close", lambda hal: closed.append(hal.url), raising=False)
    for opener in (TraceFiles(tmp_path / "run.jsonl", never).open, Device.open):
        with pytest.raises(TransportError):
            opener("emulator:")
    assert closed == ["emulator:"] * 2
