"""Judge a chip with a locked data zone that this server has not certified, by the chip's own contents."""

from __future__ import annotations

from atcaprov.certs.cert_info import CertInfo
from atcaprov.certs.chain import verify_chain
from atcaprov.certs.compressed_form import CompressedCertificate
from atcaprov.certs.rebuild import from_slots
from atcaprov.device.device import Device
from atcaprov.errors import Board, CertificateError, Code, ProvisioningError
from atcaprov.inspection.key_proof import prove_key
from atcaprov.provisioning.certificate_reply import ChipKey
from atcaprov.provisioning.signer_offer import SignerOffer
from atcaprov.provisioning.validation import rebuilt_device, rebuilt_signer

_GOOD_ADVICE = "Set the board aside as a good one; it needs nothing more."


def judged(device: Device, chip: ChipKey | None, offer: SignerOffer, cert_info: CertInfo) -> ProvisioningError:
    """Return the error that says what to do with the board; nothing is changed. `chip` is None if it has no key.

    What a server says of a chip may be wrong, or may come from another server than the one that certified it. A chain
    from the chip's own key to the pinned root cannot arise by accident: such a board is never scrap.
    """
    if chip is None:
        return _other("This chip's data zone is locked, and it has no device key.")
    try:
        signer_key = _proved_signer(device, chip, offer, cert_info)
    except CertificateError:
        return _not_proved(device, offer)
    if signer_key == cert_info.signer_public_key:
        what = "This chip is provisioned and its certificates are valid, but this server has no record of them."
        advice = f"{_GOOD_ADVICE} Tell the technician: the server's records may be incomplete."
    else:
        what = "This chip is provisioned and good: another signer of the same root certified it."
        advice = _GOOD_ADVICE
    return ProvisioningError(what, advice=advice, code=Code.FINISHED_ELSEWHERE, board=Board.SET_ASIDE)


def _proved_signer(device: Device, chip: ChipKey, offer: SignerOffer, cert_info: CertInfo) -> bytes:
    """Return the key (X||Y) of the signer that certified the chip, if the chain is valid and the chip proves its
    key."""
    _, stored = from_slots(offer.signer_definition, device.read_slot)
    signer_key = stored or cert_info.signer_public_key
    signer = rebuilt_signer(device, offer, cert_info, signer_key)
    certificate = rebuilt_device(device, chip, offer, signer_key)
    verify_chain(certificate, signer, cert_info.root_public_key, device_public_key=chip.public_key)
    prove_key(device, offer.device_definition.private_key_slot, chip.public_key)
    return signer_key


def _not_proved(device: Device, offer: SignerOffer) -> ProvisioningError:
    definition = offer.device_definition
    try:
        compressed, _ = from_slots(definition, device.read_slot)
        found = CompressedCertificate.parse(compressed)
    except CertificateError:
        return _other("This chip's data zone is locked, and it holds no certificate.")
    if not any(found.signature) or (found.template_id, found.chain_id) == (definition.template_id, definition.chain_id):
        return _other("This chip's data zone is locked, and its certificate does not lead to the pinned root.")
    error = _other(
        f"This chip is provisioned for another product: its certificate has template id {found.template_id:X} and chain"
        f" id {found.chain_id:X}; this product uses {definition.template_id:X} and {definition.chain_id:X}."
    )
    error.advice, error.board = "Set the board aside, and ask for which product it was made.", Board.SET_ASIDE
    return error


def _other(what: str) -> ProvisioningError:
    return ProvisioningError(
        what,
        advice="It was used before, or an earlier run failed.",
        code=Code.DATA_LOCKED_OTHER,
        board=Board.SCRAP,
    )
