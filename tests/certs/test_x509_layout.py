from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atcaprov import CertificateError
from atcaprov.certs.der import children, read_tlv
from atcaprov.certs.x509_layout import Span, certificate_layout
from tests.support.certificates import vector

CASE = vector("signer-certificate")
SIGNER = bytes.fromhex(CASE["signer"]["der"])
DEVICE = bytes.fromhex(CASE["device_template"]["der"])


def span(location: list[int]) -> Span | None:
    return Span(location[0], sum(location)) if location[1] else None


@pytest.mark.parametrize(("which", "der"), [("signer", SIGNER), ("device_template", DEVICE)])
def test_published_offsets_are_found(which: str, der: bytes) -> None:
    found = certificate_layout(der)
    case = CASE[which]
    elements = case["definition"]["elements_offset_count"]
    assert found.tbs == span(case["tbs"])
    assert found.public_key == span(elements["PUBLIC_KEY"])
    assert found.issue_date == span(elements["ISSUE_DATE"])
    assert found.expire_date == span(elements["EXPIRE_DATE"])
    assert found.authority_key_id == span(elements["AUTH_KEY_ID"])
    assert found.subject_key_id == span(elements["SUBJ_KEY_ID"])
    assert found.signature.start == elements["SIGNATURE"][0]
    name = found.subject_common_name if which == "signer" else found.issuer_common_name
    assert name is not None
    assert name.end == sum(elements["SIGNER_ID"])


def test_truncated_at_each_length() -> None:
    for length in range(len(SIGNER)):
        with pytest.raises(CertificateError):
            certificate_layout(SIGNER[:length])


def test_bytes_after_the_end_are_refused() -> None:
    with pytest.raises(CertificateError, match="1 bytes follow"):
        certificate_layout(SIGNER + b"\0")


@pytest.mark.slow
def test_one_flipped_bit_is_an_error_or_leaves_a_layout() -> None:
    for bit in range(len(SIGNER) * 8):
        flipped = bytearray(SIGNER)
        flipped[bit // 8] ^= 0x80 >> bit % 8
        try:
            found = certificate_layout(bytes(flipped))
        except CertificateError:
            continue
        assert found.signature.end == len(SIGNER)


@given(st.binary(max_size=200), st.sampled_from([b"", b"\x30\x82\x01\x00", SIGNER[:20], SIGNER[:250]]))
def test_garbage(data: bytes, start: bytes) -> None:
    with pytest.raises(CertificateError):
        certificate_layout(start + data)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        ("", "too early"),
        ("30", "too early"),
        ("3001", "longer than its container"),
        ("308000", "not valid DER"),
        ("3083000001aa", "not valid DER"),
        ("3081", "not valid DER"),
        ("30817f" + "00" * 127, "shortest form"),
        ("308200ff" + "00" * 255, "shortest form"),
    ],
)
def test_lengths_that_der_does_not_allow_are_refused(data: str, why: str) -> None:
    content = bytes.fromhex(data)
    with pytest.raises(CertificateError, match=why):
        read_tlv(content, 0, len(content))


def test_children_must_fill_their_parent() -> None:
    content = bytes.fromhex("3004020101ff")
    with pytest.raises(CertificateError):
        children(content, read_tlv(content, 0, len(content)))


def test_certificates_of_other_kinds() -> None:
    for old, new, why in [
        ("06082a8648ce3d040302", "06082a8648ce3d040303", "ecdsa-with-SHA256"),
        ("06082a8648ce3d030107", "06082a8648ce3d030106", "uncompressed P-256"),
        ("a003020102", "a003020101", "version 3"),
        ("03420004", "03420002", "uncompressed P-256"),
    ]:
        changed = SIGNER.hex().replace(old, new)
        assert changed != SIGNER.hex()
        with pytest.raises(CertificateError, match=why):
            certificate_layout(bytes.fromhex(changed))
