"""The proof that a Trust part comes from Microchip."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from atcaprov import Board, CertificateError, Code, ProvisioningError, UsageError
from atcaprov.emulator.images import load_image
from atcaprov.emulator.memory import Memory
from atcaprov.emulator.random_source import SeededRandom
from atcaprov.inspection.certificates.found import StorageLayout
from atcaprov.inspection.genuine import prove_genuine, vendor_root
from tests.support.certificates import DEVICE
from tests.support.trust_parts import opened

_ROOT_FILE = Path(__file__).parents[2] / "configs" / "images" / "tngtls-test-root.pem"
TEST_ROOT = x509.load_pem_x509_certificate(_ROOT_FILE.read_bytes()).public_bytes(Encoding.DER)


def part(image: str = "tngtls") -> Memory:
    return load_image(image).make(SeededRandom(b"part"))


def test_part_proves_itself_under_a_root_given_explicitly() -> None:
    with opened(part()) as device:
        proof = prove_genuine(device, root=TEST_ROOT)
    assert proof.chain.layout is StorageLayout.TNGTLS
    assert proof.root == TEST_ROOT


def test_root_of_the_vendors_library_is_the_public_one() -> None:
    """Fields of Crypto Authentication Root CA 002 as cryptoauthlib app/tng/tng_root_cert.c has them."""
    root = x509.load_der_x509_certificate(vendor_root())
    assert root.subject.rfc4514_string() == "CN=Crypto Authentication Root CA 002,O=Microchip Technology Inc"
    root.verify_directly_issued_by(root)


def test_software_part_is_not_genuine_under_microchips_root() -> None:
    with opened(part()) as device, pytest.raises(CertificateError) as caught:
        prove_genuine(device)
    assert (caught.value.code, caught.value.board) == (Code.NOT_GENUINE, Board.SET_ASIDE)


def test_copied_certificates_do_not_prove_a_part_with_another_key() -> None:
    """A forger can copy the contents of a genuine part's slots, but not its key."""
    original, copy = part(), load_image("tngtls").make(SeededRandom(b"forger"))
    copy.config[0:16] = original.config[0:16]
    for slot in (5, 10, 11, 12):
        copy.write_slot(slot, 0, original.read_slot(slot, 0, 72 if slot > 8 else 36))
    with opened(copy) as device, pytest.raises(ProvisioningError, match="that fits its key") as caught:
        prove_genuine(device, root=TEST_ROOT)
    assert (caught.value.code, caught.value.board) == (Code.GENUINE_UNPROVABLE, Board.SET_ASIDE)


def test_chip_that_shows_a_public_key_but_cannot_sign_with_it_is_not_genuine(monkeypatch: pytest.MonkeyPatch) -> None:
    with opened(part()) as device:
        monkeypatch.setattr(device, "sign", lambda slot, digest: DEVICE.sign(digest))
        with pytest.raises(CertificateError, match="does not fit its certificate") as caught:
            prove_genuine(device, root=TEST_ROOT)
    assert caught.value.code == Code.NOT_GENUINE


@pytest.mark.parametrize("image", ["atecc608a", "atecc608b", "atecc608c", "atecc508a"])
def test_blank_part_cannot_prove_itself_and_stays_untouched(image: str) -> None:
    memory = part(image)
    before = memory.image()
    with opened(memory) as device, pytest.raises(ProvisioningError) as caught:
        prove_genuine(device)
    assert caught.value.what == (
        "This part cannot prove that it is genuine: a blank part holds no certificate of the maker."
    )
    assert (caught.value.code, caught.value.board) == (Code.GENUINE_UNPROVABLE, Board.UNTOUCHED)
    assert memory.image() == before


def test_test_root_of_another_kind_is_refused_before_the_part_is_asked() -> None:
    key = rsa.generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "root")])
    now = datetime(2026, 1, 1, tzinfo=UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now.replace(year=2050))
    root = builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)
    with opened(part()) as device, pytest.raises(UsageError, match="P-256"):
        prove_genuine(device, root=root)
