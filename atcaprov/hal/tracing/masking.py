"""Which bytes of a packet could belong to a secret: they are written as `..`."""

from __future__ import annotations

from typing import Final

from atcaprov.chip.commands import P1_32_BYTES, P1_ENCRYPTED, Opcode, Status, Zone
from atcaprov.chip.crc import crc16
from atcaprov.chip.memory_map import BLOCK_SIZE, KEY_CONFIG, SLOT_CONFIG, SLOT_COUNT, WORD_SIZE
from atcaprov.chip.modes import (
    NONCE_FIXED,
    NONCE_MODE,
    NONCE_TO_MESSAGE_DIGEST_BUFFER,
    SHA_MODE,
    SHA_READ_CONTEXT,
    SHA_WRITE_CONTEXT,
    SLOT_SHIFT,
    ZONE_BLOCK_SHIFT,
)

MASK: Final = ".."
_COMMAND_HEADER: Final = 5
_COUNT: Final = 1
_STATUS_REPLY: Final = 4
_NONCE_TARGET: Final = 0xC0
_ZONE: Final = 0x03
_WORD: Final = 0x07
_SERIAL: Final = (0, 1, 2, 3, 8, 9, 10, 11, 12)
_SECRET: Final = 0x80
_ENCRYPTED: Final = 0x40
"""SlotConfig bits 7 IsSecret and 6 EncryptRead (DS20005927A, table of SlotConfig)."""
_PRIVATE: Final = 0x01
"""KeyConfig bit 0."""


class PublicSlots:
    """The data slots that a chip gives to everyone in clear, as far as what passed shows its configuration.

    Nothing is taken for public by default: a slot counts when both its words of the configuration were read, or
    written with success, and no write to them was left without a good answer since.
    """

    def __init__(self) -> None:
        self._config: dict[int, int] = {}

    def learn(self, packet: bytes, reply: bytes) -> None:
        """Take notice of a command and its reply, which may be missing; from a damaged one nothing is learnt."""
        if len(packet) <= _COMMAND_HEADER or packet[2] & _ZONE != Zone.CONFIG:
            return
        if packet[1] == Opcode.READ and _is_whole(reply) and len(reply) > _STATUS_REPLY:
            self._read(dict(zip(_config_bytes(packet), reply[1:-2], strict=False)))
        elif packet[1] == Opcode.WRITE and _is_success(reply):
            self._config.update(zip(_config_bytes(packet), packet[_COMMAND_HEADER:-2], strict=False))
        elif packet[1] == Opcode.WRITE:
            for offset in _config_bytes(packet):
                self._config.pop(offset, None)

    def has_written(self, packet: bytes, reply: bytes) -> bool:
        """Tell whether the packet has written in clear to a slot that is known to be public."""
        if packet[2] & P1_ENCRYPTED or not _is_success(reply):
            return False
        slot = _slot(packet)
        places = SLOT_CONFIG + 2 * slot, SLOT_CONFIG + 2 * slot + 1, KEY_CONFIG + 2 * slot, KEY_CONFIG + 2 * slot + 1
        slot_config, _, key_config, _ = (self._config.get(place, -1) for place in places)
        is_known = all(place in self._config for place in places)
        return is_known and not slot_config & (_SECRET | _ENCRYPTED) and not key_config & _PRIVATE

    def hides_read(self, packet: bytes) -> bool:
        """Tell whether the packet reads a slot whose content is known to come encrypted."""
        slot_config = self._config.get(SLOT_CONFIG + 2 * _slot(packet), 0)
        return packet[1] == Opcode.READ and packet[2] & _ZONE == Zone.DATA and bool(slot_config & _ENCRYPTED)

    def _read(self, shown: dict[int, int]) -> None:
        serial = [offset for offset in _SERIAL if offset in self._config and offset in shown]
        if any(self._config[offset] != shown[offset] for offset in serial):
            self._config.clear()  # another chip is there now
        self._config.update(shown)


def masked_packets(packet: bytes, reply: bytes, public: PublicSlots | None = None) -> tuple[str, str]:
    """Return command and reply as hexadecimal, with `..` for each byte that could belong to a secret.

    Masked are the data of PrivWrite, AES, KDF, SHA contexts, writes to data slots that are not known to be `public`,
    and fixed nonces that may load a key; and the data of ECDH, KDF, AES, Random and SHA contexts in replies. Answers to
    challenges (CheckMac, DeriveKey, MAC, HMAC, SecureBoot), the challenges of MAC, encrypted writes and reads of slots
    that are known to be read encrypted too: where a secret or a challenge is made of a password they allow guessing.
    Of a reply that was cut or damaged, what is left counts as data.
    """
    opcode, mode = (packet[1], packet[2]) if len(packet) > _COMMAND_HEADER else (-1, 0)
    is_secret = _data_secret(opcode, mode)
    if opcode == Opcode.WRITE and is_secret and public is not None:
        is_secret = not public.has_written(packet, reply)
    sent = _masked(packet, _COMMAND_HEADER) if is_secret else packet.hex()
    is_hidden = _reply_secret(opcode, mode) or (opcode != -1 and public is not None and public.hides_read(packet))
    hidden = is_hidden and not (len(reply) == _STATUS_REPLY and _is_whole(reply))
    return sent, _masked(reply, _COUNT) if hidden else reply.hex()


def _masked(packet: bytes, start: int) -> str:
    # The CRC goes too: over a few unknown bytes it would give them away.
    return packet[:start].hex() + MASK * len(packet[start:])


def _data_secret(opcode: int, mode: int) -> bool:
    if opcode == Opcode.WRITE:
        return mode & _ZONE == Zone.DATA
    if opcode == Opcode.NONCE:
        return mode & NONCE_MODE == NONCE_FIXED and mode & _NONCE_TARGET != NONCE_TO_MESSAGE_DIGEST_BUFFER
    if opcode == Opcode.SHA:
        return mode & SHA_MODE == SHA_WRITE_CONTEXT
    return opcode in (Opcode.PRIV_WRITE, Opcode.AES, Opcode.KDF, Opcode.CHECK_MAC, Opcode.DERIVE_KEY, Opcode.MAC)


def _reply_secret(opcode: int, mode: int) -> bool:
    if opcode == Opcode.SHA:
        return mode & SHA_MODE == SHA_READ_CONTEXT
    return opcode in (Opcode.ECDH, Opcode.KDF, Opcode.AES, Opcode.RANDOM, Opcode.MAC, Opcode.HMAC, Opcode.SECURE_BOOT)


def _config_bytes(packet: bytes) -> range:
    """Return the offsets in the configuration zone that P1 and P2 of a Read or Write name."""
    # Low byte of P2: block in bits 3 and 4, word in bits 0 to 2 (DS20005927A, address encoding).
    wide = packet[2] & P1_32_BYTES
    start = (packet[3] >> ZONE_BLOCK_SHIFT) * BLOCK_SIZE + (0 if wide else (packet[3] & _WORD) * WORD_SIZE)
    return range(start, start + (BLOCK_SIZE if wide else WORD_SIZE))


def _slot(packet: bytes) -> int:
    return packet[3] >> SLOT_SHIFT & (SLOT_COUNT - 1)


def _is_success(reply: bytes) -> bool:
    return len(reply) == _STATUS_REPLY and _is_whole(reply) and reply[1] == Status.SUCCESS


def _is_whole(reply: bytes) -> bool:
    """Tell whether a reply came as the chip sent it, by its count and CRC."""
    has_size = len(reply) >= _STATUS_REPLY and reply[0] == len(reply)
    return has_size and crc16(reply[:-2]) == int.from_bytes(reply[-2:], "little")
