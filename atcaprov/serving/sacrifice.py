"""A blank part that is given up to settle open points: it is permanently locked and useless afterwards.

The configuration gives each question a slot of its own. Keys and secrets are known here: answers can be computed.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from typing import Final

from atcaprov.chip.commands import LOCK_CONFIG, LOCK_DATA, LOCK_NO_CRC, P1_32_BYTES, Opcode, Zone
from atcaprov.chip.crc import crc16
from atcaprov.chip.memory_map import (
    BLOCK_SIZE,
    KEY_CONFIG,
    OTP_SIZE,
    SLOT_CONFIG,
    SLOT_SIZES,
    USE_LOCK,
    VOLATILE_KEY_PERMISSION,
    WORD_SIZE,
    key_config,
)
from atcaprov.errors import Code, ProvisioningError
from atcaprov.serving.dialogue import Dialogue
from atcaprov.serving.open_points import UNDECIDED, Reading, put
from atcaprov.serving.slot_roles import Roles
from atcaprov.serving.spoiling_questions import DATA_LOCKED, DATA_OPEN

_PRIVATE: Final = 0x01
_FIRST_WORD: Final = 4
_LOCK_WORD: Final = 21
_PERMISSION_ON: Final = 0x80
_USE_LOCK_ON: Final = 0x0A
_SLOTS: Final[dict[int, tuple[int, int]]] = {
    Roles.SIGNING_KEY: (0x0083, 0x0033),
    Roles.AUTHORIZED_KEY: (0x0083, 0x0013 | 0x80 | Roles.AUTHORIZATION << 8),
    Roles.ROLLED_KEY: (0x20AF, 0x001C),
    Roles.PLAIN_KEY: (0x8F8F, 0x001C),
    Roles.AUTHORIZATION: (0x8F8F, 0x001C),
    Roles.OTHER_SECRET: (0x8F8F, 0x001C),
    Roles.COPIED_EVEN: (0x8F80, 0x001C),
    Roles.COPIED_ODD: (0x8F80, 0x001C),
    Roles.ENCRYPTED: (0x448F, 0x001C),
    Roles.RANDOM_ONLY: (0x8F8F, 0x005C),
    Roles.KDF_TARGET: (0x0F0F, 0x001C),
    Roles.USE_LOCKED: (0x8F8F, 0x001C),
    Roles.CLEAR: (0x0F0F, 0x001C),
    Roles.NO_MAC: (0x8F9F, 0x001C),
    Roles.LIMITED_KEY: (0x8FAF, 0x001C | 0x80 | Roles.AUTHORIZATION << 8),
    Roles.PUBLIC_KEY: (0x0F0F, 0x0010),
}
"""SlotConfig and KeyConfig."""


def require_blank(part: Dialogue, serial: bytes) -> None:
    """Raise ProvisioningError unless this is the part that was named, and it is blank."""
    if part.serial != serial:
        raise ProvisioningError(
            f"The part has the serial number {part.serial.hex().upper()}, not {serial.hex().upper()}.",
            advice="Nothing was changed. Name the part that you want to give up.",
        )
    if part.config_locked:
        raise ProvisioningError(
            "The configuration of this part is locked: it cannot be set up for the questions.",
            advice="Nothing was changed. Take a blank part.",
            code=Code.CONFIG_LOCKED_OTHER,
        )


def ask_sacrificed(part: Dialogue) -> Iterator[Reading]:
    """Configure and lock a blank part step by step, and give what it shows on the way; it is spoiled at once."""
    _configure(part)
    _fill(part)
    yield from put(part, DATA_OPEN)
    _fill(part)  # what the questions have changed
    yield Reading("data_crc_private", _lock_data(part))
    yield from put(part, DATA_LOCKED)


def wanted_config(config: bytes) -> bytes:
    """Return the configuration zone, 128 bytes, that the questions need, for a part with this one."""
    zone = bytearray(config)
    for slot, words in _SLOTS.items():
        for place, word in zip((SLOT_CONFIG, KEY_CONFIG), words, strict=True):
            zone[place + 2 * slot : place + 2 * slot + 2] = word.to_bytes(2, "little")
    zone[USE_LOCK] = Roles.USE_LOCKED << 4 | _USE_LOCK_ON
    zone[VOLATILE_KEY_PERMISSION] = _PERMISSION_ON | Roles.AUTHORIZATION
    return bytes(zone)


def _configure(part: Dialogue) -> None:
    wanted = wanted_config(part.config)
    for word in range(_FIRST_WORD, len(wanted) // WORD_SIZE):
        place = slice(WORD_SIZE * word, WORD_SIZE * (word + 1))
        if word != _LOCK_WORD and wanted[place] != part.config[place]:
            part.ask(Opcode.WRITE, Zone.CONFIG, word, wanted[place])
    part.read_config()
    if part.config == wanted:
        part.ask(Opcode.LOCK, LOCK_CONFIG, crc16(wanted))
        part.read_config()  # the reply to a lock may be lost
    if not part.config_locked:
        raise ProvisioningError(
            "The part did not take the configuration for the questions.",
            advice="It is not locked yet. Check that it sits well in its socket, and record it without --give-up.",
            code=Code.WRITE_NOT_VERIFIED,
        )


def _fill(part: Dialogue) -> None:
    """Write every slot and the OTP zone, whole."""
    for slot, size in enumerate(SLOT_SIZES):
        content = Roles.content(slot)
        if key_config(part.config, slot) & _PRIVATE:
            part.ask(Opcode.PRIV_WRITE, 0, slot, content + bytes(32))
            continue
        for block in range(-(-size // BLOCK_SIZE)):
            data = content[BLOCK_SIZE * block :][:BLOCK_SIZE].ljust(BLOCK_SIZE, b"\0")
            part.ask(Opcode.WRITE, P1_32_BYTES | Zone.DATA, slot << 3 | block << 8, data)
    for block in range(OTP_SIZE // BLOCK_SIZE):
        part.ask(Opcode.WRITE, P1_32_BYTES | Zone.OTP, block << 3, _otp()[BLOCK_SIZE * block :][:BLOCK_SIZE])


def _lock_data(part: Dialogue) -> bool | None:
    """Lock the data zone and tell whether its CRC includes private slots: a refused CRC locks nothing."""
    private = [slot for slot in range(len(SLOT_SIZES)) if key_config(part.config, slot) & _PRIVATE]
    for included in (True, False):
        slots = [slot for slot in range(len(SLOT_SIZES)) if included or slot not in private]
        content = b"".join(Roles.content(slot) for slot in slots) + _otp()
        if part.ask(Opcode.LOCK, LOCK_DATA, crc16(content)).granted:
            part.read_config()
            return included
    part.ask(Opcode.LOCK, LOCK_NO_CRC | LOCK_DATA)
    part.read_config()
    return UNDECIDED


def _otp() -> bytes:
    return sha256(b"otp").digest() * (OTP_SIZE // BLOCK_SIZE)
