"""Each question to a part tells both readings of its open point apart."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import fields, replace
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

import pytest

from atcaprov.chip.commands import Opcode
from atcaprov.chip.crc import with_crc
from atcaprov.chip.memory_map import serial_number
from atcaprov.config_zone.zone_file import read_zone_file
from atcaprov.device.guarded_hal import GuardedHal
from atcaprov.emulator.chip import Chip
from atcaprov.emulator.images import load_image
from atcaprov.emulator.random_source import SeededRandom, SystemRandom
from atcaprov.emulator.switches import Switches
from atcaprov.errors import Code, ProvisioningError, TransportError, UsageError
from atcaprov.hal.emulated import EmulatedHal
from atcaprov.serving.answers import Answers
from atcaprov.serving.dialogue import Dialogue
from atcaprov.serving.first_part import Roles
from atcaprov.serving.harmless_questions import harmless_questions
from atcaprov.serving.open_points import RULES, UNDECIDED, Reading, put
from atcaprov.serving.probes import harmless_packets, packet, run
from atcaprov.serving.replay import replay
from atcaprov.serving.sacrifice import ask_sacrificed, require_blank
from atcaprov.serving.second_part import Places, secret
from atcaprov.serving.setup import FIRST, SECOND, SETUPS, Setup
from atcaprov.serving.words import in_words, shown
from tests.serving.test_replay import recorded
from tests.support.chips import configured_memory
from tests.support.scripted_hal import ScriptedHal

Points = dict[str, tuple[Any, ...]]
HARMLESS: Points = {
    "surplus_data": ("refuse", "ignore"),
    "bad_block_code": (0x03, 0x0F),
    "info_state_seed": ("hidden", "shown"),
    "errors_clear_temp_key": (False, True),
    "other_commands_clear_temp_key": (False, True),
    "sha_order_code": (0x03, 0x0F),
    "mac_otp_fields": ("refuse", "hash"),
    "gen_key_digest_bits": ("refuse", "ignore"),
}
OPEN: Points = {"nonce_before_lock": (False, True), "gendig_before_lock": (False, True)}
LOCKED: Points = {
    "offcurve_ecdh": (0x05, 0x0F),
    "hkdf_is_extract": (False, True),
    "partial_block_fill.72": (0x00, 0xFF),
    "io_protection_off_code": (0x03, 0x0F),
}
SPOILING: Points = {
    "data_open_use": (False, True),
    "data_open_key_config": ("ignored", "obeyed"),
    "data_open_sign_internal": (False, True),
    "data_open_write_key": ("any", "gen-dig"),
    "data_open_clear_with_mac": ("store", "refuse"),
    "data_open_otp_encrypted": (False, True),
    "data_open_result_in_slot": (False, True),
    "privwrite_range_code": (0x05, 0x0F),
    "data_crc_private": (False, True),
    "authorization_uses": ("one", "many"),
    "checkmac_failure_clears": (False, True),
    "checkmac_consumes": (False, True),
    "checkmac_copy": ("partner", "self", "odd-slot"),
    "derive_key_roll_counts": (False, True),
    "no_mac_stops_outputs": (False, True),
    "no_mac_stops_hmac": (False, True),
    "checkmac_challenge_authorizes": (False, True),
    "latch_clear_needs_authorization": (False, True),
    "req_random_needs_temp_key": (False, True),
    "encrypted_write_consumes": (False, True),
    "kdf_needs_pub_info": (False, True),
    "key_type_code": (0x03, 0x0F),
    "use_lock": ("none", "refuse"),
    "update_extra_use": (False, True),
    "validate_external_code": (0x03, 0x0F),
}


REFUSED = bytes.fromhex("040f2342")
SECOND_PART: Points = {
    "lock_reserved_bytes": ("allow", "refuse"),
    "data_open_key_config.PubInfo": ("ignored", "obeyed"),
    "data_crc_private": (False, True),
    **{
        f"other_commands_clear_temp_key.{command}": (False, True)
        for command in ("PRIV_WRITE", "ECDH", "WRITE", "LOCK", "SECURE_BOOT", "UPDATE_EXTRA")
    },
    "count_match_copies": ("first", "both"),
    "ecdh_odd_partner": ("same", "next"),
    "x509_format_stops_validation": (False, True),
    "sign_internal_validity": ("mode", "slot"),
    "secure_boot_table": ("documented", "refuse"),
}
NO_AES: Points = {"aes_disabled_code": (0x03, 0x0F)}
NOT_ASKED = {
    "bytes_behind_count": "only a bus shows it: i2c-tools",
    "read_of_incomplete_command": "only a bus shows it: i2c-tools",
    "watchdog_margin": "a HAL wakes the part before each command",
}


def each(points: Points) -> list[tuple[str, Any]]:
    return [(switch, value) for switch, values in points.items() for value in values]


def blank_chip(switches: Switches | None = None) -> Chip:
    return Chip(load_image("atecc608a").make(SeededRandom(b"part")), switches=switches)


def talk(chip: Chip) -> Dialogue:
    return Dialogue(EmulatedHal(chip, "emulator:"))


def found(readings: Iterable[Reading]) -> dict[str, Any]:
    return {reading.name: reading.value for reading in readings}


def defaults(points: Iterable[str]) -> dict[str, Any]:
    return {name: Reading(name, None).expected for name in points}


def ask_harmlessly(chip: Chip) -> dict[str, Any]:
    dialogue = talk(chip)
    return found(put(dialogue, harmless_questions(dialogue)))


@cache
def given_up(setup: Setup, switches: Switches) -> dict[str, Any]:
    return found(ask_sacrificed(talk(blank_chip(switches)), setup))


@pytest.mark.parametrize(("switch", "value"), each(HARMLESS | OPEN))
def test_an_open_part_tells_its_reading(switch: str, value: Any) -> None:
    wanted = defaults(HARMLESS | OPEN) | {switch: value}
    assert ask_harmlessly(blank_chip(replace(Switches(), **{switch: value}))) == wanted


@pytest.mark.parametrize(("switch", "value"), each(HARMLESS | LOCKED))
def test_a_locked_part_tells_its_reading(switch: str, value: Any) -> None:
    wanted = defaults(HARMLESS | LOCKED) | {switch: value}
    chip = Chip(configured_memory(), switches=replace(Switches(), **{switch.partition(".")[0]: value}))
    assert ask_harmlessly(chip) == wanted


@pytest.mark.parametrize("image", ["atecc608a", "atecc508a", "tngtls", "tflxtls"])
def test_harmless_questions_change_nothing(image: str) -> None:
    chip = Chip(load_image(image).make(SeededRandom(b"part")))
    before = chip.memory.image()
    ask_harmlessly(chip)
    assert chip.memory.image() == before


@pytest.mark.parametrize("image", ["atecc608a", "atecc508a", "tngtls", "tflxtls"])
def test_what_is_asked_without_harm_passes_a_guard_that_permits_nothing(image: str) -> None:
    hal = GuardedHal(EmulatedHal(Chip(load_image(image).make(SeededRandom(b"part"))), "emulator:"))
    assert run(hal, harmless_packets()) == len(harmless_packets())
    dialogue = Dialogue(hal)
    assert len(list(put(dialogue, harmless_questions(dialogue)))) > len(HARMLESS) - 2


@pytest.mark.parametrize("setup", [FIRST, SECOND])
def test_a_guard_holds_back_the_first_packet_that_would_give_a_part_up(setup: Setup) -> None:
    chip = blank_chip()
    before = chip.memory.image()
    with pytest.raises(UsageError) as held_back:
        list(ask_sacrificed(Dialogue(GuardedHal(EmulatedHal(chip, "emulator:"))), setup))
    assert (held_back.value.code, chip.memory.image()) == (Code.READ_ONLY, before)


def test_no_use_of_a_limited_key_is_spent() -> None:
    limited = dict.fromkeys(range(16), (0x8FAF, 0x001C))
    chip = Chip(configured_memory(slots=limited), switches=replace(Switches(), mac_otp_fields="hash"))
    before = chip.memory.image()
    assert "mac_otp_fields" not in ask_harmlessly(chip)
    assert chip.memory.image() == before


@pytest.mark.parametrize("value", NO_AES["aes_disabled_code"])
def test_a_part_without_aes_tells_its_reading(value: int) -> None:
    memory = configured_memory()
    memory.config[13] &= 0xFE
    chip = Chip(memory, switches=replace(Switches(), aes_disabled_code=value))
    assert ask_harmlessly(chip)["aes_disabled_code"] == value


@pytest.mark.parametrize(("switch", "value"), each(SPOILING))
def test_the_first_part_tells_its_reading(switch: str, value: Any) -> None:
    assert given_up(FIRST, replace(Switches(), **{switch: value}))[switch] == value


@pytest.mark.parametrize(("name", "value"), each(SECOND_PART))
def test_the_second_part_tells_its_reading(name: str, value: Any) -> None:
    switch = name.partition(".")[0]
    assert given_up(SECOND, replace(Switches(), **{switch: value}))[name] == value


@pytest.mark.parametrize("command", sorted(Switches().limited_use_commands))
def test_the_second_part_tells_for_each_command_whether_it_counts(command: int) -> None:
    others = Switches().limited_use_commands - {command}
    answers = given_up(SECOND, replace(Switches(), limited_use_commands=others))
    counted = {name for name, value in answers.items() if name.startswith("limited_use_commands.") and value}
    assert counted == {f"limited_use_commands.{Opcode(other).name}" for other in others}


def test_parts_that_are_given_up_answer_every_question() -> None:
    first, second = given_up(FIRST, Switches()), given_up(SECOND, Switches())
    assert first == defaults(SPOILING) | defaults(RULES.keys() - second.keys())
    commands = [f"limited_use_commands.{Opcode(command).name}" for command in Switches().limited_use_commands]
    assert second == defaults([*SECOND_PART, *commands]) | defaults(RULES.keys() - first.keys())


def test_every_open_point_is_asked_or_has_a_reason() -> None:
    names = {*HARMLESS, *OPEN, *LOCKED, *SPOILING, *NO_AES, *SECOND_PART}
    asked = {"limited_use_commands"} | {name.partition(".")[0] for name in names}
    assert asked | NOT_ASKED.keys() == {field.name for field in fields(Switches)}
    assert not asked & NOT_ASKED.keys()
    page = (Path(__file__).parents[2] / "docs/reference/emulator.md").read_text(encoding="utf-8")
    assert [switch for switch in NOT_ASKED if f"`{switch}`" not in page] == []


@pytest.mark.parametrize(("switch", "value"), each(HARMLESS | OPEN | LOCKED | SPOILING | NO_AES | SECOND_PART))
def test_each_reading_has_words(switch: str, value: Any) -> None:
    line = in_words(Reading(switch, value))
    assert f"(open point {switch}: {shown(value)}" in line
    assert "{" not in line
    others = [other for other in (HARMLESS | OPEN | LOCKED | SPOILING | NO_AES | SECOND_PART)[switch] if other != value]
    words = line.partition(" (")[0]
    assert [other for other in others if in_words(Reading(switch, other)).partition(" (")[0] == words] == []


@pytest.mark.parametrize("setup", [FIRST, SECOND])
def test_what_was_asked_of_a_part_that_is_given_up_replays(setup: Setup) -> None:
    """The software chip learns keys and contents from the recording, and answers every packet like the part."""
    with recorded(blank_chip()) as (hal, trace):
        list(ask_sacrificed(Dialogue(hal), setup))
        assert replay(trace(), load_image("atecc608a").make(SystemRandom())).difference is None


def test_what_gets_no_answer_stays_undecided() -> None:
    hal = ScriptedHal()

    def silent_out_of_bounds(content: bytes) -> bytes:
        if content[1:4] == bytes((Opcode.READ, 0x80, 4 << 3)):
            raise TransportError("The chip does not answer.", code=Code.DEVICE_NO_REPLY)
        return hal.chip.exchange(content)

    hal.answer = silent_out_of_bounds
    dialogue = Dialogue(hal)
    undecided = dict.fromkeys(("bad_block_code", "errors_clear_temp_key"))
    assert found(put(dialogue, harmless_questions(dialogue))) == defaults(HARMLESS | OPEN) | undecided


@pytest.mark.parametrize("setup", [FIRST, SECOND])
def test_a_lock_whose_reply_is_lost_is_seen_by_reading(setup: Setup) -> None:
    hal = ScriptedHal()

    def losing(content: bytes) -> bytes:
        reply = hal.chip.exchange(content)
        if content[1:3] == bytes((Opcode.LOCK, 0)):
            raise TransportError("The chip does not answer.", code=Code.DEVICE_NO_REPLY)
        return reply

    hal.answer = losing
    assert found(ask_sacrificed(Dialogue(hal), setup)) == given_up(setup, Switches())


@pytest.mark.parametrize("setup", [FIRST, SECOND])
def test_a_part_that_takes_no_configuration_is_not_locked(setup: Setup) -> None:
    hal = ScriptedHal()
    hal.answer = lambda content: REFUSED if content[1] == Opcode.WRITE else hal.chip.exchange(content)
    with pytest.raises(ProvisioningError) as refused:
        list(ask_sacrificed(Dialogue(hal), setup))
    assert refused.value.code == Code.WRITE_NOT_VERIFIED
    assert not hal.memory.config_locked


@pytest.mark.parametrize(("number", "setup"), SETUPS.items())
def test_the_configurations_in_files_are_those_of_the_setups(number: str, setup: Setup) -> None:
    """Each file holds what a blank ATECC608A gets, and `config show` explains it."""
    file = Path(__file__).parents[2] / "configs" / "open-points" / f"part-{number}.hex"
    blank = bytes(load_image("atecc608a").make(SeededRandom(b"part")).config)
    assert read_zone_file(file).zone.data[16:] == setup.config(blank)[16:]


def test_a_reading_is_told_in_words() -> None:
    one = Reading("authorization_uses", "one")
    assert in_words(one) == "one use per authorization (open point authorization_uses: one)"
    assert in_words(Reading("bad_block_code", 0x03)).endswith(
        "answered with 03 (open point bad_block_code: 03; the software chip: 0F)"
    )
    assert in_words(Reading("bad_block_code", None)).endswith(" (open point bad_block_code: undecided)")
    assert in_words(Reading("limited_use_commands.CHECK_MAC", True)).startswith("CheckMac counts ")
    assert in_words(Reading("limited_use_commands.KDF", False)).startswith("KDF does not count ")
    assert in_words(Reading("refused_use_counts", False)).endswith(" (rule refused_use_counts: False)")


@pytest.mark.parametrize("setup", [FIRST, SECOND])
def test_only_the_named_part_is_given_up_if_it_is_blank_or_set_up(setup: Setup) -> None:
    dialogue = talk(blank_chip())
    require_blank(dialogue, dialogue.serial, setup)
    with pytest.raises(ProvisioningError, match="serial number"):
        require_blank(dialogue, bytes(9), setup)
    list(ask_sacrificed(dialogue, setup))
    require_blank(dialogue, dialogue.serial, setup)
    other = FIRST if setup is SECOND else SECOND
    for locked, wanted in ((talk(Chip(configured_memory(data_locked=False))), setup), (dialogue, other)):
        with pytest.raises(ProvisioningError) as refused:
            require_blank(locked, locked.serial, wanted)
        assert refused.value.code == Code.CONFIG_LOCKED_OTHER


@pytest.mark.parametrize("value", [0x00, 0xFF])
def test_the_first_part_tells_the_fill_of_both_sizes(value: Literal[0x00, 0xFF]) -> None:
    chip = blank_chip(replace(Switches(), partial_block_fill=value))
    list(ask_sacrificed(talk(chip), FIRST))
    answers = ask_harmlessly(chip)
    assert {name: found for name, found in answers.items() if name.startswith("partial_block_fill")} == {
        "partial_block_fill.36": value,
        "partial_block_fill.72": value,
    }


def test_only_an_atecc608_is_given_up() -> None:
    part = talk(Chip(load_image("atecc508a").make(SeededRandom(b"part"))))
    with pytest.raises(ProvisioningError) as refused:
        require_blank(part, part.serial, FIRST)
    assert refused.value.code == Code.WRONG_PART


@pytest.mark.parametrize("private", [False, True])
@pytest.mark.parametrize("setup", [FIRST, SECOND])
def test_a_part_tells_by_which_crc_it_was_locked_though_every_reply_to_a_lock_is_lost(
    setup: Setup, private: bool
) -> None:
    chip = blank_chip(replace(Switches(), data_crc_private=private))
    hal = ScriptedHal()

    def losing(content: bytes) -> bytes:
        reply = chip.exchange(content)
        if content[1] == Opcode.LOCK:
            raise TransportError("The chip does not answer.", code=Code.DEVICE_NO_REPLY)
        return reply

    hal.chip = EmulatedHal(chip, "emulator:")
    hal.answer = losing
    assert found(ask_sacrificed(Dialogue(hal), setup))["data_crc_private"] is private


Contradiction = Callable[[bytes, Callable[[bytes], bytes]], bytes]


def _not_authorized(content: bytes, ask: Callable[[bytes], bytes]) -> bytes:
    reply = ask(content)
    return with_crc(reply[:2] + bytes((reply[2] & 0x83,)) + reply[3:5]) if content[1:3] == b"\x30\x02" else reply


def _counting(content: bytes, ask: Callable[[bytes], bytes]) -> bytes:
    if content[1:4] == bytes((Opcode.MAC, 0, Roles.LIMITED_KEY)):
        ask(packet(Opcode.COUNTER, 1))
    return ask(content)


def _answering(status: int, start: bytes) -> Contradiction:
    return lambda content, ask: with_crc(bytes((4, status))) if content[1:].startswith(start) else ask(content)


def _under_target(content: bytes, ask: Callable[[bytes], bytes]) -> bytes:
    """Take the MAC under the key that is rolled, and no other."""
    if content[1:4] != bytes((Opcode.DERIVE_KEY, 0, Places.ROLLED_WITH_MAC)):
        return ask(content)
    config = b"".join(ask(packet(Opcode.READ, 0x80, block << 3))[1:-2] for block in range(4))
    tail = content[1:5] + serial_number(config)[8:] + serial_number(config)[:2]
    macs = [sha256(secret(slot) + tail).digest() for slot in (Places.ROLLED_WITH_MAC, Places.AUTHORIZING_KEY)]
    return ask(packet(Opcode.DERIVE_KEY, 0, Places.ROLLED_WITH_MAC, macs[1] if content[5:-2] == macs[0] else bytes(32)))


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
def test_a_part_that_keeps_to_another_rule_is_told_apart(
    rule: str, setup: Setup, contradiction: Contradiction, value: Any
) -> None:
    hal = ScriptedHal()
    hal.answer = lambda content: contradiction(content, hal.chip.exchange)
    answers = found(ask_sacrificed(Dialogue(hal), setup))
    assert answers == given_up(setup, Switches()) | {rule: value}


def test_every_rule_has_a_question() -> None:
    names = {question.name for setup in (FIRST, SECOND) for question in (*setup.data_open, *setup.data_locked)}
    assert set(RULES) <= names


class CutError(Exception):
    """The run ends here."""


_STEP = 5
"""Packets between the cuts that are tried."""


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("setup", [FIRST, SECOND])
def test_a_run_that_was_cut_goes_on(setup: Setup, after: bool, tmp_path: Path) -> None:
    whole = ScriptedHal()
    list(ask_sacrificed(Dialogue(whole), setup))
    for cut in range(5, len(whole.packets), _STEP):
        goes_on_after(cut, setup, after=after)
    file = tmp_path / "answers.json"
    names = goes_on_after(100, setup, file, after=after)
    kept = json.loads(file.read_text(encoding="ascii"))["answers"]
    assert [answer["name"] for answer in kept if answer["value"] != answer["software_chip"]] == []
    assert {answer["name"] for answer in kept if answer["packets"]} == names


def goes_on_after(cut: int, setup: Setup, file: Path | None = None, *, after: bool) -> frozenset[str]:
    """End a run before or after the part has executed a packet, go on, and find every answer."""
    hal = ScriptedHal()

    def cutting(content: bytes) -> bytes:
        if len(hal.packets) < cut:
            return hal.chip.exchange(content)
        if after:
            hal.chip.exchange(content)
        raise CutError

    hal.answer = cutting
    dialogue = Dialogue(hal)
    answers = Answers(file, dialogue.serial)
    with pytest.raises(CutError):
        keep_all(dialogue, setup, answers)
    hal.answer = None
    again = Dialogue(hal)
    require_blank(again, again.serial, setup)
    if file is not None:
        answers = Answers(file, again.serial)
    keep_all(again, setup, answers)
    assert answers.done == given_up(setup, Switches()).keys(), f"cut at packet {cut}"
    return answers.done


def keep_all(dialogue: Dialogue, setup: Setup, answers: Answers) -> None:
    for reading in ask_sacrificed(dialogue, setup, answers.done):
        assert reading.agrees or reading.value is UNDECIDED
        answers.keep(reading, dialogue.take_exchanges())


@pytest.mark.parametrize(
    "text", ["", "[]", '{"format": "atcaprov open points", "version": 1, "serial": "00"}', "answers"]
)
def test_a_file_that_keeps_other_answers_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "answers.json"
    file.write_text(text)
    with pytest.raises(UsageError) as refused:
        Answers(file, bytes(9))
    assert refused.value.code == Code.FILE_INVALID
