"""What the profiles of a server allow: which chips get certificates, and from which signers."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from atcaprov import Code, UsageError
from atcaprov.certs.descriptions.description import CertificateDescription, default_description, default_text
from atcaprov.certs.descriptions.template import device_definition
from atcaprov.config_zone.defaults import DEFAULT_608A
from atcaprov.wire.messages import CertificatesReply, CertificatesRequest, ErrorReply, SignerReply, SignerRequest
from provisioning_server.issuing.authority import Authority
from provisioning_server.ledger.sql.sql_ledger import SqlLedger
from provisioning_server.products.product import ProductFiles
from provisioning_server.products.product_reader import ProductReader
from provisioning_server.products.product_reload import ProductReload
from provisioning_server.products.served_products import ServedProducts
from provisioning_server.products.signer_watch import SignerWatch
from provisioning_server.signers.registry import SignerRegistry
from tests.support.in_memory_signer import NOW, MemorySigner, SigningKey
from tests.support.ledgers import ledger_in, records_of
from tests.support.products import chip_of, profile_text, profiled, served
from tests.support.server_parts import RememberingLog, answer, asked, chip_serial

SIGNER = MemorySigner()


@pytest.fixture
def records(tmp_path: Path) -> Iterator[SqlLedger]:
    with contextlib.closing(ledger_in(tmp_path)) as records:
        yield records


def ask(
    records: SqlLedger, products: ServedProducts, message: CertificatesRequest | SignerRequest, *signers: MemorySigner
) -> CertificatesReply | SignerReply | ErrorReply:
    authority = Authority(
        SignerRegistry(signers or (SIGNER,)), records, RememberingLog(), lambda: NOW, products=products
    )
    (reply,) = answer(authority, asked(message))
    assert isinstance(reply, CertificatesReply | SignerReply | ErrorReply)
    return reply


def refused(
    records: SqlLedger, products: ServedProducts, message: CertificatesRequest | SignerRequest, *signers: MemorySigner
) -> tuple[str, str]:
    before = sum(signer.signatures for signer in signers or (SIGNER,))
    reply = ask(records, products, message, *signers)
    assert isinstance(reply, ErrorReply)
    assert sum(signer.signatures for signer in signers or (SIGNER,)) == before, "nothing was signed"
    return reply.code, reply.message


def zone(**changed: int) -> bytes:
    """Return the default configuration with changed bytes, as `at_20=0x84`."""
    found = bytearray(DEFAULT_608A)
    for name, value in changed.items():
        found[int(name.removeprefix("at_"))] = value
    return bytes(found)


def test_chip_of_a_named_product_gets_its_certificate(records: SqlLedger) -> None:
    assert isinstance(ask(records, profiled(profile_text("a")), chip_of(SIGNER, product="a")), CertificatesReply)
    (record,) = records_of(records, chip_serial(1))
    assert record.origin.product == "a"


def test_record_names_the_product_whose_zone_the_chip_has(records: SqlLedger) -> None:
    assert isinstance(ask(records, profiled(profile_text("a")), chip_of(SIGNER)), CertificatesReply)
    (record,) = records_of(records, chip_serial(1))
    assert record.origin.product == "a"


def test_unknown_product_is_refused_with_the_known_ones(records: SqlLedger) -> None:
    products = profiled(profile_text("a"), profile_text("b"))
    code, message = refused(records, products, chip_of(SIGNER, product="c"))
    assert code == Code.PRODUCT_UNKNOWN
    assert message == "The server has no profile of the product 'c'. It has a, b."


def test_without_profiles_any_product_may_be_named(records: SqlLedger) -> None:
    assert isinstance(ask(records, ServedProducts(), chip_of(SIGNER, product="c")), CertificatesReply)


@pytest.mark.parametrize("product", ["a", ""])
def test_wrongly_configured_chip_is_refused_with_the_fields_in_words(records: SqlLedger, product: str) -> None:
    products = profiled(profile_text("a"))
    code, message = refused(records, products, chip_of(SIGNER, product=product, zone=zone(at_20=0x84, at_16=0x6A)))
    assert code == Code.REQUEST_INVALID
    assert message.startswith("The chip's configuration zone is not that of the product a: I2C_Address is 6A, not C0")
    assert "slot 0 SlotConfig is 0084, not 0085 ('P-256 private key: ECDH in clear; fixed; lockable', not " in message
    assert message.endswith("Set the board aside.")
    assert not records_of(records, chip_serial(1))


def test_rejection_of_a_chip_that_differs_everywhere_is_whole(records: SqlLedger) -> None:
    message = replace(chip_of(SIGNER), config_zone=chip_of(SIGNER).config_zone[:16] + bytes(112))
    code, text = refused(records, profiled(profile_text("a" * 32)), message)
    assert code == Code.REQUEST_INVALID
    assert re.search(r"; [0-9]+ more fields differ\. Set the board aside\.$", text)


def test_client_learns_it_before_its_first_board(records: SqlLedger) -> None:
    key = SIGNER.documents.signer_public_key
    products = profiled(profile_text("a"))
    assert isinstance(ask(records, products, SignerRequest(key, config_zone=DEFAULT_608A, product="a")), SignerReply)
    assert isinstance(ask(records, products, SignerRequest(key, product="a")), SignerReply)
    assert isinstance(ask(records, products, SignerRequest(key)), SignerReply)
    assert refused(records, products, SignerRequest(key, product="b"))[0] == Code.PRODUCT_UNKNOWN
    wrong = SignerRequest(key, config_zone=zone(at_20=0x84))
    assert refused(records, products, wrong)[0] == Code.REQUEST_INVALID


def test_signer_that_issues_other_certificates_is_refused(records: SqlLedger) -> None:
    products = profiled(profile_text("a").replace('"Example Organization"', '"Another"'))
    code, message = refused(records, products, chip_of(SIGNER, product="a"))
    assert code == Code.SIGNER_NOT_ALLOWED
    assert (
        "The signer may not sign for the product a: it issues other certificates than the profile describes:" in message
    )
    assert "Another" in message


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("template_id = 2", "template_id = 7", "its definition differs in template_id"),
        ('serial_number = "PUB_KEY_HASH"', 'serial_number = "DEVICE_SN_HASH"', "its definition differs in sn_source"),
        ("private_key = 0", "private_key = 2", "its definition differs in private_key_slot, public_key_dev_loc"),
        ('"digital_signature", "key_agreement"', '"digital_signature"', "extension keyUsage is"),
        ("expire_years = 0", "expire_years = 10", "notAfter"),
    ],
)
def test_every_part_of_the_description_counts(records: SqlLedger, before: str, after: str, words: str) -> None:
    text = profile_text("a")
    assert before in text
    code, message = refused(records, profiled(text.replace(before, after, 1)), chip_of(SIGNER, product="a"))
    assert code == Code.SIGNER_NOT_ALLOWED
    assert words in message


def test_signer_of_another_name_or_id_or_root_is_refused(records: SqlLedger, tmp_path: Path) -> None:
    named = profiled(profile_text("a", '[signers]\nname = "Other CA"'))
    assert "it has the name 'Example ATECC608A Signer'" in refused(records, named, chip_of(SIGNER))[1]
    numbered = profiled(profile_text("a", '[signers]\nids = ["0001", "0002"]'))
    assert "it has the id 0034, and the profile asks for 0001, 0002." in refused(records, numbered, chip_of(SIGNER))[1]
    other = SigningKey().root_certificate(default_description("root").subject_name())
    path = tmp_path / "root.pem"
    path.write_bytes(x509.load_der_x509_certificate(other).public_bytes(Encoding.PEM))
    below = profiled(profile_text("a", f'[signers]\nroot = "{path}"'))
    assert "it is not below the root of the profile." in refused(records, below, chip_of(SIGNER))[1]
    own = x509.load_der_x509_certificate(SIGNER.documents.root_certificate)
    path.write_bytes(own.public_bytes(Encoding.PEM))
    facts = f'[signers]\nroot = "{path}"\nname = "Example ATECC608A Signer"\nids = ["0034"]'
    assert isinstance(ask(records, profiled(profile_text("a", facts)), chip_of(SIGNER)), CertificatesReply)


def test_signer_that_writes_outside_the_certificate_slots_is_refused(records: SqlLedger) -> None:
    products = profiled(profile_text("a", "[chip]\ncertificate_slots = [10, 11]"))
    assert (
        "it writes to slot 12, which is none of the profile's certificate_slots."
        in refused(records, products, chip_of(SIGNER))[1]
    )


def other_device() -> MemorySigner:
    """Return a signer for another product with the same chip."""
    text = default_text("device").replace("template_id = 2", "template_id = 5")
    device = CertificateDescription.from_toml(text)
    return MemorySigner(device=device_definition(device, signer=default_description("signer"), at=NOW))


def test_product_of_one_zone_is_told_by_the_signer(records: SqlLedger) -> None:
    products = profiled(profile_text("a"), profile_text("b").replace("template_id = 2", "template_id = 5"))
    other = other_device()
    assert isinstance(ask(records, products, chip_of(other), SIGNER, other), CertificatesReply)
    (record,) = records_of(records, chip_serial(1))
    assert record.origin.product == "b"


def test_request_that_fits_several_products_has_to_name_one(records: SqlLedger) -> None:
    products = profiled(profile_text("a"), profile_text("b"))
    code, message = refused(records, products, chip_of(SIGNER))
    assert code == Code.PRODUCT_UNKNOWN
    assert message == "The chip may be one of several products, a, b, and the request names none."
    assert isinstance(ask(records, products, chip_of(SIGNER, product="b")), CertificatesReply)


def test_other_signer_of_the_group_signs_if_only_it_may(records: SqlLedger) -> None:
    root = SigningKey()
    first, second = (MemorySigner(root=root, signer_id=bytes((0, number))) for number in (1, 2))
    products = profiled(profile_text("a", '[signers]\nids = ["0002"]'))
    message = chip_of(first, product="a")
    assert refused(records, products, message, first, second)[0] == Code.SIGNER_NOT_ALLOWED
    reply = ask(records, products, replace(message, any_of_group=True), first, second)
    assert isinstance(reply, CertificatesReply)
    assert (first.signatures, second.signatures) == (0, 1)


def test_recorded_certificate_is_sent_again_though_the_profile_has_changed(records: SqlLedger) -> None:
    message = chip_of(SIGNER, product="a")
    first = ask(records, profiled(profile_text("a")), message)
    again = ask(records, profiled(profile_text("a", '[signers]\nids = ["0001"]')), message)
    assert isinstance(first, CertificatesReply)
    assert isinstance(again, CertificatesReply)
    assert again.device_certificate == first.device_certificate


def test_name_of_a_unit_follows_the_rule_of_the_profile(records: SqlLedger) -> None:
    text = profile_text("a", '[unit]\nform = "text"\npattern = "SN[0-9]{6}"\nslot = 8').replace(
        "{chip_serial}", "{unit}"
    )
    products = profiled(text)
    (product,) = products.all
    assert product.profile is not None
    device = device_definition(product.profile.certificate, signer=default_description("signer"), at=NOW)
    signer = MemorySigner(device=device)
    wrong = replace(chip_of(signer, product="a"), unit="SN12345X")
    code, message = refused(records, products, wrong, signer)
    assert code == Code.UNIT_INVALID
    assert "SN[0-9]{6}" in message
    reply = ask(records, products, replace(chip_of(signer, product="a"), unit="SN123456"), signer)
    assert isinstance(reply, CertificatesReply)
    subject = x509.load_der_x509_certificate(reply.device_certificate).subject
    assert subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value == "Example ATECC608A Device SN123456"
    other = replace(chip_of(signer, 2, "a"), unit="SN123456")
    assert refused(records, products, other, signer)[0] == Code.UNIT_TAKEN
    assert refused(records, products, chip_of(SIGNER, 3, "a"))[0] == Code.SIGNER_NOT_ALLOWED


def test_product_is_a_name_only_where_no_profile_is(records: SqlLedger) -> None:
    assert isinstance(ask(records, served(DEFAULT_608A), chip_of(SIGNER, product="c")), CertificatesReply)
    (record,) = records_of(records, chip_serial(1))
    assert record.origin.product == "c"
    wrong = chip_of(SIGNER, 2, "c", zone=zone(at_20=0x84))
    assert refused(records, served(DEFAULT_608A), wrong)[0] == Code.REQUEST_INVALID


def test_zone_without_a_profile_is_served_by_every_signer(records: SqlLedger) -> None:
    assert isinstance(ask(records, served(DEFAULT_608A), chip_of(SIGNER)), CertificatesReply)
    assert refused(records, served(zone(at_20=0x84)), chip_of(SIGNER, 2))[0] == Code.REQUEST_INVALID


def test_reload_takes_over_all_files_or_none(tmp_path: Path, records: SqlLedger) -> None:
    first, second = tmp_path / "a.toml", tmp_path / "b.toml"
    first.write_text(profile_text("a"))
    files = ProductFiles((tmp_path,))
    products = ServedProducts(files.read())
    reload = ProductReload(products, ProductReader(files, RememberingLog()))
    assert reload()() == []
    first.write_text(profile_text("a", '[signers]\nids = ["0001"]'))
    second.write_text('name = "b"\nmistake = 1\n')
    with pytest.raises(UsageError, match=r"b\.toml, line 2: mistake is not known") as caught:
        reload()
    assert caught.value.code == Code.PROFILE_INVALID
    assert isinstance(ask(records, products, chip_of(SIGNER, product="a")), CertificatesReply), "the old ones stay"
    second.write_text(profile_text("b"))
    assert reload()() == ["the product b is new.", "the profile of the product a has changed."]
    assert refused(records, products, chip_of(SIGNER, 2, product="a"))[0] == Code.SIGNER_NOT_ALLOWED
    first.unlink()
    assert reload()() == ["the product a gets no more certificates."]
    assert refused(records, products, chip_of(SIGNER, 2, product="a"))[0] == Code.PRODUCT_UNKNOWN


def test_log_says_once_for_which_products_a_signer_may_sign() -> None:
    log, products, registry = RememberingLog(), ServedProducts(), SignerRegistry((SIGNER,))
    watch = SignerWatch(products, registry, log)
    watch.look()
    assert log.lines == []
    products.replace(profiled(profile_text("a"), profile_text("b"), profile_text("c", '[signers]\nids = ["0001"]')).all)
    watch.look()
    watch.look()
    name = f"Signer ({SIGNER.serial.hex().upper()}, Example ATECC608A Signer)"
    assert log.lines == [f"info: {name} may sign for a, b."]
    products.replace(profiled(profile_text("c", '[signers]\nids = ["0001"]')).all)
    watch.look()
    assert log.lines[1:] == [
        f"warning: {name} may sign for no product: for c because it has the id 0034, and the profile asks for 0001."
    ]
