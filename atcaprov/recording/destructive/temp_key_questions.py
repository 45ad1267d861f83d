"""Questions whether TempKey survives commands that do not use it, or that are refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from atcaprov.chip.commands import P1_32_BYTES, P1_ENCRYPTED, Opcode, Zone
from atcaprov.chip.modes import MAC_CHALLENGE_IN_TEMP_KEY, MAC_SOURCE_IS_INPUT, SIGN_EXTERNAL, SLOT_SHIFT
from atcaprov.recording.destructive.first_setup import FirstSlots
from atcaprov.recording.dialogue import PATTERN, ChipReply, Dialogue
from atcaprov.recording.questions import UNDECIDED, Ask, Question

Step = Callable[[Dialogue], ChipReply]
_ANY_KEY: Final = bytes(32)


def temp_key_is_lost(command: Step, *, granted: bool) -> Ask:
    """Return the question whether TempKey is lost after a command that is granted or, with False, refused."""

    def ask(chip: Dialogue) -> bool | None:
        chip.load()
        if not chip.has_temp_key():
            return UNDECIDED
        reply = command(chip)
        return UNDECIDED if reply.status is None or reply.granted is not granted else not chip.has_temp_key()

    return ask


def _mac(chip: Dialogue) -> ChipReply:
    return chip.ask(Opcode.MAC, 0, FirstSlots.NO_MAC, PATTERN)


def _derive_key(chip: Dialogue) -> ChipReply:
    return chip.ask(
        Opcode.DERIVE_KEY, MAC_SOURCE_IS_INPUT, FirstSlots.PLAIN_KEY
    )  # refused: the slot does not take derived keys


def _write(chip: Dialogue) -> ChipReply:
    return chip.encrypted_write(P1_32_BYTES | P1_ENCRYPTED | Zone.DATA, FirstSlots.ENCRYPTED << SLOT_SHIFT, _ANY_KEY)


def _sign(chip: Dialogue) -> ChipReply:
    return chip.ask(Opcode.SIGN, SIGN_EXTERNAL, FirstSlots.PLAIN_KEY)  # refused: the slot has no private key


def _check_mac(chip: Dialogue) -> ChipReply:
    secret = FirstSlots.secret(FirstSlots.OTHER_SECRET)
    return chip.check_mac(
        MAC_CHALLENGE_IN_TEMP_KEY, FirstSlots.OTHER_SECRET, secret, PATTERN
    )  # refused: TempKey is not random


REFUSED_COMMANDS: Final = tuple(
    Question(f"errors_clear_temp_key.{opcode.name}", temp_key_is_lost(command, granted=False))
    for opcode, command in (
        (Opcode.MAC, _mac),
        (Opcode.DERIVE_KEY, _derive_key),
        (Opcode.WRITE, _write),
        (Opcode.SIGN, _sign),
        (Opcode.CHECK_MAC, _check_mac),
    )
)
"""For the first setup, after the data lock: each command is refused with 0F."""
