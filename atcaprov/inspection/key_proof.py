"""Have a chip prove that it holds a private key, by one fresh signature; nothing is changed."""

from __future__ import annotations

import hashlib
import secrets

from atcaprov.certs.keys import verify_digest
from atcaprov.config_zone.zone import ConfigZone
from atcaprov.device.device import Device
from atcaprov.errors import CertificateError, Code

_CHALLENGE_SIZE = 32


def prove_key(device: Device, slot: int, public_key: bytes, digest: bytes | None = None) -> bytes:
    """Have the chip sign and verify it under `public_key`, 64 bytes X||Y; return the signature R||S.

    It signs `digest`, 32 bytes that no one else chose, or that of a fresh random challenge.
    """
    if digest is None:
        digest = hashlib.sha256(secrets.token_bytes(_CHALLENGE_SIZE)).digest()
    signature = device.sign(slot, digest)
    if not verify_digest(public_key, digest, signature):
        raise CertificateError(
            "The chip's private key does not fit its certificate.",
            advice="The chip is locked: it cannot be repaired.",
            code=Code.KEY_MISMATCH,
        )
    return signature


def reason_not_to_sign(zone: ConfigZone, slot: int) -> str | None:
    """Return why the key in `slot` is not asked for a signature, as the end of a sentence, or None if it may be.

    A signature by a key of limited use uses it up a little, which would change the chip.
    """
    rules = zone.slots[slot]
    if not rules.slot_config.external_sign:
        return "its configuration does not let it sign digests from outside"
    if rules.slot_config.limited_use:
        return "it is a key of limited use, and each signature counts"
    if rules.key_config.req_auth:
        return "each use needs an authorization, which only its owner can give"
    if rules.key_config.persistent_disable:
        return "it is disabled until the firmware sets the chip's latch"
    return None
