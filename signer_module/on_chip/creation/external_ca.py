"""Create a signer module under an external CA: begin it with a request, finish it with the certificate."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from atcaprov.certs.chain import verify_issuer, verify_under_root
from atcaprov.certs.descriptions.description import CertificateDescription
from atcaprov.certs.x509_layout import certificate_layout
from atcaprov.device.device import Device
from atcaprov.errors import CertificateError, Code, ProvisioningError, UsageError
from signer_module.external_ca.chain import ExternalChain
from signer_module.external_ca.request_and_certificate import external_document, signed_request
from signer_module.on_chip.creation.chip_check import is_finished, read_signer_module, require_begun
from signer_module.on_chip.creation.module_builder import ModuleBuilder, ModuleOrder
from signer_module.on_chip.creation.order_check import require_ordered_signer
from signer_module.on_chip.creation.plan import Consent, CreatedModule, kept_if_good, plan, prove_module
from signer_module.on_chip.creation.signer_module import finish_signer, require_same_name
from signer_module.on_chip.description import pack_signer
from signer_module.on_chip.module import SignerModule
from signer_module.signer_description import SignerDescriptions, SignerDocument

_KEY_OF_REQUEST: Final = "its private key is that of the request"
_LONGEST_SERIAL: Final = bytes((0x7F, *(0x90 + 37 * number % 0x6F for number in range(19))))
"""Twenty bytes that deflate makes no shorter."""


@dataclass(frozen=True)
class ExternalRequest:
    """A request for an external CA (PKCS#10, DER) and the key (X||Y) that it is for."""

    der: bytes
    public_key: bytes
    signatures: int | None
    """What the chip has counted so far; None without quota, when it counts nothing."""


def rehearse_import(descriptions: SignerDescriptions, issuer: bytes, now: datetime) -> None:
    """Raise UsageError or CertificateError if a signer under a CA (DER) cannot become a module, before one is begun.

    The CA may choose a serial number of 20 bytes: there must be room for the longest.
    """
    issuer_key = verify_issuer(issuer)
    document = SignerDocument(issuer, descriptions.signer, descriptions.device, now.year, _LONGEST_SERIAL)
    signer, device = document.definitions()
    require_same_name(signer, issuer)
    device.require_issuable()
    pack_signer(document, issuer_key)


def request_certificate(
    device: Device,
    order: ModuleOrder,
    description: CertificateDescription,
    *,
    signer_id: bytes,
    wanted: Callable[[bytes], bool],
    new_key: bool,
) -> ExternalRequest:
    """Begin a signer module whose certificate an external CA will sign: configuration, key, and the request.

    The chip's key stays if `wanted` returns true for its public key (a request that is made again); another one is
    replaced with `new_key` only, else UsageError (key-mismatch). `import_certificate` finishes the module. Raises as
    `make_signer`.
    """
    builder = ModuleBuilder(device, order)
    builder.configure()
    if not new_key:
        _refuse_other_key(builder.present_key(), wanted)
    public_key = builder.key(wanted)
    der = signed_request(description, signer_id, public_key, builder.sign)
    return ExternalRequest(der, public_key, builder.signatures())


def _refuse_other_key(present: bytes | None, wanted: Callable[[bytes], bool]) -> None:
    if present is not None and not wanted(present):
        raise UsageError(
            "The chip already has a key, and the file is not a request for it.",
            advice="Give the file of the earlier request, which keeps the key; or add --new-key, which makes a "
            "certificate for that request worthless.",
            code=Code.KEY_MISMATCH,
        )


def import_certificate(
    device: Device,
    order: ModuleOrder,
    descriptions: SignerDescriptions,
    *,
    certificate: bytes,
    root: bytes,
    signatures: int | None = None,
) -> None:
    """Finish a module that was begun with a request; `certificate` and `root`, the CA that issued it, are DER.

    `signatures` is what a chip with quota must have counted so far: until the data lock, anyone who has it can sign.

    Raises:
        ProvisioningError: the chip has counted another number (SIGNED_UNEXPECTEDLY).
        CertificateError: root and certificate do not belong together, or the certificate has no compressed form under
            the descriptions (CERTIFICATE_MISMATCH names the fields), or is for another key (KEY_MISMATCH).
        UsageError: the certificate's name differs from the description, or it does not fit.
    """
    root_public_key = verify_issuer(root)
    verify_under_root(certificate, root)
    document, compressed = external_document(descriptions, certificate, root, root_public_key)
    description = pack_signer(document, root_public_key)
    public_key = certificate_layout(certificate).public_key.of(certificate)
    builder = ModuleBuilder(device, order)
    require_begun(device.read_config())
    _require_signatures(builder.signatures(), signatures)
    builder.configure()
    if builder.present_key() != public_key:
        raise CertificateError(
            "The certificate is for another key than the one in the chip.",
            advice="Take the certificate of this module's last request.",
            code=Code.KEY_MISMATCH,
        )
    finish_signer(builder, description, compressed, public_key, root_public_key)


def _require_signatures(counted: int | None, expected: int | None) -> None:
    if None not in (counted, expected) and counted != expected:
        raise ProvisioningError(
            f"The chip has counted {counted} signatures, and {expected} would be right: anyone who had it since the "
            "request may hold signatures that its key has made.",
            advice="If you know why ('signer request' run again, an import that was interrupted), add "
            f"--signatures {counted}. If not, take another chip.",
            code=Code.SIGNED_UNEXPECTEDLY,
        )


def import_signer_certificate(
    url: str,
    order: ModuleOrder,
    descriptions: SignerDescriptions,
    *,
    chain: ExternalChain,
    signatures: int,
    consent: Consent,
) -> CreatedModule[SignerModule]:
    """Finish a module that an external CA has certified; it comes back open and proved.

    `signatures` is how many a chip with quota must have counted, as `import_certificate` checks it.
    """
    with kept_if_good(Device.open(url)) as device:
        already = is_finished(device.read_config())
        if not already:
            consent(plan(device, order, "the certificate of the external CA", key=_KEY_OF_REQUEST))
            import_certificate(
                device,
                order,
                descriptions,
                certificate=chain.signer,
                root=chain.issuer,
                signatures=signatures,
            )
        module = SignerModule(device, read_signer_module(device, None))
        if module.certificate != chain.signer:
            raise CertificateError(
                "The module holds another certificate than the one given.", code=Code.CERTIFICATE_MISMATCH
            )
        if already:
            require_ordered_signer(module, order, descriptions, None)
        prove_module(module, order)
        return CreatedModule(module, already)
