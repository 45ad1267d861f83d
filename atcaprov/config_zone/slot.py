"""SlotConfig and KeyConfig of one slot as typed views of their 16 bits.

Source: DS20005927A (ATECC508A), tables of SlotConfig and KeyConfig; the ATECC608 meanings from AN3539 and the public
cryptoauthlib sources.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from atcaprov.chip import memory_map
from atcaprov.errors import Code, UsageError

_WORD_MAX = 0xFFFF


class WriteRule(enum.StrEnum):
    """What the Write command may do to a data slot after the data lock (SlotConfig bits 15-12)."""

    ALWAYS = "always"
    WHILE_INVALID = "while-invalid"  # the stored public key is not validated
    NEVER = "never"
    ENCRYPTED = "encrypted"


class DeriveRule(enum.StrEnum):
    """What the DeriveKey command may do to a data slot (SlotConfig bits 13-12)."""

    OFF = "off"
    ROLL = "roll"  # the parent is the slot itself
    CREATE = "create"  # the parent is the slot of WriteKey


class ReadRule(enum.StrEnum):
    """What the Read command returns of a data slot after the data lock (SlotConfig bits 7 and 6)."""

    CLEAR = "clear"
    NEVER = "never"
    ENCRYPTED = "encrypted"
    ILLEGAL = "illegal"  # EncryptRead without IsSecret


_READ_RULES = {
    (False, False): ReadRule.CLEAR,
    (False, True): ReadRule.ILLEGAL,
    (True, False): ReadRule.NEVER,
    (True, True): ReadRule.ENCRYPTED,
}


def _check_word(name: str, value: int) -> None:
    if not 0 <= value <= _WORD_MAX:
        raise UsageError(f"{name} has 16 bits; {value} does not fit.", code=Code.CONFIG_ZONE_INVALID)


@dataclass(frozen=True, slots=True)
class SlotConfig:
    """One SlotConfig word (0 to FFFF). Bits 3-0 and 15-12 have different meanings for a private key and for data."""

    value: int

    def __post_init__(self) -> None:
        _check_word("SlotConfig", self.value)

    def bit(self, number: int) -> bool:
        """Return one bit of the word."""
        return bool(self.value >> number & 1)

    # Bits 3-0 of a private key.
    @property
    def external_sign(self) -> bool:
        """Private key: signs digests that the host loads."""
        return self.bit(0)

    @property
    def internal_sign(self) -> bool:
        """Private key: signs messages that the chip makes itself (GenDig, GenKey)."""
        return self.bit(1)

    @property
    def ecdh(self) -> bool:
        """Private key: ECDH is allowed."""
        return self.bit(2)

    @property
    def ecdh_to_partner(self) -> bool:
        """Private key: the ECDH result goes to the partner slot, not to the bus; meaningless if ECDH is off."""
        return self.bit(3)

    # Bits 3-0 of data, symmetric keys and public keys.
    @property
    def read_key(self) -> int:
        """Slot of the key that encrypts reads; of a validated public key, the slot of its validating parent."""
        return self.value & 0xF

    @property
    def no_mac(self) -> bool:
        """The key only verifies: MAC and HMAC refuse it."""
        return self.bit(4)

    @property
    def limited_use(self) -> bool:
        """Each use advances Counter 0."""
        return self.bit(5)

    @property
    def encrypt_read(self) -> bool:
        """Reads are encrypted under the key of `read_key`."""
        return self.bit(6)

    @property
    def is_secret(self) -> bool:
        """No clear reads, and no 4-byte access."""
        return self.bit(7)

    @property
    def write_key(self) -> int:
        """Slot of the key for encrypted Write or PrivWrite, and the parent of DeriveKey-create."""
        return self.value >> 8 & 0xF

    @property
    def write_config(self) -> int:
        """Bits 15-12 as a number."""
        return self.value >> 12

    @property
    def gen_key(self) -> bool:
        """Private key: GenKey may make a new key after the data lock."""
        return self.bit(13)

    @property
    def priv_write(self) -> bool:
        """Private key: PrivWrite may write a key after the data lock, encrypted under `write_key`."""
        return self.bit(14)

    @property
    def write(self) -> WriteRule:
        """Data: what Write may do after the data lock."""
        if self.bit(14):
            return WriteRule.ENCRYPTED
        if self.write_config == 0:
            return WriteRule.ALWAYS
        return WriteRule.WHILE_INVALID if self.write_config == 1 else WriteRule.NEVER

    @property
    def read(self) -> ReadRule:
        """Data: what Read gives after the data lock."""
        return _READ_RULES[self.is_secret, self.encrypt_read]

    @property
    def derive(self) -> DeriveRule:
        """Data: what DeriveKey may do."""
        if not self.bit(13):
            return DeriveRule.OFF
        return DeriveRule.CREATE if self.bit(12) else DeriveRule.ROLL

    @property
    def derive_needs_mac(self) -> bool:
        """DeriveKey must carry an authorizing MAC."""
        return self.bit(15)


@dataclass(frozen=True, slots=True)
class KeyConfig:
    """One KeyConfig word (0 to FFFF)."""

    value: int

    def __post_init__(self) -> None:
        _check_word("KeyConfig", self.value)

    def bit(self, number: int) -> bool:
        """Return one bit of the word."""
        return bool(self.value >> number & 1)

    @property
    def private(self) -> bool:
        """The slot holds an ECC private key."""
        return self.bit(0)

    @property
    def pub_info(self) -> bool:
        """Private: its public key may be computed. Public key: used only if validated. Data on a 608: KDF target."""
        return self.bit(1)

    @property
    def key_type(self) -> int:
        """4 P-256, 6 AES (ATECC608), 7 anything else; the rest is reserved."""
        return self.value >> 2 & 7

    @property
    def lockable(self) -> bool:
        """The Lock command may seal this slot alone."""
        return self.bit(5)

    @property
    def req_random(self) -> bool:
        """TempKey used with this key must come from a random Nonce."""
        return self.bit(6)

    @property
    def req_auth(self) -> bool:
        """CheckMac on `auth_key` must come first, before each use."""
        return self.bit(7)

    @property
    def auth_key(self) -> int:
        """Slot of the key that authorizes, if `req_auth`."""
        return self.value >> 8 & 0xF

    @property
    def persistent_disable(self) -> bool:
        """608: unusable while the persistent latch is 0. 508A: IntrusionDisable."""
        return self.bit(12)

    @property
    def reserved(self) -> bool:
        """Bit 13; must be 0."""
        return self.bit(13)

    @property
    def x509_id(self) -> int:
        """Which X509format byte governs validation."""
        return self.value >> 14


@dataclass(frozen=True, slots=True)
class Slot:
    """One slot: its number, its two words, and whether SlotLocked leaves it unlocked."""

    number: int
    slot_config: SlotConfig
    key_config: KeyConfig
    open: bool

    @property
    def size(self) -> int:
        """Bytes of the slot."""
        return memory_map.SLOT_SIZES[self.number]

    @property
    def slot_config_byte(self) -> int:
        """Offset of SlotConfig in the zone."""
        return memory_map.SLOT_CONFIG + 2 * self.number

    @property
    def key_config_byte(self) -> int:
        """Offset of KeyConfig in the zone."""
        return memory_map.KEY_CONFIG + 2 * self.number

    @property
    def private(self) -> bool:
        """It holds an ECC private key."""
        return self.key_config.private

    @property
    def p256(self) -> bool:
        """It holds a P-256 key, private or public."""
        return self.key_config.key_type == memory_map.KEY_TYPE_P256

    @property
    def clear_read(self) -> bool:
        """Anyone on the bus can read it after the data lock."""
        return not self.private and self.slot_config.read is ReadRule.CLEAR

    @property
    def clear_write(self) -> bool:
        """Anyone on the bus can write it after the data lock, until it is slot-locked.

        WHILE_INVALID protects only what can become valid: a public key with PubInfo.
        """
        can_be_valid = self.p256 and self.key_config.pub_info
        open_rules = (WriteRule.ALWAYS,) if can_be_valid else (WriteRule.ALWAYS, WriteRule.WHILE_INVALID)
        return not self.private and self.slot_config.write in open_rules

    @property
    def ecdh_partner(self) -> int:
        """Slot that takes the ECDH result; for an odd slot the slot itself (as cryptoauthlib computes it)."""
        return self.number | 1
