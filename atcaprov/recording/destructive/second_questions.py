"""Open points that the second part answers, which is set up as `atcaprov.recording.destructive.second_setup` says."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils

from atcaprov.chip.commands import LOCK_SLOT, P1_32_BYTES, Opcode, Status, Zone
from atcaprov.chip.memory_map import SLOT_CONFIG, SLOT_LOCKED, key_config, word_le
from atcaprov.recording.destructive.second_setup import (
    LIMIT,
    Places,
    limit,
    public_key,
    secret,
    shared_secret,
    signature,
)
from atcaprov.recording.destructive.temp_key_questions import temp_key_is_lost
from atcaprov.recording.dialogue import PATTERN, ChipReply, Dialogue
from atcaprov.recording.questions import UNDECIDED, Question

_BY_READ_KEY, _TO_SLOT, _TO_BUS = 0x00, 0x04, 0x0C
_PUBLIC_KEY_DIGEST: Final = 0x10
_VALIDATE: Final = 0x03
_HMAC_START: Final = 0x04
_FULL: Final = 0x05
_KDF_SLOT_TO_BUS: Final = 0x52
_FROM_INPUT: Final = 2
_AES_ENABLED: Final = 13
_FROM_INPUT_BY_GEN_KEY: Final = 0x50
"""Flags of TempKey, above the slot's number: from the input, and GenKey's digest."""
_SIGN_EXTERNAL: Final = 0x80
_SIGNATURE_SIZE: Final = 64


# Uses that count


def _counts(use: Callable[[Dialogue], ChipReply]) -> Callable[[Dialogue], Any]:
    """Return the question whether a use advances Counter 0."""

    def ask(part: Dialogue) -> Any:
        before = part.ask(Opcode.COUNTER, 0, 0)
        if not use(part).granted or not before.granted:
            return UNDECIDED
        return part.ask(Opcode.COUNTER, 0, 0).data != before.data

    return ask


def _ecdh(part: Dialogue) -> ChipReply:
    return part.ask(Opcode.ECDH, _TO_BUS, Places.LIMITED_ECDH_KEY, public_key(Places.SIGNING_KEY))


def _mac(part: Dialogue) -> ChipReply:
    return part.ask(Opcode.MAC, 0, Places.LIMITED_SECRET, PATTERN)


def _check_mac(part: Dialogue) -> ChipReply:
    return part.check_mac(0, Places.LIMITED_SECRET, secret(Places.LIMITED_SECRET), PATTERN)


def _gen_dig(part: Dialogue) -> ChipReply:
    part.random_nonce()
    return part.ask(Opcode.GEN_DIG, Zone.DATA, Places.LIMITED_SECRET)


def _aes(part: Dialogue) -> ChipReply:
    return part.ask(Opcode.AES, 0, Places.LIMITED_AES_KEY, PATTERN[:16])


def _kdf(part: Dialogue) -> ChipReply:
    details = (len(PATTERN) << 24 | _FROM_INPUT).to_bytes(4, "little")
    return part.ask(Opcode.KDF, _KDF_SLOT_TO_BUS, Places.LIMITED_SECRET, details + PATTERN)


def _derive_key(part: Dialogue) -> ChipReply:
    part.random_nonce()
    return part.ask(Opcode.DERIVE_KEY, 0, Places.DERIVED_KEY)


def _secure_boot(part: Dialogue) -> ChipReply:
    digest = sha256(PATTERN).digest()
    return part.ask(Opcode.SECURE_BOOT, _FULL, 0, digest + signature(Places.LIMITED_PUBLIC_KEY, digest))


def _hmac(part: Dialogue) -> ChipReply:
    return part.ask(Opcode.SHA, _HMAC_START, Places.LIMITED_SECRET)


def _verify(part: Dialogue) -> ChipReply:
    digest = sha256(PATTERN).digest()
    part.load(digest)
    return part.ask(Opcode.VERIFY, 0, Places.LIMITED_PUBLIC_KEY, signature(Places.LIMITED_PUBLIC_KEY, digest))


def _count_match_copies(part: Dialogue) -> Any:
    """Make the copies of the limit differ for one signature, which counts on every part."""
    if not _write_limit(part, limit()) or not _sign(part).granted:
        return UNDECIDED
    changed = _write_limit(part, limit(second=LIMIT - 1))
    used = _sign(part)
    if not _write_limit(part, limit()) or not changed or used.status is None:
        return UNDECIDED
    return "first" if used.granted else "both"


def _sign(part: Dialogue) -> ChipReply:
    part.load()
    return part.ask(Opcode.SIGN, _SIGN_EXTERNAL, Places.LIMITED_ECDH_KEY)


def _write_limit(part: Dialogue, copies: bytes) -> bool:
    return part.ask(Opcode.WRITE, P1_32_BYTES | Zone.DATA, Places.LIMIT << 3, copies.ljust(32, b"\0")).granted


# Commands that do not use TempKey


def _write(part: Dialogue) -> ChipReply:
    return part.ask(Opcode.WRITE, P1_32_BYTES | Zone.DATA, Places.LIMIT << 3, limit().ljust(32, b"\0"))


def _lock(part: Dialogue) -> ChipReply:
    unlocked = word_le(part.config, SLOT_LOCKED.start)  # as at the start: a run that was cut may have locked the first
    slot = next((slot for slot in (Places.LOCKED, Places.SIGNATURE) if unlocked >> slot & 1), Places.SIGNATURE)
    return part.ask(Opcode.LOCK, LOCK_SLOT | slot << 2)


def _update_extra(part: Dialogue) -> ChipReply:
    return part.ask(Opcode.UPDATE_EXTRA, 0, 0)  # 00 over 00


def _priv_write(part: Dialogue) -> ChipReply:
    slot = Places.SIGNING_KEY
    return part.ask(Opcode.PRIV_WRITE, 0, slot, bytes(4) + secret(slot) + bytes(32))


# ECDH


def _ecdh_odd_partner(part: Dialogue) -> Any:
    reply = part.ask(Opcode.ECDH, _BY_READ_KEY, Places.ODD_ECDH_KEY, public_key(Places.SIGNING_KEY))
    if reply.granted and _holds(part, Places.ODD_RESULT, shared_secret(Places.ODD_ECDH_KEY, Places.SIGNING_KEY)):
        return "next"
    return "same" if reply.status == Status.EXECUTION_ERROR else UNDECIDED


def _ecdh_mode_chooses_slot(part: Dialogue) -> Any:
    reply = part.ask(Opcode.ECDH, _TO_SLOT, Places.SIGNING_KEY, public_key(Places.LIMITED_ECDH_KEY))
    if reply.granted:
        wanted = shared_secret(Places.SIGNING_KEY, Places.LIMITED_ECDH_KEY)
        return True if _holds(part, Places.ECDH_RESULT, wanted) else UNDECIDED
    return False if reply.status in (Status.EXECUTION_ERROR, Status.PARSE_ERROR) else UNDECIDED


def _holds(part: Dialogue, slot: int, value: bytes) -> bool:
    """Tell by a MAC whether a secret slot holds a value."""
    tail = bytes((Opcode.MAC, 0, slot, 0)) + bytes(11) + part.serial[8:] + bytes(4) + part.serial[:2] + bytes(2)
    return part.ask(Opcode.MAC, 0, slot, PATTERN).data == sha256(value + PATTERN + tail).digest()


# Keys that are derived, validated, or that sign


def _derive_key_mac_key(part: Dialogue) -> Any:
    header = part.header(Opcode.DERIVE_KEY, 0, Places.ROLLED_WITH_MAC)
    for name, slot in (("write-key", Places.AUTHORIZING_KEY), ("target", Places.ROLLED_WITH_MAC)):
        part.random_nonce()
        mac = sha256(secret(slot) + header).digest()
        if part.ask(Opcode.DERIVE_KEY, 0, Places.ROLLED_WITH_MAC, mac).granted:
            return name
    return UNDECIDED


def _x509_format_stops_validation(part: Dialogue) -> Any:
    if not _validate(part, Places.VALIDATED_PUBLIC_KEY).granted:
        return UNDECIDED
    reply = _validate(part, Places.PUBLIC_KEY_BY_CERTIFICATE)
    return False if reply.granted else True if reply.status == Status.EXECUTION_ERROR else UNDECIDED


def _validate(part: Dialogue, slot: int) -> ChipReply:
    serial, other = part.serial, bytes(19)
    signed = bytes((Opcode.SIGN,)) + other[:10] + serial[8:] + other[10:14] + serial[:2] + other[14:]
    digest = sha256(_public_key_digest(part, slot) + signed).digest()
    proof = signature(Places.LIMITED_PUBLIC_KEY, digest)
    return part.ask(Opcode.VERIFY, _VALIDATE, slot, proof + other)


def _public_key_digest(part: Dialogue, slot: int) -> bytes:
    """Let GenKey put the digest of a stored public key into TempKey, and return it."""
    part.load()
    parameters = bytes((_PUBLIC_KEY_DIGEST, slot, 0))
    part.ask(Opcode.GEN_KEY, _PUBLIC_KEY_DIGEST, slot, parameters)
    header = bytes((Opcode.GEN_KEY,)) + parameters + part.serial[8:] + part.serial[:2]
    return sha256(PATTERN + header + bytes(25) + public_key(slot)).digest()


def _sign_internal_validity(part: Dialogue) -> Any:
    """Let the state of a validated key and bit 0 of P1 disagree, and see which one the part has signed."""
    slot = Places.VALIDATED_PUBLIC_KEY
    if not _validate(part, slot).granted:
        return UNDECIDED
    digest = _public_key_digest(part, slot)
    signed = part.ask(Opcode.SIGN, 0, Places.SIGNING_KEY).data
    words = word_le(part.config, SLOT_CONFIG + 2 * slot).to_bytes(2, "little")
    words += key_config(part.config, slot).to_bytes(2, "little")
    head = digest + bytes((Opcode.SIGN, 0, Places.SIGNING_KEY, 0)) + words
    head += bytes((_FROM_INPUT_BY_GEN_KEY | slot, 0, 0))
    head += part.serial[8:] + bytes(4) + part.serial[:2] + bytes(2)
    for name, valid in (("mode", 0), ("slot", 1)):
        if _fits(signed, sha256(head + bytes((1, valid, 0))).digest()):
            return name
    return UNDECIDED


def _fits(signed: bytes, digest: bytes) -> bool:
    if len(signed) != _SIGNATURE_SIZE:
        return False
    point = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), b"\x04" + public_key(Places.SIGNING_KEY))
    der = utils.encode_dss_signature(int.from_bytes(signed[:32]), int.from_bytes(signed[32:]))
    try:
        point.verify(der, digest, ec.ECDSA(utils.Prehashed(hashes.SHA256())))
    except InvalidSignature:
        return False
    return True


def _secure_boot_table(part: Dialogue) -> Any:
    reply = _secure_boot(part)
    return "documented" if reply.granted else "refuse" if reply.status == Status.EXECUTION_ERROR else UNDECIDED


# While the data zone is open


def _public_key_without_pub_info(part: Dialogue) -> Any:
    reply = part.ask(Opcode.GEN_KEY, 0, Places.ODD_ECDH_KEY)
    if reply.granted:
        return "ignored"
    return "obeyed" if reply.status == Status.EXECUTION_ERROR else UNDECIDED


DATA_OPEN: Final = (
    Question("data_open_key_config.PubInfo", _public_key_without_pub_info),
    Question("other_commands_clear_temp_key.PRIV_WRITE", temp_key_is_lost(_priv_write, granted=True)),
)
DATA_LOCKED: Final = (
    Question("limited_use_commands.ECDH", _counts(_ecdh)),
    Question("limited_use_commands.MAC", _counts(_mac)),
    Question("limited_use_commands.CHECK_MAC", _counts(_check_mac)),
    Question("limited_use_commands.GEN_DIG", _counts(_gen_dig)),
    Question("limited_use_commands.AES", _counts(_aes)),
    Question("limited_use_commands.KDF", _counts(_kdf)),
    Question("limited_use_commands.DERIVE_KEY", _counts(_derive_key)),
    Question("limited_use_commands.SECURE_BOOT", _counts(_secure_boot)),
    Question("limited_use_commands.SHA", _counts(_hmac)),
    Question("limited_use_commands.VERIFY", _counts(_verify)),
    Question("other_commands_clear_temp_key.ECDH", temp_key_is_lost(_ecdh, granted=True)),
    Question("other_commands_clear_temp_key.WRITE", temp_key_is_lost(_write, granted=True)),
    Question("other_commands_clear_temp_key.LOCK", temp_key_is_lost(_lock, granted=True)),
    Question("other_commands_clear_temp_key.SECURE_BOOT", temp_key_is_lost(_secure_boot, granted=True)),
    Question("other_commands_clear_temp_key.UPDATE_EXTRA", temp_key_is_lost(_update_extra, granted=True)),
    Question("count_match_copies", _count_match_copies),
    Question("ecdh_odd_partner", _ecdh_odd_partner),
    Question("ecdh_mode_chooses_slot", _ecdh_mode_chooses_slot),
    Question("derive_key_mac_key", _derive_key_mac_key),
    Question("x509_format_stops_validation", _x509_format_stops_validation),
    Question("sign_internal_validity", _sign_internal_validity),
    Question("secure_boot_table", _secure_boot_table),
)
