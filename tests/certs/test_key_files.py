"""Keys in the containers of OpenSSL, Java and browsers: read, or named with a command that converts them."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat, pkcs12
from hypothesis import given
from hypothesis import strategies as st

from atcaprov import Code, UsageError
from atcaprov.certs.key_files.private_key import key_is_encrypted, read_private_key
from atcaprov.certs.key_files.public_key import read_public_key
from atcaprov.certs.keys import raw_public_key
from tests.support.certificates import SIGNER
from tests.support.system_programs import require_program

PRIVATE: Final = ec.generate_private_key(ec.SECP256R1())
PUBLIC: Final = raw_public_key(PRIVATE.public_key())
PASSWORD: Final = b"open sesame"
PEM: Final = PRIVATE.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
DER: Final = PRIVATE.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
SPKI: Final = PRIVATE.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
SSH_PUBLIC: Final = PRIVATE.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
LEGACY: Final = ("-provider", "legacy", "-provider", "default")
Run = Callable[..., bytes]


@pytest.fixture
def openssl(tmp_path: Path) -> Run:
    """Run OpenSSL in a folder that has the key and a certificate of it; return what it writes to stdout."""

    def run(*arguments: str) -> bytes:
        command = [require_program("openssl"), *arguments]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, check=True).stdout

    (tmp_path / "key.pem").write_bytes(PEM)
    (tmp_path / "crt.pem").write_bytes(run("req", "-x509", "-key", "key.pem", "-subj", "/CN=x"))
    return run


def read(data: bytes, password: bytes | None = None) -> bytes:
    return raw_public_key(read_private_key(data, password, "some.key").public_key())


def refused(data: bytes, source: str = "some.key", password: bytes | None = PASSWORD) -> UsageError:
    with pytest.raises(UsageError) as caught:
        read_private_key(data, password, source)
    assert source in caught.value.what
    return caught.value


def convert(error: UsageError, *more: str, answers: str = "") -> None:
    """Run the command of an error's advice, with passwords where the operator would be asked."""
    command = " ".join([error.advice.removeprefix("Convert it: "), *map(shlex.quote, more)])
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False, input=answers)
    assert done.returncode == 0, done.stderr + done.stdout


@pytest.mark.parametrize(
    "written",
    [
        lambda pem: pem.replace(b"\n", b"\r\n"),
        lambda pem: pem.replace(b"\n", b"\r"),
        lambda pem: b"\xef\xbb\xbf" + pem,
        lambda pem: pem.decode().encode("utf-16"),
        lambda pem: pem.decode().encode("utf-16-le"),
        lambda pem: pem.decode().encode("utf-16-be"),
        lambda pem: b"key: |\n" + b"".join(b"    " + line + b"\n" for line in pem.splitlines()),
        lambda pem: b"Key of the factory:\n\n" + pem + b"Keep it safe.\n",
        lambda pem: pem + SPKI,
    ],
    ids=["crlf", "cr", "mark", "utf-16", "utf-16-le", "utf-16-be", "yaml", "text around", "public key behind"],
)
def test_pem_is_read_however_its_text_is_written(written: Callable[[bytes], bytes]) -> None:
    data = written(PEM)
    assert not key_is_encrypted(data, "x")
    assert read(data) == PUBLIC


@pytest.mark.slow
@pytest.mark.parametrize("cipher", ["PBE-MD5-DES", "PBE-SHA1-3DES", "PBE-SHA1-RC2-40", "PBE-SHA1-RC4-128"])
@pytest.mark.parametrize("form", ["PEM", "DER"])
def test_pkcs8_with_the_encryptions_of_the_past_is_read(openssl: Run, cipher: str, form: str) -> None:
    data = openssl(
        *("pkcs8", "-topk8", *LEGACY, "-in", "key.pem", "-outform", form),
        *("-v1", cipher, "-passout", "pass:open sesame"),
    )
    assert key_is_encrypted(data, "x")
    assert read(data, PASSWORD) == PUBLIC
    assert refused(data, password=b"wrong").code == Code.PASSWORD_WRONG


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["-v1 PBE-SHA1-DES", "-v2 camellia-128-cbc", "-v2 camellia-128-cbc -outform DER"])
def test_a_cipher_that_is_not_read_is_no_wrong_password(openssl: Run, tmp_path: Path, kind: str) -> None:
    data = openssl("pkcs8", "-topk8", *LEGACY, "-in", "key.pem", *kind.split(), "-passout", "pass:open sesame")
    path = tmp_path / "my old.key"
    path.write_bytes(data)
    error = refused(data, str(path))
    assert error.code == Code.KEY_FILE_INVALID
    assert "cipher that is not supported" in error.what
    convert(error, "-passin", "pass:open sesame", "-passout", "pass:open sesame")
    assert read((tmp_path / "my old-converted.pem").read_bytes(), PASSWORD) == PUBLIC


@pytest.mark.slow
@pytest.mark.parametrize("cipher", ["-aes128", "-aes256", "-des3"])
def test_traditional_encryption_is_read(openssl: Run, cipher: str) -> None:
    data = openssl("ec", "-in", "key.pem", cipher, "-passout", "pass:open sesame")
    assert read(data, PASSWORD) == PUBLIC


@pytest.mark.slow
def test_a_traditional_cipher_that_is_not_read_is_converted(openssl: Run, tmp_path: Path) -> None:
    path = tmp_path / "old.pem"
    path.write_bytes(openssl("ec", "-in", "key.pem", "-camellia128", "-passout", "pass:open sesame"))
    error = refused(path.read_bytes(), str(path))
    convert(error, "-passin", "pass:open sesame", "-passout", "pass:open sesame")
    assert read((tmp_path / "old-converted.pem").read_bytes(), PASSWORD) == PUBLIC


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [(), ("-legacy",), ("-nomac",), ("-keypbe", "NONE", "-certpbe", "NONE")],
    ids=lambda given: " ".join(given),
)
def test_pkcs12_of_openssl_is_read(openssl: Run, options: tuple[str, ...]) -> None:
    data = openssl(
        *("pkcs12", "-export", *options, "-inkey", "key.pem", "-in", "crt.pem"), "-passout", "pass:open sesame"
    )
    assert key_is_encrypted(data, "x")
    assert read(data, PASSWORD) == PUBLIC
    assert refused(data, password=b"wrong").code == Code.PASSWORD_WRONG
    assert refused(data, password=None).code == Code.PASSWORD_WRONG


@pytest.mark.slow
def test_pkcs12_without_a_password_needs_none(openssl: Run) -> None:
    data = openssl("pkcs12", "-export", "-inkey", "key.pem", "-in", "crt.pem", "-passout", "pass:")
    assert not key_is_encrypted(data, "x")
    assert read(data) == PUBLIC


@pytest.mark.slow
def test_pkcs12_without_a_key_is_named(openssl: Run) -> None:
    data = openssl("pkcs12", "-export", "-nokeys", "-in", "crt.pem", "-passout", "pass:open sesame")
    assert "certificates and no private key" in refused(data).what


@pytest.mark.slow
def test_pkcs12_with_open_lengths_is_read_as_browsers_wrote_it(openssl: Run) -> None:
    data = openssl("pkcs12", "-export", "-inkey", "key.pem", "-in", "crt.pem", "-passout", "pass:open sesame")
    assert data.startswith(b"\x30\x82")
    in_ber = b"\x30\x80" + data[4:] + b"\0\0"
    assert read(in_ber, PASSWORD) == PUBLIC
    assert refused(in_ber, password=b"wrong").code == Code.PASSWORD_WRONG


def keystore(folder: Path, kind: str, *names: str) -> Path:
    """Make a keystore with a key of each name; its password is `password`."""
    path = folder / f"my store.{kind.lower()}"
    for name in names:
        options = {"-keystore": str(path), "-storetype": kind, "-storepass": "password", "-alias": name}
        options |= {"-keyalg": "EC", "-groupname": "secp256r1", "-dname": f"CN={name}"}
        words = [word for option in options.items() for word in option]
        same = [] if kind == "PKCS12" else ["-keypass", "password"]
        subprocess.run([require_program("keytool"), "-genkeypair", *words, *same], check=True, capture_output=True)
    return path


@pytest.mark.slow
def test_pkcs12_of_java_is_read(tmp_path: Path) -> None:
    path = keystore(tmp_path, "PKCS12", "one")
    assert len(read(path.read_bytes(), b"password")) == 64


@pytest.mark.slow
def test_a_keystore_with_two_keys_is_refused_and_its_command_takes_one(tmp_path: Path) -> None:
    path = keystore(tmp_path, "PKCS12", "one", "two")
    error = refused(path.read_bytes(), str(path), b"password")
    assert "holds 2 private keys" in error.what
    error.advice = error.advice.replace("ALIAS", "two")
    convert(error, "-srcstorepass", "password", "-deststorepass", "password")
    converted = (tmp_path / "my store-converted.p12").read_bytes()
    _, certificate, _ = pkcs12.load_key_and_certificates(converted, b"password")
    assert certificate is not None
    assert certificate.subject.rfc4514_string() == "CN=two"
    assert len(read(converted, b"password")) == 64


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["JKS", "JCEKS"])
def test_a_keystore_of_old_java_is_named_and_its_command_converts_it(tmp_path: Path, kind: str) -> None:
    path = keystore(tmp_path, kind, "one")
    error = refused(path.read_bytes(), str(path))
    assert f"is a Java keystore ({kind})" in error.what
    convert(error, "-srcstorepass", "password", "-deststorepass", "password")
    assert len(read((tmp_path / "my store-converted.p12").read_bytes(), b"password")) == 64


def test_an_openssh_key_is_named_and_its_command_converts_it(tmp_path: Path) -> None:
    require_program("ssh-keygen")
    path = tmp_path / "my key"
    path.write_bytes(PRIVATE.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()))
    error = refused(path.read_bytes(), str(path))
    assert "format of OpenSSH" in error.what
    convert(error, "-P", "", "-N", "")
    assert read((tmp_path / "my key-converted.pem").read_bytes()) == PUBLIC
    assert path.read_bytes().startswith(b"-----BEGIN OPENSSH"), "the given file stays"


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"PuTTY-User-Key-File-3: ecdsa-sha2-nistp256\n", "PuTTY"),
        (b"-----BEGIN PKCS7-----\nAA==\n-----END PKCS7-----\n", "PKCS#7"),
        (b"-\0-\0-", "damaged text in UTF-16"),
    ],
)
def test_other_containers_are_named(data: bytes, says: str) -> None:
    assert says in refused(data).what


def test_a_command_names_no_password() -> None:
    error = refused(b"\xfe\xed\xfe\xed\0\0\0\2", "/keys/a b.jks")
    assert error.advice == (
        "Convert it: keytool -importkeystore -srckeystore '/keys/a b.jks' "
        "-destkeystore '/keys/a b-converted.p12' -deststoretype PKCS12"
    )


@pytest.mark.slow
def test_a_public_key_is_read_from_what_openssl_writes(openssl: Run) -> None:
    request = ("req", "-new", "-key", "key.pem", "-subj", "/CN=x")
    certificate = ("x509", "-in", "crt.pem")
    for made in (("pkey", "-in", "key.pem", "-pubout"), request, certificate, (*certificate, "-text")):
        assert read_public_key(openssl(*made), "x") == PUBLIC
    for made in (("pkey", "-in", "key.pem", "-pubout"), request, certificate):
        assert read_public_key(openssl(*made, "-outform", "DER"), "x") == PUBLIC
    assert read_public_key(SSH_PUBLIC, "x") == PUBLIC
    assert read_public_key(SPKI.decode().encode("utf-16"), "x") == PUBLIC


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (PEM, "holds a private key"),
        (SPKI + SPKI, "holds 2 public keys"),
        (b"", "holds no public key"),
        (DER, "is damaged"),
        (SPKI[:60] + SPKI[61:], "is damaged"),
        (b"-----BEGIN EC PARAMETERS-----\nAA==\n-----END EC PARAMETERS-----\n", "'EC PARAMETERS', not a public key"),
        (
            ec.generate_private_key(ec.SECP384R1())
            .public_key()
            .public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
            "on the curve secp384r1",
        ),
    ],
    ids=range(7),
)
def test_what_is_no_public_key_is_named(data: bytes, says: str) -> None:
    with pytest.raises(UsageError, match=f"some.pem .*{says}") as caught:
        read_public_key(data, "some.pem")
    assert caught.value.code == Code.KEY_FILE_INVALID


def test_a_request_with_a_wrong_signature_proves_no_key(openssl: Run) -> None:
    request = bytearray(openssl("req", "-new", "-key", "key.pem", "-subj", "/CN=x", "-outform", "DER"))
    request[-1] ^= 1
    with pytest.raises(UsageError, match="signature is wrong"):
        read_public_key(bytes(request), "x")


BUNDLE: Final = pkcs12.serialize_key_and_certificates(b"x", SIGNER.private, None, None, NoEncryption())


@given(st.data())
def test_a_flipped_bit_ends_in_a_key_or_the_one_error(data: st.DataObject) -> None:
    original = data.draw(st.sampled_from([PEM, DER, SPKI, SSH_PUBLIC, BUNDLE]))
    bit = data.draw(st.integers(0, len(original) * 8 - 1))
    flipped = bytearray(original)
    flipped[bit // 8] ^= 1 << bit % 8
    for reader in (lambda data: read_private_key(data, b"x", "x"), lambda data: read_public_key(data, "x")):
        assert outcome(reader, bytes(flipped)) in (None, Code.KEY_FILE_INVALID, Code.PASSWORD_WRONG)


def outcome(reader: Callable[[bytes], object], data: bytes) -> str | None:
    try:
        reader(data)
    except UsageError as error:
        return error.code
    return None


@given(
    st.binary(max_size=300),
    st.sampled_from([b"", b"\x30", b"\x30\x80\x02\x01\x03\x30", b"\xff\xfe", b"ecdsa-sha2-nistp256 "]),
)
def test_garbage_ends_in_the_one_error(garbage: bytes, start: bytes) -> None:
    for reader in (lambda data: read_private_key(data, b"x", "x"), lambda data: read_public_key(data, "x")):
        with pytest.raises(UsageError) as caught:
            reader(start + garbage)
        assert caught.value.code in (Code.KEY_FILE_INVALID, Code.PASSWORD_WRONG)
