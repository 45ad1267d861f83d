"""A dialogue with a chip, in which an answer decides the next question: packets, replies, and the host's digests."""

from __future__ import annotations

from hashlib import sha256
from typing import Final, NamedTuple

from atcaprov.chip.commands import P1_32_BYTES, Opcode, Status, Zone
from atcaprov.chip.memory_map import BLOCK_SIZE, CONFIG_SIZE, serial_number
from atcaprov.chip.modes import (
    INFO_STATE,
    MAC_CHALLENGE_IN_TEMP_KEY,
    NONCE_FIXED,
    NONCE_RANDOM,
    STATE_TEMP_KEY_VALID,
    ZONE_BLOCK_SHIFT,
)
from atcaprov.config_zone.locks import is_config_locked, is_data_locked
from atcaprov.errors import AtcaProvError, Code, TransportError, UsageError
from atcaprov.hal.base import Hal
from atcaprov.recording.harmless_packets import packet

PATTERN: Final = bytes(range(32))
"""Any value, for what is loaded into a chip."""
_CHECK_MAC_OTHER: Final = bytes(13)


class ChipReply(NamedTuple):
    """The status and the data of a reply: a status byte alone is its own data. Without an answer `status` is None."""

    status: int | None
    data: bytes = b""

    @property
    def granted(self) -> bool:
        """Whether the chip did the command."""
        return self.status == Status.SUCCESS


class Dialogue:
    """Asks one chip. Its volatile memory keeps what it holds from one command to the next, until `forget`."""

    def __init__(self, hal: Hal) -> None:
        self._hal = hal
        self._exchanges: list[tuple[str, str]] = []
        self.config = b""
        """The configuration zone as it was read last, 128 bytes."""
        self.read_config()
        self.serial = serial_number(self.config)

    def read_config(self) -> None:
        """Read the configuration zone again."""
        self.config = b"".join(self._block(block) for block in range(CONFIG_SIZE // BLOCK_SIZE))

    @property
    def config_locked(self) -> bool:
        """Whether byte 87 says that the configuration zone is locked."""
        return is_config_locked(self.config)

    @property
    def data_locked(self) -> bool:
        """Whether byte 86 says that the data zone is locked."""
        return is_data_locked(self.config)

    def ask(self, opcode: int, p1: int = 0, p2: int = 0, data: bytes = b"") -> ChipReply:
        """Send a command between wake and idle, and return its reply; a missing answer is not an error."""
        content = packet(opcode, p1, p2, data)
        self._hal.wake()
        try:
            reply = self._hal.exchange(content)
        except UsageError:
            raise  # the guard refused it, or it cannot be recorded
        except AtcaProvError:
            self._hal.wake()
            reply = b""
        self._hal.idle()
        self._exchanges.append((content.hex(), reply.hex()))
        if not reply:
            return ChipReply(None)
        if len(reply) == 4:
            return ChipReply(reply[1], reply[1:2])
        return ChipReply(Status.SUCCESS, reply[1:-2])

    def take_exchanges(self) -> list[tuple[str, str]]:
        """Return the packets and replies since the last call, in hexadecimal."""
        taken, self._exchanges = self._exchanges, []
        return taken

    def forget(self) -> None:
        """Send the chip to sleep: it loses its volatile memory."""
        self._hal.wake()
        self._hal.sleep()

    # What several questions need

    def load(self, value: bytes = PATTERN) -> None:
        """Put 32 bytes into TempKey."""
        self.ask(Opcode.NONCE, NONCE_FIXED, 0, value)

    def random_nonce(self) -> bytes:
        """Make a random nonce in TempKey and return it, 32 bytes."""
        drawn = self.ask(Opcode.NONCE, NONCE_RANDOM, 0, PATTERN[:20]).data
        return sha256(drawn + PATTERN[:20] + bytes((Opcode.NONCE, NONCE_RANDOM, 0))).digest()

    def has_temp_key(self) -> bool:
        """Return whether TempKey is valid."""
        state = self.ask(Opcode.INFO, INFO_STATE).data
        return len(state) == 4 and bool(state[1] & STATE_TEMP_KEY_VALID)

    def check_mac(self, mode: int, slot: int, secret: bytes, challenge: bytes) -> ChipReply:
        """Prove a slot's secret over `challenge`, 32 bytes; with bit 0 of the mode TempKey must hold the challenge."""
        other, serial = _CHECK_MAC_OTHER, self.serial
        # OtherData fills the places of opcode, parameters and parts of the serial number: DS20005927A, chapter 9.
        message = secret + challenge + other[:4] + bytes(8) + other[4:7] + serial[8:] + other[7:11] + serial[:2]
        response = sha256(message + other[11:]).digest()
        return self.ask(Opcode.CHECK_MAC, mode, slot, challenge + response + other)

    def authorize(self, slot: int, secret: bytes) -> bool:
        """Authorize the keys whose AuthKey is `slot`; return whether the chip accepted the proof."""
        return self.check_mac(MAC_CHALLENGE_IN_TEMP_KEY, slot, secret, self.random_nonce()).granted

    def header(self, opcode: int, p1: int, p2: int) -> bytes:
        """Return what follows the key in the messages of commands: opcode, parameters, SN[8], SN[0:2]; 7 bytes."""
        return bytes((opcode, p1, p2 & 0xFF, p2 >> 8)) + self.serial[8:] + self.serial[:2]

    def encrypted_write(self, p1: int, p2: int, key: bytes, plain: bytes = PATTERN) -> ChipReply:
        """Write 32 bytes encrypted under `key`, the 32 bytes that TempKey holds."""
        cipher = bytes(one ^ other for one, other in zip(plain, key, strict=True))
        mac = sha256(key + self.header(Opcode.WRITE, p1, p2) + bytes(25) + plain).digest()
        return self.ask(Opcode.WRITE, p1, p2, cipher + mac)

    def _block(self, block: int) -> bytes:
        content = self.ask(Opcode.READ, P1_32_BYTES | Zone.CONFIG, block << ZONE_BLOCK_SHIFT).data
        if len(content) != BLOCK_SIZE:
            raise TransportError(
                "Cannot read the configuration zone of the chip.",
                advice="Check that the chip sits well in its socket, and start again.",
                code=Code.DEVICE_NO_REPLY,
            )
        return content
