"""Random (1B): 32 bytes; the pattern FF FF 00 00 while the configuration zone is open."""

from __future__ import annotations

from typing import Final

from atcaprov.chip.commands import Opcode
from atcaprov.emulator.command import CommandSpec, data_never_count, require_length, require_p2
from atcaprov.emulator.core import Core

_KEEP_SEED: Final = 1


def _check(_p1: int, p2: int, length: int) -> None:
    require_length(length, 0)
    require_p2(p2, 0)


def _execute(core: Core, p1: int, _p2: int, _data: bytes) -> bytes:
    if p1 != _KEEP_SEED:
        core.volatile.seed_updated = True
    return core.random_bytes(32)


COMMAND: Final = CommandSpec(Opcode.RANDOM, 0x01, _check, _execute, data_never_count)
