"""Questions to a chip that was configured and locked for them as `second_setup` says."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils

from atcaprov.chip.commands import LOCK_SLOT, P1_32_BYTES, Opcode, Status, Zone
from atcaprov.chip.memory_map import SLOT_CONFIG, key_config, word_le
from atcaprov.chip.modes import (
    AES_ENCRYPT,
    COUNTER_READ,
    ECDH_BY_READ_KEY,
    ECDH_TO_BUS,
    ECDH_TO_SLOT,
    GEN_KEY_STORED_DIGEST,
    KDF_FROM_SLOT,
    KDF_HKDF,
    KDF_LENGTH_SHIFT,
    KDF_MESSAGE_FROM_INPUT,
    KDF_TO_BUS,
    LOCK_SLOT_SHIFT,
    SECURE_BOOT_FULL,
    SHA_HMAC_START,
    SIGN_EXTERNAL,
    SIGN_INTERNAL,
    SLOT_SHIFT,
    VERIFY_STORED,
    VERIFY_VALIDATE,
)
from atcaprov.config_zone.locks import open_slots
from atcaprov.recording.destructive.second_setup import (
    LIMIT,
    SecondSlots,
    limit,
    public_key,
    secret,
    shared_secret,
    signature,
)
from atcaprov.recording.destructive.temp_key_questions import temp_key_is_lost
from atcaprov.recording.dialogue import PATTERN, ChipReply, Dialogue
from atcaprov.recording.questions import UNDECIDED, Question

_FROM_INPUT_BY_GEN_KEY: Final = 0x50
"""Flags of TempKey, above the slot's number: from the input, and GenKey's digest."""
_SIGNATURE_SIZE: Final = 64


# Uses that count


def _counts(use: Callable[[Dialogue], ChipReply]) -> Callable[[Dialogue], Any]:
    """Return the question whether a use advances Counter 0."""

    def ask(chip: Dialogue) -> Any:
        before = chip.ask(Opcode.COUNTER, COUNTER_READ, 0)
        if not use(chip).granted or not before.granted:
            return UNDECIDED
        return chip.ask(Opcode.COUNTER, COUNTER_READ, 0).data != before.data

    return ask


def _ecdh(chip: Dialogue) -> ChipReply:
    return chip.ask(Opcode.ECDH, ECDH_TO_BUS, SecondSlots.LIMITED_ECDH_KEY, public_key(SecondSlots.SIGNING_KEY))


def _mac(chip: Dialogue) -> ChipReply:
    return chip.ask(Opcode.MAC, 0, SecondSlots.LIMITED_SECRET, PATTERN)


def _check_mac(chip: Dialogue) -> ChipReply:
    return chip.check_mac(0, SecondSlots.LIMITED_SECRET, secret(SecondSlots.LIMITED_SECRET), PATTERN)


def _gen_dig(chip: Dialogue) -> ChipReply:
    chip.random_nonce()
    return chip.ask(Opcode.GEN_DIG, Zone.DATA, SecondSlots.LIMITED_SECRET)


def _aes(chip: Dialogue) -> ChipReply:
    return chip.ask(Opcode.AES, AES_ENCRYPT, SecondSlots.LIMITED_AES_KEY, PATTERN[:16])


def _kdf(chip: Dialogue) -> ChipReply:
    details = (len(PATTERN) << KDF_LENGTH_SHIFT | KDF_MESSAGE_FROM_INPUT).to_bytes(4, "little")
    return chip.ask(Opcode.KDF, KDF_HKDF | KDF_FROM_SLOT | KDF_TO_BUS, SecondSlots.LIMITED_SECRET, details + PATTERN)


def _derive_key(chip: Dialogue) -> ChipReply:
    chip.random_nonce()
    return chip.ask(Opcode.DERIVE_KEY, 0, SecondSlots.DERIVED_KEY)


def _secure_boot(chip: Dialogue) -> ChipReply:
    digest = sha256(PATTERN).digest()
    return chip.ask(Opcode.SECURE_BOOT, SECURE_BOOT_FULL, 0, digest + signature(SecondSlots.LIMITED_PUBLIC_KEY, digest))


def _hmac(chip: Dialogue) -> ChipReply:
    return chip.ask(Opcode.SHA, SHA_HMAC_START, SecondSlots.LIMITED_SECRET)


def _verify(chip: Dialogue) -> ChipReply:
    digest = sha256(PATTERN).digest()
    chip.load(digest)
    return chip.ask(
        Opcode.VERIFY, VERIFY_STORED, SecondSlots.LIMITED_PUBLIC_KEY, signature(SecondSlots.LIMITED_PUBLIC_KEY, digest)
    )


def _count_match_copies(chip: Dialogue) -> Any:
    """Let the two copies of the limit differ for one signature, which counts as a use on every chip."""
    if not _write_limit(chip, limit()) or not _sign(chip).granted:
        return UNDECIDED
    changed = _write_limit(chip, limit(second=LIMIT - 1))
    used = _sign(chip)
    if not _write_limit(chip, limit()) or not changed or used.status is None:
        return UNDECIDED
    return "first" if used.granted else "both"


def _sign(chip: Dialogue) -> ChipReply:
    chip.load()
    return chip.ask(Opcode.SIGN, SIGN_EXTERNAL, SecondSlots.LIMITED_ECDH_KEY)


def _write_limit(chip: Dialogue, copies: bytes) -> bool:
    return chip.ask(
        Opcode.WRITE, P1_32_BYTES | Zone.DATA, SecondSlots.LIMIT << SLOT_SHIFT, copies.ljust(32, b"\0")
    ).granted


# Commands that do not use TempKey


def _write(chip: Dialogue) -> ChipReply:
    return chip.ask(Opcode.WRITE, P1_32_BYTES | Zone.DATA, SecondSlots.LIMIT << SLOT_SHIFT, limit().ljust(32, b"\0"))


def _lock(chip: Dialogue) -> ChipReply:
    """Lock a slot; the second one if a run that was cut has locked the first."""
    unlocked = open_slots(chip.config)  # as it was at the start
    slot = next(
        (slot for slot in (SecondSlots.LOCKED, SecondSlots.SIGNATURE) if unlocked >> slot & 1), SecondSlots.SIGNATURE
    )
    return chip.ask(Opcode.LOCK, LOCK_SLOT | slot << LOCK_SLOT_SHIFT)


def _update_extra(chip: Dialogue) -> ChipReply:
    return chip.ask(Opcode.UPDATE_EXTRA, 0, 0)  # 00 over 00


def _priv_write(chip: Dialogue) -> ChipReply:
    slot = SecondSlots.SIGNING_KEY
    return chip.ask(Opcode.PRIV_WRITE, 0, slot, bytes(4) + secret(slot) + bytes(32))


# ECDH


def _ecdh_odd_partner(chip: Dialogue) -> Any:
    reply = chip.ask(Opcode.ECDH, ECDH_BY_READ_KEY, SecondSlots.ODD_ECDH_KEY, public_key(SecondSlots.SIGNING_KEY))
    if reply.granted and _holds(
        chip, SecondSlots.ODD_RESULT, shared_secret(SecondSlots.ODD_ECDH_KEY, SecondSlots.SIGNING_KEY)
    ):
        return "next"
    return "same" if reply.status == Status.EXECUTION_ERROR else UNDECIDED


def _ecdh_mode_chooses_slot(chip: Dialogue) -> Any:
    reply = chip.ask(Opcode.ECDH, ECDH_TO_SLOT, SecondSlots.SIGNING_KEY, public_key(SecondSlots.LIMITED_ECDH_KEY))
    if reply.granted:
        wanted = shared_secret(SecondSlots.SIGNING_KEY, SecondSlots.LIMITED_ECDH_KEY)
        return True if _holds(chip, SecondSlots.ECDH_RESULT, wanted) else UNDECIDED
    return False if reply.status in (Status.EXECUTION_ERROR, Status.PARSE_ERROR) else UNDECIDED


def _holds(chip: Dialogue, slot: int, value: bytes) -> bool:
    """Return whether a secret slot holds a value, as a MAC shows."""
    tail = bytes((Opcode.MAC, 0, slot, 0)) + bytes(11) + chip.serial[8:] + bytes(4) + chip.serial[:2] + bytes(2)
    return chip.ask(Opcode.MAC, 0, slot, PATTERN).data == sha256(value + PATTERN + tail).digest()


# Keys that are derived, validated, or that sign


def _derive_key_mac_key(chip: Dialogue) -> Any:
    header = chip.header(Opcode.DERIVE_KEY, 0, SecondSlots.ROLLED_WITH_MAC)
    for name, slot in (("write-key", SecondSlots.AUTHORIZING_KEY), ("target", SecondSlots.ROLLED_WITH_MAC)):
        chip.random_nonce()
        mac = sha256(secret(slot) + header).digest()
        if chip.ask(Opcode.DERIVE_KEY, 0, SecondSlots.ROLLED_WITH_MAC, mac).granted:
            return name
    return UNDECIDED


def _x509_format_stops_validation(chip: Dialogue) -> Any:
    if not _validate(chip, SecondSlots.VALIDATED_PUBLIC_KEY).granted:
        return UNDECIDED
    reply = _validate(chip, SecondSlots.PUBLIC_KEY_BY_CERTIFICATE)
    return False if reply.granted else True if reply.status == Status.EXECUTION_ERROR else UNDECIDED


def _validate(chip: Dialogue, slot: int) -> ChipReply:
    serial, other = chip.serial, bytes(19)
    signed = bytes((Opcode.SIGN,)) + other[:10] + serial[8:] + other[10:14] + serial[:2] + other[14:]
    digest = sha256(_public_key_digest(chip, slot) + signed).digest()
    proof = signature(SecondSlots.LIMITED_PUBLIC_KEY, digest)
    return chip.ask(Opcode.VERIFY, VERIFY_VALIDATE, slot, proof + other)


def _public_key_digest(chip: Dialogue, slot: int) -> bytes:
    """Let GenKey put the digest of a stored public key into TempKey; return the digest, 32 bytes."""
    chip.load()
    parameters = bytes((GEN_KEY_STORED_DIGEST, slot, 0))
    chip.ask(Opcode.GEN_KEY, GEN_KEY_STORED_DIGEST, slot, parameters)
    header = bytes((Opcode.GEN_KEY,)) + parameters + chip.serial[8:] + chip.serial[:2]
    return sha256(PATTERN + header + bytes(25) + public_key(slot)).digest()


def _sign_internal_validity(chip: Dialogue) -> Any:
    """Let the state of a validated key and bit 0 of P1 disagree: the signature shows which one the chip took."""
    slot = SecondSlots.VALIDATED_PUBLIC_KEY
    if not _validate(chip, slot).granted:
        return UNDECIDED
    digest = _public_key_digest(chip, slot)
    signed = chip.ask(Opcode.SIGN, SIGN_INTERNAL, SecondSlots.SIGNING_KEY).data
    words = word_le(chip.config, SLOT_CONFIG + 2 * slot).to_bytes(2, "little")
    words += key_config(chip.config, slot).to_bytes(2, "little")
    head = digest + bytes((Opcode.SIGN, SIGN_INTERNAL, SecondSlots.SIGNING_KEY, 0)) + words
    head += bytes((_FROM_INPUT_BY_GEN_KEY | slot, 0, 0))
    head += chip.serial[8:] + bytes(4) + chip.serial[:2] + bytes(2)
    for name, valid in (("mode", 0), ("slot", 1)):
        if _fits(signed, sha256(head + bytes((1, valid, 0))).digest()):
            return name
    return UNDECIDED


def _fits(signed: bytes, digest: bytes) -> bool:
    if len(signed) != _SIGNATURE_SIZE:
        return False
    point = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), b"\x04" + public_key(SecondSlots.SIGNING_KEY))
    der = utils.encode_dss_signature(int.from_bytes(signed[:32]), int.from_bytes(signed[32:]))
    try:
        point.verify(der, digest, ec.ECDSA(utils.Prehashed(hashes.SHA256())))
    except InvalidSignature:
        return False
    return True


def _secure_boot_table(chip: Dialogue) -> Any:
    reply = _secure_boot(chip)
    return "documented" if reply.granted else "refuse" if reply.status == Status.EXECUTION_ERROR else UNDECIDED


# While the data zone is open


def _public_key_without_pub_info(chip: Dialogue) -> Any:
    reply = chip.ask(Opcode.GEN_KEY, 0, SecondSlots.ODD_ECDH_KEY)
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
