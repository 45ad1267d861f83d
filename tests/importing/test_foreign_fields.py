"""Every field in which a CA's certificate differs is named by the import, whichever check meets it first."""

from __future__ import annotations

import hashlib

import pytest

from atcaprov import AtcaProvError, Board, Device
from atcaprov.certs.keys import der_signature
from atcaprov.importing.certificate_import import ImportOrder, plan_import
from atcaprov.inspection.snapshot import ChipSnapshot, read_snapshot
from tests.importing.conftest import configured_chip
from tests.support.certificates import CHIP_SERIAL, DEVICE, SIGNER
from tests.support.company_ca import ISSUERS, NOW
from tests.support.der_tree import Node
from tests.support.foreign_certificates import DEVICE_CHANGES, OF_DEVICE, Change, attribute, changed, content, tag

UNSIGNED = "signature of zeros"


@pytest.fixture(scope="module")
def snapshot() -> ChipSnapshot:
    """The chip for which the certificate was made."""
    hal = configured_chip(keys={0: DEVICE})
    hal.memory.config[0:4], hal.memory.config[8:13] = CHIP_SERIAL[:4], CHIP_SERIAL[4:]
    with Device(hal) as device:
        return read_snapshot(device)


def signed_again(certificate: bytes) -> bytes:
    """Return a certificate as a CA would have made it: with its own signature over what was changed."""
    tree = Node.read(certificate)
    signature = SIGNER.sign(hashlib.sha256(tree.children[0].bytes()).digest())
    tree.children[2].content = b"\0" + der_signature(signature)
    return tree.bytes()


@pytest.mark.parametrize(
    ("name", "change", "field"), [row[:3] for row in DEVICE_CHANGES], ids=[row[0] for row in DEVICE_CHANGES]
)
def test_each_changed_field_is_named(snapshot: ChipSnapshot, name: str, change: Change, field: str) -> None:
    certificate = changed(OF_DEVICE, change)
    certificate = certificate if name == UNSIGNED else signed_again(certificate)
    with pytest.raises(AtcaProvError) as caught:
        plan_import(snapshot, ImportOrder((certificate, *ISSUERS)), NOW)
    told = "\n".join((caught.value.what, *caught.value.details))
    assert f"{field}: expected " in told
    assert ", found " in told.split(f"{field}: expected ", 1)[1]
    assert caught.value.board is Board.UNTOUCHED


def test_the_ca_writes_its_name_with_other_strings(snapshot: ChipSnapshot) -> None:
    """Clients compare the bytes of the names, so that the chain would break there."""
    certificate = signed_again(changed(OF_DEVICE, tag(*attribute(3, 0, 1), to=0x13)))
    with pytest.raises(AtcaProvError) as caught:
        plan_import(snapshot, ImportOrder((certificate, *ISSUERS), x509_slot=8), NOW)
    assert "issuer: expected O='Example Organization' (UTF8String)" in caught.value.what
    assert "found O='Example Organization' (PrintableString)" in caught.value.what
    assert caught.value.advice == "The CA must write its name as in its own certificate."


@pytest.mark.parametrize("number", [b"\x80" + bytes(15), b"\x00"], ids=["negative", "zero"])
def test_a_serial_number_must_be_positive(snapshot: ChipSnapshot, number: bytes) -> None:
    certificate = signed_again(changed(OF_DEVICE, content(0, 1, to=number)))
    with pytest.raises(AtcaProvError) as caught:
        plan_import(snapshot, ImportOrder((certificate, *ISSUERS), x509_slot=8), NOW)
    assert caught.value.what.startswith(f"serial number: expected a positive number, found {number.hex().upper()} (")
