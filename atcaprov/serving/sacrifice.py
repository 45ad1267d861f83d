"""A blank part that is given up to settle open points: it is permanently locked and useless afterwards.

The configuration gives each question a slot of its own. Keys and secrets are known here: answers can be computed.
A part that was set up so before goes on where it stands.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from hashlib import sha256
from typing import Final

from atcaprov.chip.commands import LOCK_CONFIG, LOCK_DATA, LOCK_NO_CRC, P1_32_BYTES, Opcode, Zone
from atcaprov.chip.crc import crc16
from atcaprov.chip.memory_map import BLOCK_SIZE, OTP_SIZE, RESERVED_608, SLOT_SIZES, WORD_SIZE, key_config
from atcaprov.errors import Code, ProvisioningError
from atcaprov.serving.dialogue import Dialogue
from atcaprov.serving.open_points import UNDECIDED, Reading, put
from atcaprov.serving.setup import Setup

_PRIVATE: Final = 0x01
_FIRST_WORD: Final = 4
_LOCK_WORD: Final = 21
_RESERVED_WORD: Final = 19
_NOT_ZERO: Final = bytes((1, 0, 0, 0))


def require_blank(part: Dialogue, serial: bytes, setup: Setup) -> None:
    """Raise ProvisioningError unless this is the part that was named, and it is blank or carries the setup."""
    if part.serial != serial:
        raise ProvisioningError(
            f"The part has the serial number {part.serial.hex().upper()}, not {serial.hex().upper()}.",
            advice="Nothing was changed. Name the part that you want to give up.",
        )
    if part.config_locked and not setup.is_on(part.config):
        raise ProvisioningError(
            "The configuration of this part is locked: it cannot be set up for the questions.",
            advice="Nothing was changed. Take a blank part.",
            code=Code.CONFIG_LOCKED_OTHER,
        )


def ask_sacrificed(part: Dialogue, setup: Setup, done: Container[str] = ()) -> Iterator[Reading]:
    """Configure and lock a part step by step, and give what it shows on the way; a blank one is spoiled at once.

    `done` names the questions that need no answer any more, such as those of a run that was cut.
    """
    if not part.config_locked:
        _configure(part, setup)
    if setup.reserved_bytes and "lock_reserved_bytes" not in done:
        yield Reading("lock_reserved_bytes", "allow" if any(part.config[RESERVED_608]) else "refuse")
    if not part.data_locked:
        _fill(part, setup)
        yield from put(part, setup.data_open, done)
        _fill(part, setup)  # what the questions have changed
        yield Reading("data_crc_private", _lock_data(part, setup))
    elif "data_crc_private" not in done:
        yield Reading("data_crc_private", UNDECIDED)  # it was locked in a run whose answer is lost
    yield from put(part, setup.data_locked, done)


def _configure(part: Dialogue, setup: Setup) -> None:
    """Write and lock the configuration zone; a reserved byte that is not 0 is tried first where the setup says so."""
    wanted = setup.config(part.config)
    for word in range(_FIRST_WORD, len(wanted) // WORD_SIZE):
        place = slice(WORD_SIZE * word, WORD_SIZE * (word + 1))
        if word != _LOCK_WORD and wanted[place] != part.config[place]:
            part.ask(Opcode.WRITE, Zone.CONFIG, word, wanted[place])
    tried = (_NOT_ZERO, bytes(WORD_SIZE)) if setup.reserved_bytes else (bytes(WORD_SIZE),)
    if not any(_lock_config(part, _with_reserved(wanted, word)) for word in tried):
        raise ProvisioningError(
            "The part did not take the configuration for the questions.",
            advice="It is not locked yet. Check that it sits well in its socket, and record it without --give-up.",
            code=Code.WRITE_NOT_VERIFIED,
        )


def _with_reserved(zone: bytes, word: bytes) -> bytes:
    start = WORD_SIZE * _RESERVED_WORD
    return zone[:start] + word + zone[start + WORD_SIZE :]


def _lock_config(part: Dialogue, wanted: bytes) -> bool:
    place = slice(WORD_SIZE * _RESERVED_WORD, WORD_SIZE * (_RESERVED_WORD + 1))
    if wanted[place] != part.config[place]:
        part.ask(Opcode.WRITE, Zone.CONFIG, _RESERVED_WORD, wanted[place])
    part.read_config()
    if part.config == wanted:
        part.ask(Opcode.LOCK, LOCK_CONFIG, crc16(wanted))
        part.read_config()  # its answer may have been lost
    return part.config_locked


def _fill(part: Dialogue, setup: Setup) -> None:
    """Write every slot and the OTP zone, whole."""
    for slot, size in enumerate(SLOT_SIZES):
        content = setup.content(slot)
        if key_config(part.config, slot) & _PRIVATE:
            part.ask(Opcode.PRIV_WRITE, 0, slot, content + bytes(32))
            continue
        for block in range(-(-size // BLOCK_SIZE)):
            data = content[BLOCK_SIZE * block :][:BLOCK_SIZE].ljust(BLOCK_SIZE, b"\0")
            part.ask(Opcode.WRITE, P1_32_BYTES | Zone.DATA, slot << 3 | block << 8, data)
    for block in range(OTP_SIZE // BLOCK_SIZE):
        part.ask(Opcode.WRITE, P1_32_BYTES | Zone.OTP, block << 3, _otp()[BLOCK_SIZE * block :][:BLOCK_SIZE])


def _lock_data(part: Dialogue, setup: Setup) -> bool | None:
    """Lock the data zone and tell whether its CRC includes private slots: a refused CRC locks nothing."""
    private = [slot for slot in range(len(SLOT_SIZES)) if key_config(part.config, slot) & _PRIVATE]
    for included in (True, False):
        slots = [slot for slot in range(len(SLOT_SIZES)) if included or slot not in private]
        content = b"".join(setup.content(slot) for slot in slots) + _otp()
        if part.ask(Opcode.LOCK, LOCK_DATA, crc16(content)).granted:
            part.read_config()
            return included
    part.ask(Opcode.LOCK, LOCK_NO_CRC | LOCK_DATA)
    part.read_config()
    return UNDECIDED


def _otp() -> bytes:
    return sha256(b"otp").digest() * (OTP_SIZE // BLOCK_SIZE)
