"""What commands that do not use TempKey, or are refused, do to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from atcaprov.chip.commands import P1_32_BYTES, P1_ENCRYPTED, Opcode, Zone
from atcaprov.recording.destructive.first_setup import Roles
from atcaprov.recording.dialogue import PATTERN, ChipReply, Dialogue
from atcaprov.recording.questions import UNDECIDED, Ask, Question

Command = Callable[[Dialogue], ChipReply]
_ANY_KEY: Final = bytes(32)
_SIGN_EXTERNAL: Final = 0x80
_OVER_TEMP_KEY: Final = 0x01


def temp_key_is_lost(command: Command, *, granted: bool) -> Ask:
    """Return the question whether TempKey is lost after a command that is granted, or refused."""

    def ask(part: Dialogue) -> bool | None:
        part.load()
        if not part.has_temp_key():
            return UNDECIDED
        reply = command(part)
        return UNDECIDED if reply.status is None or reply.granted is not granted else not part.has_temp_key()

    return ask


def _mac(part: Dialogue) -> ChipReply:
    return part.ask(Opcode.MAC, 0, Roles.NO_MAC, PATTERN)


def _derive_key(part: Dialogue) -> ChipReply:
    return part.ask(Opcode.DERIVE_KEY, 0x04, Roles.PLAIN_KEY)  # into a slot that takes none


def _write(part: Dialogue) -> ChipReply:
    return part.encrypted_write(P1_32_BYTES | P1_ENCRYPTED | Zone.DATA, Roles.ENCRYPTED << 3, _ANY_KEY)


def _sign(part: Dialogue) -> ChipReply:
    return part.ask(Opcode.SIGN, _SIGN_EXTERNAL, Roles.PLAIN_KEY)  # no private key


def _check_mac(part: Dialogue) -> ChipReply:
    secret = Roles.secret(Roles.OTHER_SECRET)
    return part.check_mac(_OVER_TEMP_KEY, Roles.OTHER_SECRET, secret, PATTERN)  # TempKey is not random


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
"""For the first part, behind the data lock: each is refused with 0F."""
