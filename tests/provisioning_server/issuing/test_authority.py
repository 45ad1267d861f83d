from __future__ import annotations

import dataclasses
import ssl
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from atcaprov import AtcaProvError, Code, UsageError
from atcaprov.certs.definitions.definition import CertificateDefinition
from atcaprov.certs.rebuild import rebuild, slot_contents
from atcaprov.config_zone.defaults import DEFAULT_608A
from atcaprov.wire.messages import CertificatesReply, CertificatesRequest, ErrorReply, SignerReply, SignerRequest
from provisioning_server.issuing.authority import Authority
from provisioning_server.ledger.changes import Changes
from provisioning_server.ledger.open_ledger import ROOM_MIN
from provisioning_server.ledger.sql.sql_ledger import SqlLedger
from provisioning_server.ledger.store import Committed
from provisioning_server.log_names import certified_text
from provisioning_server.signers.registry import SignerRegistry
from tests.support.in_memory_signer import NOW, MemorySigner, SigningKey
from tests.support.ledgers import ledger_in, records_of
from tests.support.products import served
from tests.support.server_parts import (
    CHIP_KEY,
    OTHER_KEY,
    RememberingLog,
    answer,
    asked,
    chip_serial,
    config_zone,
    request,
)
from tests.support.system_programs import require_program

SIGNER = MemorySigner()


@pytest.fixture
def log() -> RememberingLog:
    return RememberingLog()


@pytest.fixture
def records(tmp_path: Path) -> Iterator[SqlLedger]:
    records = ledger_in(tmp_path)
    yield records
    records.close()


def _authority(records: SqlLedger, log: RememberingLog, *signers: MemorySigner, **options: Any) -> Authority:
    return Authority(SignerRegistry(signers or (SIGNER,)), records, log, lambda: NOW, **options)


def _one(authority: Authority, message: CertificatesRequest) -> CertificatesReply:
    (reply,) = answer(authority, asked(message))
    assert isinstance(reply, CertificatesReply), reply
    return reply


def _refused(authority: Authority, message: CertificatesRequest | SignerRequest) -> str:
    (reply,) = answer(authority, asked(message))
    assert isinstance(reply, ErrorReply), reply
    return reply.code


def test_a_reply_holds_what_a_chip_and_its_client_need(records: SqlLedger, log: RememberingLog) -> None:
    reply = _one(_authority(records, log), request(SIGNER))
    device = CertificateDefinition.from_bytes(reply.device_definition)
    signer = CertificateDefinition.from_bytes(reply.signer_definition)
    signer_key = SIGNER.documents.signer_public_key
    again = rebuild(
        device,
        compressed=reply.device_compressed,
        public_key=CHIP_KEY,
        ca_public_key=signer_key,
        chip_serial=chip_serial(1),
    )
    assert again == reply.device_certificate
    expected = [
        *slot_contents(device, compressed=reply.device_compressed, public_key=CHIP_KEY),
        *slot_contents(signer, compressed=reply.signer_compressed, public_key=signer_key),
    ]
    assert [dataclasses.astuple(write) for write in reply.writes] == [dataclasses.astuple(write) for write in expected]
    assert reply.signer_certificate == SIGNER.documents.signer_certificate
    assert reply.root_certificate == SIGNER.documents.root_certificate
    begin = x509.load_der_x509_certificate(reply.device_certificate).not_valid_before_utc
    assert NOW - begin < timedelta(hours=1)


def test_openssl_accepts_the_chain(records: SqlLedger, log: RememberingLog, tmp_path: Path) -> None:
    openssl = require_program("openssl")
    reply = _one(_authority(records, log), request(SIGNER))
    files = {"root": reply.root_certificate, "signer": reply.signer_certificate, "device": reply.device_certificate}
    for name, certificate in files.items():
        (tmp_path / name).write_text(ssl.DER_cert_to_PEM_cert(certificate))
    command = [openssl, "verify", "-x509_strict", "-purpose", "sslclient", "-CAfile", "root"]
    command += ["-untrusted", "signer", "device"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr + done.stdout


def test_the_same_request_gets_the_same_reply_and_no_second_signature(records: SqlLedger, log: RememberingLog) -> None:
    signer = MemorySigner()
    authority = _authority(records, log, signer)
    first = _one(authority, request(signer))
    again = answer(authority, asked(request(signer), request(signer), request(signer, existing_only=True)))
    assert again == [first] * 3
    assert signer.signatures == 1


def test_the_same_request_twice_in_one_batch_is_signed_once(records: SqlLedger, log: RememberingLog) -> None:
    signer = MemorySigner()
    replies = answer(_authority(records, log, signer), asked(request(signer), request(signer), request(signer, 2)))
    assert replies[0] == replies[1] != replies[2]
    assert signer.signatures == 2
    assert len(records_of(records, chip_serial(1))) == 1


def test_two_keys_for_one_chip_in_one_batch_get_one_certificate(records: SqlLedger, log: RememberingLog) -> None:
    first, second = answer(_authority(records, log), asked(request(SIGNER), request(SIGNER, key=OTHER_KEY)))
    assert isinstance(first, CertificatesReply)
    assert isinstance(second, ErrorReply)
    assert second.code == Code.CHIP_HAS_OTHER_KEY


def test_another_key_is_refused_unless_that_is_allowed(records: SqlLedger, log: RememberingLog) -> None:
    first = _one(_authority(records, log), request(SIGNER))
    assert _refused(_authority(records, log), request(SIGNER, key=OTHER_KEY)) == Code.CHIP_HAS_OTHER_KEY
    rekeying = _authority(records, log, allow_rekey=True)
    second = _one(rekeying, request(SIGNER, key=OTHER_KEY))
    assert second.device_certificate != first.device_certificate
    assert _one(rekeying, request(SIGNER)) == first
    assert [record.public_key for record in records_of(records, chip_serial(1))] == [CHIP_KEY, OTHER_KEY]


def test_another_signer_for_the_same_key_is_refused(records: SqlLedger, log: RememberingLog) -> None:
    other = MemorySigner()
    authority = _authority(records, log, SIGNER, other)
    _one(authority, request(SIGNER))
    assert _refused(authority, request(other)) == Code.CHIP_HAS_OTHER_SIGNER


def test_existing_only_never_issues(records: SqlLedger, log: RememberingLog) -> None:
    signer = MemorySigner()
    authority = _authority(records, log, signer)
    assert _refused(authority, request(signer, existing_only=True)) == Code.NOT_ISSUED
    _one(authority, request(signer))
    assert _refused(authority, request(signer, key=OTHER_KEY, existing_only=True)) == Code.NOT_ISSUED
    assert _refused(authority, request(signer, 2, existing_only=True)) == Code.NOT_ISSUED
    assert signer.signatures == 1


def test_stored_certificates_are_given_out_even_if_their_signer_is_gone(
    records: SqlLedger, log: RememberingLog
) -> None:
    signer = MemorySigner()
    first = _one(_authority(records, log, signer), request(signer))
    assert _one(_authority(records, log, SIGNER), request(signer)) == first
    assert _refused(_authority(records, log, SIGNER), request(signer, 2)) == Code.SIGNER_UNPLUGGED


def test_requests_that_no_chip_makes_are_refused(records: SqlLedger, log: RememberingLog) -> None:
    authority = _authority(records, log)
    good = request(SIGNER)
    for zone in (bytes(128), b"\xff" * 128, config_zone(1, locked=False)):
        assert _refused(authority, dataclasses.replace(good, config_zone=zone)) == Code.REQUEST_INVALID
    for key in (bytes(64), b"\xff" * 64, CHIP_KEY[:63] + bytes([CHIP_KEY[63] ^ 1])):
        assert _refused(authority, dataclasses.replace(good, public_key=key)) == Code.REQUEST_INVALID
    assert not records_of(records, chip_serial(1))


@pytest.mark.parametrize("unique", [bytes(6), b"\xff" * 6])
def test_a_serial_number_that_no_chip_has_is_refused(records: SqlLedger, log: RememberingLog, unique: bytes) -> None:
    zone = bytearray(config_zone(1))
    serial = b"\x01\x23" + unique + b"\xee"
    zone[0:4], zone[8:13] = serial[:4], serial[4:]
    message = dataclasses.replace(request(SIGNER), config_zone=bytes(zone))
    assert _refused(_authority(records, log), message) == Code.REQUEST_INVALID
    assert not records_of(records, serial)


def test_a_key_is_certified_for_one_chip_only(tmp_path: Path, log: RememberingLog) -> None:
    for _ in (1, 2):
        records = ledger_in(tmp_path)
        authority = _authority(records, log)
        _one(authority, request(SIGNER))
        for number in range(2, 100):
            assert _refused(authority, request(SIGNER, number, key=CHIP_KEY)) == Code.KEY_HAS_OTHER_CHIP
        assert _refused(_authority(records, log, allow_rekey=True), request(SIGNER, 2, key=CHIP_KEY)) == (
            Code.KEY_HAS_OTHER_CHIP
        )
        assert [entry.kind for entry in records.entries(0, 10)] == ["issued"]
        records.close()


def test_a_key_for_two_chips_in_one_batch_is_certified_for_the_first(records: SqlLedger, log: RememberingLog) -> None:
    first, second = answer(_authority(records, log), asked(request(SIGNER), request(SIGNER, 2, key=CHIP_KEY)))
    assert isinstance(first, CertificatesReply)
    assert isinstance(second, ErrorReply)
    assert (second.code, second.retryable) == (Code.KEY_HAS_OTHER_CHIP, False)


@pytest.mark.parametrize("ca", ["the signer", "the root", "another signer", "a signer of an earlier start"])
def test_the_key_of_a_ca_is_never_certified_for_a_chip(tmp_path: Path, log: RememberingLog, ca: str) -> None:
    root, other = SigningKey(), MemorySigner()
    signer = MemorySigner(root=root)
    if ca == "a signer of an earlier start":
        records = ledger_in(tmp_path)
        _one(_authority(records, log, other), request(other, 5))
        records.close()
    records = ledger_in(tmp_path)
    authority = _authority(records, log, signer, *([other] if ca == "another signer" else []))
    key = {"the signer": signer.documents.signer_public_key, "the root": root.public_key}.get(ca)
    message = request(signer, key=key or other.documents.signer_public_key)
    assert _refused(authority, message) == Code.REQUEST_INVALID
    assert "signer or a root" in log.lines[-1]
    assert signer.signatures == 0
    records.close()


def test_with_a_product_set_other_configurations_get_no_certificate(records: SqlLedger, log: RememberingLog) -> None:
    product, other = bytearray(DEFAULT_608A), bytearray(DEFAULT_608A)
    other[20] ^= 1
    chip = bytearray(product)
    chip[0:13], chip[87] = config_zone(1)[0:13], 0x00
    chip[52:68], chip[88:90] = b"\x07" * 16, b"\x00\x00"  # counters run, and slots are locked one by one
    message = dataclasses.replace(request(SIGNER), config_zone=bytes(chip))
    offer = SignerRequest(SIGNER.documents.signer_public_key, config_zone=bytes(product))
    assert _refused(_authority(records, log, products=served(bytes(other))), offer) == Code.REQUEST_INVALID
    (reply,) = answer(_authority(records, log, products=served(bytes(other), bytes(product))), asked(offer))
    assert isinstance(reply, SignerReply), "before a chip is touched"
    authority = _authority(records, log, products=served(bytes(other)))
    assert _refused(authority, message) == Code.REQUEST_INVALID
    assert "slot 0 SlotConfig is 0085, not 0084" in log.lines[-1]
    assert _refused(authority, request(SIGNER)) == Code.REQUEST_INVALID
    assert "differ" in log.lines[-1]
    assert not records_of(records, chip_serial(1))
    first = _one(_authority(records, log, products=served(bytes(other), bytes(product))), message)
    assert _one(authority, message) == first, "recorded certificates are still given out"


def test_a_signer_that_waits_for_its_password_does_not_sign(records: SqlLedger, log: RememberingLog) -> None:
    signer = MemorySigner(password=b"secret")
    authority = _authority(records, log, signer)
    (reply,) = answer(authority, asked(request(signer)))
    assert isinstance(reply, ErrorReply)
    assert (reply.code, reply.retryable) == (Code.SIGNER_NOT_READY, True)
    assert _refused(authority, SignerRequest(signer.documents.signer_public_key)) == Code.SIGNER_NOT_READY
    signer.unlock(b"secret")
    _one(authority, request(signer))


def test_a_signer_request_tells_what_it_issues(records: SqlLedger, log: RememberingLog) -> None:
    authority = _authority(records, log)
    (offer,) = answer(authority, asked(SignerRequest(SIGNER.documents.signer_public_key)))
    assert isinstance(offer, SignerReply)
    reply = _one(authority, request(SIGNER))
    assert (offer.signer_certificate, offer.root_certificate) == (reply.signer_certificate, reply.root_certificate)
    assert (offer.device_definition, offer.signer_definition) == (reply.device_definition, reply.signer_definition)
    assert _refused(authority, SignerRequest(CHIP_KEY)) == Code.SIGNER_UNKNOWN


def test_a_full_disk_is_told_before_a_chip_is_touched(
    records: SqlLedger, log: RememberingLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = _authority(records, log)
    question = SignerRequest(SIGNER.documents.signer_public_key)
    monkeypatch.setattr("atcaprov.durable_files.free_bytes", lambda place: ROOM_MIN - 1)
    assert _refused(authority, question) == Code.DISK_FULL
    monkeypatch.setattr("atcaprov.durable_files.free_bytes", lambda place: ROOM_MIN)
    (offer,) = answer(authority, asked(question))
    assert isinstance(offer, SignerReply)


@pytest.mark.parametrize(
    ("left", "any_of_group", "told"),
    [((5, 7), False, 5), ((5, 7), True, 12), ((None, 7), True, 0), ((None, 7), False, 0), ((5, None), True, 0)],
)
def test_an_offer_tells_what_the_quotas_allow(
    records: SqlLedger, log: RememberingLog, left: tuple[int | None, ...], any_of_group: bool, told: int
) -> None:
    root = SigningKey()
    first, second = MemorySigner(root=root), MemorySigner(root=root, signer_id=b"\x00\x35")
    first.remaining, second.remaining = left
    authority = _authority(records, log, first, second)
    (offer,) = answer(authority, asked(SignerRequest(first.documents.signer_public_key, any_of_group)))
    assert isinstance(offer, SignerReply)
    assert offer.certificates_left == told
    first.remaining = second.remaining = 0
    assert _refused(authority, SignerRequest(first.documents.signer_public_key, any_of_group)) == Code.QUOTA_USED_UP


def test_an_offer_tells_whether_a_new_key_of_the_chip_would_be_refused(records: SqlLedger, log: RememberingLog) -> None:
    def told(serial: bytes, **options: Any) -> bool:
        question = SignerRequest(SIGNER.documents.signer_public_key, chip_serial=serial)
        (offer,) = answer(_authority(records, log, **options), asked(question))
        assert isinstance(offer, SignerReply), offer
        return offer.new_key_refused

    assert not told(chip_serial(1))
    _one(_authority(records, log), request(SIGNER))
    assert told(chip_serial(1))
    assert _refused(_authority(records, log), request(SIGNER, key=OTHER_KEY)) == Code.CHIP_HAS_OTHER_KEY
    assert not told(chip_serial(2))
    assert not told(b"")
    assert not told(chip_serial(1), allow_rekey=True)


def test_a_chip_without_a_serial_number_is_refused_before_it_is_touched(
    records: SqlLedger, log: RememberingLog
) -> None:
    blank = SignerRequest(SIGNER.documents.signer_public_key, chip_serial=b"\x01\x23" + bytes(6) + b"\xee")
    assert _refused(_authority(records, log), blank) == Code.REQUEST_INVALID


class FailingLedger(SqlLedger):
    """A ledger whose disk fails at the n-th step from now on."""

    steps = 0

    def commit(self, changes: Changes) -> Committed:
        self.steps -= 1
        if self.steps == 0:
            self.failed = True
            raise AtcaProvError("The ledger cannot be read or written: disk I/O error.", code=Code.RECORDS_FAILED)
        return super().commit(changes)


@pytest.mark.parametrize("step_that_fails", ["the intent", "the result"])
def test_the_first_error_of_the_ledger_ends_issuing(
    records: SqlLedger, log: RememberingLog, step_that_fails: str
) -> None:
    """Not even stored certificates are sent: it cannot be proven that they are the ones that are on the disk."""
    records.__class__ = FailingLedger
    assert isinstance(records, FailingLedger)
    signer = MemorySigner()
    authority = _authority(records, log, signer)
    _one(authority, request(signer))
    records.steps = 1 if step_that_fails == "the intent" else 2
    batch = asked(request(signer, 2), request(signer, 2), request(signer, 3), SignerRequest(CHIP_KEY), request(signer))
    replies = answer(authority, batch)
    codes = [getattr(reply, "code", None) for reply in replies]
    if step_that_fails == "the intent":
        assert codes == [Code.RECORDS_FAILED] * 5
    else:
        assert codes == [*[Code.RECORDS_FAILED] * 3, Code.SIGNER_UNKNOWN, None]
    assert signer.signatures == (1 if step_that_fails == "the intent" else 3)
    for later in (request(signer), request(signer, 4), SignerRequest(signer.documents.signer_public_key)):
        assert _refused(authority, later) == Code.RECORDS_FAILED
    assert signer.signatures == (1 if step_that_fails == "the intent" else 3)
    assert any("disk I/O error" in line for line in log.lines)


def test_a_signer_that_fails_spoils_only_its_own_request(records: SqlLedger, log: RememberingLog) -> None:
    class Broken(MemorySigner):
        def sign(self, digest: bytes) -> bytes:
            raise RuntimeError("the module was unplugged")

    class Wrong(MemorySigner):
        def sign(self, digest: bytes) -> bytes:
            return super().sign(bytes(32))

    broken, wrong = Broken(), Wrong()
    authority = _authority(records, log, SIGNER, broken, wrong)
    replies = answer(authority, asked(request(broken), request(wrong, 2), request(SIGNER, 3)))
    assert [getattr(reply, "code", None) for reply in replies] == [Code.INTERNAL, Code.INTERNAL, None]
    assert any("unplugged" in line for line in log.lines)
    assert not records_of(records, chip_serial(1))
    assert not records_of(records, chip_serial(2))


def test_a_signer_named_twice_or_unable_to_serve_is_found_at_the_start() -> None:
    with pytest.raises(UsageError, match="is connected already"):
        SignerRegistry([SIGNER, SIGNER])
    huge = MemorySigner()
    huge.documents = dataclasses.replace(huge.documents, root_certificate=bytes(5000))
    with pytest.raises(UsageError, match="root_certificate"):
        SignerRegistry([huge])
    damaged = MemorySigner()
    damaged.documents = dataclasses.replace(damaged.documents, device_definition=b"\xa0")
    with pytest.raises(AtcaProvError):
        SignerRegistry([damaged])


def test_log_names_device_and_signer_of_each_certificate_and_refusal(records: SqlLedger, log: RememberingLog) -> None:
    authority = _authority(records, log)
    answer(authority, asked(request(SIGNER), client="127.0.0.1:40001"))
    answer(authority, asked(request(SIGNER), client="[::1]:40002"))
    answer(authority, asked(request(SIGNER, key=OTHER_KEY), SignerRequest(CHIP_KEY), client="192.0.2.7:40003"))
    name = f"Signer ({SIGNER.serial.hex().upper()}, Example ATECC608A Signer)"
    (first,) = records_of(records, chip_serial(1))
    assert certified_text(first) == f"Device (0123000000000001EE) certified by {name}, asked by 127.0.0.1:40001."
    assert log.lines[0] == "info: Device (0123000000000001EE) gets its stored certificates again, asked by [::1]:40002."
    refused = ", asked by 192.0.2.7:40003: "
    assert log.lines[1].startswith(f"info: Device (0123000000000001EE) refused, chip-has-other-key{refused}This chip")
    assert log.lines[2].startswith(f"info: Signer request refused, signer-unknown{refused}")
