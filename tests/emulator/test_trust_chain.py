"""What the vendor's functions for Trust parts (`tng_*`) make of the images of Trust parts."""

from __future__ import annotations

import ctypes
import re
import subprocess
from collections.abc import Iterator
from ctypes import byref, c_size_t, c_uint8, c_void_p
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from atcaprov.emulator.chip import Chip
from atcaprov.emulator.images import load_image
from atcaprov.emulator.random_source import SeededRandom, SystemRandom
from tests.support.atcacert import Definition, read_certificate
from tests.support.chips import SERIAL
from tests.support.stock_cryptoauthlib import LIBRARY, Wheel, buffer, driven

ROOT = Path(__file__).parents[2] / "configs" / "images" / "tngtls-test-root.pem"
WRONG_CERT_DEF = 11


def made(image: str) -> Chip:
    return Chip(load_image(image).make(SystemRandom()))


@pytest.fixture
def tngtls() -> Iterator[Wheel]:
    with driven(made("tngtls")) as wheel, wheel.as_the_only_device():
        yield wheel


def read(name: str) -> x509.Certificate:
    """Return the certificate that `tng_atcacert_read_NAME_cert` rebuilds."""
    size = c_size_t()
    assert getattr(LIBRARY, f"tng_atcacert_max_{name}_cert_size")(byref(size)) == 0
    out = (c_uint8 * size.value)()
    arguments = (None,) if name == "device" else ()
    assert getattr(LIBRARY, f"tng_atcacert_read_{name}_cert")(out, byref(size), *arguments) == 0
    return x509.load_der_x509_certificate(bytes(out)[: size.value])


def _raw(certificate: x509.Certificate) -> bytes:
    return certificate.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)[1:]


@pytest.mark.parametrize(
    ("image", "definition"),
    [
        ("tngtls", "g_tngtls_cert_def_3_device"),
        ("tngtls-608a", "g_tngtls_cert_def_3_device"),
        ("tflxtls", "g_tngtls_cert_def_2_device"),
        ("tflxtls-608c", "g_tngtls_cert_def_3_device"),
        ("tnglora", "g_tnglora_cert_def_4_device"),
    ],
)
def test_the_library_finds_the_definition_by_the_tag(image: str, definition: str) -> None:
    """The tags stand in the data sheets, section 2.3; what they mean in cryptoauthlib app/tng/tng_atca.c."""
    found = c_void_p()
    with driven(made(image)) as wheel, wheel.as_the_only_device():
        assert LIBRARY.tng_get_device_cert_def(byref(found)) == 0
    assert found.value == ctypes.addressof(c_uint8.in_dll(LIBRARY, definition))


def test_a_blank_part_is_not_a_trust_part() -> None:
    chip = made("atecc608b")
    chip.memory.config[86:88] = bytes(2)
    with driven(chip) as wheel, wheel.as_the_only_device():
        assert LIBRARY.tng_get_device_cert_def(byref(c_void_p())) == WRONG_CERT_DEF


@pytest.mark.parametrize("image", ["tngtls", "tngtls-608a", "tngtls-608c", "tflxtls", "tflxtls-608a", "tnglora"])
def test_openssl_verifies_the_rebuilt_chain_under_the_test_root(image: str, tmp_path: Path) -> None:
    with driven(made(image)) as wheel, wheel.as_the_only_device():
        chain = {name: read(name) for name in ("signer", "device")}
    for name, certificate in chain.items():
        (tmp_path / f"{name}.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    command = ["openssl", "verify", "-x509_strict", "-CAfile", str(ROOT), "-untrusted", "signer.pem", "device.pem"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "device.pem: OK\n"), done.stderr


def test_certificate_fits_the_chip_and_its_key(tngtls: Wheel) -> None:
    device = read("device")
    serial = tngtls.chip.memory.serial.hex().upper()
    assert device.subject.rfc4514_string() == f"CN=sn{serial},O=Microchip Technology Inc"
    keys = [buffer(bytes(64)) for _ in range(2)]
    assert LIBRARY.tng_get_device_pubkey(keys[0]) == 0
    assert LIBRARY.tng_atcacert_device_public_key(keys[1], None) == 0
    assert bytes(keys[0]) == bytes(keys[1]) == _raw(device)
    assert bytes(keys[0]) == tngtls.fetch("calib_get_pubkey", 64, 0)


def test_a_608c_tflxtls_has_certificates_of_the_definition_for_tflxtls() -> None:
    """Its code is that of a TNGTLS, whose certificate has a MAC address from slot 5, which nobody can read here."""
    with driven(made("tflxtls-608c")) as wheel, wheel.as_the_only_device():
        signer_key, key = buffer(bytes(64)), buffer(bytes(64))
        assert LIBRARY.tng_atcacert_signer_public_key(signer_key, None) == 0
        assert LIBRARY.tng_get_device_pubkey(key) == 0
        definition = Definition.in_dll(LIBRARY, "g_tflxtls_cert_def_4_device")
        device = x509.load_der_x509_certificate(read_certificate(wheel, definition, bytes(signer_key)))
        device.verify_directly_issued_by(read("signer"))
    assert _raw(device) == bytes(key)


def test_the_signer_key_is_that_of_the_signer_certificate(tngtls: Wheel) -> None:
    key = buffer(bytes(64))
    assert LIBRARY.tng_atcacert_signer_public_key(key, None) == 0
    assert bytes(key) == _raw(read("signer"))


def test_mac_address_of_no_manufacturer_is_in_slot_5_and_in_the_certificate(tngtls: Wheel) -> None:
    mac = buffer(bytes(12))
    tngtls.call("calib_read_bytes_zone", 2, 5, 0, mac, 12)
    assert re.fullmatch(rb"02[0-9A-F]{10}", bytes(mac))
    text = b"eui48_" + bytes(mac)
    # A PrintableString with an underscore, which pyca/cryptography does not read: so bytes are compared.
    assert bytes.fromhex("06035504051312") + text in read("device").public_bytes(Encoding.DER)


def test_every_chip_has_a_certificate_of_its_own_and_one_seed_makes_one_chip() -> None:
    one, other = made("tngtls").memory, made("tngtls").memory
    assert one.read_slot(10, 0, 72) != other.read_slot(10, 0, 72)
    assert one.read_slot(12, 0, 72) == other.read_slot(12, 0, 72)
    image = load_image("tngtls")
    assert image.make(SeededRandom(b"1"), SERIAL).image() == image.make(SeededRandom(b"1"), SERIAL).image()


def test_root_has_a_comment_that_says_what_it_is() -> None:
    root = x509.load_pem_x509_certificate(ROOT.read_bytes())
    comment = root.extensions.get_extension_for_oid(x509.ObjectIdentifier("2.16.840.1.113730.1.13"))
    assert isinstance(comment.value, x509.UnrecognizedExtension)
    assert b"Its private key is public: trust it for nothing." in comment.value.value


def test_images_know_which_key_each_kind_of_certificates_is_for() -> None:
    from atcaprov.emulator import images
    from atcaprov.emulator.trust_chain import CHAIN_KINDS

    assert {name: kind.key_slot for name, kind in CHAIN_KINDS.items()} == images.CERTIFIED_KEYS


def test_the_root_in_the_tree_is_the_one_of_the_chips() -> None:
    from atcaprov.emulator.trust_chain import root_certificate

    assert root_certificate() == x509.load_pem_x509_certificate(ROOT.read_bytes())
