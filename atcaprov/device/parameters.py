"""Checks of a command's parameters before anything is sent: C would cut a number that is too large.

Ranges: DS20005927A, table of the zones and sections of the commands.
"""

from __future__ import annotations

import ctypes
from typing import Any, Final

from atcaprov.chip.memory_map import BLOCK_SIZE, CONFIG_SIZE, OTP_SIZE, SLOT_COUNT, SLOT_SIZES, WORD_SIZE
from atcaprov.errors import UsageError

LONGEST_MESSAGE: Final = 0xFFFF
"""What the library's SHA function takes at once, in bytes."""


def require_number(what: str, value: int, last: int) -> None:
    """Return if `value` is a number from 0 to `last`.

    Raises:
        UsageError: it is not.
    """
    if not isinstance(value, int) or not 0 <= value <= last:
        raise UsageError(f"{what} is a number from 0 to {last}, not {value!r}.")


def require_crc(value: int) -> None:
    """Return if `value` is a CRC of 16 bits; see `require_number`."""
    require_number("A CRC", value, 0xFFFF)


def require_slot(slot: int) -> None:
    """Return if the chip has this slot; see `require_number`."""
    require_number("A slot", slot, SLOT_COUNT - 1)


def require_counter(number: int) -> None:
    """Return if the chip has this counter; see `require_number`."""
    require_number("A counter", number, 1)


def require_config_word(word: int) -> None:
    """Return if the configuration zone has this word of 4 bytes; see `require_number`."""
    require_number("A word of the configuration zone", word, CONFIG_SIZE // WORD_SIZE - 1)


def require_otp_block(block: int) -> None:
    """Return if the OTP zone has this block of 32 bytes; see `require_number`."""
    require_number("A block of the OTP zone", block, OTP_SIZE // BLOCK_SIZE - 1)


def require_slot_block(slot: int, block: int) -> None:
    """Return if the slot has this block of 32 bytes, whole or in part; see `require_number`."""
    require_slot(slot)
    require_number(f"A block of slot {slot}", block, (SLOT_SIZES[slot] - 1) // BLOCK_SIZE)


def require_slot_bytes(slot: int, offset: int, count: int) -> None:
    """Return if the slot has `count` bytes, one at least, from `offset`.

    Raises:
        UsageError: it has not.
    """
    require_slot(slot)
    require_number(f"An offset in slot {slot}", offset, SLOT_SIZES[slot] - 1)
    left = SLOT_SIZES[slot] - offset
    if not isinstance(count, int) or not 1 <= count <= left:
        raise UsageError(f"From byte {offset} of slot {slot}, 1 to {left} bytes can be read, not {count!r}.")


def require_size(what: str, data: bytes, size: int) -> None:
    """Return if `data` has `size` bytes.

    Raises:
        UsageError: it has another size, or is not bytes.
    """
    if not isinstance(data, bytes | bytearray):
        raise UsageError(f"A {what} must be bytes, not {type(data).__name__}.")
    if len(data) != size:
        raise UsageError(f"A {what} has {size} bytes, not {len(data)}.")


def require_message(message: bytes) -> None:
    """Return if the library hashes a message of this length.

    Raises:
        UsageError: it has more than 65,535 bytes.
    """
    if len(message) > LONGEST_MESSAGE:
        raise UsageError(f"The chip hashes at most {LONGEST_MESSAGE} bytes at once, not {len(message)}.")


def buffer(data: bytes) -> Any:
    """Return the bytes as an array for the library."""
    return (ctypes.c_uint8 * len(data)).from_buffer_copy(data)
