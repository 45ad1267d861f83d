"""A software chip that a configuration is tried on."""

from __future__ import annotations

from hashlib import sha256
from typing import Final

from atcaprov.chip.commands import P1_32_BYTES, Opcode, Zone
from atcaprov.chip.crc import with_crc
from atcaprov.chip.memory_map import BLOCK_SIZE, WORD_SIZE
from atcaprov.emulator.chip import Chip
from atcaprov.emulator.slot import Slot
from atcaprov.emulator.snapshot import fork

_NONCE_RANDOM: Final = 0x00
_NONCE_FIXED: Final = 0x03
_SIGN_EXTERNAL: Final = 0x80
_GENDIG_DATA: Final = 0x02
PATTERN: Final = bytes(range(BLOCK_SIZE))


class Twin:
    """A chip that is asked like one on a bus, and that says why it refuses."""

    def __init__(self, chip: Chip) -> None:
        self.chip = chip

    def slot(self, number: int) -> Slot:
        """Return a slot as it stands."""
        return self.chip.core.slot(number)

    def ask(self, opcode: int, p1: int = 0, p2: int = 0, data: bytes = b"") -> bytes:
        """Return the body of the reply, one status byte or the data; the chip idles afterwards."""
        self.chip.wake()
        reply = self.chip.exchange(with_crc(bytes((len(data) + 7, opcode, p1)) + p2.to_bytes(2, "little") + data))
        self.chip.idle()
        return reply[1:-2]

    def does(self, opcode: int, p1: int = 0, p2: int = 0, data: bytes = b"") -> bool:
        """Run a command and return whether the chip did it; if not, `why` says the reason."""
        self.ask(opcode, p1, p2, data)
        return self.chip.last_refusal is None

    @property
    def why(self) -> str:
        """Why the last command was refused."""
        return str(self.chip.last_refusal or "")

    def write(self, number: int, content: bytes) -> bool:
        """Write a slot block by block, as it is done before the data lock."""
        blocks = [content[at : at + BLOCK_SIZE].ljust(BLOCK_SIZE, b"\0") for at in range(0, len(content), BLOCK_SIZE)]
        mode = Zone.DATA | P1_32_BYTES
        return all(self.does(Opcode.WRITE, mode, number << 3 | block << 8, data) for block, data in enumerate(blocks))

    def read(self, number: int, size: int) -> bytes:
        """Return the first bytes of a slot as far as the chip shows them in clear."""
        content = b""
        while len(content) < size:
            block, offset = divmod(len(content), BLOCK_SIZE)
            word = self.ask(Opcode.READ, Zone.DATA, number << 3 | block << 8 | offset // WORD_SIZE)
            if len(word) != WORD_SIZE:
                break
            content += word
        return content

    def sign(self, number: int) -> bool:
        """Let the slot sign a digest that is loaded."""
        return self.does(Opcode.NONCE, _NONCE_FIXED, 0, PATTERN) and self.does(Opcode.SIGN, _SIGN_EXTERNAL, number)

    def fork(self, number: int) -> Twin:
        """Return a copy on which the conditions of `number` are met: its CheckMac has succeeded, the latch is set."""
        twin = fork(self.chip)
        slot = twin.core.slot(number)
        twin.core.volatile.authorized = slot.auth_key
        twin.core.powered.latch = True
        return Twin(twin)

    def load_key(self, key: int) -> bool:
        """Put the digest of a key slot into TempKey, as encrypted reads and writes need it."""
        other_data = bytes((Opcode.GEN_DIG, _GENDIG_DATA, key, 0))  # a key that is for verification only needs it
        return self.load_nonce() and self.does(Opcode.GEN_DIG, _GENDIG_DATA, key, other_data)

    def load_nonce(self) -> bool:
        """Put a random nonce into TempKey."""
        return self.does(Opcode.NONCE, _NONCE_RANDOM, 0, bytes(20))

    def mac(self, header: bytes, padding: int, plain: bytes) -> bytes:
        """Return the MAC of an encrypted write: TempKey, opcode, P1 and P2, serial number, zeros, data in clear."""
        serial = self.chip.memory.serial
        temp_key = self.chip.core.temp_key.key
        return sha256(temp_key + header + serial[8:] + serial[:2] + bytes(padding) + plain).digest()
