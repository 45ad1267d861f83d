"""Configure and lock a blank chip step by step, and ask the destructive questions on the way.

The configuration gives each question a slot of its own. All keys and secrets are known, so that answers can be
computed. A run that was cut continues where the chip stands.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from hashlib import sha256
from types import MappingProxyType
from typing import Final

from atcaprov.chip.commands import LOCK_CONFIG, LOCK_DATA, LOCK_NO_CRC, P1_32_BYTES, Opcode, Zone
from atcaprov.chip.crc import crc16
from atcaprov.chip.memory_map import BLOCK_SIZE, OTP_SIZE, SLOT_SIZES, WORD_SIZE, key_config
from atcaprov.chip.modes import BLOCK_SHIFT, SLOT_SHIFT, ZONE_BLOCK_SHIFT
from atcaprov.chip.parts import is_608
from atcaprov.errors import Code, ProvisioningError
from atcaprov.recording.destructive.setups import Setup
from atcaprov.recording.dialogue import Dialogue
from atcaprov.recording.questions import UNDECIDED, Reading, put

_PRIVATE: Final = 0x01
_FIRST_WORD: Final = 4
_LOCK_WORD: Final = 21
"""Words of the configuration zone: those below the first are read-only; bytes 84 to 87 change by other commands."""
_RESERVED: Final = slice(76, 80)
"""Four of the reserved bytes 75 to 83."""
_NOT_ZERO: Final = bytes((1, 0, 0, 0))
_TRIED: Final[Mapping[bool | None, bytes]] = MappingProxyType(
    {True: b"with private slots", False: b"without private slots", UNDECIDED: b"without CRC"}
)
"""What the CRC of the data lock includes, and the label that the OTP zone then holds."""


def require_blank(chip: Dialogue, serial: bytes, setup: Setup) -> None:
    """Check that this is the ATECC608 with the 9-byte serial number `serial`, and that it is blank or has this setup.

    Raises:
        ProvisioningError: it is not.
    """
    if chip.serial != serial:
        raise ProvisioningError(
            f"The chip has serial number {chip.serial.hex().upper()}, not {serial.hex().upper()}.",
            advice="Nothing was changed. Connect the chip that you want to give up, or name this one.",
        )
    if not is_608(chip.ask(Opcode.INFO).data):
        raise ProvisioningError(
            "The chip is not an ATECC608, which the questions are for.",
            advice="Nothing was changed. Connect a blank ATECC608.",
            code=Code.WRONG_PART,
        )
    if chip.config_locked and not setup.is_on(chip.config):
        raise ProvisioningError(
            "The configuration zone of this chip is locked: it cannot be set up for the questions.",
            advice="Nothing was changed. Connect a blank chip.",
            code=Code.CONFIG_LOCKED_OTHER,
        )


def ask_and_lock(chip: Dialogue, setup: Setup, done: Container[str] = ()) -> Iterator[Reading]:
    """Configure and lock a chip step by step, and yield the readings. A blank chip is scrap from the first step on.

    `done` has the names of the questions that are answered already.
    """
    if not chip.config_locked:
        _configure(chip, setup)
    if setup.reserved_bytes and "lock_reserved_bytes" not in done:
        yield Reading("lock_reserved_bytes", "refuse" if chip.config[_RESERVED] == bytes(WORD_SIZE) else "allow")
    if not chip.data_locked:
        _fill(chip, setup)
        yield from put(chip, setup.data_open, done)
        _fill(chip, setup)  # puts back what the questions have changed
        _lock_data(chip, setup)
    if "data_crc_private" not in done:
        yield Reading("data_crc_private", _crc_that_locked(chip))
    yield from put(chip, setup.data_locked, done)


def _configure(chip: Dialogue, setup: Setup) -> None:
    """Write and lock the configuration zone; first with a reserved byte that is not 0, if the setup tries that."""
    wanted = setup.config(chip.config)
    for word in range(_FIRST_WORD, len(wanted) // WORD_SIZE):
        place = slice(WORD_SIZE * word, WORD_SIZE * (word + 1))
        if word != _LOCK_WORD and wanted[place] != chip.config[place]:
            chip.ask(Opcode.WRITE, Zone.CONFIG, word, wanted[place])
    tried = (_NOT_ZERO, bytes(WORD_SIZE)) if setup.reserved_bytes else (bytes(WORD_SIZE),)
    if not any(_lock_config(chip, _with_reserved(wanted, word)) for word in tried):
        raise ProvisioningError(
            "The chip does not have the configuration for the questions after it was written.",
            advice="It is not locked. Check that it sits well in its socket, and record it without --give-up.",
            code=Code.WRITE_NOT_VERIFIED,
        )


def _with_reserved(zone: bytes, word: bytes) -> bytes:
    return zone[: _RESERVED.start] + word + zone[_RESERVED.stop :]


def _lock_config(chip: Dialogue, wanted: bytes) -> bool:
    if wanted[_RESERVED] != chip.config[_RESERVED]:
        chip.ask(Opcode.WRITE, Zone.CONFIG, _RESERVED.start // WORD_SIZE, wanted[_RESERVED])
    chip.read_config()
    if chip.config == wanted:
        chip.ask(Opcode.LOCK, LOCK_CONFIG, crc16(wanted))
        chip.read_config()  # the reply to Lock may have been lost
    return chip.config_locked


def _fill(chip: Dialogue, setup: Setup) -> None:
    """Write all bytes of every slot."""
    for slot, size in enumerate(SLOT_SIZES):
        content = setup.content(slot)
        if key_config(chip.config, slot) & _PRIVATE:
            chip.ask(Opcode.PRIV_WRITE, 0, slot, content + bytes(32))
            continue
        for block in range(-(-size // BLOCK_SIZE)):
            data = content[BLOCK_SIZE * block :][:BLOCK_SIZE].ljust(BLOCK_SIZE, b"\0")
            chip.ask(Opcode.WRITE, P1_32_BYTES | Zone.DATA, slot << SLOT_SHIFT | block << BLOCK_SHIFT, data)


def _lock_data(chip: Dialogue, setup: Setup) -> None:
    """Lock the data zone with a CRC of all slots; if the chip refuses, of all but private slots; else without CRC.

    A refused Lock locks nothing. A label in the OTP zone shows later which CRC locked it, even if a reply was lost.
    """
    private = [slot for slot in range(len(SLOT_SIZES)) if key_config(chip.config, slot) & _PRIVATE]
    for included, label in _TRIED.items():
        _write_otp(chip, label)
        slots = [slot for slot in range(len(SLOT_SIZES)) if included or slot not in private]
        content = b"".join(setup.content(slot) for slot in slots) + _otp(label)
        if included is UNDECIDED:
            chip.ask(Opcode.LOCK, LOCK_NO_CRC | LOCK_DATA)
        else:
            chip.ask(Opcode.LOCK, LOCK_DATA, crc16(content))
        chip.read_config()
        if chip.data_locked:
            return


def _crc_that_locked(chip: Dialogue) -> bool | None:
    """Return whether the CRC that locked the data zone includes the private slots, or UNDECIDED."""
    content = chip.ask(Opcode.READ, P1_32_BYTES | Zone.OTP, 0).data
    return next((included for included, label in _TRIED.items() if content == _otp(label)[:BLOCK_SIZE]), UNDECIDED)


def _write_otp(chip: Dialogue, label: bytes) -> None:
    for block in range(OTP_SIZE // BLOCK_SIZE):
        data = _otp(label)[BLOCK_SIZE * block :][:BLOCK_SIZE]
        chip.ask(Opcode.WRITE, P1_32_BYTES | Zone.OTP, block << ZONE_BLOCK_SHIFT, data)


def _otp(label: bytes) -> bytes:
    return sha256(b"otp " + label).digest() * (OTP_SIZE // BLOCK_SIZE)
