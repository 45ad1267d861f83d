"""One slot as its configuration bits describe it, decoded from the bytes each time a command asks.

Bit meanings: DS20005927A for the ATECC508A; the ATECC608 names as in the public cryptoauthlib sources.
"""

from __future__ import annotations

from typing import Final

from atcaprov.chip.memory_map import KEY_CONFIG, KEY_TYPE_P256, SLOT_CONFIG, SLOT_SIZES
from atcaprov.emulator.ecc import compressed, is_scalar, public_key, uncompressed
from atcaprov.emulator.memory import Memory
from atcaprov.emulator.refusal import denied

PUBLIC_KEY_SLOT_SIZE: Final = 72
PRIVATE_KEY_SIZE: Final = 36
_PAD: Final = bytes(4)
UNKNOWN: Final = b"unknown "
"""Fills a twin's slot whose content the real chip did not show."""
_HALF: Final = b"pub"
"""Begins a twin's private slot; behind it is the public key as a compressed point, or zeros if it is not known. No
command of a chip can put these bytes there, as a private key begins with four zeros."""
_COMPRESSED: Final = (2, 3)
VALIDATED: Final = 0x50
INVALIDATED: Final = 0xA0


class MemorySlot:
    """SlotConfig and KeyConfig of one slot, and its content."""

    __slots__ = ("_memory", "key_config", "number", "slot_config")

    def __init__(self, memory: Memory, number: int) -> None:
        self._memory = memory
        self.number = number
        self.slot_config = memory.word(SLOT_CONFIG + 2 * number)
        self.key_config = memory.word(KEY_CONFIG + 2 * number)

    # SlotConfig

    @property
    def read_key(self) -> int:
        """Bits 3-0: the key of encrypted reads, or what a private key may be used for."""
        return self.slot_config & 0x0F

    @property
    def no_mac(self) -> bool:
        """Bit 4: the key is for verification only."""
        return bool(self.slot_config & 0x0010)

    @property
    def limited_use(self) -> bool:
        """Bit 5: each use advances Counter 0."""
        return bool(self.slot_config & 0x0020)

    @property
    def encrypt_read(self) -> bool:
        """Bit 6: reads are encrypted with ReadKey."""
        return bool(self.slot_config & 0x0040)

    @property
    def is_secret(self) -> bool:
        """Bit 7: no clear read, no 4-byte access."""
        return bool(self.slot_config & 0x0080)

    @property
    def write_key(self) -> int:
        """Bits 11-8: the key of encrypted writes, the parent of DeriveKey."""
        return self.slot_config >> 8 & 0x0F

    @property
    def write_config(self) -> int:
        """Bits 15-12."""
        return self.slot_config >> 12

    # KeyConfig

    @property
    def private(self) -> bool:
        """Bit 0: the slot is for an ECC private key."""
        return bool(self.key_config & 0x0001)

    @property
    def pub_info(self) -> bool:
        """Bit 1: the public key may be generated, must be validated, or KDF may write here."""
        return bool(self.key_config & 0x0002)

    @property
    def key_type(self) -> int:
        """Bits 4-2."""
        return self.key_config >> 2 & 0x07

    @property
    def lockable(self) -> bool:
        """Bit 5: the slot can be locked one by one."""
        return bool(self.key_config & 0x0020)

    @property
    def req_random(self) -> bool:
        """Bit 6: TempKey must come from a random nonce."""
        return bool(self.key_config & 0x0040)

    @property
    def req_auth(self) -> bool:
        """Bit 7: AuthKey must have been proven."""
        return bool(self.key_config & 0x0080)

    @property
    def auth_key(self) -> int:
        """Bits 11-8."""
        return self.key_config >> 8 & 0x0F

    @property
    def persistent_disable(self) -> bool:
        """Bit 12: no use while the persistent latch is 0 (ATECC608)."""
        return bool(self.key_config & 0x1000)

    @property
    def x509_id(self) -> int:
        """Bits 15-14: which byte of X509format governs the validation of the public key."""
        return self.key_config >> 14

    # Content

    @property
    def size(self) -> int:
        """Size in bytes."""
        return SLOT_SIZES[self.number]

    @property
    def unlocked(self) -> bool:
        """The SlotLocked bit: False once the slot is permanently locked."""
        return self._memory.slot_unlocked(self.number)

    @property
    def holds_public_key(self) -> bool:
        """Whether the slot is for a P-256 public key: not private, KeyType 4, room for 72 bytes."""
        return not self.private and self.key_type == KEY_TYPE_P256 and self.size >= PUBLIC_KEY_SLOT_SIZE

    @property
    def needs_validation(self) -> bool:
        """Whether the slot's public key must be validated before use (PubInfo 1)."""
        return self.holds_public_key and self.pub_info

    @property
    def validated(self) -> bool:
        """Whether the top nibble of byte 0 says that the public key is validated."""
        return self.read(0, 1)[0] & 0xF0 == VALIDATED

    def read(self, offset: int, count: int) -> bytes:
        """Return up to `count` bytes from `offset`."""
        return self._memory.read_slot(self.number, offset, count)

    def write(self, offset: int, content: bytes) -> None:
        """Store `content` from `offset`; bytes beyond the slot's end are dropped."""
        self._memory.write_slot(self.number, offset, content)

    def secret(self) -> bytes:
        """Return the first 32 bytes, the slot's value as a symmetric key."""
        self.require_known()
        return self._memory.read_slot(self.number, 0, 32)

    def require_known(self) -> None:
        """Refuse what a twin of a real chip does not know: the content of a slot that the chip did not show."""
        if self._memory.is_twin and self.read(0, len(UNKNOWN)) == UNKNOWN:
            raise denied("a twin does not know what this slot of the real chip holds", slot=self.number)

    def mark_unknown(self) -> None:
        """Say that the content of the real chip's slot is not known; a write ends that."""
        self.write(0, UNKNOWN * -(-self.size // len(UNKNOWN)))

    def private_key(self) -> bytes | None:
        """Return the 32-byte scalar, or None if the bytes (4 zero bytes, scalar) are not a valid private key."""
        content = self._memory.read_slot(self.number, 0, PRIVATE_KEY_SIZE)
        scalar = content[4:]
        return scalar if content[:4] == _PAD and is_scalar(scalar) else None

    def holds_private_key(self) -> bool:
        """Return whether there is a valid private key; a twin may have one without its scalar."""
        known_half = self._memory.is_twin and self.read(0, len(_HALF)) == _HALF
        return known_half or self.private_key() is not None

    def public_half(self) -> bytes | None:
        """Return X and Y (64 bytes) of the private key; None if there is none, or a twin does not know it."""
        if self._memory.is_twin and self.read(0, len(_HALF)) == _HALF:
            point = self.read(len(_HALF), PRIVATE_KEY_SIZE - len(_HALF))
            return uncompressed(point) if point[0] in _COMPRESSED else None
        scalar = self.private_key()
        return None if scalar is None else public_key(scalar)

    def store_public_half(self, xy: bytes | None) -> None:
        """Store what is known of a real chip's private key: X and Y (64 bytes), or that there is one (None)."""
        point = bytes(33) if xy is None else compressed(xy)
        self.write(0, _HALF + point)

    def store_private_key(self, scalar: bytes) -> None:
        """Store a 32-byte scalar in the form that `private_key` reads."""
        self.write(0, _PAD + scalar)

    def public_key(self) -> bytes:
        """Return X and Y (64 bytes) of the 72-byte form: 4 pad bytes, X, 4 pad bytes, Y."""
        content = self._memory.read_slot(self.number, 0, PUBLIC_KEY_SLOT_SIZE)
        return content[4:36] + content[40:72]

    def mark(self, state: int) -> None:
        """Set the top nibble of byte 0 to VALIDATED or INVALIDATED."""
        self.write(0, bytes([self.read(0, 1)[0] & 0x0F | state]))
