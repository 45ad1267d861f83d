"""Check the server's certificates for one chip, all of them, before any byte is written."""

from __future__ import annotations

from dataclasses import dataclass

from atcaprov.certs.cert_info import CertInfo
from atcaprov.certs.chain import verify_chain
from atcaprov.certs.definitions.definition import CertificateDefinition
from atcaprov.certs.field_comparison import explain_differences, listed
from atcaprov.certs.rebuild import SlotContent, rebuild, slot_contents, stored_unit
from atcaprov.chip.memory_map import serial_number
from atcaprov.errors import CertificateError, Code, ProvisioningError
from atcaprov.provisioning.clock_check import require_valid_now
from atcaprov.provisioning.profile import Profile
from atcaprov.provisioning.signer_offer import SignerOffer, signer_key
from atcaprov.wire.messages import CertificatesReply


@dataclass(frozen=True)
class ChipKey:
    """The chip that is certified: serial number (9 bytes) and device public key (64 bytes X||Y)."""

    serial_number: bytes
    public_key: bytes

    @classmethod
    def of(cls, config: bytes, public_key: bytes) -> ChipKey:
        """Return the chip with this configuration zone (128 bytes) and public key."""
        return cls(serial_number(config), public_key)


@dataclass(frozen=True)
class IssuedCertificates:
    """Certificates that have passed every check: full form (DER), compressed form, and where they go on the chip."""

    device_certificate: bytes
    signer_certificate: bytes
    root_certificate: bytes
    device_compressed: bytes
    signer_compressed: bytes
    writes: tuple[SlotContent, ...]
    signer_public_key: bytes
    """X||Y of the signer that certified."""
    challenge: bytes = b""
    """What the proof of possession answers, 32 bytes; empty if the server wants none."""
    unit: str = ""
    """The unit's own name in the device certificate, if it has one."""

    @classmethod
    def checked(
        cls,
        reply: CertificatesReply,
        chip: ChipKey,
        offer: SignerOffer,
        cert_info: CertInfo,
        profile: Profile,
        *,
        unit: str = "",
    ) -> IssuedCertificates:
        """Check a reply that `require_offered` has passed against the chip, the offer and the pinned root.

        Raises:
            CertificateError: a certificate is for another key or chip, does not rebuild byte for byte from its
                compressed form, does not chain to the pinned root, or is not valid now (code CLOCK_WRONG).
            ProvisioningError: the server wants writes that the certificates do not need (code SLOT_NOT_ALLOWED).
        """
        signer_public_key = signer_key(reply.signer_certificate, cert_info, profile)
        _require_rebuilds(reply, chip, offer, cert_info, signer_public_key, unit)
        verify_chain(
            reply.device_certificate,
            reply.signer_certificate,
            cert_info.root_public_key,
            device_public_key=chip.public_key,
        )
        require_valid_now(reply.signer_certificate, "signer")
        require_valid_now(reply.device_certificate, "device")
        return cls(
            reply.device_certificate,
            reply.signer_certificate,
            reply.root_certificate,
            reply.device_compressed,
            reply.signer_compressed,
            _checked_writes(reply, chip, offer, profile, signer_public_key),
            signer_public_key,
            reply.challenge,
            unit,
        )


def require_offered(reply: CertificatesReply, offer: SignerOffer, profile: Profile) -> None:
    """Check that a reply is by the signer and the definitions of the offer.

    Raises:
        CertificateError: the server has another signer or definition now (code CERTIFICATE_MISMATCH).
    """
    same = (
        (profile.any_of_group or reply.signer_certificate == offer.signer_certificate)
        and CertificateDefinition.from_bytes(reply.device_definition) == offer.device_definition
        and CertificateDefinition.from_bytes(reply.signer_definition) == offer.signer_definition
    )
    if not same:
        raise CertificateError(
            "The server used another signer or definition than the one it offered.",
            advice="Nothing was written. Start the client again; if it happens twice, call the technician.",
            code=Code.CERTIFICATE_MISMATCH,
        )


def _require_rebuilds(
    reply: CertificatesReply,
    chip: ChipKey,
    offer: SignerOffer,
    cert_info: CertInfo,
    signer_public_key: bytes,
    unit: str,
) -> None:
    device = rebuild(
        offer.device_definition,
        compressed=reply.device_compressed,
        public_key=chip.public_key,
        ca_public_key=signer_public_key,
        chip_serial=chip.serial_number,
        stored=stored_unit(offer.device_definition, unit),
    )
    require_equal(offer.device_definition, reply.device_certificate, device)
    signer = rebuild(
        offer.signer_definition,
        compressed=reply.signer_compressed,
        public_key=signer_public_key,
        ca_public_key=cert_info.root_public_key,
        chip_serial=None,
    )
    require_equal(offer.signer_definition, reply.signer_certificate, signer)


def require_equal(definition: CertificateDefinition, expected: bytes, found: bytes) -> None:
    """Compare two certificates byte for byte and explain every field that differs.

    Raises:
        CertificateError: they differ (code CERTIFICATE_MISMATCH); the text names the fields and the likely cause.
    """
    if expected == found:
        return
    differences = explain_differences(definition, expected, found)
    raise CertificateError(
        f"The {definition.role} certificate rebuilt from the chip's data differs from the one issued: "
        + listed(differences)
        + ".",
        code=Code.CERTIFICATE_MISMATCH,
    )


def _checked_writes(
    reply: CertificatesReply, chip: ChipKey, offer: SignerOffer, profile: Profile, signer_public_key: bytes
) -> tuple[SlotContent, ...]:
    """Return the writes that the certificates need, if the server asked for exactly these."""
    needed = (
        *slot_contents(offer.device_definition, compressed=reply.device_compressed, public_key=chip.public_key),
        *slot_contents(offer.signer_definition, compressed=reply.signer_compressed, public_key=signer_public_key),
    )
    asked = {(write.slot, write.offset, bytes(write.data)) for write in reply.writes}
    refused = sorted({slot for slot, _, _ in asked if slot not in profile.certificate_slots})
    if refused or asked != {(write.slot, write.offset, write.data) for write in needed}:
        where = f"slots {', '.join(map(str, refused))}" if refused else "data that its certificates do not need"
        raise ProvisioningError(
            f"The server wants to write {where}.",
            advice="Nothing was written. Call the technician: the server or its signer is not for this product.",
            code=Code.SLOT_NOT_ALLOWED,
        )
    return needed
