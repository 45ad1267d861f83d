"""What may stand behind `emulator:`."""

from __future__ import annotations

from pathlib import Path

import pytest

from atcaprov import Code, TransportError, UsageError
from atcaprov.chip.commands import Opcode
from atcaprov.chip.execution_times import Times
from atcaprov.emulator.timing import RealClock, VirtualClock
from atcaprov.hal.emulated import open_emulated
from tests.support.chips import packet

INFO = packet(Opcode.INFO)


def test_a_clock_is_chosen() -> None:
    assert isinstance(open_emulated("").chip.clock, VirtualClock)
    assert isinstance(open_emulated("?clock=virtual").chip.clock, VirtualClock)
    assert isinstance(open_emulated("?clock=real").chip.clock, RealClock)
    hal = open_emulated("?image=tngtls&clock=1000000")
    assert isinstance(hal.chip.clock, RealClock)
    assert hal.chip.memory.config[16] == 0x6A
    assert hal.url == "emulator:?image=tngtls&clock=1000000"


@pytest.mark.parametrize(
    ("options", "times"),
    [
        ("", Times.MAXIMUM),
        ("?clock=virtual", Times.MAXIMUM),
        ("?clock=real", Times.TYPICAL),
        ("?clock=1000000", Times.TYPICAL),
        ("?times=typical", Times.TYPICAL),
        ("?clock=real&times=maximum", Times.MAXIMUM),
    ],
)
def test_times_are_chosen(options: str, times: Times) -> None:
    assert open_emulated(options).chip.times is times


def test_a_fault_plan_is_obeyed(tmp_path: Path) -> None:
    plan = tmp_path / "plan.toml"
    plan.write_text('[[fault]]\nkind = "no-acknowledge"\ncommand = 2\n')
    hal = open_emulated(f"{tmp_path / 'chip.json'}?faults={plan}")
    hal.wake()
    assert hal.exchange(INFO)
    with pytest.raises(TransportError) as caught:
        hal.exchange(INFO)
    assert caught.value.code == Code.DEVICE_NO_REPLY
    assert hal.exchange(INFO)


@pytest.mark.parametrize(
    "rest",
    [
        "?clock=0",
        "?clock=-1",
        "?clock=fast",
        "?clock=nan",
        "?clock=inf",
        "?speed=1",
        "?clock",
        "?clock=real&",
        "?=",
        "?times=short",
    ],
)
def test_invalid_option_is_refused(rest: str) -> None:
    with pytest.raises(UsageError):
        open_emulated(rest)


@pytest.mark.parametrize(
    ("content", "code"), [(None, Code.FILE_UNREADABLE), (b"\xff\xfe", Code.FILE_INVALID), (b"x", Code.FILE_INVALID)]
)
def test_a_bad_fault_plan_is_refused(tmp_path: Path, content: bytes | None, code: Code) -> None:
    plan = tmp_path / "plan.toml"
    if content is not None:
        plan.write_bytes(content)
    with pytest.raises(UsageError) as caught:
        open_emulated(f"?faults={plan}")
    assert caught.value.code == code
