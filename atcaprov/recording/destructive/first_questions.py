"""Questions to a chip that was configured and locked for them as `first_setup` says."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from typing import Any, Final

from atcaprov.chip.commands import GEN_KEY_PUBLIC, P1_32_BYTES, P1_ENCRYPTED, TEMP_KEY_SLOT, Opcode, Status, Zone
from atcaprov.chip.modes import (
    AES_ENCRYPT,
    COUNTER_READ,
    INFO_LATCH,
    INFO_STATE,
    KDF_HKDF,
    KDF_LENGTH_SHIFT,
    KDF_MESSAGE_FROM_INPUT,
    KDF_RESULT_SLOT_SHIFT,
    KDF_TO_SLOT,
    LATCH_CLEAR,
    MAC_CHALLENGE_IN_TEMP_KEY,
    MAC_OTP_64,
    MAC_SOURCE_IS_INPUT,
    SHA_HMAC_START,
    SIGN_EXTERNAL,
    SIGN_INTERNAL,
    SLOT_SHIFT,
    STATE_AUTHORIZED,
    STATE_AUTHORIZED_SLOT,
    STATE_SLOT_SHIFT,
    UPDATE_EXTRA_USE,
    VERIFY_STORED,
    VERIFY_VALIDATE_EXTERNAL,
)
from atcaprov.recording.destructive.first_setup import FirstSlots
from atcaprov.recording.destructive.temp_key_questions import REFUSED_COMMANDS
from atcaprov.recording.dialogue import PATTERN, ChipReply, Dialogue
from atcaprov.recording.harmless_packets import signature
from atcaprov.recording.questions import UNDECIDED, Ask, Question, refusal

_SIGNATURE_SIZE: Final = 64
_WRITE: Final = P1_32_BYTES | Zone.DATA
_AES_ENABLED: Final = 13
_COPY: Final = MAC_CHALLENGE_IN_TEMP_KEY
"""The mode of CheckMac that copies a key."""
_KEY_ID_ABOVE_15: Final = 0x0100
_MAC_OVER_TEMP_KEY: Final = MAC_CHALLENGE_IN_TEMP_KEY | MAC_SOURCE_IS_INPUT


# While the data zone is open


def _data_open_use(chip: Dialogue) -> Any:
    return _signs(chip, FirstSlots.SIGNING_KEY)


def _data_open_key_config(chip: Dialogue) -> Any:
    if not _signs(chip, FirstSlots.SIGNING_KEY):
        return UNDECIDED
    return "ignored" if _signs(chip, FirstSlots.AUTHORIZED_KEY) else "obeyed"


def _data_open_sign_internal(chip: Dialogue) -> Any:
    if not _signs(chip, FirstSlots.SIGNING_KEY):
        return UNDECIDED
    chip.random_nonce()
    chip.ask(Opcode.GEN_DIG, Zone.DATA, FirstSlots.PLAIN_KEY)
    return len(chip.ask(Opcode.SIGN, SIGN_INTERNAL, FirstSlots.SIGNING_KEY).data) == _SIGNATURE_SIZE


def _data_open_write_key(chip: Dialogue) -> Any:
    chip.load()
    status = chip.encrypted_write(_WRITE | P1_ENCRYPTED, FirstSlots.ENCRYPTED << SLOT_SHIFT, PATTERN).status
    return {Status.SUCCESS: "any", Status.EXECUTION_ERROR: "gen-dig"}.get(Status(status)) if status in _KNOWN else None


def _data_open_clear_with_mac(chip: Dialogue) -> Any:
    reply = chip.ask(Opcode.WRITE, _WRITE, FirstSlots.CLEAR << SLOT_SHIFT, 2 * PATTERN)
    return "store" if reply.granted else "refuse" if reply.status == Status.PARSE_ERROR else UNDECIDED


def _data_open_otp_encrypted(chip: Dialogue) -> Any:
    chip.load()
    reply = chip.encrypted_write(P1_32_BYTES | P1_ENCRYPTED | Zone.OTP, 0, PATTERN)
    return UNDECIDED if reply.status is None else reply.granted


def _data_open_result_in_slot(chip: Dialogue) -> Any:
    chip.random_nonce()
    reply = chip.ask(Opcode.DERIVE_KEY, 0, FirstSlots.ROLLED_KEY)
    return UNDECIDED if reply.status is None else reply.granted


def _privwrite_range_code(chip: Dialogue) -> Any:
    status = chip.ask(Opcode.PRIV_WRITE, 0, FirstSlots.AUTHORIZED_KEY, bytes(36 + 32)).status
    return refusal(status)


# After the data lock


def _authorization_uses(chip: Dialogue) -> Any:
    if not (chip.authorize(FirstSlots.AUTHORIZATION, _authorization()) and _signs(chip, FirstSlots.AUTHORIZED_KEY)):
        return UNDECIDED
    return "many" if _signs(chip, FirstSlots.AUTHORIZED_KEY) else "one"


def _uses_after(use: Callable[[Dialogue], ChipReply]) -> Ask:
    """Return the question whether an authorization serves a signature after another use."""

    def ask(chip: Dialogue) -> Any:
        if not (chip.authorize(FirstSlots.AUTHORIZATION, _authorization()) and use(chip).granted):
            return UNDECIDED
        return "many" if _signs(chip, FirstSlots.AUTHORIZED_KEY) else "one"

    return ask


def _gen_key(chip: Dialogue) -> ChipReply:
    return chip.ask(Opcode.GEN_KEY, GEN_KEY_PUBLIC, FirstSlots.AUTHORIZED_KEY)


def _gen_dig(chip: Dialogue) -> ChipReply:
    chip.random_nonce()
    return chip.ask(Opcode.GEN_DIG, Zone.DATA, FirstSlots.LIMITED_KEY)


def _mac(chip: Dialogue) -> ChipReply:
    return chip.ask(Opcode.MAC, 0, FirstSlots.LIMITED_KEY, PATTERN)


def _checkmac_failure_clears(chip: Dialogue) -> Any:
    if not chip.authorize(FirstSlots.AUTHORIZATION, _authorization()):
        return UNDECIDED
    wrong_secret = bytes(32)
    reply = chip.check_mac(MAC_CHALLENGE_IN_TEMP_KEY, FirstSlots.OTHER_SECRET, wrong_secret, chip.random_nonce())
    return UNDECIDED if reply.status != Status.MISMATCH else not _signs(chip, FirstSlots.AUTHORIZED_KEY)


def _checkmac_consumes(chip: Dialogue) -> Any:
    chip.load()
    secret = FirstSlots.secret(FirstSlots.OTHER_SECRET)
    if not chip.has_temp_key() or not chip.check_mac(0x00, FirstSlots.OTHER_SECRET, secret, PATTERN).granted:
        return UNDECIDED
    return not chip.has_temp_key()


def _checkmac_copy(chip: Dialogue) -> Any:
    copied = _copied(chip, FirstSlots.COPIED_EVEN)
    if copied == FirstSlots.COPIED_EVEN:
        return "self"
    if copied != FirstSlots.COPIED_ODD:
        return UNDECIDED
    chip.forget()
    return "odd-slot" if _copied(chip, FirstSlots.COPIED_ODD) == FirstSlots.COPIED_ODD else "partner"


def _copied(chip: Dialogue, slot: int) -> int | None:
    """Return the slot that CheckMac of `slot` has copied into TempKey; a MAC over TempKey shows which one it is."""
    if not chip.check_mac(_COPY, slot, FirstSlots.secret(slot), chip.random_nonce()).granted:
        return None
    found = chip.ask(Opcode.MAC, _MAC_OVER_TEMP_KEY, FirstSlots.PLAIN_KEY).data
    serial = chip.serial
    tail = (
        bytes((Opcode.MAC, _MAC_OVER_TEMP_KEY, FirstSlots.PLAIN_KEY, 0))
        + bytes(11)
        + serial[8:]
        + bytes(4)
        + serial[:2]
    )
    for candidate in (FirstSlots.COPIED_EVEN, FirstSlots.COPIED_ODD):
        message = FirstSlots.secret(FirstSlots.PLAIN_KEY) + FirstSlots.secret(candidate) + tail + bytes(2)
        if found == sha256(message).digest():
            return candidate
    return None


def _checkmac_challenge_authorizes(chip: Dialogue) -> Any:
    if not chip.check_mac(0x00, FirstSlots.AUTHORIZATION, _authorization(), PATTERN).granted:
        return UNDECIDED
    return _signs(chip, FirstSlots.AUTHORIZED_KEY)


def _verify_stored_authorizes(chip: Dialogue) -> Any:
    chip.load(sha256(PATTERN).digest())
    if not chip.ask(Opcode.VERIFY, VERIFY_STORED, FirstSlots.PUBLIC_KEY, signature()).granted:
        return UNDECIDED
    state = chip.ask(Opcode.INFO, INFO_STATE).data
    authorized = FirstSlots.PUBLIC_KEY << STATE_SLOT_SHIFT | STATE_AUTHORIZED
    return len(state) == 4 and state[1] & (STATE_AUTHORIZED_SLOT | STATE_AUTHORIZED) == authorized


def _refused_use_counts(chip: Dialogue) -> Any:
    before = chip.ask(Opcode.COUNTER, COUNTER_READ, 0).data
    if chip.ask(Opcode.MAC, 0, FirstSlots.LIMITED_KEY, PATTERN).status != Status.EXECUTION_ERROR:
        return UNDECIDED
    return chip.ask(Opcode.COUNTER, COUNTER_READ, 0).data != before


def _mac_takes_key_id_above_15(chip: Dialogue) -> Any:
    reply = chip.ask(Opcode.MAC, 0, _KEY_ID_ABOVE_15 | FirstSlots.PLAIN_KEY, PATTERN)
    return True if reply.granted else False if reply.status == Status.PARSE_ERROR else UNDECIDED


def _checkmac_otp_bit(chip: Dialogue) -> Any:
    status = chip.check_mac(
        MAC_OTP_64, FirstSlots.OTHER_SECRET, FirstSlots.secret(FirstSlots.OTHER_SECRET), PATTERN
    ).status
    if status == Status.PARSE_ERROR:
        return "refuse"
    return "hash" if status in (Status.SUCCESS, Status.MISMATCH) else UNDECIDED


def _no_mac_stops_outputs(chip: Dialogue) -> Any:
    if not _load_no_mac_key(chip) or not chip.config[_AES_ENABLED] & 1:
        return UNDECIDED
    return not chip.ask(Opcode.AES, AES_ENCRYPT, TEMP_KEY_SLOT, PATTERN[:16]).granted


def _no_mac_stops_hmac(chip: Dialogue) -> Any:
    if not _load_no_mac_key(chip):
        return UNDECIDED
    return not chip.ask(Opcode.SHA, SHA_HMAC_START, TEMP_KEY_SLOT).granted


def _load_no_mac_key(chip: Dialogue) -> bool:
    """Make a TempKey with a NoMac key; return whether the chip did."""
    chip.random_nonce()
    instead_of_parameters = bytes((Opcode.GEN_DIG, Zone.DATA, FirstSlots.NO_MAC, 0))
    return chip.ask(Opcode.GEN_DIG, Zone.DATA, FirstSlots.NO_MAC, instead_of_parameters).granted


def _derive_key_roll_counts(chip: Dialogue) -> Any:
    before = chip.ask(Opcode.COUNTER, COUNTER_READ, 0).data
    chip.random_nonce()
    if not chip.ask(Opcode.DERIVE_KEY, 0, FirstSlots.ROLLED_KEY).granted:
        return UNDECIDED
    return chip.ask(Opcode.COUNTER, COUNTER_READ, 0).data != before


def _latch_clear_needs_authorization(chip: Dialogue) -> Any:
    reply = chip.ask(Opcode.INFO, INFO_LATCH, LATCH_CLEAR)
    return False if reply.granted else True if reply.status == Status.EXECUTION_ERROR else UNDECIDED


def _req_random_needs_temp_key(chip: Dialogue) -> Any:
    reply = chip.check_mac(0x00, FirstSlots.RANDOM_ONLY, FirstSlots.secret(FirstSlots.RANDOM_ONLY), PATTERN)
    return False if reply.granted else True if reply.status == Status.EXECUTION_ERROR else UNDECIDED


def _encrypted_write_consumes(chip: Dialogue) -> Any:
    nonce = chip.random_nonce()
    slot = FirstSlots.AUTHORIZATION
    chip.ask(Opcode.GEN_DIG, Zone.DATA, slot)
    key = sha256(_authorization() + chip.header(Opcode.GEN_DIG, Zone.DATA, slot) + bytes(25) + nonce).digest()
    if not chip.encrypted_write(_WRITE | P1_ENCRYPTED, FirstSlots.ENCRYPTED << SLOT_SHIFT, key).granted:
        return UNDECIDED
    return not chip.has_temp_key()


def _kdf_needs_pub_info(chip: Dialogue) -> Any:
    chip.load()
    details = (len(PATTERN) << KDF_LENGTH_SHIFT | KDF_MESSAGE_FROM_INPUT).to_bytes(4, "little")
    reply = chip.ask(
        Opcode.KDF, KDF_HKDF | KDF_TO_SLOT, FirstSlots.KDF_TARGET << KDF_RESULT_SLOT_SHIFT, details + PATTERN
    )
    return False if reply.granted else True if reply.status == Status.EXECUTION_ERROR else UNDECIDED


def _key_type_code(chip: Dialogue) -> Any:
    if not chip.config[_AES_ENABLED] & 1:
        return UNDECIDED
    status = chip.ask(Opcode.AES, AES_ENCRYPT, FirstSlots.PLAIN_KEY, PATTERN[:16]).status
    return refusal(status)


def _use_lock(chip: Dialogue) -> Any:
    if len(chip.ask(Opcode.MAC, 0, FirstSlots.PLAIN_KEY, PATTERN).data) != len(PATTERN):
        return UNDECIDED
    return "none" if len(chip.ask(Opcode.MAC, 0, FirstSlots.USE_LOCKED, PATTERN).data) == len(PATTERN) else "refuse"


def _validate_external_code(chip: Dialogue) -> Any:
    chip.load()
    return refusal(chip.ask(Opcode.VERIFY, VERIFY_VALIDATE_EXTERNAL, FirstSlots.PUBLIC_KEY, 4 * PATTERN).status)


def _update_extra_use(chip: Dialogue) -> Any:
    # A chip that takes mode 2 for mode 0 writes P2 = 00 over 00, or refuses it: no harm.
    status = chip.ask(Opcode.UPDATE_EXTRA, UPDATE_EXTRA_USE, FirstSlots.SIGNING_KEY).status
    return {Status.SUCCESS: True, Status.PARSE_ERROR: False}.get(Status(status)) if status in _KNOWN else UNDECIDED


def _signs(chip: Dialogue, slot: int) -> bool:
    """Let the chip sign an external message; return whether it did."""
    chip.load()
    return len(chip.ask(Opcode.SIGN, SIGN_EXTERNAL, slot).data) == _SIGNATURE_SIZE


def _authorization() -> bytes:
    return FirstSlots.secret(FirstSlots.AUTHORIZATION)


_KNOWN: Final = frozenset(Status)
DATA_OPEN: Final = (
    Question("data_open_use", _data_open_use),
    Question("data_open_key_config", _data_open_key_config),
    Question("data_open_sign_internal", _data_open_sign_internal),
    Question("data_open_write_key", _data_open_write_key),
    Question("data_open_clear_with_mac", _data_open_clear_with_mac),
    Question("data_open_otp_encrypted", _data_open_otp_encrypted),
    Question("data_open_result_in_slot", _data_open_result_in_slot),
    Question("privwrite_range_code", _privwrite_range_code),
)
DATA_LOCKED: Final = (
    Question("authorization_uses", _authorization_uses),
    Question("authorization_uses.GEN_KEY", _uses_after(_gen_key)),
    Question("authorization_uses.GEN_DIG", _uses_after(_gen_dig)),
    Question("authorization_uses.MAC", _uses_after(_mac)),
    Question("checkmac_failure_clears", _checkmac_failure_clears),
    Question("checkmac_consumes", _checkmac_consumes),
    Question("checkmac_copy", _checkmac_copy),
    *REFUSED_COMMANDS,
    Question("checkmac_challenge_authorizes", _checkmac_challenge_authorizes),
    Question("verify_stored_authorizes", _verify_stored_authorizes),
    Question("refused_use_counts", _refused_use_counts),
    Question("mac_takes_key_id_above_15", _mac_takes_key_id_above_15),
    Question("checkmac_otp_bit", _checkmac_otp_bit),
    Question("no_mac_stops_outputs", _no_mac_stops_outputs),
    Question("no_mac_stops_hmac", _no_mac_stops_hmac),
    Question("derive_key_roll_counts", _derive_key_roll_counts),
    Question("latch_clear_needs_authorization", _latch_clear_needs_authorization),
    Question("req_random_needs_temp_key", _req_random_needs_temp_key),
    Question("encrypted_write_consumes", _encrypted_write_consumes),
    Question("kdf_needs_pub_info", _kdf_needs_pub_info),
    Question("key_type_code", _key_type_code),
    Question("use_lock", _use_lock),
    Question("update_extra_use", _update_extra_use),
    Question("validate_external_code", _validate_external_code),
)
