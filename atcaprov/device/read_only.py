"""Open a chip for reading only: no command that changes it can be sent.

What may be sent is a list, and what is not on it is blocked, whatever the caller permits. What the listed commands
leave behind is lost when the chip sleeps: TempKey, buffers, an authorization. Three of them do a little more, and it
does no harm:

- A random Nonce and Random may renew the seed of the random number generator, which no command can read.
- SelfTest that fails makes the chip refuse to compute until a test passes; so it would at its next power-on, too.
- Info reads the persistent latch; the mode that sets or clears it is blocked.

The use of a key of limited use is counted in the chip for good: in Counter 0, or in LastKeyUse for slot 15 of an
ATECC508A. So before a command that uses a slot, SlotConfig is read from the chip, each time, since the board may have
been changed; the command is blocked if LimitedUse is set, or if the zone cannot be read. GenKey that computes a
public key does not count (DS20005927A, 3.2.5 and 9.7).
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from atcaprov.chip.commands import GEN_KEY_PUBLIC, P1_32_BYTES, Opcode, Status, Zone
from atcaprov.chip.crc import with_crc
from atcaprov.chip.memory_map import BLOCK_SIZE, SLOT_COUNT, slot_config
from atcaprov.chip.modes import (
    COUNTER_READ,
    GEN_DIG_COUNTER,
    GEN_DIG_KEY_CONFIG,
    GEN_DIG_SHARED_NONCE,
    GEN_KEY_DIGEST,
    GEN_KEY_STORED_DIGEST,
    INFO_GPIO,
    INFO_KEY_VALID,
    INFO_LATCH,
    INFO_REVISION,
    INFO_STATE,
    SHA_HMAC_START,
    SHA_MODE,
    SHA_PUBLIC,
    VERIFY_EXTERNAL,
    VERIFY_FROM_MESSAGE_DIGEST_BUFFER,
    VERIFY_STORED,
    ZONE_BLOCK_SHIFT,
)
from atcaprov.config_zone.slot import SlotConfig
from atcaprov.device.command_guard import require_permit
from atcaprov.device.device import Device
from atcaprov.device.replies import STATUS_REPLY_SIZE, check_reply, command_name
from atcaprov.errors import Code, UsageError
from atcaprov.hal.base import ForwardingHal, Hal
from atcaprov.hal.registry import open_hal_read_only
from atcaprov.hal.tracing.hal import TracedHal
from atcaprov.hal.tracing.trace_file import create_trace

_NOTHING_USED: Final[frozenset[int]] = frozenset()
_ALWAYS_HARMLESS: Final = frozenset({Opcode.READ, Opcode.NONCE, Opcode.RANDOM, Opcode.SELF_TEST})
_USE_A_SLOT: Final = frozenset({Opcode.SIGN, Opcode.MAC, Opcode.HMAC, Opcode.CHECK_MAC, Opcode.AES})
_HARMLESS_MODES: Final[dict[int, frozenset[int]]] = {
    # By the whole of P1.
    Opcode.INFO: frozenset({INFO_REVISION, INFO_KEY_VALID, INFO_STATE, INFO_GPIO}),
    Opcode.COUNTER: frozenset({COUNTER_READ}),
    Opcode.GEN_KEY: frozenset({GEN_KEY_PUBLIC, GEN_KEY_DIGEST}),
    Opcode.GEN_DIG: frozenset({Zone.CONFIG, Zone.OTP, GEN_DIG_COUNTER}),
    Opcode.VERIFY: frozenset({VERIFY_EXTERNAL, VERIFY_EXTERNAL | VERIFY_FROM_MESSAGE_DIGEST_BUFFER}),
}
_MODES_WITH_A_SLOT: Final[dict[int, frozenset[int]]] = {
    Opcode.GEN_KEY: frozenset({GEN_KEY_STORED_DIGEST}),
    Opcode.GEN_DIG: frozenset({Zone.DATA, GEN_DIG_SHARED_NONCE, GEN_DIG_KEY_CONFIG}),
    Opcode.VERIFY: frozenset({VERIFY_STORED, VERIFY_STORED | VERIFY_FROM_MESSAGE_DIGEST_BUFFER}),
}
_NOT_BEGUN: Final = frozenset({Status.CRC_ERROR, Status.WATCHDOG})
"""The answer to a command that the chip did not begin, so that it may be sent again."""


def open_read_only(url: str, *, trace: Path | None = None) -> Device:
    """Open the chip that a device URL names so that no command can change it, whatever the caller permits.

    The file of a software chip is not changed, and not created: its chip is then a new one. `trace` is a new file for
    what passes between host and chip. A blocked command raises UsageError (READ_ONLY); nothing was sent.
    """
    hal = open_read_only_hal(url, trace=trace)
    try:
        return Device(hal)
    except BaseException:
        hal.close()
        raise


def open_read_only_hal(url: str, *, trace: Path | None = None) -> ReadOnlyHal:
    """Open the same chip for single packets, beside or without a Device."""
    hal = open_hal_read_only(url)
    try:
        return ReadOnlyHal(_traced(hal, url, trace))
    except BaseException:
        hal.close()
        raise


def _traced(hal: Hal, url: str, trace: Path | None) -> Hal:
    return hal if trace is None else TracedHal(hal, create_trace(trace, url))


class ReadOnlyHal(ForwardingHal):
    """Passes every call to another HAL, but a packet only if it is known to leave the chip as it is."""

    def exchange(self, packet: bytes) -> bytes:
        """Return the chip's reply.

        Raises:
            UsageError: the packet would change the chip, or might (READ_ONLY); it was not sent.
        """
        require_permit(packet, frozenset())
        slots = slots_used(packet)
        if slots is None:
            raise _blocked(packet, "it may change the chip")
        for slot in slots:
            refused = self._refused_look(packet, slot)
            if refused is not None:
                return refused
        return self._hal.exchange(packet)

    def _refused_look(self, packet: bytes, slot: int) -> bytes | None:
        """Return None if the slot may be used; else a reply that says that the chip has not begun.

        The caller then sends its command again, and the look is repeated.
        """
        zone = b""
        for block in range(2):  # SlotConfig lies in the first two
            look = _read_config(block)
            reply = self._hal.exchange(look)
            check_reply(look, reply)
            if len(reply) == STATUS_REPLY_SIZE:
                if reply[1] in _NOT_BEGUN:
                    return reply
                raise _blocked(packet, f"the chip does not show the configuration of slot {slot}")
            zone += reply[1 : 1 + BLOCK_SIZE]
        if SlotConfig(slot_config(zone, slot)).limited_use:
            raise _blocked(packet, f"the key in slot {slot} is of limited use, and the chip counts each use")
        return None


def slots_used(packet: bytes) -> frozenset[int] | None:
    """Return the slots whose key a harmless command uses; None if the command is not known to be harmless.

    `packet` is count, opcode, P1, P2 (low byte first), data, CRC.
    """
    opcode, mode, parameter = packet[1], packet[2], int.from_bytes(packet[3:5], "little")
    if opcode in _ALWAYS_HARMLESS or mode in _HARMLESS_MODES.get(opcode, ()):
        return _NOTHING_USED
    if opcode == Opcode.INFO:
        return _NOTHING_USED if (mode, parameter) == (INFO_LATCH, 0) else None
    if opcode == Opcode.SHA and mode & SHA_MODE not in (SHA_PUBLIC, SHA_HMAC_START):
        return _NOTHING_USED
    uses = opcode in _USE_A_SLOT or opcode == Opcode.SHA or mode in _MODES_WITH_A_SLOT.get(opcode, ())
    return frozenset({parameter}) if uses and parameter < SLOT_COUNT else None


def _read_config(block: int) -> bytes:
    address = (block << ZONE_BLOCK_SHIFT).to_bytes(2, "little")
    return with_crc(bytes((7, Opcode.READ, Zone.CONFIG | P1_32_BYTES)) + address)


def _blocked(packet: bytes, reason: str) -> UsageError:
    return UsageError(
        f"{command_name(packet)} was blocked: {reason}.",
        advice="Nothing was sent: a read-only command leaves the chip as it is.",
        code=Code.READ_ONLY,
    )
