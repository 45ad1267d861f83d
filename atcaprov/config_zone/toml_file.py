"""A configuration zone in TOML: build its 128 bytes from named fields.

The document has `part`, a table `chip` with the fields of the whole zone, and a table `slots` whose keys are a slot, a
range or a list of them ("5", "2-4", "5-7,9"). All 16 slots must be described: no setting of the chip is left open.
docs/reference/config-zone-files.md lists every field.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from atcaprov.bounded_reading import MalformedError, parse_toml
from atcaprov.chip import memory_map
from atcaprov.config_zone.toml_fields import NamedFields, field_error
from atcaprov.config_zone.zone import Part
from atcaprov.config_zone.zone_fields import CLOCK_DIVIDERS, COUNTER_MAX, encode_counter
from atcaprov.errors import Code, UsageError

_PARTS: Final = {part.value: index for index, part in enumerate(Part)}
_LEVELS: Final = {"fixed": 0, "vcc": 1}
_WATCHDOG: Final = {"short": 0, "long": 1}
_CLOCKS: Final = {name: divider for divider, name in CLOCK_DIVIDERS.items()}
_OTP_MODES: Final = {"read-only": 0xAA, "consumption": 0x55}
_SECURE_BOOT: Final = {"off": 0, "full-both": 1, "full-sig": 2, "full-dig": 3}
_OUTPUT: Final = {"clear": 0, "encrypted": 1, "slot": 2, "forbidden": 3}


@dataclass(frozen=True)
class TomlZone:
    """The 128 bytes that a TOML document describes, its title, and the purpose of each slot that has one."""

    data: bytes
    title: str
    purposes: Mapping[int, str]


def read_toml(text: str) -> TomlZone:
    """Return the zone that a TOML document describes; see `build`.

    Raises:
        UsageError: not TOML, or not a zone (code config-zone-invalid).
    """
    try:
        document = parse_toml(text)
    except MalformedError as error:
        raise UsageError(f"The TOML is not valid: {error}.", code=Code.CONFIG_ZONE_INVALID) from error
    data = build(document)
    purposes = {
        number: str(table["purpose"])
        for name, table in document["slots"].items()
        if "purpose" in table
        for number in _numbers("slots", name)
    }
    return TomlZone(data, str(document.get("title", "")), purposes)


def build_toml(text: str) -> bytes:
    """Return the 128 bytes that a TOML document describes; see `read_toml`."""
    return read_toml(text).data


def build(document: Mapping[str, Any]) -> bytes:
    """Return the 128 bytes of the zone; bytes 0-15 are zero, and 86-87 mean "unlocked" as on a new chip.

    Raises:
        UsageError: a field is unknown, missing, of the wrong type, or contradicts another (code config-zone-invalid).
    """
    fields = NamedFields("", document)
    fields.text("title")
    part = list(Part)[fields.choice("part", _PARTS, default=Part.ATECC608.value)]
    zone = bytearray(memory_map.CONFIG_SIZE)
    zone[memory_map.LOCK_VALUE] = zone[memory_map.LOCK_CONFIG] = memory_map.UNLOCKED
    zone[memory_map.SLOT_LOCKED] = b"\xff\xff"
    chip = fields.table("chip")
    _shared(zone, chip)
    _fields_608(zone, chip) if part.is_608 else _fields_508a(zone, chip)
    chip.finish()
    _slots(zone, fields.table("slots"))
    fields.finish()
    return bytes(zone)


def _shared(zone: bytearray, chip: NamedFields) -> None:
    zone[memory_map.I2C_ADDRESS] = chip.number("i2c_address", default=0xC0)
    mode = chip.flag("byte_85_once") | chip.choice("input_levels", _LEVELS, default="fixed") << 1
    zone[memory_map.CHIP_MODE] = mode | chip.choice("watchdog", _WATCHDOG, default="short") << 2
    zone[memory_map.USER_EXTRA] = chip.number("user_extra")
    zone[memory_map.USER_EXTRA_ADD] = chip.number("byte_85")
    counters = (chip.number(f"counter_{number}", most=COUNTER_MAX) for number in range(2))
    zone[memory_map.COUNTERS] = b"".join(encode_counter(value) for value in counters)
    zone[memory_map.X509_FORMAT] = chip.hex_bytes("x509_format", 4)


def _fields_508a(zone: bytearray, chip: NamedFields) -> None:
    zone[memory_map.COUNT_MATCH] = chip.choice("otp_mode", _OTP_MODES, default="read-only")
    zone[memory_map.FIELDS_608] = b"\xff" * 16


def _fields_608(zone: bytearray, chip: NamedFields) -> None:
    zone[memory_map.CHIP_MODE] |= chip.choice("clock", _CLOCKS, default="M0") << 3
    count_match = chip.optional_slot("count_match_slot")
    if count_match is not None:
        zone[memory_map.COUNT_MATCH] = count_match << 4 | 1
    permission = chip.optional_slot("volatile_key_permission_slot")
    if permission is not None:
        zone[memory_map.VOLATILE_KEY_PERMISSION] = permission | 0x80
    zone[memory_map.SECURE_BOOT] = _secure_boot(chip.table("secure_boot")).to_bytes(2, "little")
    zone[memory_map.KDF_IV_LOC] = chip.number("kdf_iv_loc")
    zone[memory_map.KDF_IV_STR] = chip.hex_bytes("kdf_iv", 2)
    zone[memory_map.CHIP_OPTIONS] = _chip_options(chip).to_bytes(2, "little")


def _secure_boot(fields: NamedFields) -> int:
    value = fields.choice("mode", _SECURE_BOOT, default="off")
    value |= fields.flag("persistent") << 3 | fields.flag("random_nonce") << 4
    value |= fields.slot("digest_slot") << 8 | fields.slot("key_slot") << 12
    fields.finish()
    return value


def _chip_options(chip: NamedFields) -> int:
    value = chip.flag("power_on_self_test") | chip.flag("kdf_aes") << 2 | chip.flag("clear_health_failure") << 3
    value |= chip.choice("ecdh_output", _OUTPUT, default="clear") << 8
    value |= chip.choice("kdf_output", _OUTPUT, default="clear") << 10
    io_key = chip.optional_slot("io_protection_key_slot")
    return value if io_key is None else value | 1 << 1 | io_key << 12


def _slots(zone: bytearray, tables: NamedFields) -> None:
    described: dict[int, str] = {}
    for name, table in tables.tables().items():
        path = tables.key(name)
        slot_config, key_config = build_slot(NamedFields(path, table))
        for number in _numbers(path, name):
            if number in described:
                raise field_error(path, f"describes slot {number}, but {described[number]} already does.")
            described[number] = path
            _put(zone, memory_map.SLOT_CONFIG + 2 * number, slot_config)
            _put(zone, memory_map.KEY_CONFIG + 2 * number, key_config)
    missing = [str(number) for number in range(memory_map.SLOT_COUNT) if number not in described]
    if missing:
        raise field_error(
            "slots", f"slots {', '.join(missing)} are not described.", "Describe all 16; locks are permanent."
        )


def _put(zone: bytearray, byte: int, word: int) -> None:
    zone[byte : byte + 2] = word.to_bytes(2, "little")


def _numbers(path: str, name: str) -> list[int]:
    numbers: list[int] = []
    for part in name.split(","):
        first, dash, last = part.strip().partition("-")
        bounds = [first, last] if dash else [first]
        if not all(bound.isascii() and bound.isdigit() and int(bound) < memory_map.SLOT_COUNT for bound in bounds):
            raise field_error(path, "is not a slot (0 to 15), a range such as 2-4, or a list such as 5-7,9.")
        numbers += range(int(first), int(last if dash else first) + 1)
    if not numbers:
        raise field_error(path, "names no slot.")
    return numbers


_KEY_TYPES: Final = {
    "p256": memory_map.KEY_TYPE_P256,
    "aes": memory_map.KEY_TYPE_AES,
    "other": memory_map.KEY_TYPE_OTHER,
}
_ECDH: Final = {"off": 0b0000, "clear": 0b0100, "partner-slot": 0b1100}
_READ: Final = {"clear": 0, "never": 0x80, "encrypted": 0xC0}
_WRITE: Final = {"always": 0b0000, "while-invalid": 0b0001, "never": 0b1000, "encrypted": 0b0100}
_DERIVE: Final = {"off": 0b0000, "roll": 0b0010, "create": 0b0011}
_NO_DERIVE_WITH: Final = (_WRITE["always"], _WRITE["while-invalid"])
_NO_KEY: Final = 0xF
"""ReadKey and WriteKey if no key is named; 0 would let CheckMac copy the slot."""


def build_slot(fields: NamedFields) -> tuple[int, int]:
    """Return SlotConfig and KeyConfig (16 bits each) of a slot described by named fields.

    Raises:
        UsageError: a field is unknown, of the wrong type, or contradicts another (code config-zone-invalid).
    """
    fields.text("purpose")
    private = fields.flag("private")
    slot_config = _private_key(fields) if private else _data(fields)
    slot_config |= fields.flag("limited_use") << 5
    key_config = private | _key_config(fields, private=private)
    fields.finish()
    return slot_config, key_config


def _private_key(fields: NamedFields) -> int:
    uses = fields.flag("external_sign") | fields.flag("internal_sign") << 1
    uses |= fields.choice("ecdh", _ECDH, default="off")
    replaced = fields.flag("gen_key_after_lock") << 13
    writer = fields.optional_slot("priv_write_key")
    if writer is not None:
        replaced |= 1 << 14 | writer << 8
    return replaced | 1 << 7 | uses


def _data(fields: NamedFields) -> int:
    read = fields.choice("read", _READ, default="clear")
    if read == _READ["encrypted"] and not fields.has("read_key"):
        raise field_error(fields.key("read_key"), "is missing; encrypted reads need a key.")
    write = _write_config(fields)
    keys = fields.slot("write_key", default=_NO_KEY) << 8 | fields.slot("read_key", default=_NO_KEY)
    return write << 12 | keys | read | fields.flag("verify_only") << 4


def _write_config(fields: NamedFields) -> int:
    write = fields.choice("write", _WRITE, default="never")
    derive = fields.choice("derive", _DERIVE, default="off")
    needs_mac = fields.flag("derive_needs_mac")
    if (write == _WRITE["encrypted"] or derive == _DERIVE["create"]) and not fields.has("write_key"):
        raise field_error(fields.key("write_key"), "is missing; encrypted writes and derive = 'create' need a key.")
    if not derive:
        if needs_mac:
            raise field_error(fields.key("derive_needs_mac"), "is allowed only together with derive.")
        return write
    if write in _NO_DERIVE_WITH:
        raise field_error(fields.key("derive"), "is allowed only with write = 'never' or 'encrypted'.")
    return write & _WRITE["encrypted"] | derive | needs_mac << 3


def _key_config(fields: NamedFields, *, private: bool) -> int:
    key_type = fields.choice("key_type", _KEY_TYPES, default="p256" if private else "other")
    pub_info = fields.flag("public_key", default=True) if private else fields.flag("pub_info")
    value = pub_info << 1 | key_type << 2 | fields.flag("lockable") << 5 | fields.flag("req_random") << 6
    auth_key = fields.optional_slot("auth_key")
    if auth_key is not None:
        value |= 1 << 7 | auth_key << 8
    return value | fields.flag("persistent_disable") << 12 | fields.number("x509_id", most=3) << 14
