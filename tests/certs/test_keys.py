from __future__ import annotations

import contextlib
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from atcaprov import CertificateError
from atcaprov.certs import keys
from tests.support.certificates import DEVICE, ORDER, SIGNER, vector
from tests.support.system_programs import require_program


def test_key_id_of_the_genuine_certificate() -> None:
    case = vector("signer-certificate")["signer"]
    assert keys.key_id(bytes.fromhex(case["subject_public_key"])).hex() == case["subject_key_id"]
    assert keys.key_id(bytes.fromhex(case["ca_public_key"])).hex() == case["authority_key_id"]


def test_padded_form_of_the_genuine_key() -> None:
    case = vector("signer-certificate")["signer"]
    padded = bytes.fromhex(case["padded_public_key"])
    assert keys.padded_public_key(bytes.fromhex(case["subject_public_key"])) == padded
    assert keys.unpadded_public_key(padded).hex() == case["subject_public_key"]


@pytest.mark.parametrize("position", [0, 3, 36, 39])
def test_padding_must_be_zero(position: int) -> None:
    padded = bytearray(keys.padded_public_key(DEVICE.public))
    padded[position] = 1
    with pytest.raises(CertificateError, match="not hold a public key"):
        keys.unpadded_public_key(bytes(padded))


def test_public_key_round_trip() -> None:
    assert keys.raw_public_key(keys.load_public_key(DEVICE.public)) == DEVICE.public


@given(st.binary(max_size=80))
def test_garbage_public_key_is_refused(data: bytes) -> None:
    with pytest.raises(CertificateError):
        keys.load_public_key(data)


def test_one_flipped_bit_leaves_the_curve() -> None:
    flipped = bytearray(DEVICE.public)
    flipped[63] ^= 1
    with pytest.raises(CertificateError, match="not a point"):
        keys.load_public_key(bytes(flipped))


def test_other_curves_have_no_raw_form() -> None:
    with pytest.raises(CertificateError, match="secp384r1"):
        keys.raw_public_key(ec.generate_private_key(ec.SECP384R1()).public_key())


@given(st.integers(0, ORDER), st.integers(0, ORDER))
def test_signature_forms(r: int, s: int) -> None:
    raw = r.to_bytes(32, "big") + s.to_bytes(32, "big")
    encoded = keys.der_signature(raw)
    assert 8 <= len(encoded) <= 72
    assert keys.raw_signature(encoded) == raw


@given(st.binary(max_size=100))
def test_garbage_signatures(data: bytes) -> None:
    with contextlib.suppress(CertificateError):
        assert len(keys.raw_signature(data)) == 64


def test_numbers_beyond_256_bits_are_refused_as_signature() -> None:
    too_long = bytes.fromhex("3026022101" + "00" * 32 + "020101")
    with pytest.raises(CertificateError):
        keys.raw_signature(too_long)


def test_verify_digest() -> None:
    signature = SIGNER.sign(bytes(32))
    assert keys.verify_digest(SIGNER.public, bytes(32), signature)
    assert not keys.verify_digest(DEVICE.public, bytes(32), signature)
    assert not keys.verify_digest(SIGNER.public, b"\x01" * 32, signature)
    with pytest.raises(CertificateError, match="64 bytes"):
        keys.verify_digest(SIGNER.public, bytes(32), signature[:-1])


def test_openssl_verifies_the_der_form(tmp_path: Path) -> None:
    openssl = require_program("openssl")
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    pem = keys.load_public_key(SIGNER.public).public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "key.pem").write_bytes(pem)
    (tmp_path / "digest").write_bytes(bytes(32))
    (tmp_path / "signature").write_bytes(keys.der_signature(SIGNER.sign(bytes(32))))
    command = [openssl, "pkeyutl", "-verify", "-pubin", "-inkey", "key.pem", "-in", "digest", "-sigfile", "signature"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
