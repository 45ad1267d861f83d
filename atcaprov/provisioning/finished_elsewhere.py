"""Judge a chip with a locked data zone that this server has not certified, by the chip's own contents."""

from __future__ import annotations

from functools import partial

from atcaprov.certs.cert_info import CertInfo
from atcaprov.certs.chain import verify_chain
from atcaprov.device.device import Device
from atcaprov.device.zones.places import read_place
from atcaprov.errors import AtcaProvError, Board, CertificateError, Code, ProvisioningError
from atcaprov.inspection import verdict
from atcaprov.inspection.certificates.defined import IssuerDefinitions, rebuilt_pair
from atcaprov.inspection.key_proof import prove_key
from atcaprov.provisioning.certificate_reply import ChipKey, IssuedCertificates
from atcaprov.provisioning.signer_offer import SignerOffer
from atcaprov.provisioning.validation import PossessionProof, validate


def judged(device: Device, chip: ChipKey | None, offer: SignerOffer, cert_info: CertInfo) -> ProvisioningError:
    """Return the error that says what to do with the board; nothing is changed. `chip` is None if it has no key.

    What a server says of a chip may be wrong, or may come from another server than the one that certified it. A chain
    from the chip's own key to the pinned root cannot arise by accident: such a board is never scrap.
    """
    if chip is None:
        return verdict.without_key()
    error = finished_elsewhere(device, chip, offer, cert_info)
    return error if error is not None else verdict.not_proved(offer.device_definition, device.read_slot)


def finished_elsewhere(
    device: Device, chip: ChipKey, offer: SignerOffer, cert_info: CertInfo, key_slot: int | None = None
) -> ProvisioningError | None:
    """Return the error for a chip with valid certificates under the pinned root; None if it does not prove them.

    `key_slot` is where the key of `chip` is, if not where the offered definition says.
    """
    slot = offer.device_definition.private_key_slot if key_slot is None else key_slot
    try:
        signer_key = _proved_signer(device, chip, offer, cert_info, slot)
    except CertificateError:
        return None
    if signer_key == cert_info.signer_public_key:
        return verdict.finished_without_record()
    return verdict.finished_by_another_signer()


def validate_as_issued(
    device: Device, chip: ChipKey, issued: IssuedCertificates, offer: SignerOffer, cert_info: CertInfo
) -> PossessionProof:
    """Check what is on the chip as `validate`; a chip with other certificates that are valid is set aside, not scrap.

    A server that gives other certificates than those it issued first may have lost its records. Raises as `validate`.
    """
    try:
        return validate(device, chip, issued, offer, cert_info)
    except CertificateError as error:
        if error.code == Code.CERTIFICATE_MISMATCH and _is_good_by_itself(device, chip, offer, cert_info):
            error.board = Board.SET_ASIDE
            error.advice = (
                "The certificates on the chip are valid all the same. Set the board aside and call the technician: the"
                " server's records are not those of this chip."
            )
        raise


def _is_good_by_itself(device: Device, chip: ChipKey, offer: SignerOffer, cert_info: CertInfo) -> bool:
    try:
        return finished_elsewhere(device, chip, offer, cert_info) is not None
    except AtcaProvError:
        return False


def _proved_signer(device: Device, chip: ChipKey, offer: SignerOffer, cert_info: CertInfo, key_slot: int) -> bytes:
    """Return the key (X||Y) of the signer that certified the chip, if the chain is valid and the chip proves its
    key."""
    issuer = IssuerDefinitions(
        offer.device_definition, offer.signer_definition, cert_info.root_public_key, cert_info.signer_public_key
    )
    pair = rebuilt_pair(partial(read_place, device), issuer, public_key=chip.public_key, chip_serial=chip.serial_number)
    verify_chain(pair.device, pair.signer, cert_info.root_public_key, device_public_key=chip.public_key)
    prove_key(device, key_slot, chip.public_key)
    return pair.signer_public_key
