"""No answer of a server reaches the chip unless every check has passed."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from dataclasses import replace
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

from atcaprov import (
    AtcaProvError,
    Board,
    Code,
    Device,
    Profile,
    ProtocolError,
    Provisioner,
    ServerRejected,
    TransportError,
)
from atcaprov.certs.keys import raw_signature
from atcaprov.certs.rebuild import rebuild
from atcaprov.chip.commands import Opcode, Zone
from atcaprov.provisioning import clock_check as clocks
from atcaprov.wire.fields import SlotWrite
from atcaprov.wire.messages import CertificatesReply, ErrorReply, SignerReply
from tests.support import in_memory_server
from tests.support.in_memory_server import InMemory, MemoryCa, change
from tests.support.scripted_hal import ScriptedHal


@pytest.fixture(scope="module")
def authority() -> MemoryCa:
    return MemoryCa()


@pytest.fixture(scope="module")
def stranger() -> MemoryCa:
    return MemoryCa()


def _refused(functions: InMemory, profile: Profile | None = None) -> tuple[AtcaProvError, list[bytes]]:
    """Provision a blank chip; return the error and the packets that changed it."""
    hal = ScriptedHal()
    with Device(hal) as device, pytest.raises(AtcaProvError) as refused:
        Provisioner(profile or Profile(), functions.authority.cert_info, functions).provision(device)
    return refused.value, [packet for packet in hal.packets if packet[1] in (Opcode.WRITE, Opcode.LOCK, Opcode.GEN_KEY)]


def _data_was_touched(packets: list[bytes]) -> bool:
    return any(packet[1] == Opcode.WRITE and packet[2] & 3 == Zone.DATA for packet in packets) or any(
        packet[1] == Opcode.LOCK and packet[2] & 3 == 1 for packet in packets
    )


def _in_certificates(tamper: Callable[[CertificatesReply], Any]) -> Callable[[Any], Any]:
    return lambda reply: tamper(reply) if isinstance(reply, CertificatesReply) else reply


def _other_write(reply: CertificatesReply, **fields: Any) -> CertificatesReply:
    return replace(reply, writes=(replace(reply.writes[0], **fields), *reply.writes[1:]))


def test_a_certificate_for_another_key(authority: MemoryCa) -> None:
    other = authority.certify(bytes.fromhex("0123AABBCCDDEEFFEE"), authority.root_public_key)
    functions = InMemory(authority)
    functions.tamper = _in_certificates(lambda reply: other)
    error, packets = _refused(functions)
    assert error.code == Code.CERTIFICATE_MISMATCH
    assert "public key" in str(error)
    assert not _data_was_touched(packets)


def test_a_certificate_with_another_chips_serial_number(authority: MemoryCa) -> None:
    functions = InMemory(authority)
    other_chip = bytes.fromhex("0123000000000000EE")
    functions.tamper = _in_certificates(lambda reply: authority.certify(other_chip, functions.requests[-1].public_key))  # type: ignore[union-attr]
    error, packets = _refused(functions)
    assert error.code == Code.CERTIFICATE_MISMATCH
    assert "subject" in str(error)
    assert not _data_was_touched(packets)


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"slot": 8}, Code.SLOT_NOT_ALLOWED),
        ({"slot": 0}, Code.SLOT_NOT_ALLOWED),
        ({"slot": 12}, Code.SLOT_NOT_ALLOWED),
        ({"offset": 32}, Code.SLOT_NOT_ALLOWED),
        ({"data": bytes(72)}, Code.SLOT_NOT_ALLOWED),
    ],
)
def test_writes_that_the_certificates_do_not_need(authority: MemoryCa, fields: dict[str, Any], code: Code) -> None:
    functions = InMemory(authority)
    functions.tamper = _in_certificates(lambda reply: _other_write(reply, **fields))
    error, packets = _refused(functions)
    assert error.code == code
    assert not _data_was_touched(packets)


def test_one_write_too_many(authority: MemoryCa) -> None:
    functions = InMemory(authority)
    extra = SlotWrite(8, 0, b"hello")
    functions.tamper = _in_certificates(lambda reply: replace(reply, writes=(*reply.writes, extra)))
    error, packets = _refused(functions)
    assert (error.code, _data_was_touched(packets)) == (Code.SLOT_NOT_ALLOWED, False)
    assert "slots 8" in str(error)


def test_one_write_too_few(authority: MemoryCa) -> None:
    functions = InMemory(authority)
    functions.tamper = _in_certificates(lambda reply: replace(reply, writes=reply.writes[1:]))
    error, packets = _refused(functions)
    assert (error.code, _data_was_touched(packets)) == (Code.SLOT_NOT_ALLOWED, False)


@pytest.mark.parametrize("field", ["device_compressed", "signer_compressed"])
def test_a_compressed_form_of_something_else(authority: MemoryCa, field: str) -> None:
    functions = InMemory(authority)
    functions.tamper = _in_certificates(
        lambda reply: replace(reply, **{field: bytes([getattr(reply, field)[0] ^ 1]) + getattr(reply, field)[1:]})
    )
    error, packets = _refused(functions)
    assert (error.code, _data_was_touched(packets)) == (Code.CERTIFICATE_MISMATCH, False)


def test_certificate_of_another_signature_is_refused(authority: MemoryCa) -> None:
    """Whole and consistent in itself, for the right chip and key: only the signature says that it is forged."""
    functions = InMemory(authority)

    def forge(reply: CertificatesReply) -> CertificatesReply:
        compressed = raw_signature(authority.root_key.sign(b"", ec.ECDSA(SHA256()))) + reply.device_compressed[64:]
        serial, key = next(iter(authority.issued))
        definition, ca = authority.device_definition, authority.signer_public_key
        forged = rebuild(definition, compressed=compressed, public_key=key, ca_public_key=ca, chip_serial=serial)
        writes = tuple(
            replace(write, data=compressed) if write.data == reply.device_compressed else write
            for write in reply.writes
        )
        return replace(reply, device_certificate=forged, device_compressed=compressed, writes=writes)

    authority.issued.clear()
    functions.tamper = _in_certificates(forge)
    error, packets = _refused(functions)
    assert (error.code, _data_was_touched(packets)) == (Code.CHAIN_INVALID, False)


def test_certificate_that_differs_from_the_offered_one_is_refused(authority: MemoryCa) -> None:
    renewed = copy(authority)
    del renewed.__dict__["signer"]
    assert renewed.signer.der != authority.signer.der
    functions = InMemory(authority)
    functions.tamper = _in_certificates(lambda reply: renewed.certify(*next(iter(authority.issued))))
    authority.issued.clear()
    error, packets = _refused(functions)
    assert (error.code, _data_was_touched(packets)) == (Code.CERTIFICATE_MISMATCH, False)
    assert "another signer" in str(error)


@pytest.mark.parametrize("minutes", [-25 * 60, -23 * 60, -90, 0, 4, 6, 120, 400 * 24 * 60])
@pytest.mark.parametrize("tells_time", [True, False])
def test_a_server_with_another_clock(
    authority: MemoryCa, minutes: int, tells_time: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`minutes` is how far it is ahead. An older server does not tell its time; what it issued shows it."""
    functions = InMemory(authority)
    authority.tells_time = tells_time
    now = authority.device_definition.issue_date(datetime.now(UTC))
    assert authority.signer.der  # issued at this hour
    monkeypatch.setattr(clocks, "datetime", _clock_at(now))
    monkeypatch.setattr(in_memory_server, "datetime", _clock_at(now + timedelta(minutes=minutes)))
    ahead, behind = minutes > 60 or (minutes > 5 and tells_time), minutes < -24 * 60 and tells_time
    if ahead or behind:
        error, packets = _refused(functions)
        assert error.code == Code.CLOCK_WRONG
        assert error.board is (Board.UNTOUCHED if tells_time else Board.RETRY)
        assert f"{now:%Y-%m-%d %H:%M} UTC" in error.what
        assert bool(packets) is not tells_time
        assert not _data_was_touched(packets)
    else:
        with Device(ScriptedHal()) as device:
            Provisioner(Profile(), authority.cert_info, functions).provision(device)


@pytest.mark.parametrize(("minutes", "refused"), [(4, False), (6, True)])
def test_a_certificate_that_begins_in_the_future_is_refused(
    authority: MemoryCa, minutes: int, refused: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    functions = InMemory(authority)
    authority.tells_time = False
    hour = authority.device_definition.issue_date(datetime.now(UTC))
    assert authority.signer.der
    monkeypatch.setattr(in_memory_server, "datetime", _clock_at(hour + timedelta(hours=1)))
    monkeypatch.setattr(clocks, "datetime", _clock_at(hour + timedelta(minutes=60 - minutes)))
    if refused:
        error, packets = _refused(functions)
        assert (error.code, error.board, _data_was_touched(packets)) == (Code.CLOCK_WRONG, Board.RETRY, False)
    else:
        with Device(ScriptedHal()) as device:
            Provisioner(Profile(), authority.cert_info, functions).provision(device)


@pytest.mark.parametrize("now", [datetime(1970, 1, 1, 0, 1, tzinfo=UTC), datetime(2020, 1, 1, tzinfo=UTC)])
def test_a_station_without_a_clock_touches_no_chip(
    authority: MemoryCa, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority.tells_time = False
    monkeypatch.setattr(clocks, "datetime", _clock_at(now))
    error, packets = _refused(InMemory(authority))
    assert (error.code, error.board, packets) == (Code.CLOCK_WRONG, Board.UNTOUCHED, [])
    assert f"This computer's clock says {now:%Y-%m-%d}" in error.what


def _clock_at(moment: datetime) -> type[datetime]:
    class Clock(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Clock:
            return cls.fromtimestamp(moment.timestamp(), tz)

    return Clock


@pytest.mark.parametrize("field", ["signer_certificate", "device_definition", "signer_definition"])
def test_reply_that_differs_from_the_offer_is_refused(authority: MemoryCa, stranger: MemoryCa, field: str) -> None:
    functions = InMemory(authority)
    other = {
        "signer_certificate": stranger.signer.der,
        "device_definition": replace(authority.device_definition, name="other").to_bytes(),
        "signer_definition": authority.device_definition.to_bytes(),
    }
    functions.tamper = change(**{field: other[field]})
    error, packets = _refused(functions)
    assert (error.code, _data_was_touched(packets)) == (Code.CERTIFICATE_MISMATCH, False)


def test_a_damaged_definition(authority: MemoryCa) -> None:
    functions = InMemory(authority)
    functions.tamper = change(device_definition=b"\xa0")
    error, packets = _refused(functions)
    assert (error.code, _data_was_touched(packets)) == (Code.DEFINITION_INVALID, False)


def test_an_unknown_signer_shows_before_the_chip_is_touched(authority: MemoryCa, stranger: MemoryCa) -> None:
    functions = InMemory(authority)
    hal = ScriptedHal()
    with Device(hal) as device, pytest.raises(ServerRejected) as refused:
        Provisioner(Profile(), stranger.cert_info, functions).provision(device)
    assert refused.value.code == Code.SIGNER_UNKNOWN
    assert functions.server_errors == [(Code.SIGNER_UNKNOWN, "No such signer.")]
    assert hal.packets == []


def test_a_wrong_root_shows_before_the_chip_is_touched(authority: MemoryCa, stranger: MemoryCa) -> None:
    functions = InMemory(authority)
    cert_info = replace(authority.cert_info, root_public_key=stranger.root_public_key)
    hal = ScriptedHal()
    with Device(hal) as device, pytest.raises(AtcaProvError) as refused:
        Provisioner(Profile(), cert_info, functions).provision(device)
    assert refused.value.code == Code.ROOT_NOT_PINNED
    assert hal.packets == []


def test_a_signer_for_other_slots_shows_before_the_chip_is_touched(authority: MemoryCa) -> None:
    error, packets = _refused(InMemory(authority), Profile(certificate_slots=frozenset({10, 12})))
    assert (error.code, packets) == (Code.SLOT_NOT_ALLOWED, [])
    assert "slots 11" in str(error)
    error, packets = _refused(InMemory(authority), Profile(device_key_slot=2))
    assert (error.code, packets) == (Code.SLOT_NOT_ALLOWED, [])


def test_an_error_reply_is_heard_and_raised(authority: MemoryCa) -> None:
    functions = InMemory(authority)
    refusal = ErrorReply(Code.RECORDS_FAILED.value, "The disk is full.", False)
    functions.tamper = _in_certificates(lambda reply: refusal)
    error, packets = _refused(functions)
    assert isinstance(error, ServerRejected)
    assert (error.code, error.what) == (Code.RECORDS_FAILED, "The disk is full.")
    assert functions.server_errors == [(Code.RECORDS_FAILED, "The disk is full.")]
    assert not _data_was_touched(packets)


def test_reply_of_another_type_is_refused(authority: MemoryCa) -> None:
    functions = InMemory(authority)
    signer = authority.signer.der
    functions.tamper = _in_certificates(lambda reply: SignerReply(signer, signer, b"\xa0", b"\xa0"))
    error, packets = _refused(functions)
    assert (error.code, _data_was_touched(packets)) == (Code.UNEXPECTED_MESSAGE, False)


@pytest.mark.parametrize("kept", [0, 1, 7, 8, 9, 500, -1])
def test_a_server_that_drops_in_mid_message(authority: MemoryCa, kept: int) -> None:
    functions = InMemory(authority)
    functions.raw = lambda data: data[:kept] if data[3] == 0x81 else data
    error, packets = _refused(functions)
    assert isinstance(error, TransportError)
    assert error.code == Code.SERVER_DROPPED
    assert not _data_was_touched(packets)
    assert functions.exchanges_done == 1


@pytest.mark.parametrize(
    "garbage", [bytes(64), b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\xff" * 300, b"AP\x02\x81" + bytes(4)]
)
def test_garbage(authority: MemoryCa, garbage: bytes) -> None:
    functions = InMemory(authority)
    functions.raw = lambda data: garbage
    error, packets = _refused(functions)
    assert isinstance(error, ProtocolError)
    assert packets == []
