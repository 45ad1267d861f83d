"""Look at the chip before an import, and make sure that the same chip is there when it is written."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Collection, Iterable
from dataclasses import replace

from atcaprov.certs.keys import verify_digest
from atcaprov.device.device import DIGEST_SIZE, Device
from atcaprov.errors import Code, DeviceError, TransportError
from atcaprov.importing.presented_chain import p256_key_of
from atcaprov.inspection.key_proof import reason_not_to_sign
from atcaprov.inspection.snapshot import ALL_SLOTS, ChipSnapshot, read_snapshot


def look_at(
    device: Device,
    *,
    slots: Collection[int] = ALL_SLOTS,
    key_slot: int | None = None,
    certificates: Iterable[bytes] = (),
) -> ChipSnapshot:
    """Return what the chip shows of `slots`, and its public keys.

    A named key whose public half the chip does not show is found by one signature, if it is that of one of the
    `certificates` (DER). Raises as `read_snapshot`.
    """
    snapshot = read_snapshot(device, slots=slots)
    if key_slot is None or key_slot in snapshot.public_keys or not snapshot.zone.config_locked:
        return snapshot
    if not snapshot.zone.slots[key_slot].private or reason_not_to_sign(snapshot.zone, key_slot) is not None:
        return snapshot
    key = _signing_key(device, key_slot, [key for key in map(p256_key_of, certificates) if key is not None])
    return snapshot if key is None else replace(snapshot, public_keys={**snapshot.public_keys, key_slot: key})


def _signing_key(device: Device, slot: int, candidates: Iterable[bytes]) -> bytes | None:
    """Return which of some public keys (X||Y) verifies a signature of the key in a slot."""
    digest = hashlib.sha256(secrets.token_bytes(DIGEST_SIZE)).digest()
    try:
        signature = device.sign(slot, digest)
    except DeviceError:
        return None
    return next((key for key in candidates if verify_digest(key, digest, signature)), None)


def require_same_chip(device: Device, snapshot: ChipSnapshot) -> None:
    """Raise TransportError (device-not-found) if another chip answers than the one that was looked at."""
    if device.read_config() != snapshot.config:
        raise TransportError(
            "Another chip answers than the one that was looked at, or its configuration has changed.",
            advice="Leave the board in its fixture and run the command again.",
            code=Code.DEVICE_NOT_FOUND,
        )
