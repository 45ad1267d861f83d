"""Verify the chain from a device certificate over the signer certificate to the pinned root (RFC 5280, 6.1)."""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import TypeVar

from cryptography import x509

from atcaprov.certs.certificate_fields import whole_name
from atcaprov.certs.keys import key_id, signature_of, verify_digest
from atcaprov.certs.x509_layout import CertificateLayout, authority_layout, certificate_layout, extension_values
from atcaprov.errors import CertificateError, Code

_ALTERNATIVE_NAME = bytes.fromhex("0603551d11")
_NO_EXTENSION = 0x7F
"""Last byte of an object id below 2.5.29 that names no extension."""
_Value = TypeVar("_Value", bound=x509.ExtensionType)
_KNOWN_EXTENSIONS = (x509.BasicConstraints, x509.KeyUsage, x509.ExtendedKeyUsage)


def verify_chain(
    device_der: bytes,
    signer_der: bytes,
    root_public_key: bytes,
    *,
    at: datetime | None = None,
    device_public_key: bytes | None = None,
    root_key_id: bytes | None = None,
) -> None:
    """Return when the device certificate leads over the signer certificate to the pinned root key (X||Y, 64 bytes).

    With `at`, both must be valid at that moment; with `device_public_key`, the device certificate must be for that
    key; `root_key_id` is the key id in the root's certificate, if it is not the usual hash of its key. Raises
    CertificateError: root-not-pinned, chain-invalid, or key-mismatch.
    """
    signer, device = _layout(signer_der, "signer"), _layout(device_der, "device")
    _check_signed(signer_der, signer, root_public_key, "signer", Code.ROOT_NOT_PINNED, root_key_id)
    signer_key = signer.public_key.of(signer_der)
    if device.issuer.of(device_der) != signer.subject.of(signer_der):
        raise _broken(f"The device certificate has another issuer. {_other_name(device_der, signer_der)}")
    _check_signed(device_der, device, signer_key, "device", Code.CHAIN_INVALID)
    _check_authority(signer_der, "signer", at)
    _check_device(device_der, at)
    found = device.public_key.of(device_der)
    if device_public_key is not None and found != device_public_key:
        raise CertificateError(
            "The device certificate is for another key than the one in the chip. "
            f"{_other_key('public key', device_public_key, found)}",
            advice="Set the board aside: its certificates belong to another unit.",
            code=Code.KEY_MISMATCH,
        )


def verify_signer(signer_der: bytes, *, signer_public_key: bytes, root_public_key: bytes) -> None:
    """Return when a signer certificate is for `signer_public_key` and was issued by the pinned root (X||Y, 64 bytes).

    Raises CertificateError: root-not-pinned, chain-invalid, or key-mismatch.
    """
    signer = _layout(signer_der, "signer")
    _check_signed(signer_der, signer, root_public_key, "signer", Code.ROOT_NOT_PINNED)
    _check_authority(signer_der, "signer", None)
    found = signer.public_key.of(signer_der)
    if found != signer_public_key:
        raise CertificateError(
            "The signer certificate is for another key than the signer's. "
            f"{_other_key('public key', signer_public_key, found)}",
            code=Code.KEY_MISMATCH,
        )


def verify_root(root_der: bytes, root_public_key: bytes | None = None) -> bytes:
    """Return the public key (X||Y) of a self-signed root certificate.

    Raises CertificateError: chain-invalid when it is not signed by its own key or is not a CA certificate,
    root-not-pinned when its key is not the one given.
    """
    root = _layout(root_der, "root")
    key = _pinned_key(root_der, root, "root", root_public_key)
    _check_signed(root_der, root, key, "root", Code.CHAIN_INVALID)
    _check_authority(root_der, "root", None)
    return key


def verify_issuer(issuer_der: bytes, issuer_public_key: bytes | None = None) -> bytes:
    """Return the public key (X||Y) of the CA that issues signer certificates: a root, or one under other CAs.

    Its key is pinned, so its issuers and their signatures are not checked. Raises as `verify_root`.
    """
    try:
        issuer = authority_layout(issuer_der)
    except CertificateError as error:
        raise _broken(f"The certificate of the signer's CA is not usable. {error.what}") from error
    if issuer.issuer.of(issuer_der) == issuer.subject.of(issuer_der):
        return verify_root(issuer_der, issuer_public_key)
    key = _pinned_key(issuer_der, issuer, "signer CA's", issuer_public_key)
    _check_authority(issuer_der, "signer CA's", None)
    return key


def _pinned_key(der: bytes, layout: CertificateLayout, role: str, pinned: bytes | None) -> bytes:
    key = layout.public_key.of(der)
    if layout.subject_key_id is not None and layout.subject_key_id.of(der) != key_id(key):
        raise _broken(
            f"The subject key id of the {role} certificate is not the SHA-1 of its key, as signers will name it."
        )
    if pinned is not None and key != pinned:
        raise CertificateError(
            f"The {role} certificate has another key than the pinned one. {_other_key('public key', pinned, key)}",
            code=Code.ROOT_NOT_PINNED,
        )
    return key


def verify_under_root(signer_der: bytes, root_der: bytes) -> None:
    """Return when a signer certificate was issued by the root's certificate, or that of the CA which stands for it.

    Raises CertificateError (chain-invalid).
    """
    signer, root = _layout(signer_der, "signer"), authority_layout(root_der)
    if signer.issuer.of(signer_der) != root.subject.of(root_der):
        raise _broken(f"The signer certificate has another issuer. {_other_name(signer_der, root_der)}")
    _check_signed(signer_der, signer, root.public_key.of(root_der), "signer", Code.CHAIN_INVALID)
    _check_authority(signer_der, "signer", None)


def _layout(der: bytes, role: str) -> CertificateLayout:
    try:
        return certificate_layout(der)
    except CertificateError as error:
        raise _broken(f"The {role} certificate is not usable. {error.what}") from error


def _check_signed(
    der: bytes,
    layout: CertificateLayout,
    issuer_key: bytes,
    role: str,
    code: Code,
    issuer_key_id: bytes | None = None,
) -> None:
    authority, expected = layout.authority_key_id, issuer_key_id or key_id(issuer_key)
    named = authority is None or authority.of(der) == expected
    digest = hashlib.sha256(layout.tbs.of(der)).digest()
    if named and verify_digest(issuer_key, digest, _signature(layout.signature.of(der), role)):
        return
    why = "" if authority is None or named else f" {_other_key_id(expected, authority.of(der))}"
    if code is Code.ROOT_NOT_PINNED:
        raise CertificateError(
            f"The {role} certificate was not issued by the pinned root.{why}",
            advice="Check that atcaprov_cert_info_0.c belongs to the server's signer.",
            code=code,
        )
    raise _broken(f"The {role} certificate was not signed by its issuer's key.{why}")


def _other_key(field: str, expected: bytes, found: bytes) -> str:
    """Return the sentence on two keys (X||Y) that differ, by their ids."""
    return f"{field}: expected key id {key_id(expected).hex().upper()}, found {key_id(found).hex().upper()}."


def _other_key_id(expected: bytes, found: bytes) -> str:
    return f"extension authorityKeyIdentifier: expected key id {expected.hex().upper()}, found {found.hex().upper()}."


def _other_name(der: bytes, issuer_der: bytes) -> str:
    return f"issuer: expected {whole_name(issuer_der, 'subject')}, found {whole_name(der, 'issuer')}."


def _signature(bit_string: bytes, role: str) -> bytes:
    try:
        return signature_of(bit_string)
    except CertificateError as error:
        raise _broken(f"The signature of the {role} certificate is not usable. {error.what}") from error


def _check_authority(der: bytes, role: str, at: datetime | None) -> None:
    extensions = _extensions(der, role, at)
    constraints = _extension(extensions, x509.BasicConstraints)
    usage = _extension(extensions, x509.KeyUsage)
    if constraints is None or not constraints.ca:
        found = "none" if constraints is None else "CA:FALSE"
        raise _no_authority(role, "basicConstraints", "CA:TRUE", found)
    if usage is None or not usage.key_cert_sign:
        raise _no_authority(role, "keyUsage", "keyCertSign", "none" if usage is None else "other usages only")


def _no_authority(role: str, extension: str, expected: str, found: str) -> CertificateError:
    return _broken(
        f"The {role} certificate is not a CA certificate. extension {extension}: expected {expected}, found {found}."
    )


def _extension(extensions: x509.Extensions, kind: type[_Value]) -> _Value | None:
    try:
        return extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def _check_device(der: bytes, at: datetime | None) -> None:
    for extension in _extensions(der, "device", at):
        value = extension.value
        if isinstance(value, x509.BasicConstraints) and value.ca:
            raise _broken(
                "The device certificate is a CA certificate. "
                "extension basicConstraints: expected CA:FALSE, found CA:TRUE."
            )
        if isinstance(value, x509.KeyUsage) and not value.digital_signature:
            raise _broken(
                "The device certificate does not allow digital signatures. "
                "extension keyUsage: expected digitalSignature, found other usages only."
            )


def _extensions(der: bytes, role: str, at: datetime | None) -> x509.Extensions:
    # Only certificates with a verified signature or key come here, so the parser gets no foreign input.
    try:
        certificate = x509.load_der_x509_certificate(der)
        extensions = _readable_extensions(certificate, der)
        begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    except (ValueError, x509.DuplicateExtension, x509.InvalidVersion) as error:
        raise _broken(f"The {role} certificate is not usable: {error}.") from error
    if at is not None and not begin <= at <= end:
        raise _broken(
            f"The {role} certificate is valid from {begin:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M} UTC, "
            f"not at {at:%Y-%m-%d %H:%M}."
        )
    for extension in extensions:
        if extension.critical and not isinstance(extension.value, _KNOWN_EXTENSIONS):
            raise _broken(f"The {role} certificate has the unknown critical extension {extension.oid.dotted_string}.")
    return extensions


def _readable_extensions(certificate: x509.Certificate, der: bytes) -> x509.Extensions:
    try:
        return certificate.extensions
    except ValueError:
        return x509.load_der_x509_certificate(_without_alternative_name(der)).extensions


def _without_alternative_name(der: bytes) -> bytes:
    """Return a copy for `cryptography` to read in which the alternative name of the subject is an unknown extension.

    Nothing here depends on it, and `cryptography` reads no extension of a certificate with a wrong character in it:
    Microchip's have an underscore in a PrintableString.
    """
    copy = bytearray(der)
    span = authority_layout(der).extensions
    for extension in extension_values(der, span) if span is not None else []:
        if extension.object_id.of(der) == _ALTERNATIVE_NAME:
            copy[extension.object_id.end - 1] = _NO_EXTENSION
    return bytes(copy)


def _broken(what: str) -> CertificateError:
    return CertificateError(what, code=Code.CHAIN_INVALID)
