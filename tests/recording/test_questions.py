"""Each question to a part tells the readings of its open point apart."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Any, Literal

import pytest

from atcaprov import Code, EmulatedHal, SoftwareChip, TransportError
from atcaprov.chip.commands import Opcode
from atcaprov.chip.crc import with_crc
from atcaprov.chip.memory_map import serial_number
from atcaprov.device.command_guard import GuardedHal
from atcaprov.emulator.images import load_image
from atcaprov.emulator.open_points import OpenPoints
from atcaprov.emulator.random_source import SeededRandom
from atcaprov.recording.destructive.first_setup import FirstSlots
from atcaprov.recording.destructive.procedure import ask_and_lock
from atcaprov.recording.destructive.second_setup import SecondSlots, secret
from atcaprov.recording.destructive.setups import FIRST, SECOND, Setup
from atcaprov.recording.dialogue import Dialogue
from atcaprov.recording.harmless_packets import harmless_packets, packet, run
from atcaprov.recording.harmless_questions import harmless_questions
from atcaprov.recording.questions import RULES, UNDECIDED, Reading, put
from atcaprov.recording.reading_texts import reading_text, shown
from tests.recording.known_readings import (
    FIRST_SETUP,
    HARMLESS,
    LOCKED,
    NO_AES,
    NOT_ASKED,
    OPEN,
    SECOND_SETUP,
    ask_harmlessly,
    blank_chip,
    defaults,
    each,
    found,
    given_up,
    talk,
)
from tests.support.chips import configured_memory
from tests.support.scripted_hal import ScriptedHal


@pytest.mark.parametrize(("point", "value"), each(HARMLESS | OPEN))
def test_open_chip_shows_its_reading(point: str, value: Any) -> None:
    wanted = defaults(HARMLESS | OPEN) | {point: value}
    if (point, value) == ("nonce_before_lock", False):
        wanted["info_state_seed"] = UNDECIDED  # a Nonce that is refused updates no seed
    assert ask_harmlessly(blank_chip(replace(OpenPoints(), **{point: value}))) == wanted


@pytest.mark.parametrize(("point", "value"), each(HARMLESS | LOCKED))
def test_locked_chip_shows_its_reading(point: str, value: Any) -> None:
    wanted = defaults(HARMLESS | LOCKED) | {point: value}
    chip = SoftwareChip(configured_memory(), open_points=replace(OpenPoints(), **{point.partition(".")[0]: value}))
    assert ask_harmlessly(chip) == wanted


@pytest.mark.parametrize("image", ["atecc608a", "atecc508a", "tngtls", "tflxtls"])
def test_harmless_questions_change_nothing(image: str) -> None:
    chip = SoftwareChip(load_image(image).make(SeededRandom(b"part")))
    before = chip.memory.image()
    ask_harmlessly(chip)
    assert chip.memory.image() == before


@pytest.mark.parametrize("image", ["atecc608a", "atecc508a", "tngtls", "tflxtls"])
def test_harmless_questions_pass_a_guard_that_permits_nothing(image: str) -> None:
    hal = GuardedHal(EmulatedHal(SoftwareChip(load_image(image).make(SeededRandom(b"part"))), "emulator:"))
    assert run(hal, harmless_packets()) == len(harmless_packets())
    dialogue = Dialogue(hal)
    assert len(list(put(dialogue, harmless_questions(dialogue)))) > len(HARMLESS) - 2


def test_no_use_of_a_limited_key_is_spent() -> None:
    limited = dict.fromkeys(range(16), (0x8FAF, 0x001C))
    chip = SoftwareChip(configured_memory(slots=limited), open_points=replace(OpenPoints(), mac_otp_fields="hash"))
    before = chip.memory.image()
    assert "mac_otp_fields" not in ask_harmlessly(chip)
    assert chip.memory.image() == before


@pytest.mark.parametrize("value", NO_AES["aes_disabled_code"])
def test_chip_without_aes_shows_its_reading(value: int) -> None:
    memory = configured_memory()
    memory.config[13] &= 0xFE
    chip = SoftwareChip(memory, open_points=replace(OpenPoints(), aes_disabled_code=value))
    assert ask_harmlessly(chip)["aes_disabled_code"] == value


@pytest.mark.parametrize(("name", "value"), each(FIRST_SETUP))
def test_chip_with_the_first_setup_shows_its_reading(name: str, value: Any) -> None:
    point = name.partition(".")[0]
    assert given_up(FIRST, replace(OpenPoints(), **{point: value}))[name] == value


@pytest.mark.parametrize(("name", "value"), each(SECOND_SETUP))
def test_chip_with_the_second_setup_shows_its_reading(name: str, value: Any) -> None:
    point = name.partition(".")[0]
    assert given_up(SECOND, replace(OpenPoints(), **{point: value}))[name] == value


@pytest.mark.parametrize("command", sorted(OpenPoints().limited_use_commands))
def test_chip_with_the_second_setup_shows_for_each_command_whether_it_counts(command: int) -> None:
    others = OpenPoints().limited_use_commands - {command}
    answers = given_up(SECOND, replace(OpenPoints(), limited_use_commands=others))
    counted = {name for name, value in answers.items() if name.startswith("limited_use_commands.") and value}
    assert counted == {f"limited_use_commands.{Opcode(other).name}" for other in others}


def test_given_up_chips_answer_every_question() -> None:
    first, second = given_up(FIRST, OpenPoints()), given_up(SECOND, OpenPoints())
    assert first == defaults(FIRST_SETUP) | defaults(RULES.keys() - second.keys())
    commands = [f"limited_use_commands.{Opcode(command).name}" for command in OpenPoints().limited_use_commands]
    assert second == defaults([*SECOND_SETUP, *commands]) | defaults(RULES.keys() - first.keys())


def test_every_open_point_is_asked_or_has_a_reason() -> None:
    names = {*HARMLESS, *OPEN, *LOCKED, *FIRST_SETUP, *NO_AES, *SECOND_SETUP}
    asked = {"limited_use_commands"} | {name.partition(".")[0] for name in names}
    assert asked | NOT_ASKED.keys() == {field.name for field in fields(OpenPoints)}
    assert not asked & NOT_ASKED.keys()
    page = (Path(__file__).parents[2] / "docs/reference/record-and-replay.md").read_text(encoding="utf-8")
    assert [point for point in NOT_ASKED if f"`{point}`" not in page] == []


@pytest.mark.parametrize(("point", "value"), each(HARMLESS | OPEN | LOCKED | FIRST_SETUP | NO_AES | SECOND_SETUP))
def test_each_reading_has_a_text_of_its_own(point: str, value: Any) -> None:
    line = reading_text(Reading(point, value))
    assert f"(open point {point}: {shown(value)}" in line
    assert "{" not in line
    others = [
        other for other in (HARMLESS | OPEN | LOCKED | FIRST_SETUP | NO_AES | SECOND_SETUP)[point] if other != value
    ]
    words = line.partition(" (")[0]
    assert [other for other in others if reading_text(Reading(point, other)).partition(" (")[0] == words] == []


def test_question_without_an_answer_stays_undecided() -> None:
    hal = ScriptedHal()

    def silent_out_of_bounds(content: bytes) -> bytes:
        if content[1:4] == bytes((Opcode.READ, 0x80, 4 << 3)):
            raise TransportError("The chip does not answer.", code=Code.DEVICE_NO_REPLY)
        return hal.chip.exchange(content)

    hal.answer = silent_out_of_bounds
    dialogue = Dialogue(hal)
    undecided = dict.fromkeys(("bad_block_code", "errors_clear_temp_key"))
    assert found(put(dialogue, harmless_questions(dialogue))) == defaults(HARMLESS | OPEN) | undecided


def test_reading_has_a_text() -> None:
    one = Reading("authorization_uses", "one")
    assert reading_text(one) == "one use per authorization (open point authorization_uses: one)"
    assert reading_text(Reading("bad_block_code", 0x03)).endswith(
        "answered with 03 (open point bad_block_code: 03; the software chip: 0F)"
    )
    assert reading_text(Reading("bad_block_code", None)).endswith(" (open point bad_block_code: undecided)")
    assert reading_text(Reading("limited_use_commands.CHECK_MAC", True)).startswith("CheckMac counts ")
    assert reading_text(Reading("limited_use_commands.KDF", False)).startswith("KDF does not count ")
    assert reading_text(Reading("refused_use_counts", False)).endswith(" (rule refused_use_counts: False)")


@pytest.mark.parametrize("value", [0x00, 0xFF])
def test_chip_with_the_first_setup_shows_the_fill_of_both_sizes(value: Literal[0x00, 0xFF]) -> None:
    chip = blank_chip(replace(OpenPoints(), partial_block_fill=value))
    list(ask_and_lock(talk(chip), FIRST))
    answers = ask_harmlessly(chip)
    assert {name: found for name, found in answers.items() if name.startswith("partial_block_fill")} == {
        "partial_block_fill.36": value,
        "partial_block_fill.72": value,
    }


Contradiction = Callable[[bytes, Callable[[bytes], bytes]], bytes]


def _not_authorized(content: bytes, ask: Callable[[bytes], bytes]) -> bytes:
    reply = ask(content)
    return with_crc(reply[:2] + bytes((reply[2] & 0x83,)) + reply[3:5]) if content[1:3] == b"\x30\x02" else reply


def _counting(content: bytes, ask: Callable[[bytes], bytes]) -> bytes:
    if content[1:4] == bytes((Opcode.MAC, 0, FirstSlots.LIMITED_KEY)):
        ask(packet(Opcode.COUNTER, 1))
    return ask(content)


def _answering(status: int, start: bytes) -> Contradiction:
    return lambda content, ask: with_crc(bytes((4, status))) if content[1:].startswith(start) else ask(content)


def _under_target(content: bytes, ask: Callable[[bytes], bytes]) -> bytes:
    """Take the MAC under the key that is rolled, and no other."""
    if content[1:4] != bytes((Opcode.DERIVE_KEY, 0, SecondSlots.ROLLED_WITH_MAC)):
        return ask(content)
    config = b"".join(ask(packet(Opcode.READ, 0x80, block << 3))[1:-2] for block in range(4))
    tail = content[1:5] + serial_number(config)[8:] + serial_number(config)[:2]
    macs = [sha256(secret(slot) + tail).digest() for slot in (SecondSlots.ROLLED_WITH_MAC, SecondSlots.AUTHORIZING_KEY)]
    return ask(
        packet(Opcode.DERIVE_KEY, 0, SecondSlots.ROLLED_WITH_MAC, macs[1] if content[5:-2] == macs[0] else bytes(32))
    )


@pytest.mark.parametrize(
    ("rule", "setup", "contradiction", "value"),
    [
        ("verify_stored_authorizes", FIRST, _not_authorized, False),
        ("refused_use_counts", FIRST, _counting, True),
        ("mac_takes_key_id_above_15", FIRST, _answering(0x03, bytes((Opcode.MAC, 0, 3, 1))), False),
        ("checkmac_otp_bit", FIRST, _answering(0x01, bytes((Opcode.CHECK_MAC, 0x20))), "hash"),
        ("ecdh_mode_chooses_slot", SECOND, _answering(0x0F, bytes((Opcode.ECDH, 0x04))), False),
        ("derive_key_mac_key", SECOND, _under_target, "target"),
    ],
)
def test_chip_with_another_rule_is_found(rule: str, setup: Setup, contradiction: Contradiction, value: Any) -> None:
    hal = ScriptedHal()
    hal.answer = lambda content: contradiction(content, hal.chip.exchange)
    answers = found(ask_and_lock(Dialogue(hal), setup))
    assert answers == given_up(setup, OpenPoints()) | {rule: value}


def test_every_rule_has_a_question() -> None:
    names = {question.name for setup in (FIRST, SECOND) for question in (*setup.data_open, *setup.data_locked)}
    assert set(RULES) <= names


_ALL = HARMLESS | OPEN | LOCKED | FIRST_SETUP | NO_AES | SECOND_SETUP


def _drawn(seed: int) -> OpenPoints:
    """Return a part whose every reading is drawn at random."""
    random = Random(seed)
    values = {name.partition(".")[0]: readings for name, readings in _ALL.items()}
    drawn = {point: random.choice(readings) for point, readings in values.items()}
    counting = [command for command in sorted(OpenPoints().limited_use_commands) if random.random() < 0.5]
    return replace(OpenPoints(), **drawn, limited_use_commands=frozenset(counting))


def _set_to(name: str, open_points: OpenPoints) -> Any:
    """Return the reading that a part set so shows; one point may cover what another does."""
    point, _, detail = name.partition(".")
    setting = getattr(open_points, point)
    if point == "derive_key_roll_counts":
        return setting and Opcode.DERIVE_KEY in open_points.limited_use_commands
    if point == "encrypted_write_consumes":
        return setting or open_points.other_commands_clear_temp_key
    return Opcode[detail] in setting if isinstance(setting, frozenset) else setting


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("setup", [FIRST, SECOND])
def test_chip_that_differs_in_many_points_is_never_read_wrongly(setup: Setup, seed: int) -> None:
    """No question rests on another open point: its answer is right, or undecided."""
    open_points = _drawn(seed)
    chip = blank_chip(open_points)
    readings = [*put(blank := talk(chip), list(harmless_questions(blank))), *ask_and_lock(talk(chip), setup)]
    readings += put(locked := talk(chip), list(harmless_questions(locked)))
    told = [reading for reading in readings if reading.name not in RULES and reading.value is not UNDECIDED]
    assert [reading for reading in told if reading.value != _set_to(reading.name, open_points)] == []
    assert len(told) > 0.8 * len(readings)
