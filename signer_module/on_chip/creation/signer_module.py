"""Create a signer module under a root: its key, its certificate and its description."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from cryptography import x509

from atcaprov.certs.definitions.definition import CertificateDefinition
from atcaprov.certs.issue import PendingCertificate
from atcaprov.certs.keys import key_id, padded_public_key
from atcaprov.certs.x509_layout import authority_layout, certificate_layout
from atcaprov.device.device import Device
from atcaprov.errors import CertificateError, Code, UsageError
from signer_module.external_ca.request_and_certificate import Sign
from signer_module.on_chip import slot_layout
from signer_module.on_chip.creation.chip_check import is_finished, read_signer_module
from signer_module.on_chip.creation.module_builder import ModuleBuilder, ModuleOrder
from signer_module.on_chip.creation.order_check import require_ordered_signer
from signer_module.on_chip.creation.plan import Consent, CreatedModule, kept_if_good, plan, prove_module
from signer_module.on_chip.description import pack_signer
from signer_module.on_chip.module import SignerModule
from signer_module.on_files.key_file import SoftwareKey
from signer_module.on_files.root_folder import RootFolder
from signer_module.on_files.signer_folder import split_name
from signer_module.on_files.signer_register import free_id, id_of
from signer_module.signer_description import SignerDescriptions, SignerDocument


def create_signer_module(
    url: str,
    order: ModuleOrder,
    *,
    root: RootFolder,
    sign: Callable[[bytes], bytes],
    descriptions: SignerDescriptions,
    signer_id: bytes | None,
    now: datetime,
    consent: Consent,
) -> CreatedModule[SignerModule]:
    """Make a signer module under a root; it comes back open and proved.

    One that is finished is only proved, and must be what is ordered: else ProvisioningError (data-locked-other).
    """
    with kept_if_good(Device.open(url)) as device:
        already = is_finished(device.read_config())
        if not already:
            consent(plan(device, order, f"a signer certificate from {root.name}"))
            make_signer(device, order, root=root, sign=sign, descriptions=descriptions, signer_id=signer_id, now=now)
        module = SignerModule(device, read_signer_module(device, root.public_key))
        if already:
            require_ordered_signer(module, order, descriptions, signer_id)
        prove_module(module, order)
        return CreatedModule(module, already)


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
    """Make the chip a signer module certified by a root, or finish one that an interrupted run has begun.

    `sign` signs digests (32 bytes) with the root's key and gives R||S. Without `signer_id` it gets the lowest free one.
    The id is entered in the root's register before the certificate is signed; an interrupted run keeps id and key.
    Raises UsageError and CertificateError before the chip is changed for all that can be known before.
    """
    root.require_issuing(descriptions.device, now)
    document = SignerDocument(root.certificate, descriptions.signer, descriptions.device, now.year)
    definition = document.definitions()[0]
    description = pack_signer(document, root.public_key)
    _rehearse(definition, root, now)
    with root.register.locked():
        root.register.require_writable()
    builder = ModuleBuilder(device, order)
    if not builder.begun and signer_id is not None:
        _require_free(root, signer_id)
    elif not builder.begun:
        free_id(root.register.issued())
    builder.configure()
    public_key = builder.key(lambda key: key_id(key).hex() in root.register.issued().values())
    chosen = _registered_id(root, descriptions, public_key, signer_id, now)
    pending = _pending(definition, root, public_key, chosen, now)
    compressed = pending.finish(sign(pending.digest)).compressed
    finish_signer(builder, description, compressed, public_key, root.public_key)


def _rehearse(definition: CertificateDefinition, root: RootFolder, now: datetime) -> None:
    """Prepare a certificate for another key: what is wrong with definition, date or root shows now."""
    require_same_name(definition, root.certificate)
    _pending(definition, root, SoftwareKey.generate().public_key, bytes(2), now)


def require_same_name(definition: CertificateDefinition, root: bytes) -> None:
    """Raise CertificateError (chain-invalid) unless the definition holds the name of the root (DER) byte for byte."""
    template = definition.cert_template
    issuer = certificate_layout(template).issuer.of(template)
    if issuer != authority_layout(root).subject.of(root):
        raise CertificateError(
            "The root's name is encoded in a way that does not fit a signer certificate.",
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
    with root.register.locked():
        issued = root.register.issued()
        mine = id_of(issued, public_key)
        if mine is not None:
            if signer_id not in (None, mine):
                raise UsageError(
                    f"The module was begun with the signer id {mine.hex().upper()}, which cannot be changed.",
                    advice="Leave out --signer-id, or give this one.",
                )
            return mine
        chosen = signer_id if signer_id is not None else free_id(issued)
        _require_free(root, chosen)
        name = descriptions.signer.subject_name(signer_id=chosen.hex().upper())
        text = str(name.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value)
        root.register.enter(chosen, public_key, split_name(text)[0], now)
        return chosen


def _require_free(root: RootFolder, signer_id: bytes) -> None:
    if signer_id.hex().upper() in root.register.issued():
        raise UsageError(f"The signer id {signer_id.hex().upper()} is already in use.", advice="Choose another.")


def finish_signer(
    builder: ModuleBuilder, description: bytes, compressed: bytes, public_key: bytes, root_public_key: bytes
) -> None:
    """Write the compressed certificate (72 bytes), both keys (64 bytes) and the description, and lock the data zone."""
    builder.write(slot_layout.CERTIFICATE_SLOT, compressed)
    builder.write(slot_layout.PUBLIC_KEY_SLOT, padded_public_key(public_key))
    builder.write(slot_layout.ROOT_KEY_SLOT, padded_public_key(root_public_key))
    builder.finish("signer", description)
