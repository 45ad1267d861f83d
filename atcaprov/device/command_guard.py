"""The guard: no command that changes a chip is sent without a permit.

Every packet is checked after the vendor's library has built it and before it is sent: a packet that is not known to be
harmless needs a permit, and a permit names one kind of act. A device without permits cannot change a chip, whichever
method is called.
"""

from __future__ import annotations

import enum
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from atcaprov.chip.commands import (
    GEN_KEY_CREATE,
    LOCK_CONFIG,
    LOCK_DATA,
    LOCK_NO_CRC,
    LOCK_SLOT,
    P1_ENCRYPTED,
    TEMP_KEY_SLOT,
    Opcode,
    Zone,
)
from atcaprov.chip.modes import (
    COUNTER_READ,
    ECDH_KEY_IN_TEMP_KEY,
    ECDH_TO_BUS,
    ECDH_TO_TEMP_KEY,
    INFO_LATCH,
    KDF_FROM_SLOT,
    KDF_TO_SLOT,
    VERIFY_EXTERNAL,
    VERIFY_STORED,
)
from atcaprov.device.replies import command_name
from atcaprov.errors import Code, UsageError
from atcaprov.hal.base import ForwardingHal


class Act(enum.Enum):
    """Kinds of change that a stage can ask a permit for."""

    WRITE_CONFIG = "write the configuration zone"
    WRITE_DATA = "write the data zone"
    WRITE_SECRET = "replace a secret by an encrypted write"  # noqa: S105 - an act, not a secret
    WRITE_PRIVATE_KEY = "write a private key from outside"
    CREATE_KEY = "generate a key"
    ADVANCE_COUNTER = "advance a counter, which never goes back"
    LOCK_CONFIG = "lock the configuration zone permanently"
    LOCK_DATA = "lock the data zone permanently"
    LOCK_SLOT = "lock a slot permanently"
    LOCK_UNSEEN = "lock without the CRC of the content"
    OTHER = "change the chip in a way that no stage uses"


_HARMLESS = frozenset(
    {
        Opcode.READ,
        Opcode.NONCE,
        Opcode.RANDOM,
        Opcode.SIGN,
        Opcode.SHA,
        Opcode.MAC,
        Opcode.HMAC,
        Opcode.CHECK_MAC,
        Opcode.GEN_DIG,
        Opcode.SELF_TEST,
        Opcode.AES,
    }
)
# Masks of fields in the mode byte P1.
_ZONE = 0x03
_VERIFY_MODE = 0x03
_ECDH_TARGET = 0x0C
_KDF_SOURCE, _KDF_TARGET = 0x03, 0x1C
_LATCH_WRITE = 0x02
"""Bit of P2 by which Info writes the persistent latch."""


def act_of(packet: bytes) -> Act | None:
    """Return the kind of change that the command in `packet` makes, or None if it makes none."""
    opcode, mode, parameter = packet[1], packet[2], int.from_bytes(packet[3:5], "little")
    if opcode in _HARMLESS or _is_harmless_mode(opcode, mode, parameter):
        return None
    if opcode == Opcode.WRITE:
        return _act_of_write(mode)
    if opcode == Opcode.UPDATE_EXTRA:
        return Act.WRITE_CONFIG
    if opcode == Opcode.COUNTER:
        return Act.ADVANCE_COUNTER
    if opcode == Opcode.GEN_KEY:
        return Act.CREATE_KEY
    if opcode == Opcode.PRIV_WRITE:
        return Act.WRITE_PRIVATE_KEY
    if opcode == Opcode.LOCK:
        return _act_of_lock(mode)
    return Act.OTHER


def _is_harmless_mode(opcode: int, mode: int, parameter: int) -> bool:
    if opcode == Opcode.GEN_KEY:
        return not mode & GEN_KEY_CREATE or parameter == TEMP_KEY_SLOT
    if opcode == Opcode.INFO:
        return mode != INFO_LATCH or not parameter & _LATCH_WRITE
    if opcode == Opcode.COUNTER:
        return mode == COUNTER_READ
    if opcode == Opcode.VERIFY:
        return mode & _VERIFY_MODE in (VERIFY_STORED, VERIFY_EXTERNAL)  # the others change a stored key's validity
    if opcode == Opcode.ECDH:
        return bool(mode & ECDH_KEY_IN_TEMP_KEY) and mode & _ECDH_TARGET in (ECDH_TO_TEMP_KEY, ECDH_TO_BUS)
    if opcode == Opcode.KDF:
        return mode & _KDF_SOURCE != KDF_FROM_SLOT and mode & _KDF_TARGET != KDF_TO_SLOT
    return False


def _act_of_write(mode: int) -> Act:
    if mode & _ZONE == Zone.CONFIG:
        return Act.WRITE_CONFIG
    return Act.WRITE_SECRET if mode & P1_ENCRYPTED else Act.WRITE_DATA


def _act_of_lock(mode: int) -> Act:
    if mode & _ZONE == LOCK_SLOT:
        return Act.LOCK_SLOT
    if mode & LOCK_NO_CRC:
        return Act.LOCK_UNSEEN
    return {LOCK_CONFIG: Act.LOCK_CONFIG, LOCK_DATA: Act.LOCK_DATA}.get(mode & _ZONE, Act.OTHER)


class Guard(threading.local):
    """Holds the permits that each thread has open now, none at first; what one may do, the others may not."""

    permitted: frozenset[Act] = frozenset()
    """What the thread that asks may do."""

    @contextmanager
    def permit(self, *acts: Act) -> Iterator[None]:
        """Let these acts of this thread through, and no others, until the block ends."""
        before, self.permitted = self.permitted, frozenset(acts)
        try:
            yield
        finally:
            self.permitted = before


def require_permit(packet: bytes, permitted: frozenset[Act]) -> None:
    """Return if a packet may be sent.

    Raises:
        UsageError: the packet would change the chip without a permit (code READ_ONLY); it was not sent.
    """
    act = act_of(packet)
    if act is not None and act not in permitted:
        raise UsageError(
            f"{command_name(packet)} was blocked: it would {act.value}, which this step may not do.",
            advice="Nothing was sent. This is an error in the program that uses the library.",
            code=Code.READ_ONLY,
        )


class GuardedHal(ForwardingHal):
    """Passes every call to another HAL, but a packet only if it is known to be harmless."""

    def exchange(self, packet: bytes) -> bytes:
        """Return the chip's reply.

        Raises:
            UsageError: the packet would change the chip (READ_ONLY); it was not sent.
        """
        require_permit(packet, frozenset())
        return self._hal.exchange(packet)
