"""Certificates whose definitions were derived: the numbers and dates that a chip keeps are read for both of them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from atcaprov.certs.definitions.definition import DeviceZone
from atcaprov.certs.derivation.chip_parts import StoredText
from atcaprov.certs.derivation.derive import derive
from atcaprov.certs.derivation.request import DefinitionRequest
from atcaprov.certs.descriptions.description import Slots
from atcaprov.certs.keys import key_id, load_public_key, padded_public_key
from atcaprov.certs.x509_layout import certificate_layout
from atcaprov.inspection.certificates.defined import IssuerDefinitions, defined_chain
from tests.support.certificates import CHIP_SERIAL, DEVICE, ROOT, SIGNER, Key
from tests.support.stored_chip import stored_chip

MINUTES = datetime(2026, 6, 1, 8, 15, 9, tzinfo=UTC)


def made(subject: str, issuer: str, key: Key, by: Key, *, is_ca: bool, number: int) -> bytes:
    names = [x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)]) for name in (issuer, subject)]
    builder = x509.CertificateBuilder(
        issuer_name=names[0],
        subject_name=names[1],
        public_key=load_public_key(key.public),
        serial_number=number,
        not_valid_before=MINUTES,
        not_valid_after=MINUTES.replace(year=2036, day=9),
    )
    builder = builder.add_extension(x509.BasicConstraints(is_ca, 0 if is_ca else None), critical=True)
    builder = builder.add_extension(x509.AuthorityKeyIdentifier(key_id(by.public), None, None), critical=False)
    return builder.sign(by.private, hashes.SHA256()).public_bytes(Encoding.DER)


def test_a_chain_with_serial_numbers_and_dates_of_a_cas_own() -> None:
    signer = made("Signer 0034", "Root", SIGNER, ROOT, is_ca=True, number=0x4455667788990011)
    device = made(CHIP_SERIAL.hex().upper(), "Signer 0034", DEVICE, SIGNER, is_ca=False, number=0x5566778899001122)
    layout = certificate_layout(signer)
    begin, end = layout.issue_date.of(signer), layout.expire_date.of(signer)
    request = DefinitionRequest(
        "signer",
        1,
        0,
        Slots(12, public_key=11),
        issuer_public_key=ROOT.public,
        serial_slot=(14, 0),
        texts=(StoredText(14, 8, begin), StoredText(14, 21, end)),
    )
    of_signer = derive(signer, request)
    request = replace(
        request,
        name="device",
        template_id=2,
        slots=Slots(10, private_key=0),
        issuer_public_key=SIGNER.public,
        issuer_definition="signer",
        serial_slot=(13, 0),
    )
    of_device = derive(device, request)
    assert of_device.definition.cert_sn_dev_loc.zone is DeviceZone.DATA
    chip = stored_chip(
        {
            10: of_device.compressed,
            11: padded_public_key(SIGNER.public),
            12: of_signer.compressed,
            13: bytes.fromhex("5566778899001122"),
            14: bytes.fromhex("4455667788990011") + begin + end,
        },
        {0: DEVICE.public},
        serial_number=CHIP_SERIAL,
    )
    issuer = IssuerDefinitions(of_device.definition, of_signer.definition, ROOT.public, SIGNER.public)
    chain = defined_chain(chip, issuer)
    assert [certificate.der for certificate in chain.certificates] == [device, signer]
