"""The unit's own name at the server: by its rule, and one name for one chip, whoever asks first."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest
from cryptography import x509

from atcaprov import CertificateError, Code
from atcaprov.certs.definitions.definition import CertificateDefinition
from atcaprov.certs.descriptions.description import default_description
from atcaprov.certs.descriptions.template import device_definition
from atcaprov.chip.memory_map import serial_number
from atcaprov.wire.messages import CertificatesReply, CertificatesRequest, ErrorReply, SignerReply, SignerRequest
from provisioning_server.audit.entry_check import check_certificate
from provisioning_server.folder_import.record_check import check_record
from provisioning_server.issuing.authority import Authority
from provisioning_server.ledger.administration import Revoked
from provisioning_server.ledger.changes import Changes, Issued
from provisioning_server.products.product import ServedProduct
from provisioning_server.products.served_products import ServedProducts
from provisioning_server.recovery.found_files import FoundCertificate
from provisioning_server.recovery.recovered_record import KnownSigner, RecoveredRecords
from provisioning_server.signers.registry import SignerRegistry
from tests.certs.test_unit_names import MAC, SERIAL, described
from tests.provisioning_server.issuing.test_pipeline import Server, events_of
from tests.support.in_memory_signer import NOW, MemorySigner, SigningKey
from tests.support.issuing_without_sockets import IssuingLine, SlowSigner, certificates, refused
from tests.support.ledgers import ledger_in
from tests.support.numbered_chips import config_zone
from tests.support.server import PATIENCE
from tests.support.server_parts import RememberingLog, answer, asked, chip_serial, request

NAME: Final = "SN-00000017"


NAMED: Final = device_definition(described(SERIAL), signer=default_description("signer"), at=NOW)
ADDRESSED: Final = device_definition(described(MAC), signer=default_description("signer"), at=NOW)


def for_unit(signer: MemorySigner, number: int, unit: str, *, product: str = "") -> CertificatesRequest:
    return replace(request(signer, number), unit=unit, product=product)


def question(signer: MemorySigner, number: int | None, unit: str, *, product: str = "") -> SignerRequest:
    serial = b"" if number is None else chip_serial(number)
    return SignerRequest(signer.documents.signer_public_key, chip_serial=serial, unit=unit, product=product)


def common_name(reply: CertificatesReply) -> str:
    subject = x509.load_der_x509_certificate(reply.device_certificate).subject
    return str(subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value)


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., IssuingLine]]:
    with ExitStack() as stack:
        yield lambda *signers, **options: stack.enter_context(IssuingLine(tmp_path, signers, **options))


Make = Callable[..., IssuingLine]


def code_of(line: IssuingLine, asked_for: CertificatesRequest | SignerRequest) -> str:
    """Return the code of a rejection, which the same question must not give another time."""
    reply = refused(line.ask(asked_for))
    assert not reply.retryable
    assert reply.message.isprintable()
    return reply.code


def test_name_is_in_certificate_and_record(make: Make) -> None:
    signer = MemorySigner(device=NAMED)
    line = make(signer)
    reply = line.certify(for_unit(signer, 1, NAME, product="lamp"))
    assert common_name(reply).endswith(f" {NAME}")
    (record,) = line.records(1)
    assert (record.origin.unit, record.origin.product) == (NAME, "lamp")
    assert line.certify(for_unit(signer, 1, NAME, product="lamp")) == reply
    assert signer.signatures == 1


@pytest.mark.parametrize(
    ("unit", "code"),
    [
        ("", Code.UNIT_MISSING),
        ("SN-0000017", Code.UNIT_INVALID),
        ("SN-000000170", Code.UNIT_INVALID),
        ("SM-00000017", Code.UNIT_INVALID),
        ("SN-0000001 ", Code.UNIT_INVALID),
        ("X" * 64, Code.UNIT_INVALID),
    ],
)
def test_name_against_the_rule_is_refused_before_stage_1_and_after_it(make: Make, unit: str, code: Code) -> None:
    signer = MemorySigner(device=NAMED)
    line = make(signer)
    assert code_of(line, question(signer, 1, unit)) == code
    assert code_of(line, for_unit(signer, 1, unit)) == code
    assert signer.signatures == 0
    assert events_of(line.ledger) == []


def test_rejection_names_the_rule(make: Make) -> None:
    signer = MemorySigner(device=NAMED)
    reply = refused(make(signer).ask(for_unit(signer, 1, "SN-0000017")))
    assert reply.message == (
        "The unit's name 'SN-0000017' is refused: it has 10 characters; this product's names have 11."
    )


def test_name_without_a_rule_is_refused(make: Make) -> None:
    signer = MemorySigner()
    line = make(signer)
    assert code_of(line, question(signer, 1, NAME)) == Code.UNIT_UNEXPECTED
    assert code_of(line, for_unit(signer, 1, NAME)) == Code.UNIT_UNEXPECTED


def test_client_that_knows_no_chip_yet_gets_the_offer(make: Make) -> None:
    signer = MemorySigner(device=NAMED)
    assert isinstance(make(signer).ask(question(signer, None, "")).result(PATIENCE), SignerReply)


def test_address_may_be_asked_about_in_any_form_and_is_certified_in_one(make: Make) -> None:
    signer = MemorySigner(device=ADDRESSED)
    line = make(signer)
    assert isinstance(line.ask(question(signer, 1, "00-04-a3-01-02-ff")).result(PATIENCE), SignerReply)
    assert code_of(line, for_unit(signer, 1, "00-04-a3-01-02-ff")) == Code.UNIT_INVALID
    assert common_name(line.certify(for_unit(signer, 1, "00:04:A3:01:02:FF"))).endswith(" 00:04:A3:01:02:FF")


def test_name_of_another_chip_is_refused_with_that_chip(make: Make) -> None:
    signer = MemorySigner(device=NAMED)
    line = make(signer)
    line.certify(for_unit(signer, 1, NAME))
    for asked_for in (question(signer, 2, NAME), for_unit(signer, 2, NAME)):
        reply = refused(line.ask(asked_for))
        assert reply.code == Code.UNIT_TAKEN
        assert chip_serial(1).hex().upper() in reply.message
    assert isinstance(line.ask(question(signer, 1, NAME)).result(PATIENCE), SignerReply)


def test_chip_with_a_name_gets_no_other(make: Make) -> None:
    signer = MemorySigner(device=NAMED)
    line = make(signer, allow_rekey=True)
    line.certify(for_unit(signer, 1, NAME))
    new_key = replace(for_unit(signer, 1, "SN-00000018"), public_key=SigningKey().public_key)
    for asked_for in (question(signer, 1, "SN-00000018"), for_unit(signer, 1, "SN-00000018"), new_key):
        reply = refused(line.ask(asked_for))
        assert reply.code == Code.CHIP_HAS_OTHER_UNIT
        assert NAME in reply.message
    assert code_of(line, for_unit(signer, 1, "")) == Code.UNIT_MISSING
    assert line.certify(replace(for_unit(signer, 1, NAME), public_key=new_key.public_key))


def test_name_of_a_revoked_certificate_is_free_again(make: Make) -> None:
    signer = MemorySigner(device=NAMED)
    line = make(signer)
    line.certify(for_unit(signer, 1, NAME))
    ((stored,),) = [line.ledger.known([chip_serial(1)], []).of_chip(chip_serial(1))]
    record = stored.record
    revoked = Revoked(
        NOW, stored.index, record.chip_serial, record.signer_serial, record.certificate_serial, "superseded", "", "me"
    )
    line.ledger.commit(Changes(events=[revoked]))
    assert line.certify(for_unit(signer, 2, NAME))


class VerifiedProducts(ServedProducts):
    """Stand for the profiles of a server: each request has shown that its product is the one that it names."""

    def product_of(self, request: object, documents: object) -> None:
        return None


def test_name_belongs_to_one_chip_of_a_product(make: Make) -> None:
    """A product that the server knows has names of its own; one that only a client claims has not."""
    signer = MemorySigner(device=NAMED)
    line = make(signer, products=VerifiedProducts([ServedProduct(config_zone(0))]))
    line.certify(for_unit(signer, 1, NAME, product="lamp"))
    line.certify(for_unit(signer, 2, NAME, product="fan"))
    assert code_of(line, for_unit(signer, 3, NAME, product="fan")) == Code.UNIT_TAKEN


def test_claim_of_another_product_gets_no_second_certificate(make: Make) -> None:
    signer = MemorySigner(device=NAMED)
    line = make(signer)
    line.certify(for_unit(signer, 1, NAME, product="lamp"))
    assert code_of(line, question(signer, 2, NAME, product="fan")) == Code.UNIT_TAKEN
    assert code_of(line, for_unit(signer, 2, NAME, product="fan")) == Code.UNIT_TAKEN


def test_stations_that_race_in_one_step_get_one_certificate(tmp_path: Path) -> None:
    signer = MemorySigner(device=NAMED)
    with closing(ledger_in(tmp_path)) as ledger:
        authority = Authority(SignerRegistry([signer]), ledger, RememberingLog(), lambda: NOW)
        requests = [for_unit(signer, number, NAME) for number in range(1, 5)]
        replies = answer(authority, asked(*requests))
        winners = [reply for reply in replies if isinstance(reply, CertificatesReply)]
        losers = [reply.code for reply in replies if isinstance(reply, ErrorReply)]
        assert (len(winners), losers) == (1, [Code.UNIT_TAKEN] * 3)
        assert signer.signatures == 1


def test_race_at_slow_signers_gives_one_certificate(make: Make) -> None:
    root = SigningKey()
    first, second = (SlowSigner(root=root, device=NAMED, signer_id=bytes([0, number])) for number in (1, 2))
    line = make(first, second)
    requests = [replace(for_unit(first, number, NAME), any_of_group=True) for number in range(1, 4)]
    waiting = [line.ask(each) for each in requests]
    assert [refused(each).code for each in waiting[1:]] == [Code.UNIT_TAKEN] * 2
    first.go_on.release()
    second.go_on.release()
    assert common_name(certificates(waiting[0])).endswith(NAME)
    assert first.signatures + second.signatures == 1


def test_name_is_free_again_when_the_signer_fails(make: Make) -> None:
    slow, other = SlowSigner(device=NAMED), SlowSigner(device=NAMED)
    slow.fault = RuntimeError("it answers nonsense")
    line = make(slow, other)
    lost = line.ask(for_unit(slow, 1, NAME))
    slow.go_on.release()
    refused(lost)
    other.go_on.release()
    assert line.certify(for_unit(other, 2, NAME))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
def test_any_order_of_steps_of_two_servers_gives_each_name_to_one_chip(
    tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("provisioning_server.issuing.authority.ELSEWHERE_SECONDS", 0.0)
    chance = random.Random(seed)
    signer = MemorySigner(device=NAMED)
    with ExitStack() as stack:
        both = [Server(tmp_path, signer, name) for name in "ab"]
        for server in both:
            stack.callback(server.ledger.close)
        for _ in range(14):
            requests = [
                for_unit(signer, chance.randint(1, 6), f"SN-0000000{chance.randint(1, 3)}")
                for _ in range(chance.randint(0, 3))
            ]
            chance.choice(both).step(*requests)
        while any(server.authority.waits is not None for server in both):
            chance.choice(both).step()
        replies = [*both[0].replies, *both[1].replies]
        given = {
            (serial_number(asked_for.config_zone), asked_for.unit, reply.device_certificate)
            for asked_for, reply in replies
            if isinstance(reply, CertificatesReply)
        }
        assert {reply.code for _, reply in replies if isinstance(reply, ErrorReply)} <= {
            Code.UNIT_TAKEN,
            Code.CHIP_HAS_OTHER_UNIT,
        }
        for part in range(3):
            assert len({each[part] for each in given}) == len(given)
        records = [event.record for event in events_of(both[0].ledger) if isinstance(event, Issued)]
        assert len({record.origin.unit for record in records}) == len(records) == len(given) == signer.signatures


def test_audit_rebuilds_certificates_with_their_names(make: Make) -> None:
    signer = MemorySigner(device=ADDRESSED)
    line = make(signer)
    line.certify(for_unit(signer, 1, "00:04:A3:01:02:FF"))
    (record,) = line.records(1)
    check_certificate(record, signer.documents)
    check_record(record, signer.documents, "here")
    for other in ("00:04:A3:01:02:FE", ""):
        with pytest.raises(CertificateError):
            check_certificate(replace(record, origin=replace(record.origin, unit=other)), signer.documents)


@pytest.mark.parametrize(
    ("definition", "name"), [(NAMED, NAME), (ADDRESSED, "00:04:A3:01:02:FF")], ids=["text", "MAC address"]
)
def test_recovered_certificate_keeps_its_name(
    make: Make, tmp_path: Path, definition: CertificateDefinition, name: str
) -> None:
    """A certificate that was found again, of a product that is not known any more, has the name that it holds."""
    signer = MemorySigner(device=definition)
    line = make(signer, products=VerifiedProducts([ServedProduct(config_zone(0))]))
    certificate = line.certify(for_unit(signer, 1, name, product="lamp")).device_certificate
    found = FoundCertificate(certificate, chip_serial(1), "a station")
    with closing(ledger_in(tmp_path / "restored")) as restored:
        known = KnownSigner(signer.serial, signer.name, signer.documents)
        record = RecoveredRecords(restored, [known]).of(found)
        assert record.origin.unit == name
        restored.commit(Changes(documents=[signer.documents], events=[Issued(record)]))
        products = VerifiedProducts([ServedProduct(config_zone(0))])
        authority = Authority(SignerRegistry([signer]), restored, RememberingLog(), lambda: line.now, products=products)
        again, other = (for_unit(signer, number, name, product="lamp") for number in (1, 2))
        reply, refusal = answer(authority, asked(again, other))
    assert isinstance(reply, CertificatesReply)
    assert reply.device_certificate == certificate
    assert isinstance(refusal, ErrorReply)
    assert refusal.code == Code.UNIT_TAKEN
