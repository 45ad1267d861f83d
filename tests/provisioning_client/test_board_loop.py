"""The loop over boards, and its outputs, with software chips and a server in memory."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from atcaprov import (
    Code,
    Device,
    EmulatedHal,
    Profile,
    ProtocolError,
    Provisioner,
    SoftwareChip,
    Stage,
    StageStatus,
    TransportError,
    UsageError,
)
from atcaprov.emulator.images import blank_608a
from atcaprov.wire.messages import MessageType
from provisioning_client.board_loop import BoardLoop
from provisioning_client.board_source import BoardSource
from provisioning_client.console_output import ConsoleOutput
from provisioning_client.json_output import JsonOutput
from provisioning_client.operator_input import NoOperator, Operator
from provisioning_client.output import Output
from tests.support.in_memory_server import InMemory, MemoryCa

# The transcript of Atmel-8970A, section 3.3.1, from its first board on to the second one's serial number, but for the
# 28 columns of the last line there, a slip of the document.
GUIDE = """\
Waiting for board to be connected...ok
    Device SN: 01234038D92CA571EE
    Press ENTER to provision...
Writing config zone.......done
Locking config zone.......done
Reading config zone.......done
Generating device key.....done
Requesting certificates...done
Writing certificates......done
Writing data zone.........done
Locking data zone.........done
Locking slots.............skipped
Validating certificates...done
Provisioning successful! Please remove board...
Board removed. Waiting for board to be connected...ok
    Device SN: 01233418D92CA571EE
    Press ENTER to provision...
Writing config zone.......done
"""
ELSEWHERE = TransportError("No chip at C0, but at 6A.", advice="Write 6A.", code=Code.DEVICE_OTHER_ADDRESS)
TWO_FIT = UsageError("2 boards match 'kit-hid://'.", advice="Name one of: kit-hid://1-1, kit-hid://1-2")
SERIALS = ("01234038D92CA571EE", "01233418D92CA571EE")


@pytest.fixture(scope="module")
def authority() -> MemoryCa:
    return MemoryCa()


class ShownFunctions(InMemory):
    def __init__(self, authority: MemoryCa, output: Output) -> None:
        super().__init__(authority)
        self._output = output

    def notify(self, stage: Stage, status: StageStatus) -> None:
        self._output.stage(stage, status)


class Tray(BoardSource):
    """Chips with given serial numbers; a place may be empty at some looks, or hold a dead board."""

    def __init__(self, places: Iterable[str | None], hal_type: type[EmulatedHal] = EmulatedHal) -> None:
        self.places = list(places)
        self.hal_type = hal_type

    def look(self) -> Device | None:
        place = self.places.pop(0)
        self.hint = ELSEWHERE if place == "elsewhere" else None
        if place in (None, "elsewhere"):
            return None
        if place == "dead":
            raise TransportError("The chip does not wake.", code=Code.DEVICE_NO_REPLY)
        return Device(self.hal_type(SoftwareChip(blank_608a(bytes.fromhex(place))), f"emulator:{place}"))

    def is_removed(self) -> bool:
        return True

    def is_exhausted(self) -> bool:
        return not self.places


class Damaged(EmulatedHal):
    """A board whose reply to each sleep is damaged."""

    def sleep(self) -> None:
        super().sleep()
        raise ProtocolError("The board answered with noise.")


class Keys(Operator):
    """Answers from a list: True starts a board, False quits; quits while waiting if `quits` is true."""

    def __init__(self, starts: Iterable[bool], quits: Callable[[], bool] = lambda: False) -> None:
        self._starts = list(starts)
        self._quits = quits

    def wants_to_quit(self, seconds: float) -> bool:
        return self._quits()

    def starts(self, still_there: Callable[[], bool]) -> bool:
        return self._starts.pop(0)


def _run(
    authority: MemoryCa,
    output_type: type[ConsoleOutput] | type[JsonOutput],
    places: Iterable[str | None],
    operator: Operator | None = None,
    limit: int | None = None,
    prepare: Callable[[InMemory], None] = lambda functions: None,
) -> tuple[str, BoardLoop]:
    printed: list[str] = []
    output = output_type(printed.append)
    functions = ShownFunctions(authority, output)
    provisioner = Provisioner(Profile(), authority.cert_info, functions)
    provisioner.prepare()
    prepare(functions)
    loop = BoardLoop(output, Tray(places), provisioner, operator or NoOperator(), limit)
    loop.run()
    return "".join(printed), loop


@pytest.mark.slow
def test_console_shows_the_texts_of_the_guide(authority: MemoryCa) -> None:
    printed, loop = _run(authority, ConsoleOutput, SERIALS)
    assert printed.startswith(GUIDE)
    assert printed.endswith("Provisioning successful! Please remove board...\n")
    assert (loop.good, loop.errors) == (2, [])


def test_limit_ends_the_loop(authority: MemoryCa) -> None:
    printed, loop = _run(authority, ConsoleOutput, SERIALS, limit=1)
    assert printed == GUIDE[: GUIDE.index("Board removed")]
    assert loop.good == 1


def test_esc_at_the_prompt_quits_and_leaves_the_chip_blank(authority: MemoryCa) -> None:
    printed, loop = _run(authority, ConsoleOutput, SERIALS, Keys([False]))
    assert printed == GUIDE[: GUIDE.index("Writing config zone")]
    assert (loop.good, loop.errors) == (0, [])


def test_esc_while_waiting_quits(authority: MemoryCa) -> None:
    printed, _ = _run(authority, ConsoleOutput, [None, None, SERIALS[0]], Keys([], lambda: True))
    assert printed == "Waiting for board to be connected...\n"  # else the shell writes behind it


def test_empty_fixture_is_checked_again(authority: MemoryCa) -> None:
    printed, loop = _run(authority, ConsoleOutput, [None, None, SERIALS[0]], Keys([True]))
    assert loop.good == 1
    assert printed.startswith("Waiting for board to be connected...ok\n    Device SN: 01234038D92CA571EE\n")


def test_failure_shows_cause_advice_and_outcome_of_the_board(authority: MemoryCa) -> None:
    def server_gone(functions: InMemory) -> None:
        functions.raw = lambda data: b"" if data[3] == MessageType.CERTIFICATES_REPLY else data

    printed, loop = _run(authority, ConsoleOutput, SERIALS[:1], prepare=server_gone)
    assert printed.endswith(
        "Generating device key.....done\n"
        "Requesting certificates...error\n"
        "    The server closed the connection without an answer. Try again.\n"
        "    The board is not lost: it can be tried again.\n"
        "Provisioning failed! Please remove board...\n"
    )
    assert [error.code for error in loop.errors] == [Code.SERVER_DROPPED]


def test_dead_board_does_not_stop_the_loop(authority: MemoryCa) -> None:
    printed, loop = _run(authority, ConsoleOutput, ["dead", SERIALS[0]])
    assert printed.startswith("Waiting for board to be connected...error\n    The chip does not wake.\n")
    assert loop.good == 1
    assert len(loop.errors) == 1


def test_damaged_reply_to_the_last_sleep_gives_one_outcome(authority: MemoryCa) -> None:
    printed: list[str] = []
    output = ConsoleOutput(printed.append)
    provisioner = Provisioner(Profile(), authority.cert_info, ShownFunctions(authority, output))
    provisioner.prepare()
    loop = BoardLoop(output, Tray(SERIALS[:1], Damaged), provisioner, NoOperator(), None)
    loop.run()
    assert (loop.good, loop.errors) == (1, [])
    assert "".join(printed) == GUIDE[: GUIDE.index("Board removed")]


@pytest.mark.slow
def test_json_lines_show_the_same_events(authority: MemoryCa) -> None:
    printed, _ = _run(authority, JsonOutput, SERIALS)
    events: list[dict[str, Any]] = [json.loads(line) for line in printed.splitlines()]
    assert {event["v"] for event in events} == {1}
    assert [event["event"] for event in events].count("stage") == 2 * 19
    first = next(event for event in events if event["event"] == "board")
    assert (first["sn"], first["device"]) == (SERIALS[0], f"emulator:{SERIALS[0]}")
    results = [event for event in events if event["event"] == "result"]
    assert [(result["sn"], result["result"], result["board"]) for result in results] == [
        (SERIALS[0], "pass", "good"),
        (SERIALS[1], "pass", "good"),
    ]
    assert events[-1]["event"] == "summary"
    assert (events[-1]["done"], events[-1]["failed"]) == (2, 0)


def test_failure_in_json_has_code_and_outcome(authority: MemoryCa) -> None:
    printed, _ = _run(authority, JsonOutput, ["dead"])
    result = next(event for line in printed.splitlines() if (event := json.loads(line))["event"] == "result")
    assert (result["result"], result["code"], result["board"]) == ("fail", "device-no-reply", "retry")
    assert result["message"] == "The chip does not wake."


class Impatient(Operator):
    """Never presses a key while a board is there."""

    def wants_to_quit(self, seconds: float) -> bool:
        return False

    def starts(self, still_there: Callable[[], bool]) -> bool:
        while still_there():
            pass
        return True


class Pulled(Tray):
    """The first chip loses its power at the prompt, or another one takes its place."""

    def __init__(self, places: Iterable[str | None], *, exchange: bool) -> None:
        super().__init__(places)
        self._exchange = exchange

    def look(self) -> Device | None:
        place = self.places.pop(0)
        assert place is not None
        chip = SoftwareChip(blank_608a(bytes.fromhex(place)))
        device = Device(EmulatedHal(chip, f"emulator:{place}"))
        read = device.serial_number
        reads = []

        def serial_number() -> bytes:
            reads.append(1)
            if len(reads) > 2:
                if not self._exchange:
                    chip.power_off()
                chip.memory.config[8] = 0x77
            return read()

        device.serial_number = serial_number  # type: ignore[method-assign]
        return device


@pytest.mark.parametrize("exchange", [True, False])
def test_board_removed_before_enter_is_neither_started_nor_counted(authority: MemoryCa, exchange: bool) -> None:
    printed: list[str] = []
    output = ConsoleOutput(printed.append)
    provisioner = Provisioner(Profile(), authority.cert_info, ShownFunctions(authority, output))
    loop = BoardLoop(output, Pulled(SERIALS, exchange=exchange), provisioner, Impatient(), None)
    loop.run()
    assert "".join(printed) == "".join(
        f"Waiting for board to be connected...ok\n    Device SN: {serial}\n    Press ENTER to provision...\n{after}"
        for serial, after in zip(SERIALS, ("Board removed. ", ""), strict=True)
    )
    assert (loop.good, loop.errors) == (0, [])


@pytest.mark.slow
def test_hint_is_shown_once_while_waiting_for_a_board(authority: MemoryCa) -> None:
    places = ["elsewhere", "elsewhere", None, SERIALS[0]]
    printed, loop = _run(authority, ConsoleOutput, places)
    assert printed.startswith(
        "Waiting for board to be connected...\n"
        "    No chip at C0, but at 6A. Write 6A.\n"
        "Waiting for board to be connected...ok\n"
        "    Device SN: 01234038D92CA571EE\n"
    )
    assert (loop.good, loop.errors) == (1, [])
    printed, _ = _run(authority, JsonOutput, places)
    hints = [event for line in printed.splitlines() if (event := json.loads(line))["event"] == "hint"]
    assert [(hint["code"], hint["message"], hint["advice"]) for hint in hints] == [
        ("device-other-address", "No chip at C0, but at 6A.", "Write 6A.")
    ]


class Stuck(Tray):
    """For a while it cannot tell whether the board was taken out."""

    def __init__(self, places: Iterable[str | None]) -> None:
        super().__init__(places)
        self.unclear = [TWO_FIT, TWO_FIT, None]

    def is_removed(self) -> bool:
        if not self.unclear:
            return True
        self.hint = self.unclear.pop(0)
        return False


@pytest.mark.slow
def test_hint_is_shown_once_while_waiting_for_a_removal(authority: MemoryCa) -> None:
    for output_type in (ConsoleOutput, JsonOutput):
        printed: list[str] = []
        output: Output = output_type(printed.append)
        provisioner = Provisioner(Profile(), authority.cert_info, ShownFunctions(authority, output))
        loop = BoardLoop(output, Stuck(SERIALS), provisioner, NoOperator(), None)
        loop.run()
        assert (loop.good, loop.errors) == (2, [])
        text = "".join(printed)
        if output_type is ConsoleOutput:
            hint = f"Please remove board...\n    {TWO_FIT}\nBoard removed. Waiting"
            assert text.count(hint) == text.count(str(TWO_FIT)) == 1
        else:
            events = [json.loads(line) for line in text.splitlines()]
            assert [event["message"] for event in events if event["event"] == "hint"] == [TWO_FIT.what]
