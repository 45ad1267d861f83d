"""Stations, work orders, units' names and revocations in the ledger: each limit holds under the lock of the step."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from atcaprov import Code, UsageError
from atcaprov.certs.issued_record import Origin
from provisioning_server.ledger.administer import administer
from provisioning_server.ledger.administration import (
    CrlIssued,
    OrderClosed,
    OrderOpened,
    Revoked,
    StationAdmitted,
    StationInvited,
    StationRemoved,
)
from provisioning_server.ledger.changes import Event, Lost
from provisioning_server.ledger.store import Ledger
from tests.provisioning_server.ledger.conftest import OpenStore
from tests.provisioning_server.ledger.events import NOW, SIGNER, crl_intent, intent, issued, lost, step
from tests.support.server_parts import chip_serial

TOKEN = bytes(range(32))
INVITED = StationInvited(NOW, "line-3", TOKEN, NOW + timedelta(hours=1), "console")
ADMITTED = StationAdmitted(NOW, "line-3", b"first certificate", TOKEN, "console")
ORDER = OrderOpened(NOW, "2026-118", "gateway", 2)
OF_ORDER = Origin(order="2026-118", product="gateway")
REVOKED = Revoked(NOW, 0, chip_serial(1), SIGNER.serial, b"\x40", "keyCompromise")


def unit(name: str, product: str = "gateway") -> Origin:
    return Origin(product=product, unit=name)


def test_new_ledger_has_decided_nothing(open_store: OpenStore) -> None:
    administered = open_store().administered
    assert administered.newest() == -1
    assert not administered.stations()
    assert not administered.invitations()
    assert not administered.orders()
    assert not administered.revocations()
    assert administered.newest_crl(SIGNER.serial) is None


def test_token_admits_one_certificate(open_store: OpenStore) -> None:
    ledger = open_store()
    assert not step(ledger, INVITED).repeated
    (invitation,) = ledger.administered.invitations()
    assert (invitation.invited, invitation.closed) == (INVITED, None)
    assert set(step(ledger, ADMITTED, replace(ADMITTED, certificate=b"second")).repeated) == {1}
    assert set(step(ledger, replace(ADMITTED, certificate=b"third")).repeated) == {0}
    (station,) = ledger.administered.stations()
    assert (station.admitted, station.removed) == (ADMITTED, None)
    assert ledger.administered.invitations()[0].closed == 1
    assert ledger.administered.newest() == 1


def test_token_that_was_never_given_admits_no_one(open_store: OpenStore) -> None:
    ledger = open_store()
    assert set(step(ledger, replace(ADMITTED, token_hash=bytes(32))).repeated) == {0}
    assert not ledger.administered.stations()
    assert ledger.head().size == 0


def test_removed_station_has_neither_certificates_nor_invitations(open_store: OpenStore) -> None:
    ledger = open_store()
    renewed = StationAdmitted(NOW, "line-3", b"renewed")
    other = StationAdmitted(NOW, "line-4", b"other")
    step(ledger, INVITED, replace(INVITED, token_hash=bytes(32)), renewed, other)
    step(ledger, ADMITTED)
    assert not step(ledger, StationRemoved(NOW, "line-3", "stolen")).repeated
    assert {each.admitted.certificate: each.removed for each in ledger.administered.stations()} == {
        b"renewed": 5,
        b"other": None,
        b"first certificate": 5,
    }
    assert [each.closed for each in ledger.administered.invitations()] == [4, 5]
    again = step(ledger, StationRemoved(NOW, "line-3", "again"), replace(ADMITTED, token_hash=bytes(32)))
    assert set(again.repeated) == {0, 1}


def test_renewal_that_was_decided_before_the_removal_admits_no_one(open_store: OpenStore) -> None:
    """Both may come in one step, or from two servers: the station that was removed does not come back."""
    ledger = open_store()
    step(ledger, INVITED)
    step(ledger, ADMITTED)
    renewed = StationAdmitted(NOW, "line-3", b"renewed")
    assert set(step(ledger, StationRemoved(NOW, "line-3", "stolen"), renewed).repeated) == {1}
    assert set(step(ledger, renewed).repeated) == {0}
    assert all(each.removed is not None for each in ledger.administered.stations())


def test_entries_behind_one_that_is_left_out_follow_without_a_gap(open_store: OpenStore) -> None:
    ledger = open_store()
    step(ledger, ORDER)
    written = administer(ledger, lambda _: [ORDER, INVITED, replace(ORDER, order="2026-119")])
    assert list(written) == [None, 1, 2]
    assert [entry.kind for entry in ledger.entries(0, 9)] == ["order-opened", "station-invited", "order-opened"]


def test_what_is_refused_writes_nothing(open_store: OpenStore) -> None:
    ledger = open_store()

    def decide(_: Ledger) -> list[Event]:
        raise UsageError("There is no such station.", code=Code.USAGE)

    with pytest.raises(UsageError, match="no such station"):
        administer(ledger, decide)
    assert not administer(ledger, lambda _: [])
    assert ledger.head().size == 0


def test_intents_and_certificates_of_an_order_are_at_most_its_count(open_store: OpenStore) -> None:
    ledger = open_store()
    step(ledger, ORDER)
    intents = [intent(chip, origin=OF_ORDER) for chip in (1, 2, 3)]
    assert list(step(ledger, intents=intents).refused) == intents[2:]
    step(ledger, issued(1, origin=OF_ORDER), intents=[])
    assert list(step(ledger, intents=intents[2:]).refused) == intents[2:]
    step(ledger, lost(intents[1]))
    assert not step(ledger, intents=intents[2:]).refused
    step(ledger, issued(3, origin=OF_ORDER))
    (order,) = ledger.administered.orders()
    assert (order.opened, order.issued, order.closed) == (ORDER, 2, None)
    assert step(ledger, intents=intents[1:2]).refused
    assert not step(ledger, intents=[intent(4)]).refused


@pytest.mark.parametrize("decided", [[], [ORDER, OrderClosed(NOW, "2026-118", "done")]], ids=["unknown", "closed"])
def test_order_that_is_not_open_gets_no_intent(open_store: OpenStore, decided: list[Event]) -> None:
    ledger = open_store()
    step(ledger, *decided)
    assert step(ledger, intents=[intent(1, origin=OF_ORDER)]).refused
    if decided:
        assert set(step(ledger, OrderClosed(NOW, "2026-118", "again")).repeated) == {0}


def test_order_without_a_count_has_no_limit(open_store: OpenStore) -> None:
    ledger = open_store()
    step(ledger, replace(ORDER, count=0))
    assert not step(ledger, intents=[intent(chip, origin=OF_ORDER) for chip in range(1, 9)]).refused


def test_name_of_a_unit_belongs_to_one_chip_of_a_product(open_store: OpenStore) -> None:
    ledger = open_store()
    first, second = intent(1, origin=unit("0004A3")), intent(2, origin=unit("0004A3"))
    assert list(step(ledger, intents=[first, second]).refused) == [second]
    assert list(step(ledger, intents=[second]).refused) == [second]
    step(ledger, issued(1, origin=unit("0004A3")))
    assert list(step(ledger, intents=[second]).refused) == [second]
    units = [("gateway", "0004A3"), ("gateway", "0004A4"), ("lamp", "0004A3")]
    known = ledger.known([], [], units)
    assert [known.chip_of_unit(*each) for each in units] == [chip_serial(1), None, None]
    assert not step(ledger, intents=[intent(2, origin=unit("0004A3", "lamp"))]).refused
    assert not step(ledger, intents=[intent(1, 9, last=0, origin=unit("0004A3"))]).refused


def test_name_of_a_unit_is_free_again_when_its_certificate_is_revoked(open_store: OpenStore) -> None:
    ledger = open_store()
    step(ledger, issued(1, origin=unit("0004A3")))
    step(ledger, REVOKED)
    assert ledger.known([], [], [("gateway", "0004A3")]).chip_of_unit("gateway", "0004A3") is None
    assert not step(ledger, intents=[intent(2, origin=unit("0004A3"))]).refused


def test_certificate_is_revoked_once(open_store: OpenStore) -> None:
    ledger = open_store()
    step(ledger, issued(1), issued(2))
    assert set(step(ledger, REVOKED, replace(REVOKED, reason="superseded")).repeated) == {1}
    assert set(step(ledger, replace(REVOKED, reason="superseded")).repeated) == {0}
    assert list(ledger.administered.revocations(SIGNER.serial)) == [REVOKED]
    assert list(ledger.administered.revocations()) == [REVOKED]
    assert not ledger.administered.revocations(bytes(9))
    assert ledger.administered.revocation(0) == REVOKED
    assert ledger.administered.revocation(1) is None
    known = ledger.known([chip_serial(1), chip_serial(2)], [])
    assert [known.of_chip(chip_serial(chip))[0].revoked for chip in (1, 2)] == [NOW, None]
    assert [entry.kind for entry in ledger.history(chip_serial(1))] == ["issued", "revoked"]


def test_numbers_of_lists_only_grow_and_each_list_is_counted(open_store: OpenStore) -> None:
    ledger = open_store()
    lists = [CrlIssued(NOW, SIGNER.serial, number, b"list %d" % number) for number in (1, 4, 3)]
    assert set(step(ledger, *lists[:2]).repeated) == set()
    assert set(step(ledger, lists[2], lists[1]).repeated) == {0, 1}
    assert ledger.administered.newest_crl(SIGNER.serial) == lists[1]
    tally = ledger.tally(SIGNER.serial)
    assert tally is not None
    assert (tally.issued, tally.crls, tally.signatures) == (0, 2, 2)


def test_a_signer_has_one_list_in_progress_and_its_number_only_grows(open_store: OpenStore) -> None:
    ledger = open_store()
    first = crl_intent(5)
    assert not step(ledger, intents=[first]).refused
    assert list(ledger.open_intents()) == [first]
    assert list(step(ledger, intents=[crl_intent(6)]).refused) == [crl_intent(6)]
    step(ledger, CrlIssued(NOW, SIGNER.serial, 5, b"list 5"))
    assert not ledger.open_intents()
    assert list(step(ledger, intents=[crl_intent(5)]).refused) == [crl_intent(5)]
    assert not step(ledger, intents=[crl_intent(6)]).refused
    step(ledger, Lost(crl_intent(6), NOW, None, "the server ended"))
    tally = ledger.tally(SIGNER.serial)
    assert tally is not None
    assert (tally.crls, tally.lost, tally.unsure) == (1, 0, 1)
    assert not ledger.open_intents()


def test_a_list_is_intended_on_the_newest_revocation(open_store: OpenStore) -> None:
    ledger = open_store()
    step(ledger, issued(1))
    assert ledger.administered.newest_revocation(SIGNER.serial) == -1
    step(ledger, REVOKED)
    assert ledger.administered.newest_revocation(SIGNER.serial) == 1
    assert list(step(ledger, intents=[crl_intent(5)]).refused) == [crl_intent(5)]
    assert not step(ledger, intents=[crl_intent(5, last=1)]).refused


def test_lists_and_certificates_of_a_signer_are_intended_side_by_side(open_store: OpenStore) -> None:
    ledger = open_store()
    assert not step(ledger, intents=[intent(1), crl_intent(5)]).refused
    step(ledger, CrlIssued(NOW, SIGNER.serial, 5, b"list 5"))
    assert [each.crl_number for each in ledger.open_intents()] == [0]
    step(ledger, issued(1))
    assert not ledger.open_intents()


def test_the_newest_list_of_each_signer(open_store: OpenStore) -> None:
    ledger = open_store()
    other = bytes(range(9))
    lists = [
        CrlIssued(NOW, SIGNER.serial, 1, b"1"),
        CrlIssued(NOW, other, 7, b"7"),
        CrlIssued(NOW, SIGNER.serial, 2, b"2"),
    ]
    step(ledger, *lists)
    assert list(ledger.administered.newest_crls()) == lists[1:]


def test_intents_keep_who_asked_for_what(open_store: OpenStore) -> None:
    ledger = open_store()
    origin = Origin("line-3", "2026-118", "gateway", "0004A3", "GW-7", bytes(range(16)))
    step(ledger, ORDER)
    step(ledger, intents=[intent(1, origin=origin), intent(2)])
    assert {each.origin for each in ledger.open_intents()} == {origin, Origin()}
