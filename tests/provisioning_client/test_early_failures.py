"""Chips that fail before or early in a run with --auto: each is a failed board, none counts as removed."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from atcaprov import Board, Code, Device, EmulatedHal, Profile, Provisioner, SoftwareChip
from atcaprov.emulator.faults import Fault, FaultKind, FaultPlan
from provisioning_client.board_loop import BoardLoop
from provisioning_client.board_source import BoardList
from provisioning_client.cli import exit_code
from provisioning_client.json_output import JsonOutput
from provisioning_client.operator_input import NoOperator, Operator
from tests.support.in_memory_server import InMemory, MemoryCa

pytestmark = pytest.mark.slow

EARLY = range(1, 13)
"""Commands up to the first writes: the serial number twice, four blocks of the configuration, and so on."""


@pytest.fixture(scope="module")
def authority() -> MemoryCa:
    return MemoryCa()


def session_with(
    authority: MemoryCa, faults: FaultPlan, operator: Operator | None = None
) -> tuple[BoardLoop, list[dict[str, object]], SoftwareChip]:
    lines: list[str] = []
    chip = SoftwareChip(faults=faults)
    functions = InMemory(authority)
    provisioner = Provisioner(Profile(), authority.cert_info, functions)
    boards = BoardList(["emulator:"], lambda url: Device(EmulatedHal(chip, url)))
    loop = BoardLoop(JsonOutput(lines.append), boards, provisioner, operator or NoOperator(), None)
    loop.run()
    return loop, [json.loads(line) for line in lines], chip


@pytest.mark.parametrize("kind", FaultKind)
@pytest.mark.parametrize("command", EARLY)
def test_fault_at_any_early_command_gives_one_outcome(authority: MemoryCa, kind: FaultKind, command: int) -> None:
    loop, events, _ = session_with(authority, FaultPlan([Fault(kind, command=command)]))
    assert loop.good + len(loop.errors) == 1
    results = [event for event in events if event["event"] == "result"]
    assert len(results) == 1
    assert (results[0]["result"] == "pass") == (loop.good == 1) == (exit_code(loop) == 0)
    assert (events[-1]["done"], events[-1]["failed"]) == (loop.good, len(loop.errors))


@pytest.mark.parametrize("kind", FaultKind)
def test_chip_that_fails_from_its_second_command_is_a_failed_board(authority: MemoryCa, kind: FaultKind) -> None:
    faults = [Fault(kind, command=number) for number in range(2, 60)]
    loop, events, _ = session_with(authority, FaultPlan(faults))
    assert loop.good == 0
    assert exit_code(loop) in (3, 4, 5)
    assert (events[-1]["done"], events[-1]["failed"]) == (0, 1)


class Typist(Operator):
    """Presses ENTER only after some checks of the chip."""

    def __init__(self, looks: int) -> None:
        self.pressed = False
        self._looks = looks

    def wants_to_quit(self, seconds: float) -> bool:
        return False

    def starts(self, still_there: Callable[[], bool]) -> bool:
        for _ in range(self._looks):
            if not still_there():
                return True
        self.pressed = True
        return True


def test_bouncing_contact_at_the_prompt_does_not_start_the_board(authority: MemoryCa) -> None:
    operator = Typist(5)
    loop, _, _ = session_with(authority, FaultPlan([Fault(FaultKind.NO_ACKNOWLEDGE, command=3)]), operator)
    assert operator.pressed
    assert loop.good == 1


def test_chip_that_dies_at_the_prompt_is_failed_and_unchanged(authority: MemoryCa) -> None:
    operator = Typist(5)
    faults = [Fault(FaultKind.NO_ACKNOWLEDGE, command=number) for number in range(3, 60)]
    loop, _, chip = session_with(authority, FaultPlan(faults), operator)
    assert not operator.pressed
    assert [error.code for error in loop.errors] == [Code.DEVICE_NO_REPLY]
    assert chip.memory.config[86:88] == b"\x55\x55"


def test_listed_board_exchanged_before_its_run_is_failed(authority: MemoryCa) -> None:
    lines: list[str] = []
    first, second = SoftwareChip(), SoftwareChip()

    class Exchanged(EmulatedHal):
        def exchange(self, packet: bytes) -> bytes:
            reply = super().exchange(packet)
            self.chip = second
            return reply

    provisioner = Provisioner(Profile(), authority.cert_info, InMemory(authority))
    boards = BoardList(["tcp://127.0.0.1:1", "emulator:"], lambda url: Device(Exchanged(first, url)))
    loop = BoardLoop(JsonOutput(lines.append), boards, provisioner, NoOperator(), 1)
    loop.run()
    assert (loop.good, [error.code for error in loop.errors]) == (0, [Code.PROVISIONING])
    assert loop.errors[0].board == Board.UNTOUCHED
    assert first.memory.config[86:88] == second.memory.config[86:88] == b"\x55\x55"


def test_enter_right_after_a_bounce_starts_the_board(authority: MemoryCa) -> None:
    operator = Typist(1)
    loop, _, _ = session_with(authority, FaultPlan([Fault(FaultKind.NO_ACKNOWLEDGE, command=2)]), operator)
    assert operator.pressed
    assert loop.good == 1
