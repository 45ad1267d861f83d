"""What the server's signer will issue, asked and checked before any chip is touched.

A signer that is missing, a definition that does not fit the product or a foreign root would otherwise show up only
after a chip's configuration has been locked for ever.
"""

from __future__ import annotations

from dataclasses import dataclass

from atcaprov.certs.cert_info import CertInfo
from atcaprov.certs.chain import verify_signer
from atcaprov.certs.definition import CertificateDefinition
from atcaprov.errors import Code, ProvisioningError
from atcaprov.provisioning.profile import Profile
from atcaprov.provisioning.server_exchange import ask
from atcaprov.provisioning.user_functions import UserFunctions
from atcaprov.wire.messages import SignerReply, SignerRequest


@dataclass(frozen=True)
class SignerOffer:
    """A signer that is ready, its certificate (DER), and the definitions of what it issues."""

    signer_certificate: bytes
    device_definition: CertificateDefinition
    signer_definition: CertificateDefinition


def ask_for_offer(functions: UserFunctions, cert_info: CertInfo, profile: Profile) -> SignerOffer:
    """Ask the server for the signer that `cert_info` names and check all that can be checked without a chip.

    Raises:
        ServerRejected: the server does not know the signer, or it is not ready.
        CertificateError: the signer is not certified by the pinned root, or a definition is damaged.
        ProvisioningError: a certificate would go to a slot that the profile does not give to certificates
            (code SLOT_NOT_ALLOWED).
    """
    reply = ask(functions, SignerRequest(cert_info.signer_public_key), SignerReply)
    offer = SignerOffer(
        reply.signer_certificate,
        CertificateDefinition.from_bytes(reply.device_definition),
        CertificateDefinition.from_bytes(reply.signer_definition),
    )
    verify_signer(
        offer.signer_certificate,
        signer_public_key=cert_info.signer_public_key,
        root_public_key=cert_info.root_public_key,
    )
    _require_allowed_slots(offer, profile)
    return offer


def _require_allowed_slots(offer: SignerOffer, profile: Profile) -> None:
    wanted = {*offer.device_definition.write_slots, *offer.signer_definition.write_slots}
    refused = sorted(wanted - profile.certificate_slots)
    if refused:
        raise ProvisioningError(
            f"The signer wants to write slots {', '.join(map(str, refused))}, which this product does not give to"
            " certificates.",
            advice="Call the technician: the signer is for another product.",
            code=Code.SLOT_NOT_ALLOWED,
        )
    if offer.device_definition.private_key_slot != profile.device_key_slot:
        raise ProvisioningError(
            f"The signer certifies the key of slot {offer.device_definition.private_key_slot}, this product's is in"
            f" slot {profile.device_key_slot}.",
            advice="Call the technician: the signer is for another product.",
            code=Code.SLOT_NOT_ALLOWED,
        )
