"""Build the zone that `mos atca-get-config` describes, as YAML or JSON: its model of the ATECC508A.

Source of the fields and their byte orders: package atca of the Mongoose OS tool mos, and
fw/tools/atca-test-config.yaml of cesanta/mongoose-os. Counters are numbers in big-endian order, SlotLocked in
little-endian order. Every field must be there, and no other.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any, Final

from atcaprov.chip import memory_map
from atcaprov.config_zone.forms.reading import Reading, form_error, unplaced
from atcaprov.config_zone.forms.simple_yaml import parse_simple_yaml

_KEY_TYPES: Final = {"ECC": memory_map.KEY_TYPE_P256, "NonECC": memory_map.KEY_TYPE_OTHER}
_WATCHDOGS: Final = {"1s": 0, "10s": 1}
_LOCKS: Final = {"Locked": memory_map.LOCKED, "Unlocked": memory_map.UNLOCKED}
_SERIAL_SIZE: Final = 9


def is_mongoose_os(document: object) -> bool:
    """Tell whether a document is meant as the description of a zone by mos."""
    return isinstance(document, dict) and "slotinfo" in {str(key).lower() for key in document}


def read_mongoose_os(text: str, *, accept_112: bool) -> Reading | None:
    """Return the zone that a YAML text of mos describes, None if it is another text; raises UsageError."""
    del accept_112  # it always describes the whole zone
    if not any(line.strip().lower() == "slotinfo:" for line in text.splitlines()):
        return None
    return unplaced("YAML of Mongoose OS", build_mongoose_os(parse_simple_yaml(text)))


def build_mongoose_os(document: Mapping[str, Any]) -> bytes:
    """Return the 128 bytes that a document of mos describes; raises UsageError for a field that does not fit."""
    fields = _Fields("", document)
    zone = bytearray(memory_map.CONFIG_SIZE)
    serial = fields.serial()
    zone[0:4], zone[8:13] = serial[:4], serial[4:]
    zone[memory_map.REVISION] = fields.number("revision", 4, default=0).to_bytes(4, "big")
    zone[13] = fields.number("reserved13", 1)
    zone[14] = fields.flag("i2cenable")
    zone[15] = fields.number("reserved15", 1)
    zone[memory_map.I2C_ADDRESS] = fields.number("i2caddress", 1)
    zone[17] = fields.number("reserved17", 1)
    zone[memory_map.COUNT_MATCH] = fields.number("otpmode", 1)
    zone[memory_map.CHIP_MODE] = _chip_mode(fields.table("chipmode"))
    zone[memory_map.COUNTERS] = b"".join(fields.number(f"counter{n}", 8).to_bytes(8, "big") for n in range(2))
    zone[memory_map.FIELDS_608] = b"".join(fields.number(f"lastkeyuse{n}", 8).to_bytes(8, "big") for n in range(2))
    zone[memory_map.USER_EXTRA] = fields.number("userextra", 1)
    zone[memory_map.USER_EXTRA_ADD] = fields.number("selector", 1)
    zone[memory_map.LOCK_VALUE] = fields.choice("lockvalue", _LOCKS)
    zone[memory_map.LOCK_CONFIG] = fields.choice("lockconfig", _LOCKS)
    zone[memory_map.SLOT_LOCKED] = fields.number("slotlocked", 2).to_bytes(2, "little")
    zone[memory_map.CHIP_OPTIONS] = bytes((fields.number("reserved90", 1), fields.number("reserved91", 1)))
    zone[memory_map.X509_FORMAT] = bytes(map(_x509_format, fields.tables("x509format", 4)))
    for number, slot in enumerate(fields.tables("slotinfo", memory_map.SLOT_COUNT)):
        _put_slot(zone, number, slot)
    fields.finish()
    return bytes(zone)


def _chip_mode(fields: _Fields) -> int:
    mode = fields.flag("selectorwriteonce") | fields.flag("ttlenable") << 1
    mode |= fields.choice("watchdogduration", _WATCHDOGS) << 2
    fields.finish()
    return mode


def _x509_format(fields: _Fields) -> int:
    value = fields.number("publicposition", 1, most=15) | fields.number("templatelength", 1, most=15) << 4
    fields.finish()
    return value


def _put_slot(zone: bytearray, number: int, fields: _Fields) -> None:
    if fields.number("num", 1) != number:
        raise form_error(f"{fields.path}.num must be {number}: slots stand in their order, each once.")
    key_fields = fields.table("keyconfig")
    private = bool(key_fields.flag("private"))
    slot_config = _slot_config(fields.table("slotconfig"), private=private)
    key_config = _key_config(key_fields, private=private)
    fields.finish()
    for start, word in ((memory_map.SLOT_CONFIG, slot_config), (memory_map.KEY_CONFIG, key_config)):
        zone[start + 2 * number : start + 2 * number + 2] = word.to_bytes(2, "little")


def _slot_config(fields: _Fields, *, private: bool) -> int:
    value = _private_uses(fields.table("privatekeyslotconfig")) if private else fields.number("readkey", 1, most=15)
    for bit, name in enumerate(("nomac", "limiteduse", "encryptread", "issecret"), start=4):
        value |= fields.flag(name) << bit
    value |= fields.number("writekey", 1, most=15) << 8 | fields.number("writeconfig", 1, most=15) << 12
    fields.finish()
    return value


def _private_uses(fields: _Fields) -> int:
    names = ("extsignenable", "intsignenable", "ecdhenable", "ecdhtonextslot")
    value = sum(fields.flag(name) << bit for bit, name in enumerate(names))
    fields.finish()
    return value


def _key_config(fields: _Fields, *, private: bool) -> int:
    value = private | fields.flag("pubinfo") << 1 | fields.choice("keytype", _KEY_TYPES) << 2
    for bit, name in enumerate(("lockable", "reqrandom", "reqauth"), start=5):
        value |= fields.flag(name) << bit
    value |= fields.number("authkey", 1, most=15) << 8 | fields.flag("intrusiondisable") << 12
    value |= fields.number("x509id", 1, most=3) << 14
    fields.finish()
    return value


class _Fields:
    """A table of the document; each field must be taken once, and none may be left."""

    def __init__(self, path: str, table: object) -> None:
        if not isinstance(table, dict):
            raise form_error(f"{path or 'the document'} must be a table of fields.")
        self.path = path
        self._left = {str(key).lower(): value for key, value in table.items()}

    def _take(self, name: str) -> Any:
        if name not in self._left:
            raise form_error(f"{self._key(name)} is missing in the description by Mongoose OS.")
        return self._left.pop(name)

    def _key(self, name: str) -> str:
        return f"{self.path}.{name}" if self.path else name

    def number(self, name: str, size: int, *, most: int | None = None, default: int | None = None) -> int:
        value = self._take(name) if default is None or name in self._left else default
        largest = (1 << 8 * size) - 1 if most is None else most
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= largest:
            raise form_error(f"{self._key(name)} must be a number from 0 to {largest}.")
        return value

    def flag(self, name: str) -> int:
        value = self._take(name)
        if not isinstance(value, bool):
            raise form_error(f"{self._key(name)} must be true or false.")
        return int(value)

    def choice(self, name: str, choices: Mapping[str, int]) -> int:
        value = self._take(name)
        if not isinstance(value, str) or value not in choices:
            raise form_error(f"{self._key(name)} must be one of {', '.join(choices)}.")
        return choices[value]

    def table(self, name: str) -> _Fields:
        return _Fields(self._key(name), self._take(name))

    def tables(self, name: str, count: int) -> list[_Fields]:
        value = self._take(name)
        if not isinstance(value, list) or len(value) != count:
            raise form_error(f"{self._key(name)} must be a list of {count}.")
        return [_Fields(f"{self._key(name)}[{number}]", each) for number, each in enumerate(value)]

    def serial(self) -> bytes:
        """Return the serial number, 9 bytes: a list of numbers in YAML, Base64 in JSON, zeros if it is missing."""
        value = self._left.pop("serialnum", None)
        if value is None or value == []:
            return bytes(_SERIAL_SIZE)
        try:
            data = base64.b64decode(value, validate=True) if isinstance(value, str) else bytes(value)
        except (binascii.Error, TypeError, ValueError):
            data = b""
        if len(data) != _SERIAL_SIZE:
            raise form_error(f"{self._key('serialnum')} must have {_SERIAL_SIZE} bytes.")
        return data

    def finish(self) -> None:
        """Refuse fields that are left: the model of the ATECC608 has others, whose bytes would be lost."""
        if self._left:
            raise form_error(
                f"Unknown field {self._key(next(iter(self._left)))}: only the ATECC508A model of Mongoose OS is read.",
                "Write the zone as hex text.",
            )
