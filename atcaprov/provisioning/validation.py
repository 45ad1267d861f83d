"""Stage 10: read the chip back, rebuild both certificates, and have the chip prove that it holds the key."""

from __future__ import annotations

from atcaprov.certs.cert_info import CertInfo
from atcaprov.certs.chain import verify_chain
from atcaprov.certs.rebuild import from_slots, rebuild
from atcaprov.device.device import Device
from atcaprov.errors import Board, CertificateError
from atcaprov.inspection.key_proof import prove_key
from atcaprov.provisioning.certificate_reply import ChipKey, IssuedCertificates, require_equal
from atcaprov.provisioning.signer_offer import SignerOffer


def validate(
    device: Device, chip: ChipKey, issued: IssuedCertificates, offer: SignerOffer, cert_info: CertInfo
) -> None:
    """Check what is on the chip, as `atcaprov_validate()` of the guide does; nothing is changed.

    Raises:
        CertificateError: a certificate does not rebuild as issued, does not chain to the pinned root, or the chip's
            private key does not fit it (code KEY_MISMATCH). The zones are locked by now: the board is scrap.
    """
    try:
        device_certificate = rebuilt_device(device, chip, offer, issued.signer_public_key)
        signer_certificate = rebuilt_signer(device, offer, cert_info, issued.signer_public_key)
        require_equal(offer.device_definition, issued.device_certificate, device_certificate)
        require_equal(offer.signer_definition, issued.signer_certificate, signer_certificate)
        verify_chain(
            device_certificate,
            signer_certificate,
            cert_info.root_public_key,
            device_public_key=chip.public_key,
            at=None,
        )
        prove_key(device, offer.device_definition.private_key_slot, chip.public_key)
    except CertificateError as error:
        error.board = Board.SCRAP
        raise


def rebuilt_device(device: Device, chip: ChipKey, offer: SignerOffer, signer_public_key: bytes) -> bytes:
    """Return the device certificate (DER) rebuilt from the chip's slots; raises CertificateError."""
    compressed, stored_key = from_slots(offer.device_definition, device.read_slot)
    return rebuild(
        offer.device_definition,
        compressed=compressed,
        public_key=stored_key or chip.public_key,
        ca_public_key=signer_public_key,
        chip_serial=chip.serial_number,
    )


def rebuilt_signer(device: Device, offer: SignerOffer, cert_info: CertInfo, signer_public_key: bytes) -> bytes:
    """Return the signer certificate (DER) rebuilt from the chip's slots; raises CertificateError."""
    compressed, stored_key = from_slots(offer.signer_definition, device.read_slot)
    return rebuild(
        offer.signer_definition,
        compressed=compressed,
        public_key=stored_key or signer_public_key,
        ca_public_key=cert_info.root_public_key,
        chip_serial=None,
    )
