"""A software chip on which uses of slots are tried."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from hashlib import sha256
from types import MappingProxyType
from typing import Final

from atcaprov.chip.commands import GEN_KEY_CREATE, P1_32_BYTES, Opcode, Zone
from atcaprov.chip.crc import with_crc
from atcaprov.chip.memory_map import BLOCK_SIZE, COUNT_MATCH, PUBLIC_KEY_SIZE, WORD_SIZE
from atcaprov.chip.modes import BLOCK_SHIFT, NONCE_FIXED, NONCE_RANDOM, SLOT_SHIFT
from atcaprov.emulator.chip import Chip
from atcaprov.emulator.counters import MAXIMUM
from atcaprov.emulator.ecc import new_key_pair, sign
from atcaprov.emulator.slot import PUBLIC_KEY_SLOT_SIZE, MemorySlot

PATTERN: Final = bytes(range(BLOCK_SIZE))
"""Any value: a nonce, a challenge, a content."""
CONTENT: Final = bytes(range(1, 73))
"""What a slot is filled with: 72 bytes, as many as a certificate or a public key has."""
_COUNT_MATCH_ON: Final = 0x01


class TrialChip:
    """A chip that takes commands as on a bus, and says why it refuses one.

    `private_keys` has the private key (32 bytes) of each public key (64 bytes) that was put into a slot.
    """

    def __init__(self, chip: Chip, private_keys: Mapping[bytes, bytes] = MappingProxyType({})) -> None:
        self.chip = chip
        self._private_keys = dict(private_keys)

    def fork(self) -> TrialChip:
        """Return an independent copy that has just been given power: no key is authorized."""
        core = self.chip.core
        chip = Chip(deepcopy(core.memory), random_source=core.random_source, open_points=core.open_points)
        return TrialChip(chip, self._private_keys)

    def slot(self, number: int) -> MemorySlot:
        """Return a slot as it stands."""
        return self.chip.core.slot(number)

    @property
    def temp_key(self) -> bytes:
        """The first 32 bytes of TempKey, as a host that knows the keys computes them."""
        return self.chip.core.temp_key.key

    @property
    def serial(self) -> bytes:
        """SN[8] and SN[0:2], as they stand in most messages."""
        serial = self.chip.memory.serial
        return serial[8:] + serial[:2]

    def ask(self, opcode: int, p1: int = 0, p2: int = 0, data: bytes = b"") -> bytes:
        """Send a command and return the body of the reply, one status byte or the data; the chip idles afterwards."""
        self.chip.wake()
        reply = self.chip.exchange(with_crc(bytes((len(data) + 7, opcode, p1)) + p2.to_bytes(2, "little") + data))
        self.chip.idle()
        return reply[1:-2]

    def does(self, opcode: int, p1: int = 0, p2: int = 0, data: bytes = b"") -> bool:
        """Send a command and return whether the chip did it; if not, `why` has the reason."""
        self.ask(opcode, p1, p2, data)
        return self.chip.last_refusal is None

    @property
    def why(self) -> str:
        """Why the last command was refused."""
        return str(self.chip.last_refusal or "")

    def write(self, number: int, content: bytes) -> bool:
        """Write a slot block by block in clear, as before the data lock; return whether the chip took it."""
        for block, start in enumerate(range(0, len(content), BLOCK_SIZE)):
            data = content[start : start + BLOCK_SIZE].ljust(BLOCK_SIZE, b"\0")
            if not self.does(Opcode.WRITE, Zone.DATA | P1_32_BYTES, number << SLOT_SHIFT | block << BLOCK_SHIFT, data):
                return False
        return True

    def write_public_key(self, number: int) -> bool:
        """Write a new public key into a slot and keep its private key; return whether the chip took it."""
        private_key, public_key = new_key_pair()
        self._private_keys[public_key] = private_key
        half = PUBLIC_KEY_SIZE // 2
        padded = bytes(4) + public_key[:half] + bytes(4) + public_key[half:]
        assert len(padded) == PUBLIC_KEY_SLOT_SIZE
        return self.write(number, padded)

    def signature(self, number: int, digest: bytes) -> bytes:
        """Return a signature, 64 bytes, that fits the public key in a slot; 64 zeros if its private key is unknown."""
        private_key = self._private_keys.get(self.slot(number).public_key())
        return bytes(2 * BLOCK_SIZE) if private_key is None else sign(private_key, digest)

    def fill(self, number: int) -> bool:
        """Give a slot the content that lets it be tried, while the data zone is open; return whether the chip took it.

        It is what the slot is for: a key made in the chip, a public key, the limit of CountMatch, or bytes.
        """
        slot = self.slot(number)
        if slot.private:
            return self.does(Opcode.GEN_KEY, GEN_KEY_CREATE, number)
        if slot.holds_public_key:
            return self.write_public_key(number)
        limit = 2 * MAXIMUM.to_bytes(4, "little")
        return self.write(number, limit if self._keeps_limit(number) else CONTENT[: slot.size])

    def _keeps_limit(self, number: int) -> bool:
        match = self.chip.memory.config[COUNT_MATCH]
        return not self.chip.memory.is_508 and bool(match & _COUNT_MATCH_ON) and match >> 4 == number

    def read(self, number: int, size: int) -> bytes:
        """Return the first `size` bytes of a slot, or as many as the chip shows in clear."""
        content = b""
        while len(content) < size:
            block, offset = divmod(len(content), BLOCK_SIZE)
            place = number << SLOT_SHIFT | block << BLOCK_SHIFT | offset // WORD_SIZE
            word = self.ask(Opcode.READ, Zone.DATA, place)
            if len(word) != WORD_SIZE:
                break
            content += word
        return content

    def nonce(self, *, random: bool) -> bool:
        """Load TempKey with a random nonce or with the pattern; return whether the chip did it."""
        return self.does(Opcode.NONCE, NONCE_RANDOM if random else NONCE_FIXED, 0, bytes(20) if random else PATTERN)

    def write_mac(self, header: bytes, padding: int, plain: bytes) -> bytes:
        """Return the MAC of an encrypted write: TempKey, opcode, P1 and P2, serial number, zeros, data in clear."""
        return sha256(self.temp_key + header + self.serial + bytes(padding) + plain).digest()
