"""A blank part that is given up to settle open points: it is permanently locked and useless afterwards.

The configuration gives each question a slot of its own. Keys and secrets are known here: answers can be computed.
A part that was set up so before goes on where it stands.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from hashlib import sha256
from types import MappingProxyType
from typing import Final

from atcaprov.chip.commands import LOCK_CONFIG, LOCK_DATA, LOCK_NO_CRC, P1_32_BYTES, Opcode, Zone
from atcaprov.chip.crc import crc16
from atcaprov.chip.memory_map import BLOCK_SIZE, OTP_SIZE, SLOT_SIZES, WORD_SIZE, key_config
from atcaprov.chip.parts import is_608
from atcaprov.errors import Code, ProvisioningError
from atcaprov.recording.destructive.setups import Setup
from atcaprov.recording.dialogue import Dialogue
from atcaprov.recording.questions import UNDECIDED, Reading, put

_PRIVATE: Final = 0x01
_FIRST_WORD: Final = 4
_LOCK_WORD: Final = 21
_RESERVED: Final = slice(76, 80)
"""Four of the reserved bytes 75 to 83."""
_NOT_ZERO: Final = bytes((1, 0, 0, 0))
_TRIED: Final[Mapping[bool | None, bytes]] = MappingProxyType(
    {True: b"with private slots", False: b"without private slots", UNDECIDED: b"without CRC"}
)
"""What the CRC of the data lock includes, and what the OTP zone holds then."""


def require_blank(part: Dialogue, serial: bytes, setup: Setup) -> None:
    """Raise ProvisioningError unless this is the ATECC608 that was named, blank or with this setup."""
    if part.serial != serial:
        raise ProvisioningError(
            f"The part has the serial number {part.serial.hex().upper()}, not {serial.hex().upper()}.",
            advice="Nothing was changed. Name the part that you want to give up.",
        )
    if not is_608(part.ask(Opcode.INFO).data):
        raise ProvisioningError(
            "The part is no ATECC608: the questions are about that part.",
            advice="Nothing was changed. Take a blank ATECC608.",
            code=Code.WRONG_PART,
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
        yield Reading("lock_reserved_bytes", "refuse" if part.config[_RESERVED] == bytes(WORD_SIZE) else "allow")
    if not part.data_locked:
        _fill(part, setup)
        yield from put(part, setup.data_open, done)
        _fill(part, setup)  # what the questions have changed
        _lock_data(part, setup)
    if "data_crc_private" not in done:
        yield Reading("data_crc_private", _crc_that_locked(part))
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
    return zone[: _RESERVED.start] + word + zone[_RESERVED.stop :]


def _lock_config(part: Dialogue, wanted: bytes) -> bool:
    if wanted[_RESERVED] != part.config[_RESERVED]:
        part.ask(Opcode.WRITE, Zone.CONFIG, _RESERVED.start // WORD_SIZE, wanted[_RESERVED])
    part.read_config()
    if part.config == wanted:
        part.ask(Opcode.LOCK, LOCK_CONFIG, crc16(wanted))
        part.read_config()  # its answer may have been lost
    return part.config_locked


def _fill(part: Dialogue, setup: Setup) -> None:
    """Write every slot, whole."""
    for slot, size in enumerate(SLOT_SIZES):
        content = setup.content(slot)
        if key_config(part.config, slot) & _PRIVATE:
            part.ask(Opcode.PRIV_WRITE, 0, slot, content + bytes(32))
            continue
        for block in range(-(-size // BLOCK_SIZE)):
            data = content[BLOCK_SIZE * block :][:BLOCK_SIZE].ljust(BLOCK_SIZE, b"\0")
            part.ask(Opcode.WRITE, P1_32_BYTES | Zone.DATA, slot << 3 | block << 8, data)


def _lock_data(part: Dialogue, setup: Setup) -> None:
    """Lock the data zone, by a CRC with the private slots if it is taken: a refused one locks nothing.

    The OTP zone says which CRC was tried, so that the part itself tells which one has locked it, whatever was lost.
    """
    private = [slot for slot in range(len(SLOT_SIZES)) if key_config(part.config, slot) & _PRIVATE]
    for included, label in _TRIED.items():
        _write_otp(part, label)
        slots = [slot for slot in range(len(SLOT_SIZES)) if included or slot not in private]
        content = b"".join(setup.content(slot) for slot in slots) + _otp(label)
        if included is UNDECIDED:
            part.ask(Opcode.LOCK, LOCK_NO_CRC | LOCK_DATA)
        else:
            part.ask(Opcode.LOCK, LOCK_DATA, crc16(content))
        part.read_config()
        if part.data_locked:
            return


def _crc_that_locked(part: Dialogue) -> bool | None:
    """Tell whether the CRC that has locked the data zone includes the private slots."""
    content = part.ask(Opcode.READ, P1_32_BYTES | Zone.OTP, 0).data
    return next((included for included, label in _TRIED.items() if content == _otp(label)[:BLOCK_SIZE]), UNDECIDED)


def _write_otp(part: Dialogue, label: bytes) -> None:
    for block in range(OTP_SIZE // BLOCK_SIZE):
        data = _otp(label)[BLOCK_SIZE * block :][:BLOCK_SIZE]
        part.ask(Opcode.WRITE, P1_32_BYTES | Zone.OTP, block << 3, data)


def _otp(label: bytes) -> bytes:
    return sha256(b"otp " + label).digest() * (OTP_SIZE // BLOCK_SIZE)
