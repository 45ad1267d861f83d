"""Each question to a part tells both readings of its open point apart."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields, replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from atcaprov.chip.commands import Opcode
from atcaprov.emulator.chip import Chip
from atcaprov.emulator.images import load_image
from atcaprov.emulator.random_source import SeededRandom, SystemRandom
from atcaprov.emulator.switches import Switches
from atcaprov.errors import Code, ProvisioningError, TransportError
from atcaprov.hal.emulated import EmulatedHal
from atcaprov.serving.dialogue import Dialogue
from atcaprov.serving.harmless_questions import harmless_questions
from atcaprov.serving.open_points import RULES, Reading, put
from atcaprov.serving.replay import replay
from atcaprov.serving.sacrifice import ask_sacrificed, require_blank
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
    "validate_external_code": (0x03, 0x0F),
}
OPEN: Points = {"nonce_before_lock": (False, True), "gendig_before_lock": (False, True)}
LOCKED: Points = {
    "offcurve_ecdh": (0x05, 0x0F),
    "hkdf_is_extract": (False, True),
    "partial_block_fill": (0x00, 0xFF),
    "io_protection_off_code": (0x03, 0x0F),
    "update_extra_use": (False, True),
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
}


REFUSED = bytes.fromhex("040f2342")
NOT_ASKED = {
    "aes_disabled_code": "only a part without AES answers, and none is known",
    "bytes_behind_count": "the bus",
    "read_of_incomplete_command": "the bus",
    "count_match_copies": "the limit would count for the other questions, too",
    "ecdh_odd_partner": "the result may replace the key",
    "limited_use_commands": "a question for each command",
    "lock_reserved_bytes": "a part that refuses could not be locked for the others",
    "secure_boot_table": "a part has one of its modes",
    "sign_internal_validity": "both readings agree while keys are validated and invalidated in turn",
    "watchdog_margin": "a HAL wakes the part before each command",
    "x509_format_stops_validation": "a validated key and its parent",
}


def each(points: Points) -> list[tuple[str, Any]]:
    return [(switch, value) for switch, values in points.items() for value in values]


def blank_chip(switches: Switches | None = None) -> Chip:
    return Chip(load_image("atecc608a").make(SeededRandom(b"part")), switches=switches)


def talk(chip: Chip) -> Dialogue:
    return Dialogue(EmulatedHal(chip, "emulator:"))


def found(readings: Iterable[Reading]) -> dict[str, Any]:
    return {reading.switch: reading.value for reading in readings}


def defaults(points: Iterable[str]) -> dict[str, Any]:
    return {switch: getattr(Switches(), switch) for switch in points}


def ask_harmlessly(chip: Chip) -> dict[str, Any]:
    dialogue = talk(chip)
    return found(put(dialogue, harmless_questions(dialogue)))


@cache
def given_up(switches: Switches) -> dict[str, Any]:
    return found(ask_sacrificed(talk(blank_chip(switches))))


@pytest.mark.parametrize(("switch", "value"), each(HARMLESS | OPEN))
def test_an_open_part_tells_its_reading(switch: str, value: Any) -> None:
    wanted = defaults(HARMLESS | OPEN) | {switch: value}
    assert ask_harmlessly(blank_chip(replace(Switches(), **{switch: value}))) == wanted


@pytest.mark.parametrize(("switch", "value"), each(HARMLESS | LOCKED))
def test_a_locked_part_tells_its_reading(switch: str, value: Any) -> None:
    wanted = defaults(HARMLESS | LOCKED) | {switch: value}
    chip = Chip(configured_memory(), switches=replace(Switches(), **{switch: value}))
    assert ask_harmlessly(chip) == wanted


@pytest.mark.parametrize("image", ["atecc608a", "atecc508a", "tngtls", "tflxtls"])
def test_harmless_questions_change_nothing(image: str) -> None:
    chip = Chip(load_image(image).make(SeededRandom(b"part")))
    before = chip.memory.image()
    ask_harmlessly(chip)
    assert chip.memory.image() == before


@pytest.mark.parametrize(
    ("switch", "other"), [("mac_otp_fields", "hash"), ("update_extra_use", True), ("validate_external_code", 0x0F)]
)
def test_no_use_of_a_limited_key_is_spent(switch: str, other: Any) -> None:
    limited = dict.fromkeys(range(16), (0x8FAF, 0x001C))
    chip = Chip(configured_memory(slots=limited), switches=replace(Switches(), **{switch: other}))
    before = chip.memory.image()
    assert switch not in ask_harmlessly(chip)
    assert chip.memory.image() == before


@pytest.mark.parametrize(("switch", "value"), each(SPOILING))
def test_a_part_that_is_given_up_tells_its_reading(switch: str, value: Any) -> None:
    assert given_up(replace(Switches(), **{switch: value}))[switch] == value


def test_a_part_that_is_given_up_answers_every_question() -> None:
    assert given_up(Switches()) == defaults(SPOILING) | RULES


def test_every_open_point_is_asked_or_named() -> None:
    asked = {*HARMLESS, *OPEN, *LOCKED, *SPOILING}
    assert asked | NOT_ASKED.keys() == {field.name for field in fields(Switches)}
    assert not asked & NOT_ASKED.keys()
    page = (Path(__file__).parents[2] / "docs/reference/emulator.md").read_text(encoding="utf-8")
    assert [switch for switch in NOT_ASKED if f"`{switch}`" not in page] == []


def test_what_was_asked_of_a_part_that_is_given_up_replays() -> None:
    """The software chip learns keys and contents from the recording, and answers every packet like the part."""
    with recorded(blank_chip()) as (hal, trace):
        list(ask_sacrificed(Dialogue(hal)))
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


def test_a_lock_whose_reply_is_lost_is_seen_by_reading() -> None:
    hal = ScriptedHal()

    def losing(content: bytes) -> bytes:
        reply = hal.chip.exchange(content)
        if content[1:3] == bytes((Opcode.LOCK, 0)):
            raise TransportError("The chip does not answer.", code=Code.DEVICE_NO_REPLY)
        return reply

    hal.answer = losing
    assert found(ask_sacrificed(Dialogue(hal))) == defaults(SPOILING) | RULES


def test_a_part_that_takes_no_configuration_is_not_locked() -> None:
    hal = ScriptedHal()
    hal.answer = lambda content: REFUSED if content[1] == Opcode.WRITE else hal.chip.exchange(content)
    with pytest.raises(ProvisioningError) as refused:
        list(ask_sacrificed(Dialogue(hal)))
    assert refused.value.code == Code.WRITE_NOT_VERIFIED
    assert not hal.memory.config_locked


def test_a_reading_is_told_beside_that_of_the_software_chip() -> None:
    expected = Switches().authorization_uses
    assert Reading("authorization_uses", expected).text().split() == ["authorization_uses", expected]
    assert Reading("bad_block_code", 0x03).text().endswith("  03, not 0F")
    assert Reading("bad_block_code", None).text().endswith("  undecided")


def test_only_the_named_blank_part_is_given_up() -> None:
    dialogue = talk(blank_chip())
    require_blank(dialogue, dialogue.serial)
    with pytest.raises(ProvisioningError, match="serial number"):
        require_blank(dialogue, bytes(9))
    locked = talk(Chip(configured_memory(data_locked=False)))
    with pytest.raises(ProvisioningError) as refused:
        require_blank(locked, locked.serial)
    assert refused.value.code == Code.CONFIG_LOCKED_OTHER
