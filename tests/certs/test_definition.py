from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from atcaprov import CertificateError, Code
from atcaprov.certs.definitions.definition import (
    CertElement,
    CertificateDefinition,
    CertificateType,
    CertLocation,
    DateFormat,
    DeviceLocation,
    DeviceZone,
    SerialSource,
    StdElement,
    Transform,
)
from atcaprov.certs.rebuild import rebuild, stored_locations
from atcaprov.certs.x509_layout import certificate_layout
from tests.support.certificates import (
    DEVICE as UNIT_KEY,
)
from tests.support.certificates import (
    chain_definition,
    default_definitions,
    genuine_definition,
    vector,
)

SIGNER, DEVICE = default_definitions()
GENUINE = genuine_definition()
CHAINS = [
    chain_definition(chain[role])
    for chain in vector("certificate-roundtrip")["chains"]
    for role in ("signer", "device")
]
ALL = [SIGNER, DEVICE, GENUINE, genuine_definition("device_template"), *CHAINS]


@pytest.mark.parametrize("definition", ALL, ids=lambda definition: definition.name)
def test_documents_round_trip(definition: CertificateDefinition) -> None:
    assert CertificateDefinition.from_document(definition.to_document()) == definition
    assert CertificateDefinition.from_json(definition.to_json()) == definition
    assert CertificateDefinition.from_bytes(definition.to_bytes()) == definition


def test_the_same_description_gives_the_same_bytes() -> None:
    assert [definition.to_bytes() for definition in default_definitions()] == [SIGNER.to_bytes(), DEVICE.to_bytes()]


def invalid(**changes: Any) -> str:
    with pytest.raises(CertificateError) as caught:
        replace(DEVICE, **changes)
    assert caught.value.code == Code.DEFINITION_INVALID
    return caught.value.what


def moved(element: StdElement, offset: int = 1, count: int = 0) -> dict[str, Any]:
    elements = list(DEVICE.std_cert_elements)
    old = elements[element]
    elements[element] = CertLocation(old.offset + offset, old.count + count)
    return {"std_cert_elements": tuple(elements)}


@pytest.mark.parametrize("element", list(StdElement), ids=lambda element: element.name)
@pytest.mark.parametrize("offset", [-1, 1, 300, 60_000])
def test_elements_must_stand_where_the_template_has_them(element: StdElement, offset: int) -> None:
    if element is StdElement.SIGNER_ID and offset == -1:
        replace(DEVICE, **moved(element, offset))  # one character further left is still in the common name
    else:
        assert "refused" in invalid(**moved(element, offset))


@pytest.mark.parametrize("element", [element for element in StdElement if element is not StdElement.SIGNATURE])
def test_elements_must_have_the_length_of_their_value(element: StdElement) -> None:
    assert "refused" in invalid(**moved(element, 0, 1))


CONFIG_WORD = DeviceLocation(DeviceZone.CONFIG, 0, False, 0, 4)
SUBJECT = DEVICE.layout.subject_common_name
assert SUBJECT is not None
ISSUER = DEVICE.layout.issuer


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": ""}, "letters"),
        ({"name": "a b"}, "letters"),
        ({"ca_cert_def": "1"}, "letters"),
        ({"role": "root"}, "role"),
        ({"type": CertificateType.CUSTOM}, "CUSTOM"),
        ({"template_id": 16}, "0 to 15"),
        ({"chain_id": -1}, "0 to 15"),
        ({"format_version": 2}, "0 and 1"),
        ({"expire_years": 32}, "32 years"),
        ({"std_sig_size": 96}, "64 bytes"),
        ({"private_key_slot": 16}, "0 to 15"),
        ({"std_cert_elements": DEVICE.std_cert_elements[:7]}, "eight"),
        ({"cert_template": b""}, "template"),
        ({"cert_template": DEVICE.cert_template[:-1]}, "template"),
        ({"cert_template": DEVICE.cert_template + b"\0"}, "template"),
        ({"tbs_cert_loc": CertLocation(4, 10)}, "tbs_cert_loc"),
        ({"issue_date_format": DateFormat.RFC5280_GEN}, "date format"),
        ({"expire_date_format": DateFormat.ISO8601_SEP}, "date format"),
        ({"sn_source": SerialSource.STORED_DYNAMIC}, "STORED_DYNAMIC"),
        ({"sn_source": SerialSource.DEVICE_SN}, "10 bytes"),
        ({"sn_source": SerialSource.SIGNER_ID}, "3 bytes"),
        ({"comp_cert_dev_loc": DeviceLocation()}, "72 bytes of a data slot"),
        ({"comp_cert_dev_loc": DeviceLocation(DeviceZone.DATA, 7, False, 0, 72)}, "does not fit"),
        ({"comp_cert_dev_loc": DeviceLocation(DeviceZone.DATA, 10, False, 4, 72)}, "does not fit"),
        ({"comp_cert_dev_loc": DeviceLocation(DeviceZone.DATA, 16, False, 0, 72)}, "0 to 15"),
        ({"comp_cert_dev_loc": DeviceLocation(DeviceZone.DEDICATED, 0, False, 0, 72)}, "zone"),
        ({"public_key_dev_loc": DeviceLocation(DeviceZone.DATA, 0, True, 0, 72)}, "64 bytes"),
        ({"public_key_dev_loc": DeviceLocation(DeviceZone.DATA, 11, False, 0, 64)}, "72 bytes"),
        ({"public_key_dev_loc": DeviceLocation(DeviceZone.DATA, 10, False, 0, 72)}, "overlap"),
        ({"public_key_dev_loc": DeviceLocation(DeviceZone.CONFIG, 0, False, 0, 64)}, "data slot or"),
        ({"cert_elements": (CertElement("", CONFIG_WORD, CertLocation(SUBJECT.start, 4)),)}, "1 to 24"),
        ({"cert_elements": (CertElement("x" * 25, CONFIG_WORD, CertLocation(SUBJECT.start, 4)),)}, "1 to 24"),
        ({"cert_elements": (CertElement("x", CONFIG_WORD, CertLocation(4, 4)),)}, "names or extensions"),
        ({"cert_elements": (CertElement("x", CONFIG_WORD, CertLocation(ISSUER.start, 4)),)}, "names or extensions"),
        ({"cert_elements": (CertElement("x", CONFIG_WORD, CertLocation(ISSUER.start + 6, 3)),)}, "names or extensions"),
        ({"cert_elements": (CertElement("x", CONFIG_WORD, CertLocation(SUBJECT.start, 0)),)}, "names or extensions"),
        ({"cert_elements": (CertElement("x", DeviceLocation(), CertLocation(SUBJECT.start, 4)),)}, "that Read returns"),
        ({"cert_elements": (CertElement("x", CONFIG_WORD, CertLocation(SUBJECT.start, 5)),)}, "4 bytes for 5"),
        ({"cert_elements": (*DEVICE.cert_elements, DEVICE.cert_elements[0])}, "overlap"),
        (
            {"cert_elements": (CertElement("x", CONFIG_WORD, DEVICE.element(StdElement.SIGNER_ID)),)},
            "overlap",
        ),
        (
            {"sn_source": SerialSource.STORED, "cert_sn_dev_loc": DeviceLocation(DeviceZone.DATA, 8, False, 0, 15)},
            "another length",
        ),
        (
            {"sn_source": SerialSource.STORED, "cert_sn_dev_loc": DeviceLocation(DeviceZone.OTP, 0, False, 60, 16)},
            "does not fit",
        ),
    ],
    ids=str,
)
def test_contradictions(changes: dict[str, Any], message: str) -> None:
    assert message in invalid(**changes)


def bent(path: list[str], value: object) -> dict[str, Any]:
    document = DEVICE.to_document()
    inner: Any = document
    for key in path[:-1]:
        inner = inner[int(key)] if isinstance(inner, list) else inner[key]
    inner[path[-1]] = value
    return document


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("format", "something"),
        ("version", 2),
        ("version", True),
        ("name", "x" * 65),
        ("name", 7),
        ("name", "a\nb"),
        ("template_id", "2"),
        ("template_id", True),
        ("expire_years", 128),
        ("sn_source", "A"),
        ("sn_source", 10),
        ("issue_date_format", None),
        ("tbs_cert_loc", []),
        ("tbs_cert_loc.offset", -1),
        ("tbs_cert_loc.more", 1),
        ("public_key_dev_loc.zone", "SLOT"),
        ("public_key_dev_loc.is_genkey", 1),
        ("std_cert_elements", None),
        ("std_cert_elements.MORE", {"offset": 0, "count": 0}),
        ("cert_elements", {}),
        ("cert_elements", [1]),
        ("cert_elements", [None] * 17),
        ("cert_elements.0.transforms", ["UPPER"]),
        ("cert_elements.0.transforms", ["NONE"] * 3),
        ("cert_elements.0.id", "x" * 25),
        ("cert_template", "text"),
        ("unknown", 1),
    ],
)
def test_refused_document_names_the_place(path: str, value: object) -> None:
    keys = path.split(".")
    with pytest.raises(CertificateError) as caught:
        CertificateDefinition.from_document(bent(keys, value))
    assert caught.value.code == Code.DEFINITION_INVALID
    if keys[0] not in ("format", "version"):
        assert keys[0] in caught.value.what


@pytest.mark.parametrize("key", sorted(DEVICE.to_document()))
def test_missing_key_is_refused(key: str) -> None:
    document = DEVICE.to_document()
    del document[key]
    with pytest.raises(CertificateError, match=f"{key} is missing"):
        CertificateDefinition.from_document(document)


def test_truncated_at_each_length() -> None:
    data, text = DEVICE.to_bytes(), DEVICE.to_json().rstrip()
    for length in range(len(data)):
        with pytest.raises(CertificateError):
            CertificateDefinition.from_bytes(data[:length])
    for length in range(0, len(text), 7):
        with pytest.raises(CertificateError):
            CertificateDefinition.from_json(text[:length])


def test_more_bytes_than_one_definition() -> None:
    with pytest.raises(CertificateError, match="CBOR"):
        CertificateDefinition.from_bytes(DEVICE.to_bytes() + b"\0")
    with pytest.raises(CertificateError, match="at most"):
        CertificateDefinition.from_bytes(DEVICE.to_bytes() + bytes(20_000))
    with pytest.raises(CertificateError, match="JSON"):
        CertificateDefinition.from_json("[" * 10_000)


@given(st.integers(0, len(DEVICE.to_bytes()) * 8 - 1))
def test_one_flipped_bit_is_an_error_or_another_checked_definition(bit: int) -> None:
    flipped = bytearray(DEVICE.to_bytes())
    flipped[bit // 8] ^= 0x80 >> bit % 8
    try:
        found = CertificateDefinition.from_bytes(bytes(flipped))
    except CertificateError:
        return
    assert found != DEVICE


@given(st.binary(max_size=200))
def test_garbage_bytes(data: bytes) -> None:
    with pytest.raises(CertificateError):
        CertificateDefinition.from_bytes(data)


@pytest.mark.slow
@given(
    st.recursive(
        st.none() | st.integers() | st.text() | st.binary(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_garbage_documents(document: object) -> None:
    with pytest.raises(CertificateError):
        CertificateDefinition.from_document(document)
    with pytest.raises(CertificateError):
        CertificateDefinition.from_bytes(cbor2.dumps(document))


@pytest.mark.slow
@given(st.text(max_size=200))
def test_garbage_text(text: str) -> None:
    with pytest.raises(CertificateError):
        CertificateDefinition.from_json(text)


def test_json_is_readable() -> None:
    document = json.loads(DEVICE.to_json())
    assert document["sn_source"] == "PUB_KEY_HASH"
    assert document["cert_template"] == DEVICE.cert_template.hex()


def test_stored_parts_are_read_and_inserted() -> None:
    case = vector("signer-certificate")["signer"]
    stored_serial = DeviceLocation(DeviceZone.DATA, 14, False, 0, 16)
    element = CertElement(
        "name",
        DeviceLocation(DeviceZone.OTP, 0, False, 0, 3),
        CertLocation(GENUINE.layout.subject.end - 10, 6),
        (Transform.REVERSE, Transform.BIN2HEX_LC),
    )
    definition = replace(
        GENUINE, sn_source=SerialSource.STORED, cert_sn_dev_loc=stored_serial, cert_elements=(element,)
    )
    assert stored_locations(definition) == [stored_serial, element.device_loc]
    compressed = bytearray(bytes.fromhex(case["compressed"]))
    compressed[70] = 0
    key, ca_key = bytes.fromhex(case["subject_public_key"]), bytes.fromhex(case["ca_public_key"])
    stored = {stored_serial: bytes(range(1, 17)), element.device_loc: b"\x01\x02\xef"}
    found = rebuild(definition, compressed=bytes(compressed), public_key=key, ca_public_key=ca_key, stored=stored)
    assert found[15:31] == bytes(range(1, 17))
    assert found[element.cert_loc.offset : element.cert_loc.end] == b"ef0201"
    with pytest.raises(CertificateError, match="slot 14"):
        rebuild(definition, compressed=bytes(compressed), public_key=key, ca_public_key=ca_key)


@pytest.mark.parametrize(
    ("transform", "data", "expected"),
    [
        (Transform.NONE, b"\x01\xab", b"\x01\xab"),
        (Transform.REVERSE, b"\x01\xab", b"\xab\x01"),
        (Transform.BIN2HEX_UC, b"\x01\xab", b"01AB"),
        (Transform.BIN2HEX_LC, b"\x01\xab", b"01ab"),
        (Transform.HEX2BIN_UC, b"01AB", b"\x01\xab"),
        (Transform.HEX2BIN_LC, b"01ab", b"\x01\xab"),
        (Transform.BIN2HEX_SPACE_UC, b"\x01\xab", b"01 AB"),
        (Transform.BIN2HEX_SPACE_LC, b"\x01\xab", b"01 ab"),
        (Transform.HEX2BIN_SPACE_UC, b"01 AB", b"\x01\xab"),
        (Transform.HEX2BIN_SPACE_LC, b"01 ab", b"\x01\xab"),
    ],
)
def test_transforms(transform: Transform, data: bytes, expected: bytes) -> None:
    element = CertElement("x", CONFIG_WORD, CertLocation(0, len(expected)), (transform, Transform.NONE))
    assert element.certificate_bytes(data) == expected
    shorter = replace(element, cert_loc=CertLocation(0, len(expected) - 1))
    with pytest.raises(CertificateError, match="Element x gives"):
        shorter.certificate_bytes(data)


def test_a_chip_without_hexadecimal_text() -> None:
    element = CertElement("x", CONFIG_WORD, CertLocation(0, 2), (Transform.HEX2BIN_UC, Transform.NONE))
    with pytest.raises(CertificateError, match="hexadecimal"):
        element.certificate_bytes(b"\xff\xff\xff\xff")


_NUMBERS = [
    ["tbs_cert_loc"],
    ["public_key_dev_loc"],
    ["comp_cert_dev_loc"],
    *(["std_cert_elements", element.name] for element in StdElement),
    ["cert_elements", "0", "cert_loc"],
    ["cert_elements", "1", "cert_loc"],
    ["cert_elements", "1", "device_loc"],
]


@pytest.mark.slow
@given(
    st.lists(
        st.tuples(st.sampled_from(_NUMBERS), st.sampled_from(["offset", "count"]), st.integers(0, 600)),
        min_size=1,
        max_size=3,
    ),
    st.binary(min_size=64, max_size=64),
    st.binary(min_size=9, max_size=9),
)
def test_untrusted_definition_rebuilds_only_its_own_template(
    changes: list[tuple[list[str], str, int]], signature: bytes, chip_serial: bytes
) -> None:
    document = DEVICE.to_document()
    for path, key, value in changes:
        inner: Any = document
        for step in path:
            inner = inner[int(step)] if isinstance(inner, list) else inner[step]
        inner[key] = value
    try:
        definition = CertificateDefinition.from_document(document)
    except CertificateError:
        return
    compressed = signature + bytes.fromhex("d30500 0034 20 a0 00")
    public_key = UNIT_KEY.public
    try:
        found = rebuild(
            definition, compressed=compressed, public_key=public_key, ca_public_key=public_key, chip_serial=chip_serial
        )
    except CertificateError:
        return
    layout = certificate_layout(found)
    assert (layout.tbs, layout.subject, layout.extensions) == (
        DEVICE.layout.tbs,
        DEVICE.layout.subject,
        DEVICE.layout.extensions,
    )
