"""The texts of readings: what each value of an open point means."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from atcaprov.recording.questions import RULES, UNDECIDED, Reading

TEXTS: Final[Mapping[str, str | Mapping[Any, str]]] = MappingProxyType(
    {
        "surplus_data": {
            "refuse": "data where a command has none are refused with 03",
            "ignore": "data where a command has none are ignored",
        },
        "bad_block_code": "a block outside the zone is answered with {}",
        "partial_block_fill": "the last block of a slot is filled up with {}",
        "info_state_seed": {
            "hidden": "Info(State) does not show the update of the seed",
            "shown": "Info(State) shows the update of the seed",
        },
        "lock_reserved_bytes": {
            "allow": "the configuration is locked with reserved bytes that are not 0",
            "refuse": "the configuration is not locked with reserved bytes that are not 0",
        },
        "data_crc_private": {
            True: "the CRC of the data lock includes private slots",
            False: "the CRC of the data lock leaves private slots out",
        },
        "limited_use_commands": {
            True: "{} counts as a use of a key with limited use",
            False: "{} does not count as a use of a key with limited use",
        },
        "derive_key_roll_counts": {
            True: "DeriveKey counts as a use of the key that it rolls",
            False: "DeriveKey does not count as a use of the key that it rolls",
        },
        "offcurve_ecdh": "ECDH with a peer key off the curve is answered with {}",
        "ecdh_odd_partner": {
            "same": "ECDH from an odd slot has no slot for the result",
            "next": "ECDH from an odd slot puts the result into the next slot",
        },
        "kdf_needs_pub_info": {
            True: "KDF writes only slots with PubInfo 1",
            False: "KDF also writes slots with PubInfo 0",
        },
        "nonce_before_lock": {
            True: "a random Nonce works before the configuration lock",
            False: "a random Nonce does not work before the configuration lock",
        },
        "use_lock": {
            "none": "UseLock has no effect on the slot that it names",
            "refuse": "UseLock stops the use of the slot that it names",
        },
        "count_match_copies": {
            "first": "the first copy of the CountMatch limit counts",
            "both": "a key is refused while the two copies of the CountMatch limit differ",
        },
        "authorization_uses": {"one": "one use per authorization", "many": "many uses per authorization"},
        "checkmac_copy": {
            "partner": "CheckMac of an even slot copies slot + 1 if its ReadKey is 0, of an odd slot nothing",
            "self": "CheckMac of an even slot copies the slot itself",
            "odd-slot": "CheckMac copies slot + 1 of an even slot, and an odd slot itself",
        },
        "checkmac_consumes": {
            True: "CheckMac clears TempKey in modes that do not use it",
            False: "CheckMac leaves TempKey in modes that do not use it",
        },
        "errors_clear_temp_key": {True: "a refused {} clears TempKey", False: "a refused {} leaves TempKey"},
        "other_commands_clear_temp_key": {
            True: "{} clears a TempKey that it does not use",
            False: "{} leaves a TempKey that it does not use",
        },
        "checkmac_challenge_authorizes": {
            True: "CheckMac over a challenge in the packet authorizes",
            False: "CheckMac over a challenge in the packet does not authorize",
        },
        "checkmac_failure_clears": {
            True: "a failed CheckMac ends an authorization",
            False: "a failed CheckMac leaves an authorization",
        },
        "req_random_needs_temp_key": {
            True: "ReqRandom refuses a challenge in the packet",
            False: "ReqRandom takes a challenge in the packet",
        },
        "no_mac_stops_outputs": {
            True: "AES refuses a TempKey made with a NoMac key",
            False: "AES takes a TempKey made with a NoMac key",
        },
        "no_mac_stops_hmac": {
            True: "HMAC by SHA refuses a TempKey made with a NoMac key",
            False: "HMAC by SHA takes a TempKey made with a NoMac key",
        },
        "latch_clear_needs_authorization": {
            True: "the latch is cleared only after a CheckMac",
            False: "the latch is cleared without a CheckMac",
        },
        "aes_disabled_code": "AES where it is disabled is answered with {}",
        "key_type_code": "a command on a slot of the wrong KeyType is answered with {}",
        "sha_order_code": "the end of a SHA that was not started is answered with {}",
        "data_open_use": {
            True: "keys are used before the data lock",
            False: "keys are not used before the data lock",
        },
        "data_open_key_config": {
            "ignored": "KeyConfig restricts nothing before the data lock",
            "obeyed": "KeyConfig restricts keys before the data lock, too",
        },
        "data_open_sign_internal": {
            True: "Sign(internal) works before the data lock",
            False: "Sign(internal) does not work before the data lock",
        },
        "data_open_write_key": {
            "any": "before the data lock an encrypted Write takes any TempKey",
            "gen-dig": "before the data lock an encrypted Write takes a TempKey that GenDig made of WriteKey",
        },
        "data_open_clear_with_mac": {
            "store": "before the data lock a clear Write of 64 bytes is stored",
            "refuse": "before the data lock a clear Write of 64 bytes is refused",
        },
        "data_open_otp_encrypted": {
            True: "the open OTP zone takes encrypted writes",
            False: "the open OTP zone takes no encrypted writes",
        },
        "data_open_result_in_slot": {
            True: "DeriveKey writes slots before the data lock",
            False: "DeriveKey writes no slot before the data lock",
        },
        "gendig_before_lock": {
            True: "GenDig of the configuration works before the configuration lock",
            False: "GenDig of the configuration does not work before the configuration lock",
        },
        "gen_key_digest_bits": {
            "refuse": "bit 3 beside bit 4 of GenKey's P1 is refused with 03",
            "ignore": "bit 3 beside bit 4 of GenKey's P1 is ignored",
        },
        "privwrite_range_code": "PrivWrite of 0 is answered with {}",
        "secure_boot_table": {
            "documented": "secure boot set to FullBoth allows Full",
            "refuse": "secure boot set to FullBoth refuses Full",
        },
        "x509_format_stops_validation": {
            True: "an X509format byte that is not 0 stops Verify(validate)",
            False: "an X509format byte that is not 0 does not stop Verify(validate)",
        },
        "sign_internal_validity": {
            "mode": "Sign(internal) signs bit 0 of P1 as validity of the public key",
            "slot": "Sign(internal) signs the state of the slot as validity of the public key",
        },
        "mac_otp_fields": {
            "refuse": "bit 4 of MAC's P1 is refused with 03",
            "hash": "bit 4 of MAC's P1 is known",
        },
        "update_extra_use": {True: "UpdateExtra knows mode 02", False: "UpdateExtra does not know mode 02"},
        "validate_external_code": "Verify(validate external) is answered with {}",
        "io_protection_off_code": "an encrypted output without IO protection is answered with {}",
        "encrypted_write_consumes": {
            True: "an encrypted Write clears TempKey",
            False: "an encrypted Write leaves TempKey",
        },
        "verify_stored_authorizes": {
            True: "Verify of a stored key authorizes",
            False: "Verify of a stored key does not authorize",
        },
        "refused_use_counts": {
            True: "a refused use of a key with limited use counts",
            False: "a refused use of a key with limited use does not count",
        },
        "mac_takes_key_id_above_15": {
            True: "MAC takes a KeyID above 15",
            False: "MAC refuses a KeyID above 15",
        },
        "checkmac_otp_bit": {
            "refuse": "bit 5 of CheckMac's P1 is refused with 03",
            "hash": "bit 5 of CheckMac's P1 is known",
        },
        "ecdh_mode_chooses_slot": {
            True: "ECDH mode 04 writes a slot although bit 3 of ReadKey is 0",
            False: "ECDH mode 04 is refused while bit 3 of ReadKey is 0",
        },
        "derive_key_mac_key": {
            "write-key": "the MAC of a DeriveKey that rolls a key is under the key of WriteKey",
            "target": "the MAC of a DeriveKey that rolls a key is under the key that is rolled",
        },
    }
)
"""For each open point the text of each reading, or one for all of them; `{}` is the status or the command."""
_ACRONYMS: Final = frozenset({"AES", "ECDH", "KDF", "MAC", "SHA"})
_HARMLESS: Final = MappingProxyType(
    {"errors_clear_temp_key": "Read", "other_commands_clear_temp_key": "Counter or SelfTest"}
)
"""The commands of the harmless questions, whose names do not tell them."""


def reading_text(reading: Reading) -> str:
    """Return a line with the text, the open point and its value, and the software chip's value where it differs."""
    kind = "rule" if reading.point in RULES else "open point"
    if reading.value is UNDECIDED:
        return f"no reading fits the answers ({kind} {reading.name}: undecided)"
    words, detail = TEXTS[reading.point], reading.name.partition(".")[2]
    chosen = words if isinstance(words, str) else words[reading.value]
    filled = chosen.format(shown(reading.value) if isinstance(words, str) else _command(reading.point, detail))
    differs = "" if reading.agrees else f"; the software chip: {shown(reading.expected)}"
    return f"{filled} ({kind} {reading.name}: {shown(reading.value)}{differs})"


def _command(point: str, detail: str) -> str:
    if detail in _ACRONYMS or not detail:
        return detail or _HARMLESS.get(point, "")
    return "".join(part.capitalize() for part in detail.split("_"))


def shown(value: Any) -> str:
    """Return a status as two hexadecimal digits, and other values as text."""
    return f"{value:02X}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
