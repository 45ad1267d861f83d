"""Certificates of a device and of a signer, and changes of every field of them, with what is to be said of each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from atcaprov.certs.issue import issue
from tests.support.certificates import CHIP_SERIAL, DEVICE, HOUR, ROOT, SIGNER, SIGNER_ID, Key, default_definitions
from tests.support.der_tree import Node

SIGNER_DEFINITION, DEVICE_DEFINITION = default_definitions()
OF_SIGNER: Final = issue(
    SIGNER_DEFINITION,
    subject_public_key=SIGNER.public,
    ca_public_key=ROOT.public,
    signer_id=SIGNER_ID,
    issue_date=HOUR,
    sign=ROOT.sign,
).der
OF_DEVICE: Final = issue(
    DEVICE_DEFINITION,
    subject_public_key=DEVICE.public,
    ca_public_key=SIGNER.public,
    signer_id=SIGNER_ID,
    issue_date=HOUR,
    chip_serial=CHIP_SERIAL,
    sign=SIGNER.sign,
).der
Change = Callable[[Node], object]
TBS, VERSION, SERIAL, INNER_ALGORITHM, ISSUER, VALIDITY, SUBJECT, KEY, EXTENSIONS = 0, 0, 1, 2, 3, 4, 5, 6, 7
NAMES: Final = ("basicConstraints", "keyUsage", "extKeyUsage", "subjectKeyIdentifier", "authorityKeyIdentifier")
"""The extensions of the default device certificate, in their order; a signer's has no extKeyUsage."""


def changed(certificate: bytes, change: Change) -> bytes:
    tree = Node.read(certificate)
    change(tree)
    return tree.bytes()


# Changes of one element


def content(*path: int, to: bytes) -> Change:
    return lambda tree: setattr(tree.at(*path), "content", to)


def tag(*path: int, to: int) -> Change:
    return lambda tree: setattr(tree.at(*path), "tag", to)


def without(*path: int) -> Change:
    return lambda tree: tree.at(*path[:-1]).children.pop(path[-1])


def added(*path: int, node: bytes, at: int | None = None) -> Change:
    def change(tree: Node) -> None:
        parent = tree.at(*path)
        parent.children.insert(len(parent.children) if at is None else at, Node.read(node))

    return change


def swapped(*path: int, first: int = 0, second: int = 1) -> Change:
    def change(tree: Node) -> None:
        children = tree.at(*path).children
        children[first], children[second] = children[second], children[first]

    return change


def extension(number: int, *, value: str) -> Change:
    """Replace the value of an extension (hex)."""

    def change(tree: Node) -> None:
        tree.at(TBS, EXTENSIONS, 0, number).children[-1] = Node(0x04, bytes.fromhex(value))

    return change


def one_more(hex_text: str) -> Change:
    return added(TBS, EXTENSIONS, 0, node=bytes.fromhex(hex_text))


def attribute(role: int, number: int, part: int) -> tuple[int, ...]:
    return (TBS, role, number, 0, part)


SERIAL_TEXT = OF_DEVICE[15:31].hex().upper()
CHIP = CHIP_SERIAL.hex().upper()
GENERATOR = Key.of(0)
ORGANIZATION, COMMON_NAME = 0, 1
UNIQUE = bytes.fromhex("81020041")

DEVICE_CHANGES: Final[list[tuple[str, Change, str, str, str]]] = [
    # id, change, field, expected, found
    ("version 1", without(TBS, VERSION), "version", "X.509 v3", "X.509 v1"),
    ("version 2", content(TBS, VERSION, 0, to=b"\x01"), "version", "X.509 v3", "X.509 v2"),
    ("serial value", content(TBS, SERIAL, to=b"\x40" * 16), "serial number", SERIAL_TEXT, "40" * 16 + " (16 bytes)"),
    ("serial length", content(TBS, SERIAL, to=b"\x05"), "serial number", "(16 bytes)", "05 (1 byte)"),
    ("serial of 20 bytes", content(TBS, SERIAL, to=b"\x11" * 20), "serial number", "(16 bytes)", "(20 bytes)"),
    ("serial is text", tag(TBS, SERIAL, to=0x0C), "serial number", "(16 bytes)", "unreadable"),
    (
        "inner algorithm",
        content(TBS, INNER_ALGORITHM, 0, to=bytes.fromhex("2a8648ce3d040303")),
        "signature algorithm",
        "ecdsa-with-SHA256",
        "ecdsa-with-SHA384",
    ),
    (
        "inner algorithm has NULL",
        added(TBS, INNER_ALGORITHM, node=b"\x05\x00"),
        "signature algorithm",
        "ecdsa-with-SHA256",
        "ecdsa-with-SHA256 with parameter 0500",
    ),
    (
        "outer algorithm",
        content(1, 0, to=bytes.fromhex("2a864886f70d01010b")),
        "outer signature algorithm",
        "ecdsa-with-SHA256",
        "sha256WithRSAEncryption",
    ),
    (
        "issuer O",
        content(*attribute(ISSUER, ORGANIZATION, 1), to=b"Company"),
        "issuer O",
        "'Example Organization' (UTF8String)",
        "'Company' (UTF8String)",
    ),
    (
        "issuer string type",
        tag(*attribute(ISSUER, ORGANIZATION, 1), to=0x13),
        "issuer O",
        "'Example Organization' (UTF8String)",
        "'Example Organization' (PrintableString)",
    ),
    (
        "issuer CN",
        content(*attribute(ISSUER, COMMON_NAME, 1), to=b"Company Device CA"),
        "issuer CN",
        "'Example ATECC608A Signer XXXX' (UTF8String)",
        "'Company Device CA' (UTF8String)",
    ),
    (
        "issuer CN with a lower-case signer id",
        content(*attribute(ISSUER, COMMON_NAME, 1), to=b"Example ATECC608A Signer 00ab"),
        "issuer CN",
        "Signer 00AB'",
        "Signer 00ab'",
    ),
    ("issuer without O", without(TBS, ISSUER, ORGANIZATION), "issuer O", "'Example Organization'", "none"),
    (
        "issuer with C",
        added(TBS, ISSUER, node=bytes.fromhex("310b3009060355040613024445"), at=0),
        "issuer C",
        "none",
        "'DE' (PrintableString)",
    ),
    ("issuer order", swapped(TBS, ISSUER), "order of the issuer's parts", "O, CN", "CN, O"),
    ("minutes", content(TBS, VALIDITY, 0, to=b"260601083000Z"), "notBefore", "2026-06-01 08:00:00 UTC", "08:30:00 UTC"),
    ("seconds", content(TBS, VALIDITY, 0, to=b"260601080001Z"), "notBefore", "08:00:00 UTC", "08:00:01 UTC"),
    (
        "notBefore as GeneralizedTime",
        lambda tree: (tag(0, 4, 0, to=0x18)(tree), content(0, 4, 0, to=b"20260601080000Z")(tree)),
        "notBefore",
        "2026-06-01 08:00:00 UTC (UTCTime)",
        "2026-06-01 08:00:00 UTC (GeneralizedTime)",
    ),
    (
        "notBefore is no date",
        content(0, 4, 0, to=b"261301080000Z"),
        "notBefore",
        "UTC (UTCTime)",
        "which is not a date",
    ),
    ("notBefore in 1999", content(0, 4, 0, to=b"990601080000Z"), "notBefore", "2000-06-01", "1999-06-01"),
    (
        "notAfter as UTCTime",
        lambda tree: (tag(0, 4, 1, to=0x17)(tree), content(0, 4, 1, to=b"360601080000Z")(tree)),
        "notAfter",
        "9999-12-31 23:59:59 UTC (GeneralizedTime)",
        "2036-06-01 08:00:00 UTC (UTCTime)",
    ),
    ("notAfter in odd days", content(0, 4, 1, to=b"20360530080000Z"), "notAfter", "2036-06-01 08:00:00", "2036-05-30"),
    ("notAfter one second early", content(0, 4, 1, to=b"20360601075959Z"), "notAfter", "08:00:00", "07:59:59"),
    (
        "notAfter one second before the end of all dates",
        content(0, 4, 1, to=b"99991231235958Z"),
        "notAfter",
        "2153-06-01",
        "9999-12-31 23:59:58",
    ),
    ("notAfter too late", content(0, 4, 1, to=b"21600601080000Z"), "notAfter", "2153-06-01", "2160-06-01"),
    ("notAfter before notBefore", content(0, 4, 1, to=b"20200601080000Z"), "notAfter", "2027-06-01", "2020-06-01"),
    ("validity of three", added(0, 4, node=b"\x17\x00"), "validity", "none", "must have 2 parts, not 3"),
    (
        "another chip in the subject",
        content(*attribute(SUBJECT, COMMON_NAME, 1), to=b"Example ATECC608A Device 0123FFFFFFFFFFFFEE"),
        "subject CN",
        f"'Example ATECC608A Device {CHIP}'",
        "'Example ATECC608A Device 0123FFFFFFFFFFFFEE'",
    ),
    (
        "subject CN",
        content(*attribute(SUBJECT, COMMON_NAME, 1), to=b"thing-1"),
        "subject CN",
        CHIP,
        "'thing-1' (UTF8String)",
    ),
    (
        "subject string type",
        tag(*attribute(SUBJECT, COMMON_NAME, 1), to=0x16),
        "subject CN",
        "(UTF8String)",
        "(IA5String)",
    ),
    (
        "subject kind",
        content(*attribute(SUBJECT, ORGANIZATION, 0), to=bytes.fromhex("55040b")),
        "subject O",
        "'Example Organization'",
        "none",
    ),
    ("subject order", swapped(TBS, SUBJECT), "order of the subject's parts", "O, CN", "CN, O"),
    ("subject is empty", lambda tree: tree.at(TBS, SUBJECT).children.clear(), "subject CN", CHIP, "none"),
    (
        "another key",
        content(TBS, KEY, 1, to=b"\x00\x04" + GENERATOR.public),
        "public key",
        "the point with key id",
        "the point with key id",
    ),
    ("compressed point", content(TBS, KEY, 1, to=b"\x00\x02" + bytes(32)), "public key", "key id", "02000000"),
    (
        "key on P-384",
        content(TBS, KEY, 0, 1, to=bytes.fromhex("2b81040022")),
        "key algorithm",
        "id-ecPublicKey P-256",
        "id-ecPublicKey P-384",
    ),
    (
        "RSA key",
        content(TBS, KEY, 0, 0, to=bytes.fromhex("2a864886f70d010101")),
        "key algorithm",
        "id-ecPublicKey P-256",
        "rsaEncryption P-256",
    ),
    ("issuer unique id", added(TBS, node=UNIQUE, at=7), "issuerUniqueID", "none", "0041"),
    ("no extensions", without(TBS, EXTENSIONS), "extension keyUsage", "digitalSignature, keyAgreement", "none"),
    (
        "CA true",
        extension(0, value="30030101ff"),
        "extension basicConstraints",
        "CA:FALSE (critical)",
        "CA:TRUE (critical)",
    ),
    ("basicConstraints not critical", without(0, 7, 0, 0, 1), "extension basicConstraints", "(critical)", "CA:FALSE"),
    (
        "critical written as 01",
        content(0, 7, 0, 0, 1, to=b"\x01"),
        "extension basicConstraints",
        "CA:FALSE (critical)",
        "critical written as 010101",
    ),
    (
        "key usage bits",
        extension(1, value="030205a0"),
        "extension keyUsage",
        "digitalSignature, keyAgreement (critical)",
        "digitalSignature, keyEncipherment (critical)",
    ),
    (
        "key usage with another count of unused bits",
        extension(1, value="03020088"),
        "extension keyUsage",
        "with 03 at its byte",
        "with 00 there",
    ),
    (
        "other extKeyUsage",
        extension(2, value="300a06082b06010505070301"),
        "extension extKeyUsage",
        "clientAuth",
        "serverAuth",
    ),
    ("no extKeyUsage", without(0, 7, 0, 2), "extension extKeyUsage", "clientAuth", "none"),
    (
        "subject key id of another method",
        extension(3, value="04080102030405060708"),
        "extension subjectKeyIdentifier",
        "key id ",
        "key id 0102030405060708",
    ),
    (
        "authority key id with issuer and serial number",
        extension(4, value="300d80080102030405060708820105"),
        "extension authorityKeyIdentifier",
        "key id ",
        "key id 0102030405060708, serial number 05",
    ),
    ("no authority key id", without(0, 7, 0, 4), "extension authorityKeyIdentifier", "key id", "none"),
    (
        "subjectAltName",
        one_more("30150603551d11040e300c820a70726f647563742e696f"),
        "extension subjectAltName",
        "none",
        "DNS:product.io",
    ),
    (
        "unknown extension",
        one_more("300b06032a03040101ff040102"),
        "extension 1.2.3.4",
        "none",
        "02 (critical)",
    ),
    ("extension twice", one_more("30090603551d1304023000"), "extension basicConstraints (2)", "none", "CA:FALSE"),
    (
        "extension order",
        swapped(0, 7, 0),
        "order of the extensions",
        ", ".join(NAMES),
        "keyUsage, basicConstraints, extKeyUsage",
    ),
    ("signature of zeros", content(2, to=bytes(71)), "signature", "...", "0000000000000000... (70 bytes)"),
    ("a fourth part", added(node=b"\x05\x00"), "part behind the signature", "none", "0500"),
]

SIGNER_CHANGES: Final[list[tuple[str, Change, str, str, str]]] = [
    (
        "path length",
        extension(0, value="30060101ff020101"),
        "extension basicConstraints",
        "CA:TRUE, pathlen:0 (critical)",
        "CA:TRUE, pathlen:1 (critical)",
    ),
    (
        "no path length",
        extension(0, value="30030101ff"),
        "extension basicConstraints",
        "CA:TRUE, pathlen:0 (critical)",
        "CA:TRUE (critical)",
    ),
    ("no CA", extension(0, value="3000"), "extension basicConstraints", "CA:TRUE, pathlen:0", "CA:FALSE (critical)"),
    (
        "no cRLSign",
        extension(1, value="03020284"),
        "extension keyUsage",
        "digitalSignature, keyCertSign, cRLSign (critical)",
        "digitalSignature, keyCertSign (critical)",
    ),
    (
        "extKeyUsage",
        one_more("30130603551d25040c300a06082b06010505070302"),
        "extension extKeyUsage",
        "none",
        "clientAuth",
    ),
    (
        "signer id",
        content(*attribute(SUBJECT, COMMON_NAME, 1), to=b"Example ATECC608A Signer 00x4"),
        "subject CN",
        "Signer XXXX'",
        "Signer 00x4'",
    ),
]


def part_about(what: str, field: str) -> str:
    """Return what a message says of one field."""
    parts = what.split(": ", 1)[1].split("; ")
    found = [part for part in parts if part.startswith(f"{field}: ")]
    assert len(found) == 1, what
    return found[0]
