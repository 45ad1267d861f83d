"""Checks of bytes 68-83 and 90-91: the features of the ATECC608, LastKeyUse of the ATECC508A."""

from __future__ import annotations

from typing import Final

from atcaprov.chip import memory_map
from atcaprov.config_zone.findings import Allow, Finding, Findings, Level, Product, Rule
from atcaprov.config_zone.slot import Slot
from atcaprov.config_zone.zone import ConfigZone

_USE_LOCK_ON: Final = 0xA
_FULL_SIG: Final = 2
_SIGNATURE_SIZE: Final = 64
_PUBLIC_KEY_SLOT_SIZE: Final = 72
_ENCRYPTED_OUTPUT: Final = 1
_CHIP_OPTIONS: Final = memory_map.CHIP_OPTIONS.start
_SECURE_BOOT: Final = memory_map.SECURE_BOOT.start


def feature_rules(zone: ConfigZone, product: Product) -> Findings:
    """Check the bytes whose meaning differs between 508A and 608."""
    if not product.part.is_608:
        yield from _fields_of_508a(zone)
        return
    if zone.last_key_use == b"\xff" * len(zone.last_key_use):
        yield _table_of_508a()
    else:
        yield from _use_lock(zone, product)
        yield from _volatile_key_permission(zone, product)
        yield from _secure_boot(zone, product)
        yield from _kdf_iv(zone)
        yield from _reserved(zone)
    yield from _count_match(zone, product)
    yield from _chip_options(zone)
    yield from _io_protection(zone, product)


def _table_of_508a() -> Finding:
    return Finding(
        Level.ERROR,
        Rule.TABLE_OF_508A,
        memory_map.FIELDS_608.start,
        "bytes 68-83 are all FF: this is a table for an ATECC508A. On a 608 they turn on VolatileKeyPermission and "
        "SecureBoot with slot 15 and set the KDF fields.",
        "Convert it by the rule of AN3539, as 'atcaprov config convert' does: these bytes and byte 18 become 00.",
    )


def _fields_of_508a(zone: ConfigZone) -> Findings:
    if zone.last_key_use != b"\xff" * len(zone.last_key_use):
        yield Finding(
            Level.WARNING,
            Rule.LAST_KEY_USE,
            memory_map.FIELDS_608.start,
            "bytes 68-83 are LastKeyUse on a 508A and not all FF: slot 15 has lost uses, or the table is for a 608.",
            "Write FF.",
        )
    if zone.chip_options.value:
        yield Finding(
            Level.ERROR,
            Rule.RESERVED,
            _CHIP_OPTIONS,
            "bytes 90-91 are reserved on a 508A and not 00: the table is one for a 608.",
            "Write 00 00.",
        )


def _not_named(allow: Allow, rule: Rule, byte: int, message: str) -> Finding:
    return Finding(Level.ERROR, rule, byte, message, f"Write 00; if the product needs it, add --allow {allow}.")


def _use_lock(zone: ConfigZone, product: Product) -> Findings:
    byte, value = memory_map.USE_LOCK, zone.use_lock
    if value & 0xF == _USE_LOCK_ON:
        if Allow.USE_LOCK not in product.allowed:
            message = f"UseLock {value:02X} is on for slot {value >> 4}; its effect is not published."
            yield _not_named(Allow.USE_LOCK, Rule.USE_LOCK, byte, message)
    elif value:
        yield Finding(Level.WARNING, Rule.USE_LOCK, byte, f"UseLock {value:02X} is off, but not clean.", "Write 00.")


def _volatile_key_permission(zone: ConfigZone, product: Product) -> Findings:
    byte, value = memory_map.VOLATILE_KEY_PERMISSION, zone.volatile_key_permission
    if not zone.volatile_key_permission_enabled:
        if value:
            message = f"VolatileKeyPermission {value:02X} is off, but not clean."
            yield Finding(Level.INFO, Rule.VOLATILE_KEY_PERMISSION, byte, message, "Write 00.")
        return
    if Allow.VOLATILE_KEY_PERMISSION not in product.allowed:
        message = f"VolatileKeyPermission is on with slot {value & 0xF}."
        yield _not_named(Allow.VOLATILE_KEY_PERMISSION, Rule.VOLATILE_KEY_PERMISSION, byte, message)
    if not _is_secret_key(zone.slots[value & 0xF]):
        yield Finding(
            Level.ERROR,
            Rule.VOLATILE_KEY_PERMISSION,
            byte,
            f"VolatileKeyPermission names slot {value & 0xF}, which holds no secret key for CheckMac.",
            "Name a slot that is secret and not private.",
        )


def _is_secret_key(slot: Slot) -> bool:
    return not slot.private and slot.slot_config.is_secret


def _secure_boot(zone: ConfigZone, product: Product) -> Findings:
    boot = zone.secure_boot
    if not boot.mode:
        if boot.value:
            message = f"SecureBoot {boot.value:04X} is off, but not clean."
            yield Finding(Level.WARNING, Rule.SECURE_BOOT, _SECURE_BOOT, message, "Write 00 00.")
        return
    if Allow.SECURE_BOOT not in product.allowed:
        message = f"SecureBoot is on: mode {boot.mode}, digest slot {boot.digest_slot}, key slot {boot.key_slot}."
        yield _not_named(Allow.SECURE_BOOT, Rule.SECURE_BOOT, _SECURE_BOOT, message)
    yield from _secure_boot_slots(zone, product)


def _secure_boot_slots(zone: ConfigZone, product: Product) -> Findings:
    boot = zone.secure_boot
    key, digest = zone.slots[boot.key_slot], zone.slots[boot.digest_slot]
    if key.private or not key.p256 or key.size < _PUBLIC_KEY_SLOT_SIZE:
        yield Finding(
            Level.ERROR,
            Rule.SECURE_BOOT,
            _SECURE_BOOT,
            f"SecureBoot takes its public key from slot {key.number}, which holds none.",
            "Name a slot from 8 to 15 with KeyType P-256 that is not private.",
        )
    elif key.clear_write and key.number not in product.slots_to_lock:
        yield Finding(
            Level.WARNING,
            Rule.SECURE_BOOT,
            _SECURE_BOOT,
            f"the SecureBoot key in slot {key.number} can be replaced by anyone after the data lock.",
            "Put it on the list of slots to lock.",
        )
    if boot.mode > 1 and (digest.private or (boot.mode == _FULL_SIG and digest.size < _SIGNATURE_SIZE)):
        message = f"SecureBoot stores its digest or signature in slot {digest.number}, which cannot take it."
        yield Finding(Level.ERROR, Rule.SECURE_BOOT, _SECURE_BOOT, message)


def _kdf_iv(zone: ConfigZone) -> Findings:
    if any(zone.kdf_iv):
        byte = memory_map.KDF_IV_LOC
        yield Finding(Level.INFO, Rule.KDF_IV, byte, f"KDF IV fields are {zone.kdf_iv.hex(' ').upper()}.")


def _reserved(zone: ConfigZone) -> Findings:
    for byte in range(memory_map.RESERVED_608.start, memory_map.RESERVED_608.stop):
        if zone.data[byte]:
            message = f"byte {byte} is reserved on a 608 and must be 00, not {zone.data[byte]:02X}."
            yield Finding(Level.ERROR, Rule.RESERVED, byte, message, "Write 00.")


def _count_match(zone: ConfigZone, product: Product) -> Findings:
    if not zone.count_match_enabled:
        return
    byte, slot = memory_map.COUNT_MATCH, zone.slots[zone.count_match_slot]
    if Allow.COUNT_MATCH not in product.allowed:
        message = f"CountMatch is on with its limit in slot {slot.number} (55 is OTPmode of a 508A table)."
        yield _not_named(Allow.COUNT_MATCH, Rule.COUNT_MATCH, byte, message)
    if slot.private or not product.gets_value(slot):
        yield Finding(
            Level.ERROR,
            Rule.COUNT_MATCH,
            byte,
            f"CountMatch takes its limit from slot {slot.number}, which never gets one.",
            "Write the limit there, twice as a 32-bit number, before the data lock.",
        )


def _chip_options(zone: ConfigZone) -> Findings:
    options = zone.chip_options
    if options.reserved:
        message = f"ChipOptions bits 7-4 are reserved and not 0 ({options.value:04X})."
        yield Finding(Level.WARNING, Rule.RESERVED, _CHIP_OPTIONS, message, "Clear them.")
    if options.power_on_self_test:
        message = "ChipOptions bit 0: the chip tests itself after power-on, and the first wake is slow."
        yield Finding(Level.WARNING, Rule.CHIP_OPTIONS, _CHIP_OPTIONS, message)
    encrypted = _ENCRYPTED_OUTPUT in (options.ecdh_protection, options.kdf_protection)
    if encrypted and not options.io_protection:
        yield Finding(
            Level.ERROR,
            Rule.CHIP_OPTIONS,
            _CHIP_OPTIONS,
            "ChipOptions demand encrypted output, but the IO protection key is off: ECDH or KDF can give nothing.",
            "Set bit 1 and name its slot, or choose another protection.",
        )


def _io_protection(zone: ConfigZone, product: Product) -> Findings:
    if not zone.chip_options.io_protection:
        return
    slot = zone.slots[zone.chip_options.io_key_slot]
    if not _is_secret_key(slot) or not product.gets_value(slot):
        yield Finding(
            Level.ERROR,
            Rule.IO_PROTECTION_KEY,
            _CHIP_OPTIONS,
            f"the IO protection key is slot {slot.number}, which cannot hold a secret or never gets one.",
            "Name a slot that is secret, not private, and written before the data lock or always writable.",
        )
