"""Ask what the server's signer will issue, and check it before any chip is touched.

Otherwise a missing signer, a definition that does not fit the product or a foreign root would show up only after a
chip's configuration is permanently locked.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from atcaprov.certs.cert_info import CertInfo
from atcaprov.certs.chain import verify_signer
from atcaprov.certs.definitions.definition import CertificateDefinition
from atcaprov.certs.x509_layout import certificate_layout
from atcaprov.errors import Board, CertificateError, Code, ProvisioningError, ServerRejected, UsageError
from atcaprov.provisioning.profile import Profile
from atcaprov.provisioning.run_details import RunDetails
from atcaprov.provisioning.server_exchange import ask_patiently
from atcaprov.provisioning.user_functions import UserFunctions
from atcaprov.transparency.ledger_checkpoint import LedgerIdentity
from atcaprov.wire.messages import SignerReply, SignerRequest


@dataclass(frozen=True)
class SignerOffer:
    """A signer that is ready, its certificate (DER), and the definitions of what it issues.

    `server_time` is the server's clock in seconds since 1970 in UTC; 0 if unknown. `certificates_left` is what the
    quotas still allow; 0 if there is no such limit, or it is unknown. `new_key_refused` tells that the server has
    certified a key of `chip_serial`, the chip that it was asked about (9 bytes; empty: none), and certifies no other.
    `checkpoint` is the newest signed one of its ledger, `log_key` what signs it; empty if it sends none.
    """

    signer_certificate: bytes
    device_definition: CertificateDefinition
    signer_definition: CertificateDefinition
    server_time: int = 0
    certificates_left: int = 0
    new_key_refused: bool = False
    chip_serial: bytes = b""
    checkpoint: bytes = b""
    log_key: bytes = b""

    @cached_property
    def ledger(self) -> LedgerIdentity | None:
        """The ledger that the server is on, as its checkpoint proves; None if it sends none that is valid."""
        try:
            return LedgerIdentity.proved(self.checkpoint, self.log_key)
        except UsageError:
            return None


def ask_for_offer(
    functions: UserFunctions, cert_info: CertInfo, profile: Profile, chip_serial: bytes, details: RunDetails
) -> SignerOffer:
    """Ask the server for the signer that `cert_info` names; nothing of the answer is trusted yet.

    `chip_serial` (9 bytes) is the chip that is going to ask for certificates; empty if it is not known yet. A server
    that is busy is asked again, so a chip must be at rest.

    Raises:
        ServerRejected: the server does not know the signer, or it is not ready.
        CertificateError: a definition is damaged.
    """
    request = SignerRequest(
        cert_info.signer_public_key,
        profile.any_of_group,
        config_zone=profile.config_zone,
        chip_serial=chip_serial,
        checkpoint=functions.known_checkpoint(),
    )
    reply = ask_patiently(functions, details.told_in(request), SignerReply)
    return SignerOffer(
        reply.signer_certificate,
        CertificateDefinition.from_bytes(reply.device_definition),
        CertificateDefinition.from_bytes(reply.signer_definition),
        reply.server_time,
        reply.certificates_left,
        reply.new_key_refused,
        chip_serial,
        reply.checkpoint,
        reply.log_key,
    )


def require_pinned_root(offer: SignerOffer, cert_info: CertInfo, profile: Profile) -> None:
    """Raise CertificateError unless the pinned root certified the signer, and it is the named one if only that may."""
    verify_signer(
        offer.signer_certificate,
        signer_public_key=signer_key(offer.signer_certificate, cert_info, profile),
        root_public_key=cert_info.root_public_key,
    )


def signer_key(signer_certificate: bytes, cert_info: CertInfo, profile: Profile) -> bytes:
    """Return the key (X||Y) that a signer's certificate (DER) must have: the named one, or its own if any may sign.

    Do not trust that key before the certificate is checked against the pinned root. Raises CertificateError.
    """
    if not profile.any_of_group:
        return cert_info.signer_public_key
    return certificate_layout(signer_certificate).public_key.of(signer_certificate)


def require_same_product(offer: SignerOffer, cert_info: CertInfo) -> None:
    """Refuse signers of other products, even if the pinned root certified them.

    Raises CertificateError (certificate-mismatch).
    """
    name = certificate_layout(offer.signer_certificate).subject_common_name
    device, signer = offer.device_definition, offer.signer_definition
    ids = (signer.template_id, signer.chain_id, device.template_id, device.chain_id)
    pinned = (
        cert_info.signer_template_id, cert_info.signer_chain_id,
        cert_info.device_template_id, cert_info.device_chain_id,
    )  # fmt: skip
    expected = f"{cert_info.signer_name} ".encode()
    if ids != pinned or name is None or name.of(offer.signer_certificate)[: -2 * len(cert_info.signer_id)] != expected:
        raise CertificateError(
            "The server offers a signer for another product than the one in the cert info file.",
            advice="Check the file given with --certinfo; export it again from the signer.",
            code=Code.CERTIFICATE_MISMATCH,
        )


def require_allowed_slots(offer: SignerOffer, profile: Profile) -> None:
    """Raise ProvisioningError (slot-not-allowed) if certificates or key are in other slots than the product's."""
    wanted = {*offer.device_definition.write_slots, *offer.signer_definition.write_slots}
    refused = sorted(wanted - profile.certificate_slots)
    if refused:
        raise ProvisioningError(
            f"The signer's certificates go to slots {', '.join(map(str, refused))}, which this product does not reserve"
            " for certificates.",
            advice="Call the technician: the signer is for another product.",
            code=Code.SLOT_NOT_ALLOWED,
        )
    if offer.device_definition.private_key_slot != profile.device_key_slot:
        raise ProvisioningError(
            f"The signer certifies the key in slot {offer.device_definition.private_key_slot}, but this product keeps"
            f" its device key in slot {profile.device_key_slot}.",
            advice="Call the technician: the signer is for another product. The description from which it is made must"
            f" have private_key = {profile.device_key_slot} for this one.",
            code=Code.SLOT_NOT_ALLOWED,
        )


def require_new_key_accepted(offer: SignerOffer) -> None:
    """Raise ServerRejected (chip-has-other-key) if the server certifies no new key of the chip, as far as it told."""
    if offer.new_key_refused:
        raise ServerRejected(
            "The server has certified another key of this chip, and does not certify a new one.",
            advice="Nothing was changed. Use a new chip, or have the server started with --allow-rekey.",
            code=Code.CHIP_HAS_OTHER_KEY,
            board=Board.SET_ASIDE,
        )


def require_quota(offer: SignerOffer, boards: int) -> None:
    """Raise ProvisioningError (quota-too-small) if fewer certificates than `boards` are known to be left."""
    left = offer.certificates_left
    if 0 < left < boards:
        raise ProvisioningError(
            f"By the signer's quota or the work order {left} more can be issued, and this batch has {boards} boards.",
            advice=f"Connect another signer module, name another work order, or do a smaller batch: --count {left}.",
            code=Code.QUOTA_TOO_SMALL,
            board=Board.UNTOUCHED,
        )
