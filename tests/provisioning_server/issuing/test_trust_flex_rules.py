"""The server's rules hold for chips that the maker has locked as for blank ones."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest

from atcaprov import Code
from atcaprov.chip.maker_tables import TFLXTLS_TABLE
from atcaprov.config_zone.defaults import DEFAULT_608A
from atcaprov.config_zone.zone_file import read_zone_file
from atcaprov.wire.messages import CertificatesReply, CertificatesRequest, ErrorReply, SignerRequest
from provisioning_server.issuing.authority import Authority
from provisioning_server.issuing.request_rules import can_be_written
from provisioning_server.ledger.sql.sql_ledger import SqlLedger
from provisioning_server.products.zone_words import differing
from provisioning_server.signers.registry import SignerRegistry
from tests.support.in_memory_signer import NOW, MemorySigner
from tests.support.ledgers import ledger_in, records_of
from tests.support.products import served
from tests.support.server_parts import CHIP_KEY, OTHER_KEY, RememberingLog, answer, asked

ROOT = Path(__file__).parents[3]
SIGNER = MemorySigner()
SERIAL = bytes.fromhex("0123000000000001")


@pytest.fixture
def records(tmp_path: Path) -> Iterator[SqlLedger]:
    records = ledger_in(tmp_path)
    yield records
    records.close()


def flex_zone(number: int = 1, **changes: int) -> bytes:
    """Return the configuration zone of a TFLXTLS; `changes` are bytes by `at_<offset>`."""
    zone = bytearray(TFLXTLS_TABLE.config)
    zone[0:4], zone[8:13] = bytes.fromhex("01230000"), number.to_bytes(4, "big") + b"\x01"
    for place, value in changes.items():
        zone[int(place.removeprefix("at_"))] = value
    return bytes(zone)


def ask(records: SqlLedger, message: CertificatesRequest, **options: object) -> str:
    """Return the code of the answer, or `certified`."""
    authority = Authority(SignerRegistry((SIGNER,)), records, RememberingLog(), lambda: NOW, **options)  # type: ignore[arg-type]
    (reply,) = answer(authority, asked(message))
    return reply.code if isinstance(reply, ErrorReply) else "certified"


def request(zone: bytes, key: bytes = CHIP_KEY, *, existing_only: bool = False) -> CertificatesRequest:
    return CertificatesRequest(zone, key, SIGNER.documents.signer_public_key, existing_only, False)


def test_a_trust_part_is_certified_and_recorded_by_its_serial_number(records: SqlLedger) -> None:
    assert ask(records, request(flex_zone())) == "certified"
    (record,) = records_of(records, bytes.fromhex("012300000000000101"))
    assert record.public_key == CHIP_KEY


def test_certified_tflxtls_gets_the_stored_certificate_again(records: SqlLedger) -> None:
    authority = Authority(SignerRegistry((SIGNER,)), records, RememberingLog(), lambda: NOW)
    message = request(flex_zone())
    existing = dataclasses.replace(message, existing_only=True)
    first, second, third = answer(authority, asked(message, message, existing))
    assert isinstance(first, CertificatesReply)
    assert first == second == third


def test_a_key_is_certified_for_one_chip_only(records: SqlLedger) -> None:
    assert ask(records, request(flex_zone(1))) == "certified"
    assert ask(records, request(flex_zone(2))) == Code.KEY_HAS_OTHER_CHIP


def test_a_second_key_is_told_before_it_is_made(records: SqlLedger) -> None:
    """GenKey in slots 2 to 4 destroys a key, so the question that issues nothing is answered fully."""
    assert ask(records, request(flex_zone(), OTHER_KEY, existing_only=True)) == Code.NOT_ISSUED
    assert ask(records, request(flex_zone())) == "certified"
    assert ask(records, request(flex_zone(), OTHER_KEY, existing_only=True)) == Code.CHIP_HAS_OTHER_KEY
    assert ask(records, request(flex_zone(), OTHER_KEY)) == Code.CHIP_HAS_OTHER_KEY
    assert ask(records, request(flex_zone(), OTHER_KEY, existing_only=True), allow_rekey=True) == Code.NOT_ISSUED


@pytest.mark.parametrize("zones", [[TFLXTLS_TABLE.config], [DEFAULT_608A, flex_zone(7, at_117=0x00)]])
def test_a_server_for_tflxtls_takes_those_of_every_order(records: SqlLedger, zones: list[bytes]) -> None:
    permanent = flex_zone(1, at_41=0x8F, at_116=0x1C)  # slot 10
    with_secure_boot = flex_zone(2, at_70=0x0B, at_97=0x10)
    assert ask(records, request(permanent), products=served(*zones)) == "certified"
    assert ask(records, request(with_secure_boot, OTHER_KEY), products=served(*zones)) == "certified"


def test_a_server_for_tflxtls_takes_no_other_chips(records: SqlLedger) -> None:
    zones = [TFLXTLS_TABLE.config]
    blank = bytearray(DEFAULT_608A)
    blank[:16], blank[87] = flex_zone()[:16], 0
    assert ask(records, request(bytes(blank)), products=served(*zones)) == Code.REQUEST_INVALID
    assert ask(records, request(flex_zone(at_20=0x87)), products=served(*zones)) == Code.REQUEST_INVALID
    assert ask(records, request(flex_zone(at_30=0x85)), products=served(*zones)) == Code.REQUEST_INVALID


def test_a_server_for_blank_parts_takes_no_tflxtls(records: SqlLedger) -> None:
    assert ask(records, request(flex_zone()), products=served(DEFAULT_608A)) == Code.REQUEST_INVALID


def test_a_client_learns_it_before_its_first_board(records: SqlLedger) -> None:
    offer = SignerRequest(SIGNER.documents.signer_public_key, config_zone=TFLXTLS_TABLE.config)
    for zones, expected in (([TFLXTLS_TABLE.config], ""), ([DEFAULT_608A], Code.REQUEST_INVALID)):
        authority = Authority(
            SignerRegistry((SIGNER,)), records, RememberingLog(), lambda: NOW, products=served(*zones)
        )
        (reply,) = answer(authority, asked(offer))
        assert (reply.code if isinstance(reply, ErrorReply) else "") == expected


def test_the_file_for_servers_has_the_makers_table() -> None:
    zone = read_zone_file(ROOT / "configs" / "tflxtls.hex").zone.data
    assert zone[16:] == TFLXTLS_TABLE.config[16:]
    assert not differing(flex_zone(), zone)


def test_certificates_can_be_written_until_their_slots_are_locked() -> None:
    slots = (10, 11, 12)
    assert can_be_written(flex_zone(), slots)
    assert not can_be_written(flex_zone(at_89=0xFB), slots)
    ours = bytearray(DEFAULT_608A)
    assert can_be_written(bytes(ours), slots)
    ours[86] = 0
    assert not can_be_written(bytes(ours), slots)
