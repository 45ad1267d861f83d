"""Write a private key from outside to a chip, by PrivWrite: for those who insist. A chip's own key is better.

Such a key has been in a file, so whoever has the file is the device. The chip takes it in clear before the data lock,
and after it encrypted under the slot's WriteKey, if WriteConfig allows (DS20005927A, 9.14).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric import ec

from atcaprov.certs.keys import key_id, raw_public_key
from atcaprov.chip.commands import Status
from atcaprov.config_zone.slot import Slot
from atcaprov.device.command_guard import Act
from atcaprov.device.device import SECRET_SIZE, Device
from atcaprov.errors import Board, CertificateError, Code, DeviceError, ProvisioningError, UsageError
from atcaprov.importing.chip_session import require_same_chip
from atcaprov.inspection.key_proof import prove_key, reason_not_to_sign
from atcaprov.inspection.snapshot import ChipSnapshot, gives_public_key


@dataclass(frozen=True)
class PrivateKeyImport:
    """A key that is to be written to one slot of one chip; everything that could fail before has been checked."""

    snapshot: ChipSnapshot
    slot: int
    public_key: bytes
    """X||Y, 64 bytes."""
    is_there: bool
    """Whether the slot holds this key already, so that nothing is written."""
    is_encrypted: bool
    private_key: ec.EllipticCurvePrivateKey = field(repr=False)
    write_key: bytes | None = field(default=None, repr=False)
    """32 bytes."""


def plan_private_key(
    snapshot: ChipSnapshot,
    slot: int,
    private_key: ec.EllipticCurvePrivateKey,
    *,
    write_key: bytes | None = None,
    replace_key: bool = False,
) -> PrivateKeyImport:
    """Check everything that can be checked; nothing is sent. `private_key` is on P-256, `write_key` has 32 bytes.

    Raises ProvisioningError: slot-not-allowed, slot-locked, slot-not-blank when the slot holds another key, or may, and
    `replace_key` is off. The board is untouched.
    """
    public_key = raw_public_key(private_key.public_key())
    place = snapshot.zone.slots[slot]
    is_there = snapshot.public_keys.get(slot) == public_key
    _require_key_slot(snapshot, place)
    if not is_there:
        _require_takes_key(snapshot, place, write_key)
        _require_free(snapshot, slot, replace_key=replace_key)
    return PrivateKeyImport(snapshot, slot, public_key, is_there, write_key is not None, private_key, write_key)


def _require_key_slot(snapshot: ChipSnapshot, slot: Slot) -> None:
    if not snapshot.zone.config_locked:
        raise ProvisioningError(
            "The configuration zone of this chip is not locked: until then the chip takes no key.",
            advice="Have its configuration locked first.",
            board=Board.UNTOUCHED,
        )
    if not slot.private or not slot.p256 or not slot.slot_config.is_secret:
        raise _not_allowed(f"Slot {slot.number} is not for a private key on P-256.")


def _require_takes_key(snapshot: ChipSnapshot, slot: Slot, write_key: bytes | None) -> None:
    if not slot.open:
        raise ProvisioningError(
            f"Slot {slot.number} is locked permanently.",
            advice="Nothing was written. Its key cannot be replaced.",
            code=Code.SLOT_LOCKED,
            board=Board.UNTOUCHED,
        )
    parent = snapshot.zone.slots[slot.slot_config.write_key]
    if write_key is not None and parent.key_config.req_auth:
        raise _not_allowed(
            f"The WriteKey of slot {slot.number}, in slot {parent.number}, asks for an authorization before each use, "
            "which only its owner can give."
        )
    if not snapshot.zone.data_locked:
        return
    if not slot.slot_config.priv_write:
        raise _not_allowed(f"Slot {slot.number} takes no key from outside after the data lock (WriteConfig, bit 14).")
    if write_key is None:
        raise UsageError(
            f"Slot {slot.number} takes a key only encrypted under the key in slot {slot.slot_config.write_key}.",
            advice="Give that key's 32 bytes with --write-key FILE.",
        )


def _require_free(snapshot: ChipSnapshot, slot: int, *, replace_key: bool) -> None:
    if replace_key or snapshot.keys.get(slot) is False:
        return
    there = snapshot.public_keys.get(slot)
    what = f"holds the key with id {key_id(there).hex().upper()}" if there else "may hold a key, which it does not show"
    raise ProvisioningError(
        f"Slot {slot} {what}.",
        advice="Nothing was written. A key that is replaced is lost; if it is not needed, give --replace-key.",
        code=Code.SLOT_NOT_BLANK,
        board=Board.UNTOUCHED,
    )


def run_private_key(device: Device, plan: PrivateKeyImport) -> bool:
    """Write the key unless it is there, and prove it; return whether the chip could prove that it holds the key.

    Raises TransportError when another chip answers than the one that was looked at, DeviceError when the chip refuses,
    ProvisioningError when it does not prove the key that was written.
    """
    require_same_chip(device, plan.snapshot)
    if not plan.is_there:
        _write(device, plan)
    return _proved(device, plan)


def _write(device: Device, plan: PrivateKeyImport) -> None:
    scalar = plan.private_key.private_numbers().private_value.to_bytes(SECRET_SIZE, "big")
    write_key_slot = plan.snapshot.zone.slots[plan.slot].slot_config.write_key
    try:
        with device.permit(Act.WRITE_PRIVATE_KEY):
            device.write_private_key(plan.slot, scalar, write_key=plan.write_key, write_key_slot=write_key_slot)
    except DeviceError as error:
        if plan.is_encrypted:
            error.advice = f"Check that the file of --write-key is what slot {write_key_slot} of this chip holds."
        raise


def _proved(device: Device, plan: PrivateKeyImport) -> bool:
    """Have the chip show and use the key, where its configuration lets anybody do so."""
    zone = plan.snapshot.zone
    shown = _shown_key(device, plan.slot) if gives_public_key(zone, zone.slots[plan.slot]) else None
    if shown not in (None, plan.public_key):
        raise _another_key(plan.slot)
    signs = reason_not_to_sign(zone, plan.slot) is None
    if signs:
        try:
            prove_key(device, plan.slot, plan.public_key)
        except CertificateError as error:
            raise _another_key(plan.slot) from error
    return shown is not None or signs


def _shown_key(device: Device, slot: int) -> bytes | None:
    """Return the public key; None if the chip does not show it: whether PubInfo holds before the data lock is open."""
    try:
        return device.get_pubkey(slot)
    except DeviceError as error:
        if error.status != Status.EXECUTION_ERROR:
            raise
        return None


def _another_key(slot: int) -> ProvisioningError:
    return ProvisioningError(
        f"Slot {slot} holds another key than the one that was written.",
        advice="Run the same command again; if it happens twice, set the board aside.",
        code=Code.WRITE_NOT_VERIFIED,
    )


def _not_allowed(what: str) -> ProvisioningError:
    return ProvisioningError(
        what,
        advice="Nothing was written. Choose another slot.",
        code=Code.SLOT_NOT_ALLOWED,
        board=Board.UNTOUCHED,
    )
