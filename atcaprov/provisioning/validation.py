"""Stage 10: read the chip back, rebuild both certificates, and have the chip prove that it holds the key."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass

from atcaprov.certs.cert_info import CertInfo
from atcaprov.certs.chain import verify_chain
from atcaprov.certs.possession_proof import contents_digest, possession_digest
from atcaprov.certs.rebuild import SlotContent, from_slots, rebuild
from atcaprov.device.device import Device
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


class _ReadSlots:
    """Reads data slots and keeps what it has read."""

    def __init__(self, read: Callable[[int, int, int], bytes]) -> None:
        self.parts: list[SlotContent] = []
        self._read = read

    def read(self, slot: int, offset: int, count: int) -> bytes:
        data = self._read(slot, offset, count)
        self.parts.append(SlotContent(slot, offset, data))
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
    slots = _ReadSlots(device.read_slot)
    try:
        device_certificate = rebuilt_device(slots.read, chip, offer, issued.signer_public_key)
        signer_certificate = rebuilt_signer(slots.read, offer, cert_info, issued.signer_public_key)
        require_equal(offer.device_definition, issued.device_certificate, device_certificate)
        require_equal(offer.signer_definition, issued.signer_certificate, signer_certificate)
        verify_chain(
            device_certificate,
            signer_certificate,
            cert_info.root_public_key,
            device_public_key=chip.public_key,
            at=None,
        )
        contents = contents_digest(slots.parts)
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


def rebuilt_device(
    read_slot: Callable[[int, int, int], bytes], chip: ChipKey, offer: SignerOffer, signer_public_key: bytes
) -> bytes:
    """Return the device certificate (DER) rebuilt from the chip's slots; raises CertificateError."""
    compressed, stored_key = from_slots(offer.device_definition, read_slot)
    return rebuild(
        offer.device_definition,
        compressed=compressed,
        public_key=stored_key or chip.public_key,
        ca_public_key=signer_public_key,
        chip_serial=chip.serial_number,
    )


def rebuilt_signer(
    read_slot: Callable[[int, int, int], bytes], offer: SignerOffer, cert_info: CertInfo, signer_public_key: bytes
) -> bytes:
    """Return the signer certificate (DER) rebuilt from the chip's slots; raises CertificateError."""
    compressed, stored_key = from_slots(offer.signer_definition, read_slot)
    return rebuild(
        offer.signer_definition,
        compressed=compressed,
        public_key=stored_key or signer_public_key,
        ca_public_key=cert_info.root_public_key,
        chip_serial=None,
    )
