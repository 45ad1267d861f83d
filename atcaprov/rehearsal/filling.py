"""Give every slot of a chip the content that lets it be tried, while the data zone is open."""

from __future__ import annotations

from typing import Final

from atcaprov.chip.commands import GEN_KEY_CREATE, Opcode
from atcaprov.chip.memory_map import COUNT_MATCH
from atcaprov.emulator.counters import MAXIMUM
from atcaprov.rehearsal.trial_chip import Twin

CONTENT: Final = bytes(range(1, 73))
_COUNT_MATCH_ON: Final = 0x01


def fill(twin: Twin, number: int) -> bool:
    """Put into a slot what it is for: a key made in the chip, a public key, the limit of CountMatch, or bytes.

    Return whether the chip took it.
    """
    slot = twin.slot(number)
    if slot.private:
        return twin.does(Opcode.GEN_KEY, GEN_KEY_CREATE, number)
    if slot.holds_public_key:
        return twin.write_public_key(number)
    return twin.write(number, _limit() if _keeps_limit(twin, number) else CONTENT[: slot.size])


def _keeps_limit(twin: Twin, number: int) -> bool:
    match = twin.chip.memory.config[COUNT_MATCH]
    return not twin.chip.memory.is_508 and bool(match & _COUNT_MATCH_ON) and match >> 4 == number


def _limit() -> bytes:
    return 2 * MAXIMUM.to_bytes(4, "little")
