"""Revocation lists: intended, signed, recorded; cut anywhere, the counter of a module and the ledger stay equal."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol

import pytest
from cryptography import x509

from atcaprov import Code
from atcaprov.certs.descriptions.description import CertificateDescription, default_description, default_text
from atcaprov.certs.descriptions.template import device_definition
from atcaprov.wire.messages import CertificatesReply
from provisioning_server.issuing.requests import ClientRequest
from provisioning_server.ledger.administration import CrlIssued, Revoked
from provisioning_server.ledger.changes import LossesSettled, Lost
from provisioning_server.ledger.store import StoredCertificate
from tests.support.crl_server import CountingModule, CrlServer, number_of, serials_in
from tests.support.in_memory_signer import NOW, MemorySigner
from tests.support.server_parts import request as request_of


class Made(Protocol):
    def __call__(self, *signers: MemorySigner, **options: Any) -> CrlServer: ...


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Made]:
    with ExitStack() as stack:

        def make(*signers: MemorySigner, **options: Any) -> CrlServer:
            server = CrlServer(tmp_path / "data", *signers, **options)
            stack.callback(server.ledger.close)
            return server

        yield make


@pytest.fixture(params=[MemorySigner, CountingModule], ids=["file", "module"])
def signer(request: pytest.FixtureRequest) -> MemorySigner:
    made: Callable[[], MemorySigner] = request.param
    return made()


def parsed_number(issued: CrlIssued) -> int:
    extensions = x509.load_der_x509_crl(issued.crl).extensions
    return extensions.get_extension_for_class(x509.CRLNumber).value.crl_number


def test_a_list_has_what_is_revoked_and_stands_in_the_ledger(made: Made, signer: MemorySigner) -> None:
    server = made(signer)
    first, second = server.certify(signer, 1), server.certify(signer, 2)
    server.revoke(first, reason="keyCompromise")
    issued = server.publish(signer)
    assert serials_in(issued.crl) == {number_of(first)}
    assert server.ledger.administered.newest_crl(signer.serial) == issued
    assert parsed_number(issued) == issued.number
    assert not server.ledger.open_intents()
    server.revoke(second)
    assert serials_in(server.publish(signer).crl) == {number_of(first), number_of(second)}
    tally = server.ledger.tally(signer.serial)
    assert tally is not None
    assert (tally.issued, tally.crls) == (2, 2)


def test_the_counter_of_a_module_is_the_tally_of_the_ledger(made: Made) -> None:
    module = CountingModule()
    server = made(module)
    for number in range(1, 4):
        server.certify(module, number)
        server.publish(module)
    server.check_tally(module)
    again = made(module)
    assert again.guard.admit(module) is None
    again.check_tally(module)
    again.publish(module)
    again.check_tally(module)


@pytest.mark.parametrize("signed", [False, True], ids=["before it signed", "after it signed"])
def test_a_cut_while_a_module_signs_is_settled_by_its_counter(made: Made, signed: bool) -> None:
    module = CountingModule()
    server = made(module)
    server.certify(module, 1)
    server.step(server.order(module))
    begins = server.begin_job(module)
    (intent,) = server.ledger.open_intents()
    assert intent.crl_number
    assert (intent.chip_serial, intent.signer_serial, intent.unsigned) == (
        *(module.serial, module.serial, begins.prepared.unsigned),  # type: ignore[union-attr]
    )
    if signed:
        module.sign(bytes(32))
    again = made(module)
    again.finish()
    assert f"was signing CRL {intent.crl_number}" in "\n".join(again.log.lines)
    lost = [event for event in again.events() if isinstance(event, Lost)]
    assert [(event.intent, event.signed) for event in lost] == [(intent, None)]
    assert again.guard.admit(module) is None
    assert again.events()[-1] == LossesSettled(NOW, module.serial, 1, int(signed))
    again.check_tally(module)
    assert again.ledger.administered.newest_crl(module.serial) is None
    issued = again.publish(module)
    assert issued.number >= intent.crl_number
    again.check_tally(module)


def test_a_module_that_signed_elsewhere_is_noticed_at_its_list(made: Made) -> None:
    module = CountingModule()
    server = made(module)
    server.certify(module, 1)
    server.step(server.order(module))
    for _ in range(3):
        module.sign(bytes(32))
    server.sign_job(module)
    server.finish()
    (outcome,) = server.outcomes
    assert outcome.error is not None
    assert outcome.error.code == Code.LEDGER_BEHIND
    assert server.ledger.administered.newest_crl(module.serial) is None


@pytest.mark.parametrize("signed", [False, True, None])
def test_a_module_that_fails_is_told_and_recorded(made: Made, signed: bool | None) -> None:
    module = CountingModule()
    server = made(module)
    server.step(server.order(module))
    server.fail_job(module, signed=signed)
    server.finish()
    (outcome,) = server.outcomes
    assert outcome.error is not None
    assert "it is gone" in outcome.error.what
    lost = server.events()[-1]
    assert isinstance(lost, Lost)
    assert (lost.signed, lost.intent.crl_number > 0) == (signed, True)
    assert not server.ledger.open_intents()
    assert server.outcomes.pop()
    if signed:
        module.sign(bytes(32))
    if signed is not None:
        server.publish(module)
        server.check_tally(module)


@pytest.mark.parametrize("steps", [1, 2])
def test_a_cut_after_each_step_of_a_key_in_a_file(made: Made, steps: int) -> None:
    signer = MemorySigner()
    server = made(signer)
    server.revoke(server.certify(signer, 1))
    server.step(server.order(signer))
    for _ in range(steps - 1):
        server.step()
    again = made(signer)
    again.finish()
    issued = again.publish(signer)
    numbers = [event.number for event in again.events() if isinstance(event, CrlIssued)]
    assert numbers == sorted(set(numbers))
    assert numbers[-1] == issued.number
    losses = [event for event in again.events() if isinstance(event, Lost)]
    assert len(losses) + len(numbers) == 2
    assert not again.ledger.open_intents()


def test_what_another_server_revokes_before_the_intent_is_in_the_list(made: Made, signer: MemorySigner) -> None:
    server, other = made(signer), made(MemorySigner(), name="b")
    first, second = server.certify(signer, 1), server.certify(signer, 2)
    server.revoke(first)
    build = server.authority._crls._build
    revoked_meanwhile: list[StoredCertificate] = []

    def building(each: Any) -> Any:
        pending = build(each)
        if not revoked_meanwhile:
            revoked_meanwhile.append(second)
            other.revoke(second)
        return pending

    server.authority._crls._build = building  # type: ignore[method-assign]
    server.step(server.order(signer))
    if signer.slow:
        assert not server.begin_job(signer).permit.wait()
        server.step()
        server.sign_job(signer)
    server.finish()
    (outcome,) = server.outcomes
    assert outcome.issued is not None
    assert serials_in(outcome.issued.crl) == {number_of(first), number_of(second)}


def test_numbers_rise_over_servers_restarts_and_clocks(made: Made) -> None:
    signer = MemorySigner()
    one, two = made(signer, name="a"), made(signer, name="b")
    numbers = [each.publish(signer).number for each in (one, two, one, two, made(signer, name="a"))]
    assert numbers == sorted(set(numbers))
    later = made(signer, name="c")
    later.now = NOW + timedelta(days=1)
    numbers.append(later.publish(signer).number)
    assert numbers[-1] == int(later.now.timestamp()), "also after a ledger that was restored has lost the others"
    assert numbers == sorted(set(numbers))


def test_the_list_of_a_server_that_ended_is_closed_by_another_one(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    signer = MemorySigner()
    ended, other = made(signer, name="a"), made(signer, name="b")
    ended.step(ended.order(signer))
    assert [intent.server for intent in ended.ledger.open_intents()] == ["a"]
    ended.ledger.close()
    monkeypatch.setattr(other.ledger, "claim", lambda name, **_: True)  # a database that several servers share tells it
    issued = other.publish(signer)
    assert [type(event) for event in other.events()] == [Lost, CrlIssued]
    assert other.ledger.administered.newest_crl(signer.serial) == issued


def test_a_list_that_another_server_signs_is_not_signed_twice(made: Made) -> None:
    signer = MemorySigner()
    one, two = made(signer, name="a"), made(signer, name="b")
    one.step(one.order(signer))
    two.step(two.order(signer))
    two.finish()
    (outcome,) = two.outcomes
    assert outcome.error is not None
    assert outcome.error.code == Code.SERVER_BUSY
    one.finish()
    assert one.outcomes[0].issued is not None


def test_one_list_of_a_signer_at_a_time(made: Made) -> None:
    module = CountingModule()
    server = made(module)
    server.step(server.order(module), server.order(module))
    (outcome,) = server.outcomes
    assert outcome.error is not None
    assert "being signed already" in outcome.error.what
    server.sign_job(module)
    server.finish()
    assert server.outcomes[1].issued is not None
    assert module.counter is not None
    assert module.counter.used == 1


def test_orders_that_cannot_be_are_refused_before_anything_is_signed(made: Made) -> None:
    text = default_text("signer").replace(', "crl_sign"', "")
    cannot = MemorySigner(description=CertificateDescription.from_toml(text))
    locked = MemorySigner(password=b"x", signer_id=b"\x00\x36")
    server = made(cannot, locked)
    server.step(server.order(cannot), server.order(locked), server.order(MemorySigner()))
    codes = [outcome.error.code for outcome in server.outcomes if outcome.error is not None]
    assert codes == [Code.CRL_SIGN_MISSING, Code.SIGNER_NOT_READY, Code.SIGNER_UNPLUGGED]
    assert not server.events()
    assert cannot.signatures == locked.signatures == 0


def test_a_clock_that_is_wrong_signs_no_list(made: Made) -> None:
    signer = MemorySigner()
    server = made(signer)
    server.certify(signer, 1)
    server.now = NOW - timedelta(days=30)
    server.step(server.order(signer))
    (outcome,) = server.outcomes
    assert outcome.error is not None
    assert outcome.error.code == Code.SERVER_CLOCK


def test_orders_end_when_the_ledger_fails(made: Made) -> None:
    module, other = CountingModule(), CountingModule()
    server = made(module, other)
    server.step(server.order(module))
    server.ledger.failed = True
    server.step(server.order(other))
    assert [outcome.error is not None and outcome.error.code for outcome in server.outcomes] == [
        Code.RECORDS_FAILED
    ] * 2


def test_a_module_signs_lists_and_certificates_one_after_the_other(made: Made) -> None:
    module = CountingModule()
    server = made(module)
    server.step(server.order(module), ClientRequest(request_of(module, 1), deliver=server.replies.append))
    server.sign_job(module)
    server.sign_job(module)
    server.finish()
    assert server.outcomes[0].issued is not None
    assert isinstance(server.replies[0], CertificatesReply)
    server.check_tally(module)


@pytest.mark.parametrize("years", [0, 1])
def test_an_expired_certificate_leaves_the_list_after_one_that_was_made_later(made: Made, years: int) -> None:
    signer = expiring(years)
    server = made(signer)
    first = server.certify(signer, 1)
    server.revoke(first)
    assert serials_in(server.publish(signer).crl) == {number_of(first)}
    server.now = NOW + timedelta(days=370)
    assert serials_in(server.publish(signer).crl) == {number_of(first)}, "once after it has expired"
    server.now += timedelta(days=1)
    for _ in range(2):
        assert serials_in(server.publish(signer).crl) == (set() if years else {number_of(first)})
        server.now += timedelta(days=1)
    late = server.certify(signer, 2)
    assert [type(event) for event in server.events()].count(Revoked) == 1
    server.revoke(late)
    assert number_of(late) in serials_in(server.publish(signer).crl)


def expiring(years: int) -> MemorySigner:
    text = default_text("device").replace("expire_years = 0 ", f"expire_years = {years} ")
    description = CertificateDescription.from_toml(text)
    return MemorySigner(device=device_definition(description, signer=default_description("signer"), at=NOW))


def test_a_signature_that_noise_has_doubled_is_recorded_too(made: Made) -> None:
    module = CountingModule()
    server = made(module)
    server.certify(module, 1)
    server.step(server.order(module))
    server.sign_job(module, twice=True)
    server.finish()
    assert server.outcomes[0].issued is not None
    lost = [event for event in server.events() if isinstance(event, Lost)]
    assert [(event.signed, event.intent.crl_number > 0) for event in lost] == [(True, True)]
    server.check_tally(module)
    assert made(module).guard.admit(module) is None


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(12))
def test_whatever_happens_to_a_module_its_counter_is_the_tally(made: Made, seed: int) -> None:
    source, module = random.Random(seed), CountingModule()
    server = made(module)
    for chip in range(1, 16):
        what = source.choice(["certificate", "list", "twice", "fails", "cut before", "cut after", "revoke"])
        if what == "certificate":
            server.certify(module, chip)
        elif what == "revoke":
            server.revoke(server.certify(module, chip))
        elif what == "list":
            server.publish(module)
        else:
            server.step(server.order(module))
            if what == "twice":
                server.sign_job(module, twice=True)
            elif what == "fails":
                module.sign(bytes(32))
                server.fail_job(module, signed=True)
            else:
                server.begin_job(module)
                if what == "cut after":
                    module.sign(bytes(32))
            server.finish()
            server = made(module)
            server.finish()
        assert server.guard.admit(module) is None, what
        server.check_tally(module)
    assert not server.ledger.open_intents()
    numbers = [event.number for event in server.events() if isinstance(event, CrlIssued)]
    assert numbers == sorted(set(numbers))
