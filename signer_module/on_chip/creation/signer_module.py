"""Make a signer module: its key, a certificate from the root or from an external CA, and its description."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from cryptography import x509

from atcaprov.certs.chain import verify_issuer, verify_under_root
from atcaprov.certs.definitions.definition import CertificateDefinition
from atcaprov.certs.descriptions.description import CertificateDescription
from atcaprov.certs.issue import PendingCertificate
from atcaprov.certs.keys import key_id, padded_public_key
from atcaprov.certs.layout import authority_layout, certificate_layout
from atcaprov.device.device import Device
from atcaprov.errors import CertificateError, Code, ProvisioningError, UsageError
from signer_module.external_ca.request_and_certificate import Sign, external_document, signed_request
from signer_module.on_chip import layout
from signer_module.on_chip.creation.chip_check import require_begun
from signer_module.on_chip.creation.module_builder import ModuleBuilder, ModuleOrder
from signer_module.on_chip.description import pack_signer
from signer_module.on_files.create_signer import free_id, locked_register
from signer_module.on_files.key_file import SoftwareKey
from signer_module.on_files.root_folder import RootFolder
from signer_module.on_files.signer_folder import split_name
from signer_module.signer_description import SignerDescriptions, SignerDocument

_LONGEST_SERIAL: Final = bytes((0x7F, *(0x90 + 37 * number % 0x6F for number in range(19))))
"""Twenty bytes that deflate makes no shorter."""


def make_signer(
    device: Device,
    order: ModuleOrder,
    *,
    root: RootFolder,
    sign: Sign,
    descriptions: SignerDescriptions,
    signer_id: bytes | None,
    now: datetime,
) -> None:
    """Make the chip a signer module certified by a root, or finish one that was cut.

    `sign` signs digests (32 bytes) with the root's key and gives R||S. Without `signer_id` it gets the lowest free one.
    The id is entered in the root's register before the certificate is signed; a run that was cut keeps id and key.
    Raises UsageError and CertificateError before the chip is changed for all that can be known before.
    """
    root.require_issuing(descriptions.device, now)
    document = SignerDocument(root.certificate, descriptions.signer, descriptions.device, now.year)
    definition = document.definitions()[0]
    description = pack_signer(document, root.public_key)
    _rehearse(definition, root, now)
    with locked_register(root):
        root.check_register()
    builder = ModuleBuilder(device, order)
    if not builder.begun and signer_id is not None:
        _require_free(root, signer_id)
    elif not builder.begun:
        free_id(root.issued())
    builder.configure()
    public_key = builder.key(lambda key: key_id(key).hex() in root.issued().values())
    chosen = _registered_id(root, descriptions, public_key, signer_id, now)
    pending = _pending(definition, root, public_key, chosen, now)
    compressed = pending.finish(sign(pending.digest)).compressed
    _finish(builder, description, compressed, public_key, root.public_key)


def _rehearse(definition: CertificateDefinition, root: RootFolder, now: datetime) -> None:
    """Prepare a certificate for another key: what is wrong with definition, date or root shows now."""
    _require_same_name(definition, root.certificate)
    _pending(definition, root, SoftwareKey.generate().public_key, bytes(2), now)


def _require_same_name(definition: CertificateDefinition, root: bytes) -> None:
    template = definition.cert_template
    issuer = certificate_layout(template).issuer.of(template)
    if issuer != authority_layout(root).subject.of(root):
        raise CertificateError(
            "The root's name is encoded in a way in which it cannot be put into a signer certificate.",
            code=Code.CHAIN_INVALID,
        )


def _pending(
    definition: CertificateDefinition, root: RootFolder, public_key: bytes, signer_id: bytes, now: datetime
) -> PendingCertificate:
    return PendingCertificate(
        definition,
        subject_public_key=public_key,
        ca_public_key=root.public_key,
        signer_id=signer_id,
        issue_date=definition.issue_date(now),
    )


def _registered_id(
    root: RootFolder, descriptions: SignerDescriptions, public_key: bytes, signer_id: bytes | None, now: datetime
) -> bytes:
    with locked_register(root):
        issued = root.issued()
        mine = [number for number, owner in issued.items() if owner == key_id(public_key).hex()]
        if mine:
            if signer_id not in (None, bytes.fromhex(mine[0])):
                raise UsageError(
                    f"The module was begun with the signer id {mine[0]}, which stays.",
                    advice="Leave out --signer-id, or give this one.",
                )
            return bytes.fromhex(mine[0])
        chosen = signer_id if signer_id is not None else free_id(issued)
        _require_free(root, chosen)
        name = descriptions.signer.subject_name(signer_id=chosen.hex().upper())
        text = str(name.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value)
        root.register(chosen, public_key, split_name(text)[0], now)
        return chosen


def _require_free(root: RootFolder, signer_id: bytes) -> None:
    if signer_id.hex().upper() in root.issued():
        raise UsageError(f"The signer id {signer_id.hex().upper()} was given before.", advice="Choose another.")


def _finish(
    builder: ModuleBuilder, description: bytes, compressed: bytes, public_key: bytes, root_public_key: bytes
) -> None:
    builder.write(layout.CERTIFICATE_SLOT, compressed)
    builder.write(layout.PUBLIC_KEY_SLOT, padded_public_key(public_key))
    builder.write(layout.ROOT_KEY_SLOT, padded_public_key(root_public_key))
    builder.finish("signer", description)


@dataclass(frozen=True)
class ExternalRequest:
    """A request for an external CA (PKCS#10, DER) and the key (X||Y) that it is for."""

    der: bytes
    public_key: bytes
    signatures: int | None
    """What the chip has counted so far; None without quota, when it counts nothing."""


def rehearse_import(descriptions: SignerDescriptions, issuer: bytes, now: datetime) -> None:
    """Raise UsageError or CertificateError if a signer under a CA (DER) can't become a module, before one is begun.

    The CA may choose a serial number of 20 bytes: there must be room for the longest.
    """
    issuer_key = verify_issuer(issuer)
    document = SignerDocument(issuer, descriptions.signer, descriptions.device, now.year, _LONGEST_SERIAL)
    signer, device = document.definitions()
    _require_same_name(signer, issuer)
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

    The chip's key stays if `wanted` says so of its public key (a request that is made again); another one is replaced
    with `new_key` only, else UsageError (key-mismatch). `import_certificate` finishes the module. Raises as
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
            "The chip has a key already, for which the file of the request is no request.",
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

    `signatures` is how many a chip with quota must have counted so far: until the data lock, whoever has it can sign.

    Raises:
        ProvisioningError: the chip has counted another number (SIGNED_UNEXPECTEDLY).
        CertificateError: root and certificate do not belong together, or the certificate has no compressed form under
            the descriptions (CERTIFICATE_MISMATCH names the fields), or is for another key (KEY_MISMATCH).
        UsageError: the certificate's name is not that of the description, or there is no room for it.
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
    _finish(builder, description, compressed, public_key, root_public_key)


def _require_signatures(counted: int | None, expected: int | None) -> None:
    if None not in (counted, expected) and counted != expected:
        raise ProvisioningError(
            f"The chip has counted {counted} signatures, and {expected} would be right: whoever had it since the "
            "request may hold signatures that its key has made.",
            advice="If you know why ('signer request' run again, an import that was cut), add "
            f"--signatures {counted}. If not, take another chip.",
            code=Code.SIGNED_UNEXPECTEDLY,
        )
