"""The certificates of software Trust parts: a device and a signer certificate, under a test root of this project.

The private keys of root and signer are SHA-256 of the labels below. They are public, so the chain proves nothing: it is
for programs that read and rebuild it. With a secret root key that is thrown away, no later chip could be certified.

What a rebuilt certificate holds is fixed by the vendor's definitions (cryptoauthlib app/tng: names, order of
extensions, template ids, slots). So signer and root have the vendor's names, and the signer names the key of the
vendor's root, which `tng_atcacert_read_signer_cert` puts in. A comment in the test root says what it is.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import sha1, sha256
from types import MappingProxyType
from typing import Final, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtensionOID, NameOID, ObjectIdentifier

from atcaprov.emulator.memory import Memory
from atcaprov.emulator.random_source import RandomSource
from atcaprov.emulator.slot import MemorySlot

_ROOT_LABEL: Final = b"atcaprov test root for software Trust parts: this key is public"
_SIGNER_LABEL: Final = b"atcaprov test signer 0001 for software Trust parts: this key is public"
_COMMENT: Final = "Test root of atcaprov's software chips. Its private key is public: trust it for nothing."
_NETSCAPE_COMMENT: Final = ObjectIdentifier("2.16.840.1.113730.1.13")
_PRINTABLE_STRING, _IA5_STRING, _SEQUENCE, _SET, _DIRECTORY_NAME = 0x13, 0x16, 0x30, 0x31, 0xA4
_SERIAL_NUMBER: Final = bytes.fromhex("0603550405")  # object identifier 2.5.4.5
_VENDORS_ROOT_KEY_ID: Final = bytes.fromhex("7aed7d6dc6b7789db23801a5e84a8cb0a40e2a8c")
"""Of the key of Crypto Authentication Root CA 002, whose certificate is public (cryptoauthlib app/tng)."""

_ORGANIZATION: Final = "Microchip Technology Inc"
_ROOT_NAME: Final = "Crypto Authentication Root CA 002"
_SIGNER_ID: Final = bytes.fromhex("0001")
_SIGNER_NAME: Final = f"Crypto Authentication Signer {_SIGNER_ID.hex().upper()}"
_SERIAL_BY_KEY: Final = 0xA0  # serial number source A, format version 0
_LOCAL: Final = 0x02
"""First byte of a MAC address that belongs to no manufacturer (IEEE 802: locally administered)."""


class _CertificateKind(NamedTuple):
    """What all certificates of one definition share: template id, begin, and years until the end."""

    template: int
    begin: datetime
    years: int


_ROOT: Final = _CertificateKind(0, datetime(2020, 1, 1, tzinfo=UTC), 40)
_SIGNER: Final = _CertificateKind(1, datetime(2020, 1, 1, tzinfo=UTC), 31)
_DEVICE_BEGIN: Final = datetime(2022, 1, 1, tzinfo=UTC)
_DEVICE_YEARS: Final = 28


class Eui(NamedTuple):
    """An address of IEEE that a part carries as hexadecimal text in a slot, and in its certificate."""

    slot: int
    size: int

    def text(self, address: str) -> str:
        """Return the address as the certificate has it."""
        return f"eui{8 * self.size}_{address}"


class ChainKind(NamedTuple):
    """A definition of the vendor's: template id of the device certificate, its name, and where all of it stands.

    `device`, `signer_key` and `signer` are slot and offset.
    """

    template: int
    name: str
    key_slot: int
    device: tuple[int, int]
    signer_key: tuple[int, int]
    signer: tuple[int, int]
    eui: Eui | None = None


_TLS_PLACES: Final = ((10, 0), (11, 0), (12, 0))
CHAIN_KINDS: Final = MappingProxyType(
    {
        "tngtls": ChainKind(3, "sn{}", 0, *_TLS_PLACES, Eui(5, 6)),
        "tngtls-2": ChainKind(2, "{} ATECC", 0, *_TLS_PLACES),
        "tflxtls": ChainKind(3, "sn{}", 0, *_TLS_PLACES),
        "tnglora": ChainKind(4, "sn{}", 1, (8, 72), (8, 0), (8, 144), Eui(10, 8)),
    }
)
"""By the name in an image: tngtls_cert_def_3 and 2, tflxtls_cert_def_4 and tnglora_cert_def_4 of cryptoauthlib."""


def write_chain(memory: Memory, random_source: RandomSource, kind: ChainKind) -> None:
    """Write address, certificates and signer key into a chip's slots; its key slot must hold a private key."""
    scalar = MemorySlot(memory, kind.key_slot).private_key()
    assert scalar is not None
    device_key = ec.derive_private_key(int.from_bytes(scalar), ec.SECP256R1()).public_key()
    address = ""
    if kind.eui is not None:
        address = bytes((_LOCAL, *random_source.take(kind.eui.size - 1))).hex().upper()
        memory.write_slot(kind.eui.slot, 0, address.encode())
    form = _CertificateKind(kind.template, _DEVICE_BEGIN, _DEVICE_YEARS)
    device = _device_certificate(form, kind, device_key, memory.serial.hex().upper(), address)
    memory.write_slot(*kind.device, _compressed(form, device))
    memory.write_slot(*kind.signer_key, _padded(_raw(_key(_SIGNER_LABEL).public_key())))
    memory.write_slot(*kind.signer, _compressed(_SIGNER, _signer_certificate()))


@lru_cache
def root_certificate() -> x509.Certificate:
    """Return the certificate of the test root."""
    key = _key(_ROOT_LABEL)
    builder = _begun(_ROOT, _ROOT_NAME, key.public_key()).subject_name(_name(_ROOT_NAME))
    extensions = (
        (x509.BasicConstraints(ca=True, path_length=None), True),
        (_usage(signs_certificates=True), True),
        (x509.SubjectKeyIdentifier(_VENDORS_ROOT_KEY_ID), False),
        (x509.UnrecognizedExtension(_NETSCAPE_COMMENT, _der(_IA5_STRING, _COMMENT.encode())), False),
    )
    return _signed(builder, extensions, key)


@lru_cache
def _signer_certificate() -> x509.Certificate:
    key = _key(_SIGNER_LABEL).public_key()
    builder = _begun(_SIGNER, _ROOT_NAME, key).subject_name(_name(_SIGNER_NAME))
    extensions = (
        (_usage(signs_certificates=True), True),
        (x509.BasicConstraints(ca=True, path_length=0), True),
        (x509.SubjectKeyIdentifier(_key_id(key)), False),
        (_authority(_VENDORS_ROOT_KEY_ID), False),
    )
    return _signed(builder, extensions, _key(_ROOT_LABEL))


def _device_certificate(
    form: _CertificateKind, kind: ChainKind, key: ec.EllipticCurvePublicKey, serial: str, address: str
) -> x509.Certificate:
    signer = _key(_SIGNER_LABEL)
    builder = _begun(form, _SIGNER_NAME, key).subject_name(_name(kind.name.format(serial)))
    names = () if kind.eui is None else (_address_name(kind.eui.text(address)),)
    extensions = (
        *((x509.UnrecognizedExtension(ExtensionOID.SUBJECT_ALTERNATIVE_NAME, name), False) for name in names),
        (x509.BasicConstraints(ca=False, path_length=None), True),
        (_usage(signs_certificates=False), True),
        (x509.SubjectKeyIdentifier(_key_id(key)), False),
        (_authority(_key_id(signer.public_key())), False),
    )
    return _signed(builder, extensions, signer)


def _begun(kind: _CertificateKind, issuer: str, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .issuer_name(_name(issuer))
        .serial_number(_serial_number(key, _dates(kind)))
        .not_valid_before(kind.begin)
        .not_valid_after(kind.begin.replace(year=kind.begin.year + kind.years))
        .public_key(key)
    )


def _signed(
    builder: x509.CertificateBuilder,
    extensions: Iterable[tuple[x509.ExtensionType, bool]],
    key: ec.EllipticCurvePrivateKey,
) -> x509.Certificate:
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    return builder.sign(key, hashes.SHA256(), ecdsa_deterministic=True)


def _compressed(kind: _CertificateKind, certificate: x509.Certificate) -> bytes:
    """Return the 72 bytes that a slot holds (Atmel-8974A)."""
    signature = b"".join(number.to_bytes(32) for number in decode_dss_signature(certificate.signature))
    return signature + _dates(kind) + _SIGNER_ID + bytes((kind.template << 4, _SERIAL_BY_KEY, 0))


def _dates(kind: _CertificateKind) -> bytes:
    """Return issue date and years as the compressed form holds them, 3 bytes."""
    begin = kind.begin
    value = (begin.year - 2000) << 19 | begin.month << 15 | begin.day << 10 | begin.hour << 5 | kind.years & 0x1F
    return value.to_bytes(3)


def _serial_number(key: ec.EllipticCurvePublicKey, dates: bytes) -> int:
    digest = sha256(_raw(key) + dates).digest()
    return int.from_bytes(bytes((digest[0] & 0x7F | 0x40,)) + digest[1:16])


def _name(common_name: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, _ORGANIZATION),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _authority(key_id: bytes) -> x509.AuthorityKeyIdentifier:
    return x509.AuthorityKeyIdentifier(key_id, None, None)


@lru_cache
def _key(label: bytes) -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(int.from_bytes(sha256(label).digest()), ec.SECP256R1())


def _key_id(key: ec.EllipticCurvePublicKey) -> bytes:
    return sha1(b"\x04" + _raw(key)).digest()  # noqa: S324 - RFC 5280, section 4.2.1.2


def _raw(key: ec.EllipticCurvePublicKey) -> bytes:
    """Return X||Y, 64 bytes."""
    return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)[1:]


def _padded(key: bytes) -> bytes:
    """Return a public key in the 72 bytes of a slot."""
    return bytes(4) + key[:32] + bytes(4) + key[32:]


def _address_name(text: str) -> bytes:
    """Return a directory name as the vendor writes it: with an underscore, which a PrintableString does not allow."""
    serial_number = _der(_SEQUENCE, _SERIAL_NUMBER, _der(_PRINTABLE_STRING, text.encode()))
    return _der(_SEQUENCE, _der(_DIRECTORY_NAME, _der(_SEQUENCE, _der(_SET, serial_number))))


def _der(tag: int, *contents: bytes) -> bytes:
    """Return a value of up to 127 bytes in DER."""
    content = b"".join(contents)
    return bytes((tag, len(content))) + content
