"""All readings of the open points, by the chip that shows them, and software chips that are asked."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

from atcaprov import EmulatedHal, SoftwareChip
from atcaprov.emulator.images import load_image
from atcaprov.emulator.open_points import OpenPoints
from atcaprov.emulator.random_source import SeededRandom
from atcaprov.recording.destructive.procedure import ask_and_lock
from atcaprov.recording.destructive.setups import Setup
from atcaprov.recording.dialogue import Dialogue
from atcaprov.recording.harmless_questions import harmless_questions
from atcaprov.recording.questions import Reading, put

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
    "partial_block_fill.72": (0x00, 0xFF),
    "io_protection_off_code": (0x03, 0x0F),
}
FIRST_SETUP: Points = {
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
    **{f"authorization_uses.{command}": ("one", "many") for command in ("GEN_KEY", "GEN_DIG", "MAC")},
    "checkmac_failure_clears": (False, True),
    "checkmac_consumes": (False, True),
    **{
        f"errors_clear_temp_key.{command}": (False, True)
        for command in ("MAC", "DERIVE_KEY", "WRITE", "SIGN", "CHECK_MAC")
    },
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


SECOND_SETUP: Points = {
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
    return [(point, value) for point, values in points.items() for value in values]


def blank_chip(open_points: OpenPoints | None = None) -> SoftwareChip:
    return SoftwareChip(load_image("atecc608a").make(SeededRandom(b"part")), open_points=open_points)


def talk(chip: SoftwareChip) -> Dialogue:
    return Dialogue(EmulatedHal(chip, "emulator:"))


def found(readings: Iterable[Reading]) -> dict[str, Any]:
    return {reading.name: reading.value for reading in readings}


def defaults(points: Iterable[str]) -> dict[str, Any]:
    return {name: Reading(name, None).expected for name in points}


def ask_harmlessly(chip: SoftwareChip) -> dict[str, Any]:
    dialogue = talk(chip)
    return found(put(dialogue, harmless_questions(dialogue)))


@cache
def given_up(setup: Setup, open_points: OpenPoints) -> dict[str, Any]:
    return found(ask_and_lock(talk(blank_chip(open_points)), setup))
