"""SlotConfig and KeyConfig out of named fields."""

from __future__ import annotations

from typing import Final

from atcaprov.chip import memory_map
from atcaprov.config_zone.toml_fields import NamedFields, field_error

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
"""ReadKey and WriteKey where no key is named; not 0, which would let CheckMac copy the slot."""


def build_slot(fields: NamedFields) -> tuple[int, int]:
    """Return SlotConfig and KeyConfig (16 bits each) of a slot described by named fields.

    Raises:
        UsageError: a field is unknown, of the wrong kind, or contradicts another (code config-zone-invalid).
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
            raise field_error(fields.key("derive_needs_mac"), "has no meaning without derive.")
        return write
    if write in _NO_DERIVE_WITH:
        raise field_error(fields.key("derive"), "goes with write = 'never' or 'encrypted' only.")
    return write & _WRITE["encrypted"] | derive | needs_mac << 3


def _key_config(fields: NamedFields, *, private: bool) -> int:
    key_type = fields.choice("key_type", _KEY_TYPES, default="p256" if private else "other")
    pub_info = fields.flag("public_key", default=True) if private else fields.flag("pub_info")
    value = pub_info << 1 | key_type << 2 | fields.flag("lockable") << 5 | fields.flag("req_random") << 6
    auth_key = fields.optional_slot("auth_key")
    if auth_key is not None:
        value |= 1 << 7 | auth_key << 8
    return value | fields.flag("persistent_disable") << 12 | fields.number("x509_id", most=3) << 14
