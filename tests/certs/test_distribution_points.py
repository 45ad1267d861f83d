"""CRL distribution points in certificates: what is refused, what others read, and that a chip needs no more bytes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest
from cryptography import x509

from atcaprov import Code, UsageError
from atcaprov.certs.compress import compress
from atcaprov.certs.derivation.derive import derive
from atcaprov.certs.derivation.description import describe
from atcaprov.certs.derivation.request import DefinitionRequest
from atcaprov.certs.descriptions.description import (
    CertificateDescription,
    Slots,
    default_description,
    default_text,
    description_document,
)
from atcaprov.certs.descriptions.template import signer_definition
from tests.certs.test_c_source import compiled, expected_fields, loaded
from tests.certs.test_subject_alt_name import EXAMPLE, unit
from tests.certs.test_wheel_judge import put_on_chip
from tests.support import atcacert
from tests.support.certificates import CHIP_SERIAL, NOW, SIGNER
from tests.support.external_cas import openssl
from tests.support.random_units import Unit
from tests.support.stock_cryptoauthlib import Wheel

URIS: Final = ("http://crl.example.com/factory/0034.crl", "http://mirror.example.com:8080/0034.crl?v=1")


def listed(text: str, *uris: str) -> str:
    quoted = ", ".join(f'"{uri}"' for uri in uris)
    return text.replace("key_usage =", f"crl_distribution_points = [{quoted}]\nkey_usage =", 1)


def points_in(certificate: bytes) -> list[str]:
    extension = x509.load_der_x509_certificate(certificate).extensions.get_extension_for_class(
        x509.CRLDistributionPoints
    )
    assert not extension.critical
    (point,) = extension.value
    assert (point.relative_name, point.reasons, point.crl_issuer) == (None, None, None)
    return [str(name.value) for name in point.full_name or []]


def with_points() -> Unit:
    return unit(listed(EXAMPLE.read_text(), *URIS))


def test_the_certificate_names_one_list_at_each_uri(tmp_path: Path) -> None:
    certificate = with_points().device.der
    assert points_in(certificate) == list(URIS)
    path = tmp_path / "device.der"
    path.write_bytes(certificate)
    shown = openssl("x509", "-inform", "DER", "-in", path, "-noout", "-ext", "crlDistributionPoints").stdout
    assert [line.strip() for line in shown.splitlines() if "URI" in line] == [f"URI:{uri}" for uri in URIS]


def test_the_alternative_name_stays_the_last_extension() -> None:
    extensions = x509.load_der_x509_certificate(with_points().device.der).extensions
    assert isinstance(extensions[len(extensions) - 1].value, x509.SubjectAlternativeName)


@pytest.mark.parametrize("text", [default_text("device"), EXAMPLE.read_text()], ids=["plain", "with names"])
def test_the_library_rebuilds_the_certificate_from_the_same_72_bytes(text: str, wheel: Wheel) -> None:
    made = unit(listed(text, *URIS))
    put_on_chip(wheel, made)
    definition = atcacert.c_definition(made.device_definition)
    assert atcacert.read_certificate(wheel, definition, SIGNER.public) == made.device.der
    assert atcacert.compress(definition, made.device.der) == made.device.compressed
    again = compress(made.device_definition, made.device.der, ca_public_key=SIGNER.public, chip_serial=CHIP_SERIAL)
    assert again == made.device.compressed


def test_exported_c_rebuilds_it(tmp_path: Path, wheel: Wheel) -> None:
    made = with_points()
    library = compiled(tmp_path, made.signer_definition, made.device_definition)
    found = loaded(library, made.device_definition)
    assert atcacert.fields(found) == expected_fields(made.device_definition)
    put_on_chip(wheel, made)
    assert atcacert.read_certificate(wheel, found, SIGNER.public) == made.device.der


def test_a_signer_may_name_the_list_of_its_root() -> None:
    signer = CertificateDescription.from_toml(listed(default_text("signer"), URIS[0]))
    root_name = default_description("root").subject_name()
    assert points_in(signer_definition(signer, root_name=root_name, at=NOW).cert_template) == [URIS[0]]


def test_a_root_names_no_list() -> None:
    with pytest.raises(UsageError, match=r"extensions\.crl_distribution_points is not known"):
        CertificateDescription.from_toml(listed(default_text("root"), URIS[0]))


def test_descriptions_without_points_keep_their_document() -> None:
    document = description_document(default_description("device"))
    assert "crl_distribution_points" not in document["extensions"]
    found = CertificateDescription.from_toml(listed(default_text("device"), *URIS))
    assert CertificateDescription.from_document(description_document(found)) == found


def test_a_definition_and_a_description_are_derived_from_the_certificate() -> None:
    text = listed(default_text("device"), *URIS)
    made, original = unit(text), CertificateDescription.from_toml(text)
    slots = Slots(10, private_key=0)
    request = DefinitionRequest(
        "device", 2, 0, slots, issuer_public_key=SIGNER.public, issuer_definition="signer", chip_serial=CHIP_SERIAL
    )
    derived = derive(made.device.der, request)
    assert points_in(derived.definition.cert_template) == list(URIS)
    described = describe(made.device.der, derived, slots, SIGNER.public, default_description("signer"))
    assert described.description is not None, described.why_not
    assert described.description == replace(original, subject=described.description.subject)


@pytest.mark.parametrize(
    ("uris", "message"),
    [
        ((), "must hold 1 to 4 URIs, or be left out"),
        (tuple(f"http://crl.example.com/{n}.crl" for n in range(5)), "must hold 1 to 4 URIs, or be left out"),
        ((URIS[0], URIS[0]), "must be different strings"),
        (("https://crl.example.com/a.crl",), "no https"),
        (("ldap://crl.example.com/cn=a",), "http, a host and a path"),
        (("http://crl.example.com",), "http, a host and a path"),
        (("http:///a.crl",), "http, a host and a path"),
        (("http://user@crl.example.com/a.crl",), "http, a host and a path"),
        (("http://crl.example.com/a b.crl",), "http, a host and a path"),
        (("http://crl.example.com/gerät.crl",), "http, a host and a path"),
        (("http://crl.example.com/{signer_id}.crl",), "http, a host and a path"),
        (("http://crl.example.com/\\u0000",), "http, a host and a path"),
        ((f"http://crl.example.com/{'x' * 200}",), "has a URI of 223 characters; 200 are possible"),
    ],
)
def test_refused_uris_are_told(uris: tuple[str, ...], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        CertificateDescription.from_toml(listed(default_text("device"), *uris))
    assert caught.value.code == Code.DEFINITION_INVALID
    assert "extensions.crl_distribution_points" in caught.value.what
    assert message in caught.value.what


def test_a_single_text_is_refused() -> None:
    text = default_text("device").replace("key_usage =", f'crl_distribution_points = "{URIS[0]}"\nkey_usage =', 1)
    with pytest.raises(UsageError, match="crl_distribution_points must be a list"):
        CertificateDescription.from_toml(text)


def test_the_uri_that_the_message_gives_is_accepted() -> None:
    with pytest.raises(UsageError) as caught:
        CertificateDescription.from_toml(listed(default_text("device"), "https://crl.example.com/factory.crl"))
    assert "may hold URIs such as http://crl.example.com/factory.crl only" in caught.value.what
    accepted = CertificateDescription.from_toml(listed(default_text("device"), "http://crl.example.com/factory.crl"))
    assert accepted.extensions.crl_distribution_points == ("http://crl.example.com/factory.crl",)
