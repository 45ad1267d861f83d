"""Explain a configuration zone in words: each field, and what each slot holds and allows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from atcaprov.chip import memory_map
from atcaprov.config_zone.slot import DeriveRule, ReadRule, Slot, WriteRule
from atcaprov.config_zone.zone import ConfigZone, Part, address_text
from atcaprov.config_zone.zone_fields import CLOCK_DIVIDERS, ChipOptions, decode_counter

_SECURE_BOOT_MODES: Final = ("off", "FullBoth", "FullSig", "FullDig")
_PROTECTION: Final = ("in clear", "encrypted only", "into TempKey or a slot only", "forbidden")
_READS: Final = {ReadRule.CLEAR: "clear read", ReadRule.NEVER: "never read", ReadRule.ILLEGAL: "unreadable (illegal)"}
_OTP_MODES: Final = {0xAA: "OTP read-only", 0x55: "OTP consumption"}


@dataclass(frozen=True, slots=True)
class FieldText:
    """One field of the zone: its first byte, its name, its bytes in hex, its meaning."""

    byte: int
    name: str
    value: str
    meaning: str


def explain_slot(slot: Slot) -> str:
    """Return in one line what a slot is and what it allows after the data lock."""
    parts = _private_key(slot) if slot.private else _data(slot)
    return "; ".join([*parts, *_common(slot)])


def slot_table(zone: ConfigZone) -> list[str]:
    """Return the 16 slots as lines of a table, with its heading first."""
    head = "slot  SlotConfig  KeyConfig  after the data lock"
    return [head, *(f"{slot.number:4}  {_words(slot)}       {explain_slot(slot)}" for slot in zone.slots)]


def _words(slot: Slot) -> str:
    return f"{slot.slot_config.value:04X}        {slot.key_config.value:04X}"


def _private_key(slot: Slot) -> list[str]:
    config = slot.slot_config
    kind = "P-256 private key" if slot.p256 else f"private key of KeyType {slot.key_config.key_type} (unusable)"
    uses = ["external signatures"] * config.external_sign + ["internal signatures"] * config.internal_sign
    if config.ecdh:
        uses.append(f"ECDH into slot {slot.ecdh_partner}" if config.ecdh_to_partner else "ECDH in clear")
    ways = ["by GenKey"] * config.gen_key + [f"by PrivWrite under slot {config.write_key}"] * config.priv_write
    parts = [f"{kind}: {', '.join(uses) or 'no use'}", f"replaced {' or '.join(ways)}" if ways else "fixed"]
    return parts if slot.key_config.pub_info else [*parts, "public key hidden"]


def _data(slot: Slot) -> list[str]:
    config = slot.slot_config
    parts = [_kind(slot), _READS.get(config.read, f"read encrypted under slot {config.read_key}"), _write(slot)]
    if config.derive is not DeriveRule.OFF:
        parent = f"from slot {config.write_key}" if config.derive is DeriveRule.CREATE else "from itself"
        parts.append(f"DeriveKey {parent}{' with a MAC' if config.derive_needs_mac else ''}")
    if config.no_mac:
        parts.append("only verifies (NoMac)")
    if slot.key_config.pub_info and not slot.p256:
        parts.append("KDF may write it")
    return parts


def _kind(slot: Slot) -> str:
    if slot.p256:
        if slot.key_config.pub_info:
            return f"P-256 public key validated by slot {slot.slot_config.read_key}"
        return "P-256 public key"
    if slot.key_config.key_type == memory_map.KEY_TYPE_AES:
        return "AES key"
    if slot.key_config.key_type != memory_map.KEY_TYPE_OTHER:
        return f"data of KeyType {slot.key_config.key_type} (reserved)"
    return "secret" if slot.slot_config.is_secret else f"data, {slot.size} bytes"


def _write(slot: Slot) -> str:
    rule = slot.slot_config.write
    if rule is WriteRule.ENCRYPTED:
        return f"written encrypted under slot {slot.slot_config.write_key}"
    return {
        WriteRule.ALWAYS: "always writable",
        WriteRule.WHILE_INVALID: "writable while invalid",
        WriteRule.NEVER: "never written",
    }[rule]


def _common(slot: Slot) -> list[str]:
    config = slot.key_config
    parts = ["limited use"] * slot.slot_config.limited_use + ["random nonce required"] * config.req_random
    if config.req_auth:
        parts.append(f"authorized by slot {config.auth_key}")
    parts += ["disabled while the latch is 0"] * config.persistent_disable
    parts += ["lockable"] * config.lockable
    return parts if slot.open else [*parts, "sealed"]


def explain_fields(zone: ConfigZone, part: Part) -> list[FieldText]:
    """Return the fields of the whole zone with their meaning on `part`; without the slots."""
    options = _chip_options(zone.chip_options) if part.is_608 else "must be 00"
    x509 = "certificate form checked" if any(zone.x509_format) else "no check"
    return [
        _field(zone, "I2C_Address", 16, 1, f"address {address_text(zone.i2c_address)}"),
        _count_match(zone, part),
        _field(zone, "ChipMode", 19, 1, _chip_mode(zone, part)),
        *(_counter(zone, number) for number in range(len(zone.counters))),
        *(_fields_608(zone) if part.is_608 else [_field(zone, "LastKeyUse", 68, 16, "uses left of slot 15")]),
        _field(zone, "UserExtra", 84, 1, "set by UpdateExtra only"),
        _field(zone, "UserExtraAdd" if part.is_608 else "Selector", 85, 1, "set by UpdateExtra only"),
        _field(zone, "SlotLocked", 88, 2, _slot_locked(zone)),
        _field(zone, "ChipOptions" if part.is_608 else "reserved", 90, 2, options),
        _field(zone, "X509format", 92, 4, x509),
    ]


def _field(zone: ConfigZone, name: str, byte: int, size: int, meaning: str) -> FieldText:
    return FieldText(byte, name, zone.data[byte : byte + size].hex().upper(), meaning)


def _count_match(zone: ConfigZone, part: Part) -> FieldText:
    if not part.is_608:
        return _field(zone, "OTPmode", 18, 1, _OTP_MODES.get(zone.count_match, "not published"))
    meaning = f"on, limit in slot {zone.count_match_slot}" if zone.count_match_enabled else "off"
    return _field(zone, "CountMatch", 18, 1, meaning)


def _chip_mode(zone: ConfigZone, part: Part) -> str:
    mode = zone.chip_mode
    once = "byte 85, once set, is the I2C address" if part.is_608 else "Selector can be written once"
    parts = [once] * mode.user_extra_address
    parts.append("input levels follow VCC" if mode.ttl_levels else "fixed input levels")
    parts.append("watchdog 10 s" if mode.long_watchdog else "watchdog 1.3 s")
    if part.is_608:
        parts.append(f"clock {CLOCK_DIVIDERS.get(mode.clock_divider, 'divider not published')}")
    return ", ".join(parts)


def _counter(zone: ConfigZone, number: int) -> FieldText:
    value = decode_counter(zone.counters[number])
    byte = memory_map.COUNTERS.start + 8 * number
    return _field(zone, f"Counter {number}", byte, 8, "no count" if value is None else f"stands at {value}")


def _fields_608(zone: ConfigZone) -> list[FieldText]:
    boot, permission = zone.secure_boot, zone.volatile_key_permission
    boot_text = _SECURE_BOOT_MODES[boot.mode]
    if boot.mode:
        boot_text += f", digest slot {boot.digest_slot}, key slot {boot.key_slot}"
        boot_text += ", sets the latch" * boot.persistent + ", random nonce required" * boot.random_nonce
    use_lock = f"on for slot {zone.use_lock >> 4}" if zone.use_lock & 0xF == 0xA else "off"
    volatile = f"on with slot {permission & 0xF}" if zone.volatile_key_permission_enabled else "off"
    return [
        _field(zone, "UseLock", 68, 1, use_lock),
        _field(zone, "VolatileKeyPermission", 69, 1, volatile),
        _field(zone, "SecureBoot", 70, 2, boot_text),
        _field(zone, "KdfIvLoc", 72, 1, f"place of the special IV in the message: byte {zone.kdf_iv[0]}"),
        _field(zone, "KdfIvStr", 73, 2, "the special IV of KDF"),
        _field(zone, "reserved", 75, 9, "must be 00"),
    ]


def _slot_locked(zone: ConfigZone) -> str:
    sealed = [str(slot.number) for slot in zone.slots if not slot.open]
    return f"sealed: {', '.join(sealed)}" if sealed else "every slot open"


def _chip_options(options: ChipOptions) -> str:
    parts = ["power-on self test"] * options.power_on_self_test
    if options.io_protection:
        parts.append(f"IO protection key in slot {options.io_key_slot}")
    parts += ["KDF with AES"] * options.kdf_aes + ["health failure clears itself"] * options.clear_health_failure
    if options.ecdh_protection:
        parts.append(f"ECDH output {_PROTECTION[options.ecdh_protection]}")
    if options.kdf_protection:
        parts.append(f"KDF output {_PROTECTION[options.kdf_protection]}")
    return ", ".join(parts) or "nothing enabled"
