"""Every published definition is derived again from a certificate of its kind, and rebuilds it.

The kinds and their sources: Microchip's own for Trust parts (the definitions in the installed library), NervesKey,
cert2certdef.py (esp-cryptoauth-utility, the zero touch kit, kmwebnet), the examples of cryptoauthlib of 2017, the
TPDS's, and the genuine certificate of 2015 (tests/certs/derivation/test_derive.py).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

import pytest

from atcaprov import CertificateError
from atcaprov.certs.compressed_form import CompressedCertificate
from atcaprov.certs.dates import DateFormat
from atcaprov.certs.definitions.definition import CertificateDefinition, DeviceZone, SerialSource, StdElement
from atcaprov.certs.derivation.chip_parts import StoredText
from atcaprov.certs.derivation.derive import derive
from atcaprov.certs.derivation.request import DefinitionRequest
from atcaprov.certs.descriptions.description import Slots
from atcaprov.certs.keys import key_id
from atcaprov.certs.rebuild import from_slots, rebuild
from atcaprov.certs.serial_number import generate
from atcaprov.certs.x509_layout import P256_KEY_PREFIX, certificate_layout
from atcaprov.emulator.memory import Memory
from atcaprov.inspection.certificates import x509_writer as write
from tests.certs.conftest import SLOTS
from tests.support import atcacert
from tests.support.certificates import CHIP_SERIAL, DEVICE, ROOT, SIGNER, Key, vector
from tests.support.chips import awake_chip, configured_memory
from tests.support.stock_cryptoauthlib import LIBRARY, driven
from tests.support.trust_parts import DEFINITIONS, private_key, trust_part

SIGNER_SLOTS, DEVICE_SLOTS = Slots(12, public_key=11), Slots(10, private_key=0)
CASES: Final[Any] = vector("stored-certificates")["cases"]


def place(found: dict[str, Any]) -> tuple[int, int]:
    return found["offset"], found["count"]


def by_the_library(memory: Memory, symbol: str, issuer: bytes) -> bytes:
    """Return the certificate that the installed library rebuilds from a chip with its own published definition."""
    with driven(awake_chip(memory)) as wheel:
        return atcacert.read_certificate(wheel, atcacert.Definition.in_dll(LIBRARY, symbol), issuer)


@pytest.mark.parametrize("kind", DEFINITIONS)
def test_definitions_of_trust_parts_in_the_installed_library(kind: str) -> None:
    memory = trust_part(kind, root=ROOT)
    serial = bytes(memory.config[0:4] + memory.config[8:13])
    for symbol, issuer in zip(DEFINITIONS[kind], (ROOT, SIGNER), strict=True):
        published: Any = atcacert.fields(atcacert.Definition.in_dll(LIBRARY, symbol))
        certificate = by_the_library(memory, symbol, issuer.public)
        found = derive(certificate, request_for(memory, published, issuer, serial)).definition
        check_published(found, published)


def request_for(memory: Memory, published: Any, issuer: Key, serial: bytes) -> DefinitionRequest:
    is_device = bool(published["public_key_dev_loc"]["is_genkey"])
    key_slot, slot = published["public_key_dev_loc"]["slot"], published["comp_cert_dev_loc"]["slot"]
    texts = [each["device_loc"] for each in published["cert_elements"] if each["device_loc"]["zone"] == DeviceZone.DATA]
    return DefinitionRequest(
        "device" if is_device else "signer",
        published["template_id"],
        published["chain_id"],
        Slots(slot, private_key=key_slot) if is_device else Slots(slot, public_key=key_slot),
        issuer_public_key=issuer.public if is_device else None,
        chip_serial=serial if is_device else None,
        certificate_offset=published["comp_cert_dev_loc"]["offset"],
        key_offset=published["public_key_dev_loc"]["offset"],
        texts=tuple(
            StoredText(each["slot"], each["offset"], memory.read_slot(each["slot"], each["offset"], each["count"]))
            for each in texts
        ),
    )


def check_published(found: CertificateDefinition, published: Any) -> None:
    assert found.sn_source == published["sn_source"]
    assert (found.issue_date_format, found.expire_date_format) == (
        published["issue_date_format"],
        published["expire_date_format"],
    )
    assert found.expire_years == published["expire_years"]
    assert (found.tbs_cert_loc.offset, found.tbs_cert_loc.count) == place(published["tbs_cert_loc"])
    for element in StdElement:
        offset, count = place(published["std_cert_elements"][element])
        location = found.element(element)
        # The authority key id of a signer is constant in the published definitions: all have one root.
        constant = element is StdElement.AUTH_KEY_ID and found.role == "signer"
        assert constant or location.offset == offset, element
        assert constant or element is StdElement.SIGNATURE or location.count == count, element
    # The signers' have an element that is nowhere on the chip.
    stored = [each for each in published["cert_elements"] if each["device_loc"]["count"]]
    extra = {(place(each["device_loc"]), place(each["cert_loc"])) for each in stored}
    own = {
        ((each.device_loc.offset, each.device_loc.count), (each.cert_loc.offset, each.cert_loc.count))
        for each in found.cert_elements
    }
    assert own == extra


def test_nerves_key_signer() -> None:
    """nerves-hub/nerves_key test/nerves_key/data_test.exs: a certificate, and the slots that are written for it."""
    case = CASES["nerves-key"]
    certificate = bytes.fromhex(case["signer"])
    found = derive(certificate, DefinitionRequest("signer", 1, 0, SIGNER_SLOTS))
    slots = {int(slot): bytes.fromhex(content) for slot, content in case["slots"].items()}
    assert found.compressed == slots[12]
    assert found.definition.sn_source is SerialSource.PUB_KEY_HASH
    assert "The subject key id is not the SHA-1 of the key: it stays as it is." in found.notes


def test_nerves_key_device_is_told_that_its_dates_lie_before_2000() -> None:
    with pytest.raises(CertificateError, match="notBefore: 19"):
        derive(bytes.fromhex(CASES["nerves-key"]["device"]), DefinitionRequest("device", 0, 0, DEVICE_SLOTS))


def test_nerves_key_device_names_the_product_from_otp() -> None:
    """nerves-hub/atecc508a lib/atecc508a/certificate.ex and certificate/nerves_key_template.ex, nerves_key otp.ex."""
    product, begin = b"1234", datetime(2021, 3, 4, 5, tzinfo=UTC)
    dates = (21 << 19 | 3 << 15 | 4 << 10 | 5 << 5 | 31).to_bytes(3)
    fields = write.CertificateFields(
        serial_number=generate(
            SerialSource.DEVICE_SN_HASH,
            16,
            public_key=DEVICE.public,
            chip_serial=CHIP_SERIAL,
            signer_id=bytes(2),
            dates=dates,
        ),
        issuer=write.name((("CN", "Signer"),)),
        not_before=write.date(begin),
        not_after=write.date(begin.replace(year=2052)),
        subject=write.name((("CN", product.decode()),)),
        public_key=DEVICE.public,
        extensions=(
            write.basic_constraints(critical=False),
            write.key_usage("05a0"),
            write.extended_key_usage("2b06010505070302"),
            write.authority_key_id(hashlib.sha1(P256_KEY_PREFIX + SIGNER.public).digest()),
        ),
    )
    certificate = signed_by_signer(fields)
    request = DefinitionRequest(
        "device",
        0,
        0,
        DEVICE_SLOTS,
        issuer_public_key=SIGNER.public,
        chip_serial=CHIP_SERIAL,
        texts=(StoredText(None, 16, product),),
    )
    found = derive(certificate, request)
    assert found.definition.sn_source is SerialSource.DEVICE_SN_HASH
    assert found.definition.cert_elements[0].device_loc.zone is DeviceZone.OTP
    with driven(awake_chip(configured_memory(slots=SLOTS))) as wheel:
        put_device(wheel.chip.memory, found.compressed)
        wheel.chip.memory.otp[16:20] = product
        definition = atcacert.c_definition(found.definition)
        assert atcacert.read_certificate(wheel, definition, SIGNER.public) == certificate


def put_device(memory: Memory, compressed: bytes) -> None:
    memory.config[0:4], memory.config[8:13] = CHIP_SERIAL[:4], CHIP_SERIAL[4:]
    memory.write_slot(0, 0, bytes(4) + DEVICE.private.private_numbers().private_value.to_bytes(32))
    memory.write_slot(10, 0, compressed)


def test_esp_cryptoauth_utility_device_has_a_constant_end() -> None:
    """esp_cryptoauth_utility/firmware/main/cert_def_2_device.c: notAfter is in the definition alone."""
    certificate = bytes.fromhex(CASES["esp-cryptoauth-utility"]["device"])
    signer = bytes.fromhex(CASES["esp-cryptoauth-utility"]["signer"])
    signer_key = certificate_layout(signer).public_key.of(signer)
    request = DefinitionRequest("device", 2, 0, DEVICE_SLOTS, issuer_public_key=signer_key)
    with pytest.raises(CertificateError, match="notAfter: ") as caught:
        derive(certificate, request)
    assert "--constant-end" in caught.value.advice
    found = derive(certificate, replace(request, constant_end=True, serial_slot=(14, 0)))
    assert found.definition.element(StdElement.EXPIRE_DATE).count == 0
    assert found.definition.needs_chip_serial


def test_cert2certdef_signer_keeps_serial_number_and_dates_in_a_slot() -> None:
    """espressif/esp-cryptoauthlib port/cert_def_1_signer.c: slot 14 has serial number and both dates as text."""
    certificate = bytes.fromhex(CASES["esp-cryptoauth-utility"]["signer"])
    layout = certificate_layout(certificate)
    begin, end = layout.issue_date.of(certificate), layout.expire_date.of(certificate)
    serial = layout.serial_number.of(certificate)
    request = DefinitionRequest(
        "signer",
        1,
        0,
        SIGNER_SLOTS,
        serial_slot=(14, 0),
        texts=(StoredText(14, 22, begin), StoredText(14, 37, end)),
    )
    found = derive(certificate, request)
    definition = found.definition
    assert definition.element(StdElement.SIGNER_ID).count == 4
    assert CompressedCertificate.parse(found.compressed).signer_id == b"\xff\xff"
    assert [each.cert_loc.offset for each in definition.cert_elements] == [
        layout.issue_date.start,
        layout.expire_date.start,
    ]
    # The installed library reads them from the slot, too, minutes and seconds included.
    key = layout.public_key.of(certificate)
    with driven(awake_chip(configured_memory(slots=SLOTS))) as wheel:
        memory = wheel.chip.memory
        memory.write_slot(11, 0, bytes(4) + key[:32] + bytes(4) + key[32:])
        memory.write_slot(12, 0, found.compressed)
        memory.write_slot(14, 0, serial.ljust(22, b"\0") + begin.ljust(15, b"\0") + end)
        # The issuer's key is not published: its id stays as in the template.
        elements = list(definition.std_cert_elements)
        elements[StdElement.AUTH_KEY_ID] = type(elements[0])()
        constant = replace(definition, std_cert_elements=tuple(elements))
        assert atcacert.read_certificate(wheel, atcacert.c_definition(constant), ROOT.public) == certificate


@dataclass(frozen=True)
class PublishedKind:
    """Facts of a published definition, from which a certificate of its kind is written here."""

    source: SerialSource
    issuer: str
    subject: str
    years: int = 0
    end_form: DateFormat = DateFormat.RFC5280_GEN
    organization: str = "Example Inc"


KINDS: Final = {
    # MicrochipTech/cryptoauthlib of 2017-11-17, app/cert_def_2_device.c: 40 and the chip's serial number
    "cryptoauthlib 2017 device": PublishedKind(
        SerialSource.DEVICE_SN, "Example Signer 0002", "Example Device", 20, organization="Atmel OpenSSL Dev"
    ),
    # TPDS (pytrustplatform, tpds_helper): source A, the signer id FFFF, up to 127 years
    "TPDS device": PublishedKind(SerialSource.PUB_KEY_HASH, "Crypto Authentication Signer FFFF", "sn{serial}", 28),
    "TPDS device of 100 years": PublishedKind(SerialSource.PUB_KEY_HASH, "Signer FFFF", "sn{serial}", 100),
    # MicrochipTech/aws-iot-zero-touch-secure-provisioning-kit and kmwebnet/ECC608-Provision: end of the definition
    "zero touch device": PublishedKind(SerialSource.PUB_KEY_HASH, "Example Signer FFFF", "Example Device", -1),
}
BEGIN: Final = datetime(2021, 3, 4, 5, tzinfo=UTC)
ZERO_TOUCH_END: Final = datetime(3000, 12, 31, 23, 59, 59, tzinfo=UTC)


@pytest.mark.parametrize("name", KINDS)
def test_kinds_that_are_written_from_their_facts(name: str) -> None:
    kind = KINDS[name]
    constant = kind.years < 0
    certificate = written(kind, max(kind.years, 0))
    request = DefinitionRequest(
        "device",
        2,
        0,
        DEVICE_SLOTS,
        issuer_public_key=SIGNER.public,
        chip_serial=CHIP_SERIAL,
        constant_end=constant,
    )
    found = derive(certificate, request)
    assert found.definition.sn_source is kind.source
    assert found.definition.expire_years == max(kind.years, 0)
    assert bool(found.definition.element(StdElement.EXPIRE_DATE).count) is not constant
    again = rebuild(
        found.definition,
        compressed=found.compressed,
        public_key=DEVICE.public,
        ca_public_key=SIGNER.public,
        chip_serial=CHIP_SERIAL,
    )
    assert again == certificate
    with driven(awake_chip(configured_memory(slots=SLOTS))) as wheel:
        put_device(wheel.chip.memory, found.compressed)
        assert from_slots(found.definition, wheel.chip.memory.read_slot)[0] == found.compressed
        definition = atcacert.c_definition(found.definition)
        assert atcacert.read_certificate(wheel, definition, SIGNER.public) == certificate


def written(kind: PublishedKind, years: int) -> bytes:
    end = BEGIN.replace(year=BEGIN.year + years) if kind.years > 0 else ZERO_TOUCH_END
    value = (21 << 19 | 3 << 15 | 4 << 10 | 5 << 5 | years & 31).to_bytes(3)
    dates = value + bytes([years >> 5 << 4]) * (years > 31)
    number = generate(
        kind.source,
        10 if kind.source is SerialSource.DEVICE_SN else 16,
        public_key=DEVICE.public,
        chip_serial=CHIP_SERIAL,
        signer_id=b"\0\2",
        dates=dates,
    )
    subject = kind.subject.format(serial=CHIP_SERIAL.hex().upper())
    fields = write.CertificateFields(
        serial_number=number,
        issuer=write.name((("O", kind.organization), ("CN", kind.issuer))),
        not_before=write.date(BEGIN),
        not_after=write.date(end, kind.end_form),
        subject=write.name((("O", kind.organization), ("CN", subject))),
        public_key=DEVICE.public,
        extensions=(
            write.basic_constraints(),
            write.subject_key_id(key_id(DEVICE.public)),
            write.authority_key_id(key_id(SIGNER.public)),
        ),
    )
    return signed_by_signer(fields)


def signed_by_signer(fields: write.CertificateFields) -> bytes:
    unsigned = fields.signed(b"\x01" * 64)
    content = certificate_layout(unsigned).tbs.of(unsigned)
    return fields.signed(SIGNER.sign(hashlib.sha256(content).digest()))


def test_the_key_of_a_trust_part_is_that_of_its_certificate() -> None:
    """Make sure that the parts above are whole: certificate, key and serial number belong together."""
    memory = trust_part("tngtls-3", root=ROOT)
    certificate = by_the_library(memory, DEFINITIONS["tngtls-3"][1], SIGNER.public)
    assert certificate_layout(certificate).public_key.of(certificate) == private_key(memory, 0).public
