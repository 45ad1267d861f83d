"""What becomes of TempKey and of a running SHA when a command ends: one table for each part.

Commands load TempKey, and say so when they use it up. Everything else that ends it stands here: DS20005927A, 2.5.1
and 9.17, for the ATECC508A; for the ATECC608 what the vendor's tests and public firmware show, and open points where
nobody has looked.
"""

from __future__ import annotations

from typing import Final

from atcaprov.chip.commands import Opcode, Status
from atcaprov.emulator.core import Core

_USE_TEMP_KEY_UP: Final = frozenset({Opcode.DERIVE_KEY, Opcode.MAC})
"""When granted, in every mode and on every part (cryptoauthlib lib/host/atca_host.c calculates so)."""
_LEAVE_TEMP_KEY_508A: Final = frozenset({Opcode.GEN_KEY, Opcode.INFO})
_LEAVE_TEMP_KEY_608: Final = frozenset(
    {
        Opcode.AES,
        Opcode.GEN_DIG,
        Opcode.GEN_KEY,
        Opcode.INFO,
        Opcode.KDF,
        Opcode.NONCE,
        Opcode.RANDOM,
        Opcode.READ,
        Opcode.SHA,
        Opcode.SIGN,
        Opcode.VERIFY,
    }
)
"""A granted one that neither loads TempKey nor uses it up leaves it as it is."""
_HARMLESS_ERRORS: Final = frozenset({Status.ECC_FAULT, Status.WATCHDOG})
"""Errors that never change TempKey. A damaged packet (FF) does not come as far as here."""


def succeed(core: Core, opcode: int) -> None:
    """Settle what a command leaves behind that did its work."""
    volatile = core.volatile
    if volatile.sha is not None and opcode != Opcode.SHA and core.memory.is_508:
        volatile.sha = None
    temp_key = volatile.temp_key
    if temp_key.valid and not temp_key.fresh and _ended_by_success(core, opcode):
        temp_key.use_up()


def fail(core: Core, opcode: int, status: int) -> None:
    """Settle what a refused command leaves behind; the answer 01 is no refusal, but a result."""
    if status == Status.MISMATCH:
        succeed(core, opcode)
        return
    if core.memory.is_508:
        core.volatile.sha = None
    harmless = status in _HARMLESS_ERRORS or opcode == Opcode.INFO
    if core.temp_key.valid and not harmless and core.rules.errors_clear_temp_key:
        core.temp_key.use_up()


def _ended_by_success(core: Core, opcode: int) -> bool:
    if core.memory.is_508:
        return opcode not in _LEAVE_TEMP_KEY_508A
    if opcode == Opcode.CHECK_MAC:
        return core.open_points.checkmac_consumes
    if opcode in _USE_TEMP_KEY_UP:
        return True
    return opcode not in _LEAVE_TEMP_KEY_608 and core.open_points.other_commands_clear_temp_key
