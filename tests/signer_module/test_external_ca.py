"""The chain of an external CA: accepted whole in any order, every fault named; OpenSSL makes it and judges."""

from __future__ import annotations

import itertools
import random
import string
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, rsa
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7

from atcaprov import CertificateError, Code, UsageError
from atcaprov.certs import certificate_files
from signer_module.external_ca.chain import ExternalChain
from signer_module.on_chip.module import SignerModule
from signer_module.on_chip.slot_layout import DESCRIPTION_SIZE
from signer_module.on_files import folder_files
from tests.signer_module.test_module_commands import provisioned
from tests.support.external_cas import ExternalCas, openssl
from tests.support.programs import run_signer_module as run
from tests.support.signer_modules import CHEAP, SIGNER, locks

NOW = datetime.now(UTC)
CHAIN_FAULTS = {Code.CHAIN_INVALID, Code.CHAIN_INCOMPLETE, Code.CHAIN_SURPLUS}
ORDER = ("--no-password", *CHEAP)
REQUEST = ("signer", "request", "--device", SIGNER, "--signer-id", "0A0B", "--out", "signer.csr", *ORDER)
IMPORT = ("signer", "import", "--device", SIGNER, *ORDER, "--certificate", "signer.pem")


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ExternalCas:
    monkeypatch.chdir(tmp_path)
    return ExternalCas(tmp_path / "house")


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["p256", "p384", "rsa2048", "rsa4096", "ed25519"])
def test_a_signer_module_under_a_root_of_any_kind(house: ExternalCas, kind: str) -> None:
    house.add("root", kind)
    house.add("middle", "rsa2048" if kind == "p384" else "p256", "root")
    issuing = house.add("issuing", "p256", "root" if kind == "rsa4096" else "middle")
    above = [] if kind == "rsa4096" else [house.pem("middle")]
    assert run(*REQUEST) == 0
    house.certify("issuing", Path("signer.csr"), Path("signer.pem"))
    chain = [option for path in (house.pem("root"), *above, issuing) for option in ("--chain", path)]
    assert run(*IMPORT, *chain, "--out", "export") == 0
    with SignerModule.open(SIGNER) as module:
        assert module.root_certificate == certificate_files.read_certificate(issuing)
        _, der = provisioned(module)
    assert certificate_files.read_certificate(Path("export/root.pem")) == certificate_files.read_certificate(issuing)
    expected = [certificate_files.read_certificate(path) for path in (issuing, *above, house.pem("root"))]
    assert certificate_files.read_certificates(Path("export/chain.pem")) == expected
    Path("device.pem").write_bytes(folder_files.pem_certificate(der))
    untrusted = ("-untrusted", "export/signer.pem", "-untrusted", "export/chain.pem")
    strict = ("verify", "-x509_strict", "-purpose", "sslclient")
    done = openssl(*strict, "-CAfile", house.pem("root"), *untrusted, "device.pem")
    assert (done.returncode, done.stdout) == (0, "device.pem: OK\n"), done.stderr
    done = openssl(
        *strict, "-partial_chain", "-CAfile", "export/root.pem", "-untrusted", "export/signer.pem", "device.pem"
    )
    assert done.returncode == 0, done.stderr
    assert run("verify", "--device", SIGNER) == 0
    for command in ("export", "backup-public"):
        assert run(command, "--device", SIGNER, "--out", f"{command}-out", *chain) == 0
        assert Path(f"{command}-out/chain.pem").read_bytes() == Path("export/chain.pem").read_bytes()
        assert run(command, "--device", SIGNER, "--out", "other", "--chain", issuing) == 7
        assert not Path("other").exists()


@pytest.mark.slow
def test_a_chain_in_one_file_of_any_form(house: ExternalCas) -> None:
    house.add("root", "p384")
    house.add("issuing", "p256", "root")
    assert run(*REQUEST) == 0
    house.certify("issuing", Path("signer.csr"), Path("leaf.pem"))
    parts = [path.read_bytes() for path in (house.pem("root"), Path("leaf.pem"), house.pem("issuing"))]
    Path("signer.pem").write_bytes(b"".join(parts))
    found = certificate_files.read_certificates(Path("signer.pem"))
    assert len(found) == 3
    together = [x509.load_pem_x509_certificate(part) for part in parts]
    for encoding in (Encoding.PEM, Encoding.DER):
        Path("chain.p7b").write_bytes(pkcs7.serialize_certificates(together, encoding))
        assert sorted(certificate_files.read_certificates(Path("chain.p7b"))) == sorted(found)
    assert run(*IMPORT) == 0


def test_invalid_chain_leaves_the_chip_unchanged(house: ExternalCas, capsys: pytest.CaptureFixture[str]) -> None:
    house.add("root", "p384")
    house.add("issuing", "p256", "root")
    assert run(*REQUEST) == 0
    house.certify("issuing", Path("signer.csr"), Path("signer.pem"))
    before = Path("signer.chip").read_bytes()
    capsys.readouterr()
    assert run(*IMPORT, "--chain", house.pem("issuing")) == 7
    assert "O=House" in capsys.readouterr().err
    assert run(*IMPORT, "--chain", house.pem("root")) == 7
    assert run(*IMPORT) == 7
    assert run(*IMPORT, "--chain", "signer.csr") == 2
    assert Path("signer.chip").read_bytes() == before


def test_extension_added_by_the_ca_is_named(house: ExternalCas, capsys: pytest.CaptureFixture[str]) -> None:
    issuing = house.add("issuing", "p256")
    assert run(*REQUEST) == 0
    before = Path("signer.chip").read_bytes()
    house.certify("issuing", Path("signer.csr"), Path("signer.pem"), "extendedKeyUsage = clientAuth")
    capsys.readouterr()
    assert run(*IMPORT, "--chain", issuing) == 7
    message = " ".join(capsys.readouterr().err.split())
    assert "extension extKeyUsage: expected none, found clientAuth" in message
    assert Path("signer.chip").read_bytes() == before


@pytest.mark.slow
def test_a_chain_too_long_for_the_module_leaves_the_chip_alone(
    house: ExternalCas, capsys: pytest.CaptureFixture[str]
) -> None:
    house.add("root", "rsa4096")
    for issuing in (string.ascii_letters, "issuing"):
        house.add(issuing, "p256", "root")
    assert run(*REQUEST) == 0
    house.certify(string.ascii_letters, Path("signer.csr"), Path("signer.pem"))
    before = Path("signer.chip").read_bytes()
    capsys.readouterr()
    chain = ("--chain", house.pem("root"), "--chain")
    assert run(*IMPORT, *chain, house.pem(string.ascii_letters)) == 2
    said = capsys.readouterr().err
    assert "too long for the module" in said
    assert f"{DESCRIPTION_SIZE} bytes" in said
    assert Path("signer.chip").read_bytes() == before
    house.certify("issuing", Path("signer.csr"), Path("signer.pem"))
    assert run(*IMPORT, *chain, house.pem("issuing")) == 0


def refused_before_the_chip(*options: object) -> int:
    code = run(*REQUEST, *options)
    assert not Path("signer.chip").exists()
    assert not Path("signer.csr").exists()
    return code


@pytest.mark.slow
def test_a_ca_whose_certificates_are_given_with_the_request_is_checked_before_the_chip_is_changed(
    house: ExternalCas, capsys: pytest.CaptureFixture[str]
) -> None:
    root, issuing = house.add("root", "rsa2048"), house.add("issuing", "p256", "root")
    largest = house.add("largest", "rsa4096")
    large = house.add(string.ascii_letters, "p256", "largest")
    other, p384 = house.add("other", "p256"), house.add("p384", "p384", "root")
    usual = ("keyUsage = critical, keyCertSign", "subjectKeyIdentifier = hash")
    ends = house.add("ends", "p256", "root", extensions=("basicConstraints = critical, CA:true, pathlen:0", *usual))
    web = ("basicConstraints = critical, CA:true", "extendedKeyUsage = serverAuth", *usual)
    for given, code, why in (
        ((large, largest), 2, f"{DESCRIPTION_SIZE} bytes"),
        ((issuing,), 7, "is missing"),
        ((issuing, root, other), 7, "not part of the signer's chain"),
        ((p384, root), 7, "P-256"),
        ((ends, root), 7, "allows 0 CAs below it"),
        ((house.add("web", "p256", "root", extensions=web), root), 7, "extended key usage"),
    ):
        assert refused_before_the_chip(*(option for path in given for option in ("--chain", path))) == code
        assert why in capsys.readouterr().err
    assert refused_before_the_chip("--device-description", "device.toml") == 2
    assert run(*REQUEST, "--chain", root, "--chain", issuing) == 0
    house.certify("issuing", Path("signer.csr"), Path("signer.pem"))
    assert run(*IMPORT, "--chain", root, "--chain", issuing) == 0


def test_a_root_may_be_the_one_that_issues(house: ExternalCas) -> None:
    root = house.add("root", "p256")
    assert refused_before_the_chip("--chain", root, "--chain", house.add("second", "p256")) == 7
    assert run(*REQUEST, "--chain", root) == 0


# Chains in memory, each with one fault

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed448.Ed448PrivateKey
CA = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
NO_CA = x509.KeyUsage(True, False, False, False, False, False, False, False, False)


def name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])


KEYS: dict[str, Key] = {
    "root": ed448.Ed448PrivateKey.generate(),
    "middle": rsa.generate_private_key(65537, 2048),
    "issuing": ec.generate_private_key(ec.SECP256R1()),
    "signer": ec.generate_private_key(ec.SECP256R1()),
    "other": ec.generate_private_key(ec.SECP256R1()),
}


def certificate(subject: str, issuer: str, *, names: str | None = None, signed_by: str | None = None,
                path: int | None = None, ca: bool = True, usage: x509.KeyUsage = CA, begin: int = -9, end: int = 9,
                authority: str | None = None, more: x509.ExtensionType | None = None,
                identifier: bytes | None = None) -> bytes:  # fmt: skip
    """One certificate (DER) of the chain root, middle, issuing, signer, valid from and to in days from now."""
    key, signing = KEYS[subject].public_key(), KEYS[signed_by or issuer]
    own = x509.SubjectKeyIdentifier(identifier) if identifier else x509.SubjectKeyIdentifier.from_public_key(key)
    above = x509.AuthorityKeyIdentifier.from_issuer_public_key(KEYS[authority or issuer].public_key())
    dates = (NOW + timedelta(days=begin), NOW + timedelta(days=end))
    builder = x509.CertificateBuilder(name(names or issuer), name(subject), key, x509.random_serial_number(), *dates)
    builder = builder.add_extension(x509.BasicConstraints(ca, path if ca else None), True).add_extension(usage, True)
    builder = builder.add_extension(own, False).add_extension(above, False)
    if more is not None:
        builder = builder.add_extension(more, True)
    algorithm = None if isinstance(signing, ed448.Ed448PrivateKey) else hashes.SHA256()
    return builder.sign(signing, algorithm).public_bytes(Encoding.DER)


GOOD = {
    "root": certificate("root", "root", path=3),
    "middle": certificate("middle", "root", path=2),
    "issuing": certificate("issuing", "middle", path=1),
    "signer": certificate("signer", "issuing", path=0),
}


def test_any_order_and_duplicates_are_accepted() -> None:
    for order in itertools.permutations([*GOOD.values(), GOOD["middle"]]):
        chain = ExternalChain.of(order, NOW)
        assert (chain.signer, *chain.authorities) == tuple(reversed(GOOD.values()))


def fault(changed: dict[str, bytes]) -> CertificateError:
    with pytest.raises(CertificateError) as caught:
        ExternalChain.of((GOOD | changed).values(), NOW)
    return caught.value


def test_missing_certificate_is_named() -> None:
    for missing, says in (("root", "CN=root"), ("middle", "CN=middle")):
        with pytest.raises(CertificateError, match=says) as caught:
            ExternalChain.of([der for part, der in GOOD.items() if part != missing], NOW)
        assert caught.value.code == Code.CHAIN_INCOMPLETE
    for alone in ("signer", "root"):
        with pytest.raises(CertificateError) as caught:
            ExternalChain.of([GOOD[alone]], NOW)
        assert caught.value.code == Code.CHAIN_INCOMPLETE
    with pytest.raises(CertificateError, match="signer's certificate is missing"):
        ExternalChain.of([], NOW)


@pytest.mark.parametrize(
    "extra",
    [
        certificate("other", "other"),
        certificate("other", "root"),
        certificate("middle", "root", path=2),
        certificate("root", "root", path=3),
    ],
    ids=["a stranger", "a sister", "the same CA again", "the same root again"],
)
def test_surplus_certificate_is_named(extra: bytes) -> None:
    assert fault({"extra": extra}).code == Code.CHAIN_SURPLUS


@pytest.mark.parametrize(
    ("part", "changed", "says"),
    [
        ("root", certificate("root", "root", path=2), "allows 2 CAs below it"),
        ("middle", certificate("middle", "root", path=1), "allows 1 CAs below it"),
        ("issuing", certificate("issuing", "middle", path=0), "allows 0 CAs below it"),
        ("middle", certificate("middle", "root", ca=False), "basicConstraints: expected CA:TRUE, found CA:FALSE"),
        ("middle", certificate("middle", "root", usage=NO_CA), "keyUsage: expected keyCertSign"),
        ("issuing", certificate("issuing", "middle", usage=NO_CA), "keyUsage: expected keyCertSign"),
        ("signer", certificate("signer", "issuing", ca=False), "not a CA certificate"),
        ("root", certificate("root", "root", end=-1), "valid from"),
        ("middle", certificate("middle", "root", begin=1), "valid from"),
        ("signer", certificate("signer", "issuing", end=-1), "valid from"),
        ("middle", certificate("middle", "root", signed_by="other"), "not signed by the key"),
        ("signer", certificate("signer", "issuing", signed_by="other"), "not signed by the key"),
        ("root", certificate("root", "root", signed_by="other"), "not signed by its own key"),
        ("issuing", certificate("issuing", "middle", authority="other"), ": expected key id "),
        ("signer", certificate("signer", "issuing", authority="other"), ": expected key id "),
        ("middle", certificate("middle", "root", more=x509.InhibitAnyPolicy(0)), "cannot be checked"),
        ("middle", certificate("middle", "root", more=x509.NameConstraints([x509.DNSName("a")], None)), "checked"),
        ("middle", certificate("middle", "root", more=x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3"), b"")),
         "cannot be checked"),
        ("issuing", certificate("issuing", "middle", identifier=bytes(20)), "key id"),
        ("root", b"0\x00", "cannot be read"),
        ("root", GOOD["root"].replace(b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x04"), "cannot be read"),
        ("middle", GOOD["middle"].replace(b"\x0c\x06middle", b"\x03\x06middle"), "cannot be read"),
        ("middle", GOOD["middle"].replace(b"\x0c\x06middle", b"\x0c\x06m\xffddle"), "cannot be read"),
    ],
)  # fmt: skip
def test_each_error_in_the_chain_is_named(part: str, changed: bytes, says: str) -> None:
    error = fault({part: changed})
    assert error.code == Code.CHAIN_INVALID
    assert says in error.what


def test_issuer_not_on_p256_is_refused() -> None:
    """The signer's own issuer is what a chip pins."""
    for issuing, above in (("root", ["root"]), ("middle", ["middle", "root"])):
        with pytest.raises(CertificateError, match="cannot issue signers") as caught:
            ExternalChain.of([certificate("signer", issuing), *(GOOD[part] for part in above)], NOW)
        assert caught.value.code == Code.CHAIN_INVALID
        assert "P-256" in caught.value.advice


def test_damaged_chain_gives_only_its_own_error() -> None:
    chance = random.Random(5)
    for part, der in GOOD.items():
        for _ in range(60):
            flipped = bytearray(der)
            flipped[chance.randrange(len(der))] ^= 1 << chance.randrange(8)
            assert fault({part: bytes(flipped)}).code in CHAIN_FAULTS
            assert fault({part: der[: chance.randrange(len(der))]}).code == Code.CHAIN_INVALID


def test_certificate_without_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "root.der"
    path.write_bytes(GOOD["root"].replace(b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x04"))
    for read in (certificate_files.read_certificate, certificate_files.read_certificates):
        with pytest.raises(UsageError, match="holds no certificate"):
            read(path)


USAGES = {"serverAuth": False, "serverAuth, clientAuth": True, "anyExtendedKeyUsage": True}


@pytest.mark.slow
@pytest.mark.parametrize("usages", USAGES)
@pytest.mark.parametrize("ca", ["root", "issuing"])
def test_an_extended_key_usage_that_rules_the_devices_out(
    house: ExternalCas, ca: str, usages: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """OpenSSL refuses a device's certificate for a TLS client under a CA for servers."""
    limited = (
        "basicConstraints = critical, CA:true",
        "keyUsage = critical, keyCertSign",
        "subjectKeyIdentifier = hash",
        f"extendedKeyUsage = {usages}",
    )
    house.add("root", "p256", extensions=limited if ca == "root" else ())
    house.add("issuing", "p256", "root", extensions=limited if ca == "issuing" else ())
    assert run(*REQUEST) == 0
    house.certify("issuing", Path("signer.csr"), Path("signer.pem"))
    chain = ("--chain", house.pem("root"), "--chain", house.pem("issuing"))
    capsys.readouterr()
    assert run(*IMPORT, *chain) == (0 if USAGES[usages] else 7)
    if not USAGES[usages]:
        assert f"The extended key usage of the CA CN={ca},O=House does not include" in capsys.readouterr().err
        assert locks(SIGNER) == (True, False)
