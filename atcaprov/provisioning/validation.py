"""Stage 10: read the chip back, rebuild both certificates, and have the chip prove that it holds the key."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass

from atcaprov.certs.cert_info import CertInfo
from atcaprov.certs.chain import verify_chain
from atcaprov.certs.definitions.definition import DeviceLocation, DeviceZone
from atcaprov.certs.possession_proof import OTP_SLOT, contents_digest, possession_digest
from atcaprov.certs.rebuild import ReadPlace, SlotContent, from_places, read_stored, rebuild
from atcaprov.device.device import Device
from atcaprov.device.zones.places import read_place
from atcaprov.errors import Board, CertificateError
from atcaprov.inspection.key_proof import prove_key
from atcaprov.provisioning.certificate_reply import ChipKey, IssuedCertificates, require_equal
from atcaprov.provisioning.signer_offer import SignerOffer
from atcaprov.wire.messages import CHALLENGE_SIZE


@dataclass(frozen=True)
class PossessionProof:
    """The chip's signature R||S over the server's challenge, and the SHA-256 of what was read back."""

    signature: bytes
    contents_sha256: bytes


class _ReadPlaces:
    """Reads places of a chip and keeps what it has read."""

    def __init__(self, device: Device) -> None:
        self.parts: list[SlotContent] = []
        self._device = device

    def read(self, location: DeviceLocation) -> bytes:
        data = read_place(self._device, location)
        slot = OTP_SLOT if location.zone is DeviceZone.OTP else location.slot
        self.parts.append(SlotContent(slot, location.offset, data))
        return data


def validate(
    device: Device, chip: ChipKey, issued: IssuedCertificates, offer: SignerOffer, cert_info: CertInfo
) -> PossessionProof:
    """Check what is on the chip, as `atcaprov_validate()` of the guide does; nothing is changed.

    Everything is read back, rebuilt and compared before the chip signs; without a challenge of the server it signs a
    random one.

    Raises:
        CertificateError: a certificate does not rebuild as issued, does not chain to the pinned root, or the chip's
            private key does not fit it (code KEY_MISMATCH). The zones are locked by now: the board is scrap.
    """
    places = _ReadPlaces(device)
    try:
        device_certificate = rebuilt_device(places.read, chip, offer, issued.signer_public_key)
        signer_certificate = rebuilt_signer(places.read, offer, cert_info, issued.signer_public_key)
        require_equal(offer.device_definition, issued.device_certificate, device_certificate)
        require_equal(offer.signer_definition, issued.signer_certificate, signer_certificate)
        verify_chain(
            device_certificate,
            signer_certificate,
            cert_info.root_public_key,
            device_public_key=chip.public_key,
            at=None,
        )
        contents = contents_digest(places.parts)
        digest = possession_digest(
            issued.challenge or secrets.token_bytes(CHALLENGE_SIZE),
            hashlib.sha256(device_certificate).digest(),
            contents,
        )
        signature = prove_key(device, offer.device_definition.private_key_slot, chip.public_key, digest)
    except CertificateError as error:
        error.board = Board.SCRAP
        raise
    return PossessionProof(signature, contents)


def rebuilt_device(read: ReadPlace, chip: ChipKey, offer: SignerOffer, signer_public_key: bytes) -> bytes:
    """Return the device certificate (DER) rebuilt from what the chip holds; raises CertificateError."""
    compressed, stored_key = from_places(offer.device_definition, read)
    return rebuild(
        offer.device_definition,
        compressed=compressed,
        public_key=stored_key or chip.public_key,
        ca_public_key=signer_public_key,
        chip_serial=chip.serial_number,
        stored=read_stored(offer.device_definition, read),
    )


def rebuilt_signer(read: ReadPlace, offer: SignerOffer, cert_info: CertInfo, signer_public_key: bytes) -> bytes:
    """Return the signer certificate (DER) rebuilt from what the chip holds; raises CertificateError."""
    compressed, stored_key = from_places(offer.signer_definition, read)
    return rebuild(
        offer.signer_definition,
        compressed=compressed,
        public_key=stored_key or signer_public_key,
        ca_public_key=cert_info.root_public_key,
        chip_serial=None,
    )
