"""The key of a log in a chip: ECDSA P-256 in a slot of an ATECC, which signs checkpoints and nothing else here.

The chip is opened for reading only, so that no command can change it, or use up a key of limited use.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from pathlib import Path

from atcaprov.certs.keys import der_signature, load_public_key
from atcaprov.config_zone.zone import ConfigZone
from atcaprov.device.device import Device
from atcaprov.device.read_only import open_read_only
from atcaprov.errors import CertificateError, Code, UsageError
from atcaprov.inspection.key_proof import reason_not_to_sign
from atcaprov.transparency.checkpoint import Checkpoint
from atcaprov.transparency.verifier_keys import NoteSigner, SignatureType, VerifierKey, p256_verifier_key
from provisioning_server.audit.log_key import LogChip, LogKey, open_log_key
from provisioning_server.ledger.store import Ledger


class ChipLogKey:
    """A key in a chip that is open."""

    slow = True

    def __init__(self, device: Device, slot: int) -> None:
        """Read the public key; raises UsageError if the key cannot sign, or what the device raises."""
        reason = reason_not_to_sign(ConfigZone(device.read_config()), slot)
        if reason is not None:
            raise UsageError(
                f"The key in slot {slot} cannot sign checkpoints: {reason}.",
                advice="Name another slot, or leave the key of the log in its file.",
            )
        self._device = device
        self._slot = slot
        self._public_key = load_public_key(device.get_pubkey(slot))

    def signer(self, origin: str) -> NoteSigner:
        """Return it as the signer of the log with this origin."""
        return _ChipSigner(self._device, self._slot, p256_verifier_key(origin, self._public_key))


class _ChipSigner:
    def __init__(self, device: Device, slot: int, key: VerifierKey) -> None:
        self._device = device
        self._slot = slot
        self.key = key

    def sign(self, text: bytes) -> bytes:
        """Return the signature of a checkpoint in DER; raises UsageError for any other text."""
        if Checkpoint.from_text(text).origin != self.key.name:
            raise UsageError("The chip signs checkpoints of its own log only.", code=Code.LOG_INVALID)
        signature = der_signature(self._device.sign(self._slot, hashlib.sha256(text).digest()))
        if not self.key.verifies(text, signature):
            raise CertificateError(
                "The chip's signature of a checkpoint is wrong.",
                advice="Check the connection to the chip; another one may have been put in its place.",
                code=Code.KEY_MISMATCH,
            )
        return signature


@contextlib.contextmanager
def opened_log_key(data: Path, ledger: Ledger, chip: LogChip | None) -> Iterator[LogKey]:
    """Open the key of a ledger's log: in the chip that is named, or in the data folder, where it is made if need be.

    Raises:
        UsageError: LOG_KEY_OTHER if the ledger's key is in a chip and none is named; or as `open_log_key`.
    """
    if chip is not None:
        with open_read_only(chip.url) as device:
            yield ChipLogKey(device, chip.slot)
        return
    if ledger.log_key()[:1] == bytes([SignatureType.ECDSA]):
        raise UsageError(
            "The checkpoints of this ledger are signed by a chip.",
            advice="Name it with --log-module.",
            code=Code.LOG_KEY_OTHER,
        )
    yield open_log_key(data, ledger)
