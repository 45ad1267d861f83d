"""Extensions of the certificates that descriptions make (RFC 5280, 4.2).

Basic constraints, key usage, subject and authority key id are always present: strict verifiers require them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, TypeVar

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from atcaprov.certs.document_reader import Document
from atcaprov.errors import AtcaProvError

_Builder = TypeVar("_Builder", x509.CertificateBuilder, x509.CertificateSigningRequestBuilder)
KEY_USAGES: Final = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)
_P256_USAGES: Final = frozenset({"digital_signature", "content_commitment", "key_agreement"})
_CA_USAGES: Final = frozenset({"digital_signature", "key_cert_sign", "crl_sign"})
_EXTENDED_USAGES: Final = MappingProxyType(
    {"client_auth": ExtendedKeyUsageOID.CLIENT_AUTH, "server_auth": ExtendedKeyUsageOID.SERVER_AUTH}
)
_DISTRIBUTION: Final = "crl_distribution_points"
_MOST_URIS: Final = 4
_FORBIDDEN: Final = frozenset('{}"<>\\^`|#')
LONGEST_URI: Final = 200
_HTTP_URI: Final = re.compile(r"http://[A-Za-z0-9][A-Za-z0-9.-]*(:[0-9]{1,5})?/[!-~]*")
"""With a path, and without TLS: a client could not check the certificate of the server that has the list."""
OBJECT_ID: Final = re.compile(r"[0-2](\.(0|[1-9][0-9]{0,8})){2,12}")


@dataclass(frozen=True, slots=True)
class ExtensionsDescription:
    """The content of the [extensions] table."""

    ca: bool
    path_length: int | None
    key_usage: tuple[str, ...]
    extended_key_usage: tuple[str, ...]
    crl_distribution_points: tuple[str, ...] = ()
    """URIs of one list of revoked certificates, each another way to it."""

    @property
    def extended_usage_ids(self) -> tuple[x509.ObjectIdentifier, ...]:
        """The object ids of the extended key usages."""
        return tuple(_EXTENDED_USAGES.get(usage) or x509.ObjectIdentifier(usage) for usage in self.extended_key_usage)

    def add(
        self,
        builder: x509.CertificateBuilder,
        *,
        key_id: bytes,
        issuer_key_id: bytes,
        alternative_name: x509.SubjectAlternativeName | None = None,
    ) -> x509.CertificateBuilder:
        """Return the builder with the extensions; both key ids have 20 bytes.

        The CRL distribution point follows the authority key id: it is the issuer's to set, and no subject requests it.
        The subject alternative name is the last one: a CA that sets all others itself and copies this one from the
        request, as `openssl ca` does, appends it.
        """
        authority = x509.AuthorityKeyIdentifier(issuer_key_id, None, None)
        builder = self.request(builder, key_id=key_id).add_extension(authority, critical=False)
        if self.crl_distribution_points:
            builder = builder.add_extension(distribution_point(self.crl_distribution_points), critical=False)
        return _with_alternative_name(builder, alternative_name)

    def request(
        self, builder: _Builder, *, key_id: bytes, alternative_name: x509.SubjectAlternativeName | None = None
    ) -> _Builder:
        """Return the builder with the extensions that a subject can request; the key id has 20 bytes."""
        usages = {usage: usage in self.key_usage for usage in KEY_USAGES}
        builder = builder.add_extension(x509.BasicConstraints(ca=self.ca, path_length=self.path_length), critical=True)
        builder = builder.add_extension(x509.KeyUsage(**usages), critical=True)
        if self.extended_key_usage:
            builder = builder.add_extension(x509.ExtendedKeyUsage(self.extended_usage_ids), critical=False)
        builder = builder.add_extension(x509.SubjectKeyIdentifier(key_id), critical=False)
        return _with_alternative_name(builder, alternative_name)


def distribution_point(uris: Iterable[str]) -> x509.CRLDistributionPoints:
    """Return the extension of a certificate whose CRL is at each of the URIs (RFC 5280, 4.2.1.13)."""
    names = [x509.UniformResourceIdentifier(uri) for uri in uris]
    return x509.CRLDistributionPoints([x509.DistributionPoint(names, None, None, None)])


def _with_alternative_name(builder: _Builder, name: x509.SubjectAlternativeName | None) -> _Builder:
    return builder if name is None else builder.add_extension(name, critical=False)


def read_extensions(table: Document, *, ca: bool, issued: bool = True) -> ExtensionsDescription:
    """Read the [extensions] table of a CA's or a device's description; one that is not `issued` is self-signed."""
    allowed = _CA_USAGES if ca else _P256_USAGES
    usages = _texts(table, "key_usage")
    for usage in usages:
        if usage not in allowed:
            raise table.fault(table.at("key_usage"), f"may hold {', '.join(sorted(allowed))} only")
    if ca and "key_cert_sign" not in usages:
        raise table.fault(table.at("key_usage"), "must hold key_cert_sign, or the key could not sign certificates")
    if not usages:
        raise table.fault(table.at("key_usage"), "must not be empty")
    found = ExtensionsDescription(
        ca=ca,
        path_length=table.integer("path_length", 0, 9) if ca and table.has("path_length") else None,
        key_usage=usages,
        extended_key_usage=_extended(table) if table.has("extended_key_usage") else (),
        crl_distribution_points=_distribution_uris(table) if issued and table.has(_DISTRIBUTION) else (),
    )
    table.finish()
    return found


def _extended(table: Document) -> tuple[str, ...]:
    usages = _texts(table, "extended_key_usage")
    for usage in usages:
        if usage not in _EXTENDED_USAGES and not OBJECT_ID.fullmatch(usage):
            raise table.fault(table.at("extended_key_usage"), "may hold client_auth, server_auth and object ids only")
    return usages


def _distribution_uris(table: Document) -> tuple[str, ...]:
    uris, key = _texts(table, _DISTRIBUTION), table.at(_DISTRIBUTION)
    if not 1 <= len(uris) <= _MOST_URIS:
        raise table.fault(key, f"must hold 1 to {_MOST_URIS} URIs, or be left out")
    for uri in uris:
        check_distribution_uri(uri, lambda rule: table.fault(key, rule))
    return uris


def check_distribution_uri(uri: str, fault: Callable[[str], AtcaProvError]) -> None:
    """Refuse a URI under which clients would not find a CRL; `fault` makes the error of a rule that is broken."""
    if len(uri) > LONGEST_URI:
        raise fault(f"has a URI of {len(uri)} characters; {LONGEST_URI} are possible")
    if not _HTTP_URI.fullmatch(uri) or _FORBIDDEN & set(uri):
        raise fault("may hold URIs such as http://crl.example.com/factory.crl only: http, a host and a path, no https")


def _texts(table: Document, key: str) -> tuple[str, ...]:
    items = table.items(key, 9)
    texts = tuple(item for item in items if isinstance(item, str))
    if len(texts) != len(items) or len(set(texts)) != len(texts):
        raise table.fault(table.at(key), "must be different strings")
    return texts
