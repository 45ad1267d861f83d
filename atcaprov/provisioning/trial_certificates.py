"""Issue a certificate on trial, before a chip is touched: what a definition does not allow shows up now.

Otherwise a date that the compressed form cannot hold, a signer certificate that does not rebuild, or data that do not
fit their slot would be found in stages 5 and 6, when the chip's configuration is locked.
"""

from __future__ import annotations

from typing import Final

from atcaprov.certs.cert_info import CertInfo
from atcaprov.certs.chain import verify_chain
from atcaprov.certs.compress import compress
from atcaprov.certs.x509_layout import certificate_layout
from atcaprov.device.zones.data_zone import require_fitting
from atcaprov.errors import Board, CertificateError, Code
from atcaprov.provisioning.clock_check import require_valid_now
from atcaprov.provisioning.profile import Profile
from atcaprov.provisioning.signer_offer import SignerOffer
from atcaprov.provisioning.trial_signer import TrialSigner

_ANY_CHIP: Final = bytes.fromhex("0123456789ABCDEFEE")
_ADVICE: Final = "No chip was touched. Call the technician: the signer's certificate definitions have to be corrected."


def require_issuable(offer: SignerOffer, cert_info: CertInfo, profile: Profile) -> None:
    """Check that certificates by the offered definitions can be issued, rebuilt and stored, by issuing one in memory.

    Raises:
        CertificateError: the signer certificate is not what its definition says, or a device certificate cannot be
            issued now, leads to no root, or is not valid now.
        UsageError: a certificate does not fit its slot.
    """
    try:
        compress(offer.signer_definition, offer.signer_certificate, ca_public_key=cert_info.root_public_key)
        signer = TrialSigner.like(offer)
        key = signer.root_public_key  # any point of the curve
        device = signer.certify(_ANY_CHIP, key)
        verify_chain(device.der, signer.certificate.der, signer.root_public_key, device_public_key=key)
        require_valid_now(device.der, "device")
        _require_issuer(device.der, offer.signer_certificate)
    except CertificateError as error:
        error.advice, error.board = error.advice or _ADVICE, Board.UNTOUCHED
        raise
    for content in signer.slot_contents(device, key):
        require_fitting(profile.config_zone, content.slot, content.offset, len(content.data))


def _require_issuer(device: bytes, signer: bytes) -> None:
    if certificate_layout(device).issuer.of(device) != certificate_layout(signer).subject.of(signer):
        raise CertificateError(
            "The issuer in the device certificate definition is not the subject of the signer certificate.",
            code=Code.CHAIN_INVALID,
        )
