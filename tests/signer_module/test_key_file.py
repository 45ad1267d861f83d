from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Final

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from hypothesis import given
from hypothesis import strategies as st

from atcaprov import Code, UsageError
from atcaprov.certs import keys
from signer_module.on_files.encrypted_pkcs8 import encrypt_pkcs8
from signer_module.on_files.key_file import SoftwareKey, key_is_encrypted, load_key
from tests.support.certificates import ROOT, SIGNER
from tests.support.system_programs import require_program

PRIVATE: Final = SIGNER.private
PASSWORD: Final = b"open sesame"
PKCS8_DER: Final = PRIVATE.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
SEC1: Final = PRIVATE.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
PARAMETERS: Final = b"-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"
ENCRYPTED: Final = encrypt_pkcs8(PKCS8_DER, PASSWORD, rounds=10)


def encoded(key: object, form: PrivateFormat = PrivateFormat.PKCS8) -> bytes:
    assert isinstance(key, ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey)
    return key.private_bytes(Encoding.PEM, form, NoEncryption())


def refused(data: bytes, password: bytes | None = None) -> UsageError:
    with pytest.raises(UsageError) as caught:
        load_key(data, password, "some.key")
    assert "some.key" in caught.value.what
    return caught.value


@pytest.mark.parametrize(
    "data",
    [
        SEC1,
        PARAMETERS + SEC1,
        (PARAMETERS + SEC1).replace(b"\n", b"\r\n"),
        b"Bag Attributes\n  friendlyName: x\n" + SEC1,
        PRIVATE.private_bytes(Encoding.DER, PrivateFormat.TraditionalOpenSSL, NoEncryption()),
        PRIVATE.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        PKCS8_DER,
    ],
    ids=["sec1", "parameters", "crlf", "text in front", "sec1 der", "pkcs8", "pkcs8 der"],
)
def test_plain_forms(data: bytes) -> None:
    assert not key_is_encrypted(data, "x")
    assert load_key(data, None, "x").public_key == SIGNER.public
    assert load_key(data, b"not needed", "x").public_key == SIGNER.public


@pytest.mark.parametrize(
    "data",
    [
        ENCRYPTED,
        PRIVATE.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(PASSWORD)),
        PRIVATE.private_bytes(Encoding.DER, PrivateFormat.PKCS8, BestAvailableEncryption(PASSWORD)),
        PRIVATE.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, BestAvailableEncryption(PASSWORD)),
    ],
    ids=["ours", "pkcs8", "pkcs8 der", "sec1"],
)
def test_encrypted_forms(data: bytes) -> None:
    assert key_is_encrypted(data, "x")
    assert load_key(data, PASSWORD, "x").public_key == SIGNER.public
    for wrong in (None, b"", b"open sesamE"):
        assert refused(data, wrong).code == Code.PASSWORD_WRONG


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (encoded(ec.generate_private_key(ec.SECP256K1())), "secp256k1"),
        (encoded(ec.generate_private_key(ec.SECP384R1()), PrivateFormat.TraditionalOpenSSL), "secp384r1"),
        (encoded(ec.generate_private_key(ec.BrainpoolP256R1())), "brainpoolP256r1"),
        (encoded(ed25519.Ed25519PrivateKey.generate()), "Ed25519"),
        (encoded(rsa.generate_private_key(65537, 2048)), "RSA"),
        (encoded(rsa.generate_private_key(65537, 2048), PrivateFormat.TraditionalOpenSSL), "RSA"),
        (encoded(PRIVATE, PrivateFormat.OpenSSH), "format of OpenSSH"),
        (PRIVATE.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo), "public key"),
        (PARAMETERS, "no key"),
        (SEC1 + encoded(PRIVATE), "2 private keys"),
        (b"", "no private key"),
        (b"hello", "no private key"),
        (b"\x30", "damaged"),
        (b"x" * 70_000, "longer"),
        (SEC1.replace(b"EC PRIVATE", b"DSA PRIVATE"), "DSA PRIVATE KEY"),
        (SEC1[:80] + SEC1[81:], "damaged"),
    ],
    ids=range(16),
)
def test_other_kinds_of_files_are_named_in_the_error(data: bytes, message: str) -> None:
    error = refused(data)
    assert error.code == Code.KEY_FILE_INVALID
    assert message in error.what


def test_keys_of_openssl(tmp_path: Path) -> None:
    openssl = require_program("openssl")

    def made(*arguments: str) -> bytes:
        command = [openssl, *arguments]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, check=True).stdout

    plain = made("ecparam", "-genkey", "-name", "prime256v1")
    assert plain.startswith(b"-----BEGIN EC PARAMETERS-----")
    (tmp_path / "plain.pem").write_bytes(plain)
    key = load_key(plain, None, "x").public_key
    pkcs8 = ["pkcs8", "-topk8", "-in", "plain.pem", "-passout", "pass:open sesame"]
    for extra in (["-v2", "aes-128-cbc"], ["-scrypt"], ["-v2", "aes-256-cbc", "-outform", "DER"]):
        assert load_key(made(*pkcs8, *extra), PASSWORD, "x").public_key == key
    traditional = made("ec", "-in", "plain.pem", "-aes128", "-passout", "pass:open sesame")
    assert load_key(traditional, PASSWORD, "x").public_key == key
    explicit = made("ecparam", "-genkey", "-name", "prime256v1", "-param_enc", "explicit")
    assert load_key(explicit, None, "x").public_key
    for curve in ("secp256k1", "sect233k1"):
        assert refused(made("ecparam", "-genkey", "-name", curve)).code == Code.KEY_FILE_INVALID
    subject = ["req", "-x509", "-key", "plain.pem", "-subj", "/CN=x"]
    assert "is a certificate" in refused(made(*subject)).what
    assert "is a certificate" in refused(made(*subject, "-outform", "DER")).what
    request = made("req", "-new", "-key", "plain.pem", "-subj", "/CN=x")
    assert "certificate request" in refused(request).what


@pytest.mark.slow
def test_our_encrypted_form_is_what_openssl_reads(tmp_path: Path) -> None:
    openssl = require_program("openssl")
    (tmp_path / "key.pem").write_bytes(load_key(SEC1, None, "x").encode(PASSWORD))
    command = [openssl, "pkey", "-in", "key.pem", "-passin", "pass:open sesame", "-outform", "DER"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    shown = subprocess.run(
        [openssl, "asn1parse", "-in", "key.pem"], cwd=tmp_path, capture_output=True, text=True, check=True
    ).stdout
    assert "PBKDF2" in shown
    assert f"INTEGER           :{600_000:06X}" in shown


@pytest.mark.parametrize("password", [b"x", b"p" * 1024, "pässwörd".encode()])
@pytest.mark.parametrize("rounds", [1, 127, 128, 65_535, 65_536])
def test_encryption_comes_back(password: bytes, rounds: int) -> None:
    loaded = load_pem_private_key(encrypt_pkcs8(PKCS8_DER, password, rounds=rounds), password)
    assert isinstance(loaded, ec.EllipticCurvePrivateKey)
    assert keys.raw_public_key(loaded.public_key()) == SIGNER.public


def test_a_key_signs_and_hides() -> None:
    key = SoftwareKey(ROOT.private)
    assert keys.verify_digest(ROOT.public, bytes(32), key.sign(bytes(32)))
    number = ROOT.private.private_numbers().private_value
    for shown in (repr(key), str(key)):
        assert f"{number:x}" not in shown
        assert str(number) not in shown
    assert SoftwareKey.generate().public_key != SoftwareKey.generate().public_key


@pytest.mark.parametrize("data", [SEC1, ENCRYPTED, PKCS8_DER], ids=["sec1", "encrypted", "der"])
def test_truncated_at_each_length(data: bytes) -> None:
    for length in range(len(data.rstrip())):
        assert refused(data[:length], PASSWORD).code in (Code.KEY_FILE_INVALID, Code.PASSWORD_WRONG)


@pytest.mark.slow
@given(st.data())
def test_one_flipped_bit(data: st.DataObject) -> None:
    original = data.draw(st.sampled_from([PARAMETERS + SEC1, ENCRYPTED, PKCS8_DER]))
    bit = data.draw(st.integers(0, len(original) * 8 - 1))
    flipped = bytearray(original)
    flipped[bit // 8] ^= 1 << bit % 8
    try:
        load_key(bytes(flipped), PASSWORD, "x")
    except UsageError:
        return


@given(st.binary(max_size=300), st.sampled_from([b"", b"\x30", b"-----BEGIN PRIVATE KEY-----\n"]))
def test_garbage(data: bytes, start: bytes) -> None:
    assert refused(start + data, b"x").code in (Code.KEY_FILE_INVALID, Code.PASSWORD_WRONG)
