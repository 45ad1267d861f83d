"""Nonce (16): a fresh TempKey from random bytes and input, or input as it is into one of the three buffers."""

from __future__ import annotations

from hashlib import sha256
from typing import Final

from atcaprov.chip.commands import Opcode
from atcaprov.emulator.command import SUCCESS, CommandSpec, require_length, require_p2
from atcaprov.emulator.core import Core
from atcaprov.emulator.refusal import denied, illegal
from atcaprov.emulator.temp_key_rules import require_output_of_temp_key

_MODE: Final = 0x03
_FIXED: Final = 3
_KEEP_SEED: Final = 1
_64_BYTES: Final = 0x20
_TARGET: Final = 0xC0
_MESSAGE_DIGEST: Final = 0x40
_ALTERNATE_KEY: Final = 0x80
_NUM_IN_SIZE: Final = 20
_FROM_TEMP_KEY: Final = 0x8000


def _check(p1: int, p2: int, length: int) -> None:
    if p1 & _MODE != _FIXED:
        if p1 not in (0, _KEEP_SEED):
            raise illegal(f"Nonce has no mode {p1:02X}")
        require_length(length, _NUM_IN_SIZE)
        require_p2(p2, 0, _FROM_TEMP_KEY)
        return
    wide = bool(p1 & _64_BYTES)
    target = p1 & _TARGET
    if target == _TARGET or (target == _ALTERNATE_KEY and wide):
        raise illegal("the Alternate Key Buffer takes 32 bytes, and there is no fourth buffer")
    require_length(length, 64 if wide else 32)
    require_p2(p2, 0)


def _execute(core: Core, p1: int, p2: int, data: bytes) -> bytes:
    if p1 & _MODE != _FIXED:
        return _renewed(core, p1, data) if p2 == _FROM_TEMP_KEY else _random(core, p1, data)
    target = p1 & _TARGET
    if target == _MESSAGE_DIGEST:
        core.volatile.message_digest = data
    elif target == _ALTERNATE_KEY:
        core.volatile.alternate_key = data
    else:
        core.temp_key.load(data, from_input=True)
    return SUCCESS


def _random(core: Core, p1: int, num_in: bytes) -> bytes:
    """TempKey := SHA-256(random | NumIn | 16 | P1 | 00); the answer is the random number."""
    if not core.memory.config_locked and not core.rules.nonce_before_lock:
        raise denied("a random nonce needs a locked configuration zone", bit="LockConfig")
    number = core.random_bytes(32)
    core.temp_key.load(_digest(number, num_in, p1), from_input=False)
    if p1 != _KEEP_SEED:
        core.volatile.seed_updated = True
    return number


def _renewed(core: Core, p1: int, num_in: bytes) -> bytes:
    """TempKey := SHA-256(TempKey | NumIn | 16 | P1 | 00), which is also the answer; no random number is made.

    Its flags stay (DS20005927A, 9.12), but in the ATECC608 SourceFlag becomes Rand (TNGTLS data sheet, 5.1.4.1).
    """
    temp_key = core.temp_key
    if not temp_key.valid:
        raise denied("TempKey is not valid")
    require_output_of_temp_key(core)
    temp_key.digest(_digest(temp_key.key, num_in, p1))
    if not core.memory.is_508:
        temp_key.from_input = False
    return temp_key.key


def _digest(first: bytes, num_in: bytes, p1: int) -> bytes:
    return sha256(first + num_in + bytes((Opcode.NONCE, p1, 0))).digest()


COMMAND: Final = CommandSpec(Opcode.NONCE, 0xE3, _check, _execute)
