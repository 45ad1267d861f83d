"""Issue a certificate of a profile on trial, so that what does not fit the compressed format shows up at once."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils

from atcaprov.certs.compress import compress
from atcaprov.certs.descriptions.description import CertificateDescription, Slots, default_description
from atcaprov.certs.descriptions.template import device_definition
from atcaprov.certs.issue import issue
from atcaprov.certs.keys import raw_public_key, raw_signature
from atcaprov.certs.rebuild import slot_contents, stored_unit
from atcaprov.chip.memory_map import SLOT_COUNT
from atcaprov.device.zones.data_zone import require_fitting
from atcaprov.provisioning.profile import Profile

_SIGNER_ID: Final = bytes.fromhex("0034")
CHIP_SERIAL: Final = bytes.fromhex("0123456789ABCDEFEE")
"""Of the chip that the trial certificate is for."""
_FIRST_CERTIFICATE_SLOT: Final = 8


class TrialCertificate:
    """A device certificate of a description, from a key in memory with the default description of signers.

    `public_key` and `signer_public_key` are X||Y (64 bytes) of device and signer, `unit` a name that a unit may have.
    """

    def __init__(self, certificate: CertificateDescription) -> None:
        """Issue it; raises UsageError or CertificateError for what no definition or certificate can be."""
        now = datetime.now(UTC)
        self.definition = device_definition(certificate, signer=_signer_description(certificate), at=now)
        self.unit = "" if certificate.unit is None else certificate.unit.example
        self.public_key = raw_public_key(ec.generate_private_key(ec.SECP256R1()).public_key())
        signer = ec.generate_private_key(ec.SECP256R1())
        self.signer_public_key = raw_public_key(signer.public_key())
        self.issued = issue(
            self.definition,
            subject_public_key=self.public_key,
            ca_public_key=self.signer_public_key,
            signer_id=_SIGNER_ID,
            issue_date=self.definition.issue_date(now),
            chip_serial=CHIP_SERIAL,
            unit=self.unit,
            sign=lambda digest: raw_signature(signer.sign(digest, ec.ECDSA(utils.Prehashed(hashes.SHA256())))),
        )

    def require_compressible(self) -> None:
        """Compress the finished certificate and rebuild it; raises CertificateError if a byte differs."""
        compress(
            self.definition,
            self.issued.der,
            ca_public_key=self.signer_public_key,
            public_key=self.public_key,
            chip_serial=CHIP_SERIAL,
            stored=stored_unit(self.definition, self.unit),
        )

    def require_room(self, chip: Profile) -> None:
        """Raise UsageError unless the product's chip has room for what the certificate leaves on it."""
        contents = slot_contents(self.definition, compressed=self.issued.compressed, public_key=self.public_key)
        for content in contents:
            require_fitting(chip.config_zone, content.slot, content.offset, len(content.data))


def _signer_description(device: CertificateDescription) -> CertificateDescription:
    """Return the default description of signers, moved out of the way of the device's ids and slots."""
    usual = default_description("signer")
    assert device.slots is not None
    taken = {device.slots.compressed_certificate, device.slots.private_key}
    if device.unit is not None:
        taken.add(device.unit.slot)
    order = [11, 12, *range(_FIRST_CERTIFICATE_SLOT, SLOT_COUNT)]
    key, compressed = list(dict.fromkeys(slot for slot in order if slot not in taken))[:2]
    template_id = usual.template_id
    if (template_id, usual.chain_id) == (device.template_id, device.chain_id):
        template_id = (template_id + 1) % 16
    return replace(usual, template_id=template_id, slots=Slots(compressed, public_key=key))
