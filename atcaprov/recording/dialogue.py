"""A conversation with a part whose answers decide what is asked next: packets, replies, and what the host computes."""

from __future__ import annotations

from hashlib import sha256
from typing import Final, NamedTuple

from atcaprov.chip.commands import P1_32_BYTES, Opcode, Status, Zone
from atcaprov.chip.memory_map import BLOCK_SIZE, CONFIG_SIZE, LOCK_CONFIG, LOCK_VALUE, UNLOCKED, serial_number
from atcaprov.errors import AtcaProvError, Code, TransportError, UsageError
from atcaprov.hal.base import Hal
from atcaprov.recording.harmless_packets import packet

PATTERN: Final = bytes(range(32))
"""A value that is loaded where any will do."""
FROM_INPUT: Final = 0x03
"""Nonce: the value itself becomes TempKey."""
_STATE: Final = 0x02
_TEMP_KEY_VALID: Final = 0x80
_CHECK_MAC_OTHER: Final = bytes(13)


class ChipReply(NamedTuple):
    """A status, or data with the status that stands for them; no answer has neither."""

    status: int | None
    data: bytes = b""

    @property
    def granted(self) -> bool:
        """Whether the part did what it was asked."""
        return self.status == Status.SUCCESS


class Dialogue:
    """Asks one part. What it keeps in its volatile memory stays between two questions until `forget`."""

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
        """Tell by byte 87."""
        return self.config[LOCK_CONFIG] != UNLOCKED

    @property
    def data_locked(self) -> bool:
        """Tell by byte 86."""
        return self.config[LOCK_VALUE] != UNLOCKED

    def ask(self, opcode: int, p1: int = 0, p2: int = 0, data: bytes = b"") -> ChipReply:
        """Send a command between wake and idle and return its reply; none is an answer, too."""
        content = packet(opcode, p1, p2, data)
        self._hal.wake()
        try:
            reply = self._hal.exchange(content)
        except UsageError:
            raise  # it was held back, or can't be recorded
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
        """Let the part sleep: its volatile memory is lost."""
        self._hal.wake()
        self._hal.sleep()

    # What several questions need

    def load(self, value: bytes = PATTERN) -> None:
        """Put 32 bytes into TempKey."""
        self.ask(Opcode.NONCE, FROM_INPUT, 0, value)

    def random_nonce(self) -> bytes:
        """Make a random nonce in TempKey and return it, 32 bytes."""
        drawn = self.ask(Opcode.NONCE, 0, 0, PATTERN[:20]).data
        return sha256(drawn + PATTERN[:20] + bytes((Opcode.NONCE, 0, 0))).digest()

    def has_temp_key(self) -> bool:
        """Tell whether TempKey is valid."""
        state = self.ask(Opcode.INFO, _STATE).data
        return len(state) == 4 and bool(state[1] & _TEMP_KEY_VALID)

    def check_mac(self, mode: int, slot: int, secret: bytes, challenge: bytes) -> ChipReply:
        """Prove a secret in a slot: over `challenge`, or with bit 0 of the mode over TempKey, which holds it."""
        other, serial = _CHECK_MAC_OTHER, self.serial
        message = secret + challenge + other[:4] + bytes(8) + other[4:7] + serial[8:] + other[7:11] + serial[:2]
        response = sha256(message + other[11:]).digest()
        return self.ask(Opcode.CHECK_MAC, mode, slot, challenge + response + other)

    def authorize(self, slot: int, secret: bytes) -> bool:
        """Authorize the keys whose AuthKey is `slot`, and tell whether the part agrees."""
        return self.check_mac(0x01, slot, secret, self.random_nonce()).granted

    def header(self, opcode: int, p1: int, p2: int) -> bytes:
        """Return what stands in messages of commands behind the key: opcode, parameters, serial number."""
        return bytes((opcode, p1, p2 & 0xFF, p2 >> 8)) + self.serial[8:] + self.serial[:2]

    def encrypted_write(self, p1: int, p2: int, key: bytes, plain: bytes = PATTERN) -> ChipReply:
        """Write 32 bytes encrypted under what TempKey holds."""
        cipher = bytes(one ^ other for one, other in zip(plain, key, strict=True))
        mac = sha256(key + self.header(Opcode.WRITE, p1, p2) + bytes(25) + plain).digest()
        return self.ask(Opcode.WRITE, p1, p2, cipher + mac)

    def _block(self, block: int) -> bytes:
        content = self.ask(Opcode.READ, P1_32_BYTES | Zone.CONFIG, block << 3).data
        if len(content) != BLOCK_SIZE:
            raise TransportError(
                "The part does not show its configuration zone.",
                advice="Check that the chip sits well in its socket, and start again.",
                code=Code.DEVICE_NO_REPLY,
            )
        return content
