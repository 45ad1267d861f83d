"""Issue a certificate of a profile on trial, so that what does not fit the compressed format shows up at once."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec

from atcaprov.certs.compress import compress
from atcaprov.certs.definitions.definition import CertificateDefinition
from atcaprov.certs.descriptions.description import CertificateDescription, Slots, default_description
from atcaprov.certs.descriptions.template import device_definition, signer_definition
from atcaprov.certs.issue import IssuedCertificate
from atcaprov.certs.keys import raw_public_key
from atcaprov.chip.memory_map import SLOT_COUNT
from atcaprov.device.zones.data_zone import require_fitting
from atcaprov.provisioning.profile import Profile
from atcaprov.provisioning.trial_signer import TrialSigner

_SIGNER_ID: Final = bytes.fromhex("0034")
CHIP_SERIAL: Final = bytes.fromhex("0123456789ABCDEFEE")
"""Of the chip that the trial certificate is for."""
_FIRST_CERTIFICATE_SLOT: Final = 8


class TrialCertificate:
    """A device certificate of a description, from a signer in memory with the default description of signers."""

    def __init__(self, certificate: CertificateDescription) -> None:
        """Issue it; raises UsageError or CertificateError for what no definition or certificate can be."""
        now = datetime.now(UTC)
        signer = _signer_description(certificate)
        root = default_description("root").subject_name()
        self.definition: CertificateDefinition = device_definition(certificate, signer=signer, at=now)
        self.signer = TrialSigner(self.definition, signer_definition(signer, root_name=root, at=now), _SIGNER_ID)
        key = ec.generate_private_key(ec.SECP256R1())
        self.public_key = raw_public_key(key.public_key())
        self.issued: IssuedCertificate = self.signer.certify(CHIP_SERIAL, self.public_key)

    def require_compressible(self) -> None:
        """Compress the finished certificate and rebuild it; raises CertificateError if a byte differs."""
        compress(
            self.definition,
            self.issued.der,
            ca_public_key=self.signer.public_key,
            public_key=self.public_key,
            chip_serial=CHIP_SERIAL,
        )

    def require_room(self, chip: Profile) -> None:
        """Raise UsageError unless the product's chip has room for what the certificate leaves on it."""
        for content in self.signer.slot_contents(self.issued, self.public_key):
            require_fitting(chip.config_zone, content.slot, content.offset, len(content.data))


def _signer_description(device: CertificateDescription) -> CertificateDescription:
    """Return the default description of signers, moved out of the way of the device's ids and slots."""
    usual = default_description("signer")
    assert device.slots is not None
    taken = {device.slots.compressed_certificate, device.slots.private_key}
    order = [11, 12, *range(_FIRST_CERTIFICATE_SLOT, SLOT_COUNT)]
    key, compressed = list(dict.fromkeys(slot for slot in order if slot not in taken))[:2]
    template_id = usual.template_id
    if (template_id, usual.chain_id) == (device.template_id, device.chain_id):
        template_id = (template_id + 1) % 16
    return replace(usual, template_id=template_id, slots=Slots(compressed, public_key=key))
