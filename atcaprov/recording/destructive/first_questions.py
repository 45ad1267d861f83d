"""Questions to a chip that was configured and locked for them as `first_setup` says."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from typing import Any, Final

from atcaprov.chip.commands import GEN_KEY_PUBLIC, P1_32_BYTES, P1_ENCRYPTED, TEMP_KEY_SLOT, Opcode, Status, Zone
from atcaprov.recording.destructive.first_setup import Roles
from atcaprov.recording.destructive.temp_key_questions import REFUSED_COMMANDS
from atcaprov.recording.dialogue import PATTERN, ChipReply, Dialogue
from atcaprov.recording.harmless_packets import signature
from atcaprov.recording.questions import UNDECIDED, Ask, Question, refusal

_SIGN_EXTERNAL: Final = 0x80
_SIGNATURE_SIZE: Final = 64
_WRITE: Final = P1_32_BYTES | Zone.DATA
_STATE, _LATCH, _LATCH_CLEAR = 2, 4, 2
_AUTH_VALID, _AUTHORIZED = 0x04, 0x7C
_KDF_TEMP_KEY_TO_SLOT: Final = 0x48
_FROM_INPUT: Final = 2
_AES_ENABLED: Final = 13
_COPY: Final = 0x01
_OTP_BIT: Final = 0x20
_KEY_ID_ABOVE_15: Final = 0x0100
_HMAC_START: Final = 0x04
_MAC_OVER_TEMP_KEY: Final = 0x05


# While the data zone is open


def _data_open_use(part: Dialogue) -> Any:
    return _signs(part, Roles.SIGNING_KEY)


def _data_open_key_config(part: Dialogue) -> Any:
    if not _signs(part, Roles.SIGNING_KEY):
        return UNDECIDED
    return "ignored" if _signs(part, Roles.AUTHORIZED_KEY) else "obeyed"


def _data_open_sign_internal(part: Dialogue) -> Any:
    if not _signs(part, Roles.SIGNING_KEY):
        return UNDECIDED
    part.random_nonce()
    part.ask(Opcode.GEN_DIG, Zone.DATA, Roles.PLAIN_KEY)
    return len(part.ask(Opcode.SIGN, 0, Roles.SIGNING_KEY).data) == _SIGNATURE_SIZE


def _data_open_write_key(part: Dialogue) -> Any:
    part.load()
    status = part.encrypted_write(_WRITE | P1_ENCRYPTED, Roles.ENCRYPTED << 3, PATTERN).status
    return {Status.SUCCESS: "any", Status.EXECUTION_ERROR: "gen-dig"}.get(Status(status)) if status in _KNOWN else None


def _data_open_clear_with_mac(part: Dialogue) -> Any:
    reply = part.ask(Opcode.WRITE, _WRITE, Roles.CLEAR << 3, 2 * PATTERN)
    return "store" if reply.granted else "refuse" if reply.status == Status.PARSE_ERROR else UNDECIDED


def _data_open_otp_encrypted(part: Dialogue) -> Any:
    part.load()
    reply = part.encrypted_write(P1_32_BYTES | P1_ENCRYPTED | Zone.OTP, 0, PATTERN)
    return UNDECIDED if reply.status is None else reply.granted


def _data_open_result_in_slot(part: Dialogue) -> Any:
    part.random_nonce()
    reply = part.ask(Opcode.DERIVE_KEY, 0, Roles.ROLLED_KEY)
    return UNDECIDED if reply.status is None else reply.granted


def _privwrite_range_code(part: Dialogue) -> Any:
    status = part.ask(Opcode.PRIV_WRITE, 0, Roles.AUTHORIZED_KEY, bytes(36 + 32)).status
    return refusal(status)


# Behind the data lock


def _authorization_uses(part: Dialogue) -> Any:
    if not (part.authorize(Roles.AUTHORIZATION, _authorization()) and _signs(part, Roles.AUTHORIZED_KEY)):
        return UNDECIDED
    return "many" if _signs(part, Roles.AUTHORIZED_KEY) else "one"


def _uses_after(use: Callable[[Dialogue], ChipReply]) -> Ask:
    """Return the question whether an authorization serves a signature after another use."""

    def ask(part: Dialogue) -> Any:
        if not (part.authorize(Roles.AUTHORIZATION, _authorization()) and use(part).granted):
            return UNDECIDED
        return "many" if _signs(part, Roles.AUTHORIZED_KEY) else "one"

    return ask


def _gen_key(part: Dialogue) -> ChipReply:
    return part.ask(Opcode.GEN_KEY, GEN_KEY_PUBLIC, Roles.AUTHORIZED_KEY)


def _gen_dig(part: Dialogue) -> ChipReply:
    part.random_nonce()
    return part.ask(Opcode.GEN_DIG, Zone.DATA, Roles.LIMITED_KEY)


def _mac(part: Dialogue) -> ChipReply:
    return part.ask(Opcode.MAC, 0, Roles.LIMITED_KEY, PATTERN)


def _checkmac_failure_clears(part: Dialogue) -> Any:
    if not part.authorize(Roles.AUTHORIZATION, _authorization()):
        return UNDECIDED
    if part.check_mac(0x01, Roles.OTHER_SECRET, bytes(32), part.random_nonce()).status != Status.MISMATCH:
        return UNDECIDED
    return not _signs(part, Roles.AUTHORIZED_KEY)


def _checkmac_consumes(part: Dialogue) -> Any:
    part.load()
    secret = Roles.secret(Roles.OTHER_SECRET)
    if not part.has_temp_key() or not part.check_mac(0x00, Roles.OTHER_SECRET, secret, PATTERN).granted:
        return UNDECIDED
    return not part.has_temp_key()


def _checkmac_copy(part: Dialogue) -> Any:
    copied = _copied(part, Roles.COPIED_EVEN)
    if copied == Roles.COPIED_EVEN:
        return "self"
    if copied != Roles.COPIED_ODD:
        return UNDECIDED
    part.forget()
    return "odd-slot" if _copied(part, Roles.COPIED_ODD) == Roles.COPIED_ODD else "partner"


def _copied(part: Dialogue, slot: int) -> int | None:
    """Return the slot whose content a CheckMac of `slot` has copied into TempKey, as a MAC over it shows."""
    if not part.check_mac(_COPY, slot, Roles.secret(slot), part.random_nonce()).granted:
        return None
    found = part.ask(Opcode.MAC, _MAC_OVER_TEMP_KEY, Roles.PLAIN_KEY).data
    serial = part.serial
    tail = bytes((Opcode.MAC, _MAC_OVER_TEMP_KEY, Roles.PLAIN_KEY, 0)) + bytes(11) + serial[8:] + bytes(4) + serial[:2]
    for candidate in (Roles.COPIED_EVEN, Roles.COPIED_ODD):
        message = Roles.secret(Roles.PLAIN_KEY) + Roles.secret(candidate) + tail + bytes(2)
        if found == sha256(message).digest():
            return candidate
    return None


def _checkmac_challenge_authorizes(part: Dialogue) -> Any:
    if not part.check_mac(0x00, Roles.AUTHORIZATION, _authorization(), PATTERN).granted:
        return UNDECIDED
    return _signs(part, Roles.AUTHORIZED_KEY)


def _verify_stored_authorizes(part: Dialogue) -> Any:
    part.load(sha256(PATTERN).digest())
    if not part.ask(Opcode.VERIFY, 0x00, Roles.PUBLIC_KEY, signature()).granted:
        return UNDECIDED
    state = part.ask(Opcode.INFO, _STATE).data
    return len(state) == 4 and state[1] & _AUTHORIZED == Roles.PUBLIC_KEY << 3 | _AUTH_VALID


def _refused_use_counts(part: Dialogue) -> Any:
    before = part.ask(Opcode.COUNTER, 0, 0).data
    if part.ask(Opcode.MAC, 0, Roles.LIMITED_KEY, PATTERN).status != Status.EXECUTION_ERROR:
        return UNDECIDED
    return part.ask(Opcode.COUNTER, 0, 0).data != before


def _mac_takes_key_id_above_15(part: Dialogue) -> Any:
    reply = part.ask(Opcode.MAC, 0, _KEY_ID_ABOVE_15 | Roles.PLAIN_KEY, PATTERN)
    return True if reply.granted else False if reply.status == Status.PARSE_ERROR else UNDECIDED


def _checkmac_otp_bit(part: Dialogue) -> Any:
    status = part.check_mac(_OTP_BIT, Roles.OTHER_SECRET, Roles.secret(Roles.OTHER_SECRET), PATTERN).status
    if status == Status.PARSE_ERROR:
        return "refuse"
    return "hash" if status in (Status.SUCCESS, Status.MISMATCH) else UNDECIDED


def _no_mac_stops_outputs(part: Dialogue) -> Any:
    if not _load_no_mac_key(part) or not part.config[_AES_ENABLED] & 1:
        return UNDECIDED
    return not part.ask(Opcode.AES, 0, TEMP_KEY_SLOT, PATTERN[:16]).granted


def _no_mac_stops_hmac(part: Dialogue) -> Any:
    if not _load_no_mac_key(part):
        return UNDECIDED
    return not part.ask(Opcode.SHA, _HMAC_START, TEMP_KEY_SLOT).granted


def _load_no_mac_key(part: Dialogue) -> bool:
    """Make a TempKey with a NoMac key; tells whether the part did."""
    part.random_nonce()
    instead_of_parameters = bytes((Opcode.GEN_DIG, Zone.DATA, Roles.NO_MAC, 0))
    return part.ask(Opcode.GEN_DIG, Zone.DATA, Roles.NO_MAC, instead_of_parameters).granted


def _derive_key_roll_counts(part: Dialogue) -> Any:
    before = part.ask(Opcode.COUNTER, 0, 0).data
    part.random_nonce()
    if not part.ask(Opcode.DERIVE_KEY, 0, Roles.ROLLED_KEY).granted:
        return UNDECIDED
    return part.ask(Opcode.COUNTER, 0, 0).data != before


def _latch_clear_needs_authorization(part: Dialogue) -> Any:
    reply = part.ask(Opcode.INFO, _LATCH, _LATCH_CLEAR)
    return False if reply.granted else True if reply.status == Status.EXECUTION_ERROR else UNDECIDED


def _req_random_needs_temp_key(part: Dialogue) -> Any:
    reply = part.check_mac(0x00, Roles.RANDOM_ONLY, Roles.secret(Roles.RANDOM_ONLY), PATTERN)
    return False if reply.granted else True if reply.status == Status.EXECUTION_ERROR else UNDECIDED


def _encrypted_write_consumes(part: Dialogue) -> Any:
    nonce = part.random_nonce()
    slot = Roles.AUTHORIZATION
    part.ask(Opcode.GEN_DIG, Zone.DATA, slot)
    key = sha256(_authorization() + part.header(Opcode.GEN_DIG, Zone.DATA, slot) + bytes(25) + nonce).digest()
    if not part.encrypted_write(_WRITE | P1_ENCRYPTED, Roles.ENCRYPTED << 3, key).granted:
        return UNDECIDED
    return not part.has_temp_key()


def _kdf_needs_pub_info(part: Dialogue) -> Any:
    part.load()
    details = (len(PATTERN) << 24 | _FROM_INPUT).to_bytes(4, "little")
    reply = part.ask(Opcode.KDF, _KDF_TEMP_KEY_TO_SLOT, Roles.KDF_TARGET << 8, details + PATTERN)
    return False if reply.granted else True if reply.status == Status.EXECUTION_ERROR else UNDECIDED


def _key_type_code(part: Dialogue) -> Any:
    if not part.config[_AES_ENABLED] & 1:
        return UNDECIDED
    status = part.ask(Opcode.AES, 0, Roles.PLAIN_KEY, PATTERN[:16]).status
    return refusal(status)


def _use_lock(part: Dialogue) -> Any:
    if len(part.ask(Opcode.MAC, 0, Roles.PLAIN_KEY, PATTERN).data) != len(PATTERN):
        return UNDECIDED
    return "none" if len(part.ask(Opcode.MAC, 0, Roles.USE_LOCKED, PATTERN).data) == len(PATTERN) else "refuse"


def _validate_external_code(part: Dialogue) -> Any:
    part.load()
    return refusal(part.ask(Opcode.VERIFY, 0x01, Roles.PUBLIC_KEY, 4 * PATTERN).status)


def _update_extra_use(part: Dialogue) -> Any:
    # On a part that takes mode 2 for mode 0, P2 0 writes 00: over 00, or it is refused.
    status = part.ask(Opcode.UPDATE_EXTRA, 2, Roles.SIGNING_KEY).status
    return {Status.SUCCESS: True, Status.PARSE_ERROR: False}.get(Status(status)) if status in _KNOWN else UNDECIDED


def _signs(part: Dialogue, slot: int) -> bool:
    """Let the part sign an external message; tells whether it did."""
    part.load()
    return len(part.ask(Opcode.SIGN, _SIGN_EXTERNAL, slot).data) == _SIGNATURE_SIZE


def _authorization() -> bytes:
    return Roles.secret(Roles.AUTHORIZATION)


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
