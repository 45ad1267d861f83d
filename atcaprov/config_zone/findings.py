"""The findings of a check, and the description of the product that it needs."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass, field

from atcaprov.config_zone.slot import Slot
from atcaprov.config_zone.zone import Part


class Level(enum.StrEnum):
    """Severity of a finding: an error would harm the chip or the run, and stops it."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


class Rule(enum.StrEnum):
    """Stable name of each rule; docs/reference/config-zone-checks.md says what each one looks for."""

    # The zone as a whole
    TABLE_OF_508A = "table-of-508a"
    RESERVED = "reserved"
    I2C_ADDRESS = "i2c-address"
    I2C_ADDRESS_ONCE = "i2c-address-once"
    OTP_MODE = "otp-mode"
    COUNT_MATCH = "count-match"
    CLOCK_DIVIDER = "clock-divider"
    LONG_WATCHDOG = "long-watchdog"
    INPUT_LEVELS = "input-levels"
    COUNTER_START = "counter-start"
    SLOT_LOCKED = "slot-locked"
    USER_EXTRA = "user-extra"
    X509_FORMAT = "x509-format"
    # Features of the ATECC608
    USE_LOCK = "use-lock"
    VOLATILE_KEY_PERMISSION = "volatile-key-permission"
    SECURE_BOOT = "secure-boot"
    KDF_IV = "kdf-iv"
    CHIP_OPTIONS = "chip-options"
    IO_PROTECTION_KEY = "io-protection-key"
    LAST_KEY_USE = "last-key-use"
    # Each slot
    KEY_TYPE = "key-type"
    KEY_CONFIG = "key-config"
    PRIVATE_KEY = "private-key"
    PRIVATE_KEY_EMPTY = "private-key-empty"
    ECDH_PARTNER = "ecdh-partner"
    PUBLIC_KEY_SIZE = "public-key-size"
    ENCRYPTED_ACCESS = "encrypted-access"
    READ_KEY_ZERO = "read-key-zero"
    OPEN_SECRET = "open-secret"  # noqa: S105 - a rule, not a secret
    UNWRITTEN_SECRET = "unwritten-secret"  # noqa: S105 - a rule, not a secret
    KDF_TARGET = "kdf-target"
    LIMITED_USE = "limited-use"
    PERSISTENT_DISABLE = "persistent-disable"
    KEY_REFERENCE = "key-reference"
    # The product
    DEVICE_KEY = "device-key"
    DEVICE_KEY_REPLACEABLE = "device-key-replaceable"
    CERTIFICATE_SLOT = "certificate-slot"
    CERTIFICATE_REPLACEABLE = "certificate-replaceable"
    SLOT_TO_LOCK = "slot-to-lock"


class Allow(enum.StrEnum):
    """Settings that are refused unless the product allows them."""

    I2C_ADDRESS = "i2c-address"
    COUNT_MATCH = "count-match"
    USE_LOCK = "use-lock"
    VOLATILE_KEY_PERMISSION = "volatile-key-permission"
    SECURE_BOOT = "secure-boot"


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding: where (byte of the zone, and slot if it concerns one), what, and what to do."""

    level: Level
    rule: Rule
    byte: int
    message: str
    advice: str = ""
    slot: int | None = None

    def __str__(self) -> str:
        return f"{self.level}: byte {self.byte}: {self.message} {self.advice}".rstrip()


Findings = Iterator[Finding]


@dataclass(frozen=True)
class Product:
    """What the product needs of the zone.

    `device_key_slot` None: no device key is made. `certificate_slots`: data slots that take certificates and public
    keys of the chain, 72 bytes each. `slots_to_lock`: locked one by one after the data lock. `written_slots`: data
    slots that get their value before the data lock; None if that is not known.
    """

    part: Part = Part.ATECC608
    device_key_slot: int | None = 0
    certificate_slots: frozenset[int] = frozenset()
    slots_to_lock: frozenset[int] = frozenset()
    written_slots: frozenset[int] | None = None
    allowed: frozenset[Allow] = field(default_factory=frozenset)

    def gets_value(self, slot: Slot) -> bool:
        """Tell whether a data slot gets a value before the data lock or can get one after it."""
        after = slot.open and (slot.clear_write or slot.slot_config.bit(14) or slot.slot_config.bit(13))
        return self.written_slots is None or slot.number in self.written_slots or after


def slot_finding(level: Level, rule: Rule, slot: Slot, message: str, advice: str = "", *, key: bool = False) -> Finding:
    """Return a finding about a slot, at its SlotConfig, or with `key` at its KeyConfig."""
    byte = slot.key_config_byte if key else slot.slot_config_byte
    return Finding(level, rule, byte, f"slot {slot.number} {message}", advice, slot.number)
