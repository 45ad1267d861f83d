"""Compare a finished module with the order: no command may promise what the chip does not do."""

from __future__ import annotations

from typing import Final

from cryptography import x509

from atcaprov.certs.descriptions.description import CertificateDescription
from atcaprov.errors import Code, ProvisioningError
from signer_module.on_chip.creation.module_builder import MOST_BEFORE, ModuleOrder
from signer_module.on_chip.module import RootModule, SignerModule
from signer_module.on_files.key_file import SoftwareKey
from signer_module.on_files.root_folder import self_signed
from signer_module.signer_description import SignerDescriptions

_ASK: Final = "'signer-module info --device' shows what it is. Use another chip for this order."


def require_ordered_root(
    module: RootModule, order: ModuleOrder, description: CertificateDescription, *, used: bool
) -> None:
    """Raise ProvisioningError (data-locked-other) unless a finished root module is the one that is ordered.

    `used`: it may have signed since, so that less than the quota may be left.
    """
    differences = _enforced(module, order, used=used)
    if not is_described(module.certificate, description):
        differences.append("its certificate differs from the description")
    _refuse(differences)


def require_ordered_signer(
    module: SignerModule, order: ModuleOrder, descriptions: SignerDescriptions, signer_id: bytes | None
) -> None:
    """Raise ProvisioningError (data-locked-other) unless a finished signer module is the one that is ordered."""
    differences = _enforced(module, order, used=False)
    if signer_id not in (None, module.signer_id):
        assert signer_id is not None
        differences.append(f"its signer id is {module.signer_id.hex().upper()}, not {signer_id.hex().upper()}")
    document = module.contents.document
    for role, found, wanted in (
        ("signer", document.signer, descriptions.signer),
        ("device", document.device, descriptions.device),
    ):
        if found != wanted:
            differences.append(f"its {role} certificates have another description")
    _refuse(differences)


def _enforced(module: RootModule | SignerModule, order: ModuleOrder, *, used: bool) -> list[str]:
    found, wanted = module.contents.variant, order.variant
    if (found.password, found.quota) != (wanted.password, wanted.quota):
        return [f"it is {found}, not {wanted}"]
    differences = []
    if found.password and module.needs_password != (order.password is not None):
        differences.append(f"its first password is {'' if module.needs_password else 'not '}set already")
    if found.password and module.contents.scheme.cost != order.scrypt_cost:
        differences.append(f"its passwords cost 2^{module.contents.scheme.cost}, not 2^{order.scrypt_cost}")
    if order.quota is not None and not _may_have_quota(module, order.quota, used=used):
        differences.append(f"{module.remaining} of its signatures are left, not {order.quota}")
    return differences


def _may_have_quota(module: RootModule | SignerModule, quota: int, *, used: bool) -> bool:
    limit, left = module.contents.limit, module.remaining
    assert limit is not None
    assert left is not None
    if module.contents.made_for not in (None, quota):
        return False
    return left == quota or (used and left < quota and 0 <= limit - quota < MOST_BEFORE)


def is_described(certificate: bytes, description: CertificateDescription) -> bool:
    """Tell whether a root certificate (DER) is that of a description, in all but what follows from key and moment."""
    own = x509.load_der_x509_certificate(certificate)
    other = x509.load_der_x509_certificate(self_signed(description, SoftwareKey.generate(), own.not_valid_before_utc))
    return _chosen(own) == _chosen(other)


def _chosen(certificate: x509.Certificate) -> tuple[object, ...]:
    of_key = (x509.SubjectKeyIdentifier.oid, x509.AuthorityKeyIdentifier.oid)
    extensions = [extension for extension in certificate.extensions if extension.oid not in of_key]
    return certificate.subject, certificate.not_valid_before_utc, certificate.not_valid_after_utc, extensions


def _refuse(differences: list[str]) -> None:
    if differences:
        raise ProvisioningError(
            f"The chip is already a finished module, and it differs from the options: {'; '.join(differences)}.",
            advice=_ASK,
            code=Code.DATA_LOCKED_OTHER,
        )
