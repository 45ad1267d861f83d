"""Nonce (16): a fresh TempKey from random bytes and input, or input as it is into one of the three buffers."""

from __future__ import annotations

from hashlib import sha256
from typing import Final

from atcaprov.chip.commands import Opcode
from atcaprov.emulator.command import SUCCESS, Command, require_length, require_p2
from atcaprov.emulator.core import Core
from atcaprov.emulator.mac_rules import require_output_of_temp_key
from atcaprov.emulator.refusal import denied, illegal

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
        raise illegal("the Alternate Key Buffer takes 32 bytes; there is no fourth target")
    require_length(length, 64 if wide else 32)
    require_p2(p2, 0)


def _execute(core: Core, p1: int, p2: int, data: bytes) -> bytes:
    if p1 & _MODE != _FIXED:
        return _random(core, p1, data, from_temp_key=p2 == _FROM_TEMP_KEY)
    target = p1 & _TARGET
    if target == _MESSAGE_DIGEST:
        core.volatile.message_digest = data
    elif target == _ALTERNATE_KEY:
        core.volatile.alternate_key = data
    else:
        core.temp_key.load(data, from_input=True)
    return SUCCESS


def _random(core: Core, p1: int, num_in: bytes, *, from_temp_key: bool) -> bytes:
    """TempKey := SHA-256(first | NumIn | 16 | P1 | 00), where first is random and the answer, or the old TempKey."""
    if not core.memory.config_locked and not core.switches.nonce_before_lock:
        raise denied("a random nonce needs the locked configuration zone", bit="LockConfig")
    temp_key = core.temp_key
    if from_temp_key and not temp_key.valid:
        raise denied("TempKey is not valid")
    if from_temp_key:
        require_output_of_temp_key(core)
    first = temp_key.key if from_temp_key else core.random_bytes(32)
    # A TempKey that came from the input stays one: otherwise ReqRandom could be talked round.
    from_input = from_temp_key and temp_key.from_input
    digest = sha256(first + num_in + bytes((Opcode.NONCE, p1, 0))).digest()
    temp_key.load(digest, from_input=from_input)
    if p1 != _KEEP_SEED:
        core.volatile.seed_updated = True
    return digest if from_temp_key else first


COMMAND: Final = Command(Opcode.NONCE, 0xE3, _check, _execute)
